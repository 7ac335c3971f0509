"""The bills have what no installer knows of: the packages of the image's base, and the files of others."""

from __future__ import annotations

from typing import Final

from release.bill_of_materials import with_debian_packages, with_vendored_files

STATUS: Final = """\
Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u13
Description: GNU C Library
 Shared libraries

Package: login
Status: install ok installed
Architecture: amd64
Version: 1:4.13+dfsg1-1

Package: removed
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0
"""


def test_packages_that_are_installed_are_added_to_the_libraries() -> None:
    own = {"bomFormat": "CycloneDX", "components": [{"type": "library", "name": "aiohttp", "version": "3"}]}
    whole = with_debian_packages(own, STATUS)
    assert whole["bomFormat"] == "CycloneDX"
    assert [one["name"] for one in whole["components"]] == ["aiohttp", "libc6", "login"]
    assert [one["purl"] for one in whole["components"][1:]] == [
        "pkg:deb/debian/libc6@2.36-9%2Bdeb12u13?arch=amd64",
        "pkg:deb/debian/login@1:4.13%2Bdfsg1-1?arch=amd64",
    ]
    assert len(own["components"]) == 1


def test_packages_of_the_files_that_the_console_serves_are_added_once() -> None:
    whole = with_vendored_files({"components": [{"type": "library", "name": "aiohttp", "version": "3"}]})
    assert [one["name"] for one in whole["components"]] == ["aiohttp", "htmx.org", "uplot"]
    assert whole["components"][1]["purl"] == "pkg:npm/htmx.org@4.0.1"
    assert whole["components"][2]["licenses"] == [{"license": {"id": "MIT"}}]
