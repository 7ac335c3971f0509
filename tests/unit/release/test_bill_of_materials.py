"""The image's bill has the packages of its base too."""

from __future__ import annotations

from typing import Final

from release.bill_of_materials import with_debian_packages

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
