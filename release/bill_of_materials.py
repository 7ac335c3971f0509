"""The bills of materials (CycloneDX): of the distributions with their locked libraries, and of the image."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from email.parser import HeaderParser
from pathlib import Path
from typing import Any, Final

from paynotify.ops.console.vendored_files import VENDORED_FILES, VENDORED_LICENCES
from release.environments import environment_of
from release.locks import ROOT

_VALIDATE: Final = """
import sys
from pathlib import Path
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
text = Path(sys.argv[1]).read_text("utf-8")
import json
version = SchemaVersion.from_version(json.loads(text)["specVersion"])
trouble = JsonStrictValidator(version).validate_str(text)
sys.exit(None if trouble is None else str(trouble))
"""


class BillTools:
    """An environment with the locked tools that list what is in another."""

    def __init__(self, folder: Path) -> None:
        self._python = environment_of(folder, ["sbom"])

    def of_environment(self, python: Path, target: Path) -> None:
        """Write the bill of what is installed for that Python."""
        tool = self._python.with_name("cyclonedx-py")
        what = ("environment", "--pyproject", ROOT / "pyproject.toml", "--output-reproducible", "--output-file", target)
        subprocess.run((tool, *what, python), check=True)

    def objection(self, bill: Path) -> str:
        """What the specification's schema says against a bill; empty if nothing."""
        done = subprocess.run((self._python, "-c", _VALIDATE, bill), capture_output=True, text=True)
        return "" if done.returncode == 0 else f"{bill.name}: {done.stderr.strip()}"


def with_vendored_files(bill: Mapping[str, Any]) -> dict[str, Any]:
    """A bill of the product with the packages whose files the console serves: no installer knows of them."""
    packages = sorted({(one.package, one.version) for one in VENDORED_FILES})
    return {**bill, "components": [*bill.get("components", ()), *(_npm_component(*one) for one in packages)]}


def _npm_component(name: str, version: str) -> dict[str, Any]:
    reference = f"pkg:npm/{name}@{version}"
    licences = [{"license": {"id": VENDORED_LICENCES[name]}}]
    return {
        "type": "library",
        "bom-ref": reference,
        "name": name,
        "version": version,
        "licenses": licences,
        "purl": reference,
    }


def with_debian_packages(bill: Mapping[str, Any], status: str) -> dict[str, Any]:
    """The image's own bill, which has the Python packages, with those of its base: they are in the image too.

    ``status`` is the file in which Debian's package manager keeps what is installed.
    """
    return {**bill, "components": [*bill.get("components", ()), *_debian_components(status)]}


def _debian_components(status: str) -> Iterator[dict[str, Any]]:
    for paragraph in status.strip().split("\n\n"):
        fields = HeaderParser().parsestr(paragraph)
        if fields["Status"] != "install ok installed":
            continue
        name, version, machine = fields["Package"], fields["Version"], fields["Architecture"]
        reference = f"pkg:deb/debian/{name}@{_quoted(version)}?arch={machine}"
        yield {"type": "library", "bom-ref": reference, "name": name, "version": version, "purl": reference}


def _quoted(version: str) -> str:
    """A version as package URLs have it: of Debian's characters, an epoch's colon is plain and a plus is not."""
    return version.replace("+", "%2B")


def write(bill: Mapping[str, Any], target: Path) -> None:
    target.write_text(json.dumps(bill, indent=2, ensure_ascii=False) + "\n", "utf-8")
