"""Builds and runs the image without a container engine: buildah on a Debian base of its own, bubblewrap to run it.

The base is built from Debian's packages, so no image registry is needed. Needs root, and buildah, mmdebstrap
and bubblewrap (Debian and Ubuntu: ``apt-get install buildah mmdebstrap bubblewrap``).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "paynotify" / "image"
BASE: Final = "localhost/paynotify-base:bookworm"
IMAGES: Final = {"product": "localhost/paynotify:test", "trial": "localhost/paynotify-trial:test"}
USER: Final = 10001

_BUILDAH: Final = (
    "buildah",
    "--root",
    str(CACHE / "storage"),
    "--runroot",
    str(CACHE / "run"),
    "--storage-driver",
    "vfs",
)
_TOOLS: Final = ("buildah", "mmdebstrap", "bwrap")
_BUILD_SECONDS: Final = 1800


def missing_tools() -> list[str]:
    """The programs that are not there."""
    return [name for name in _TOOLS if shutil.which(name) is None]


@dataclass(frozen=True, slots=True)
class Image:
    """A built image: its configuration, and its root file system as a folder of this machine."""

    configuration: Mapping[str, Any]
    root: Path

    def run(
        self,
        *arguments: str,
        command: Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
        readable: Sequence[Path] = (),
        seconds: float = 120.0,
    ) -> subprocess.CompletedProcess[str]:
        """Run the image's own command, or another, as a cluster would: the image's user, a read-only root, /tmp and the
        state's folder in memory, no capabilities, no new privileges. The network is this machine's."""
        variables = dict(one.split("=", 1) for one in self.configuration["Env"]) | dict(environment or {})
        begin = self.configuration["Entrypoint"] if command is None else command
        isolated = [
            "bwrap",
            "--ro-bind",
            str(self.root),
            "/",
            "--proc",
            "/proc",
            "--dev",
            "/dev",
            "--perms",
            "1777",
            "--tmpfs",
            "/tmp",
            "--ro-bind",
            "/etc/resolv.conf",
            "/etc/resolv.conf",
            "--unshare-pid",
            "--unshare-ipc",
            "--as-pid-1",
            "--die-with-parent",
            "--clearenv",
            "--chdir",
            self.configuration["WorkingDir"],
        ]
        for path in readable:
            isolated += ["--ro-bind", str(path), str(path)]
        for name, value in variables.items():
            isolated += ["--setenv", name, value]
        user, _, group = self.configuration["User"].partition(":")
        drop = (
            "setpriv",
            f"--reuid={user}",
            f"--regid={group}",
            "--clear-groups",
            "--no-new-privs",
            "--inh-caps=-all",
            "--bounding-set=-all",
        )
        return subprocess.run(
            (*isolated, *drop, *begin, *arguments), capture_output=True, text=True, timeout=seconds, check=False
        )


def built(target: str, *options: str) -> Image:
    """Build an image (``product`` or ``trial``) with `make image` and its options, on a base of Debian's packages."""
    CACHE.mkdir(parents=True, exist_ok=True)
    if _buildah("images", "--quiet", BASE, check=False).strip() == "":
        _build_base()
    engine = " ".join(_BUILDAH)
    environment = {**os.environ, "BUILDAH_ISOLATION": "chroot"}
    subprocess.run(
        ("make", "image", f"TARGET={target}", f"ENGINE={engine}", f"IMAGE={IMAGES[target]}", f"BASE={BASE}", *options),
        cwd=ROOT,
        env=environment,
        timeout=_BUILD_SECONDS,
        check=True,
    )
    configuration = json.loads(_buildah("inspect", "--type", "image", IMAGES[target]))["OCIv1"]["config"]
    container = _buildah("from", IMAGES[target]).strip()
    return Image(configuration, Path(_buildah("mount", container).strip()))


def _build_base() -> None:
    archive = CACHE / "base.tar"
    subprocess.run(
        (
            "mmdebstrap",
            "--quiet",
            "--variant=minbase",
            "--include=ca-certificates,python3-venv",
            "bookworm",
            str(archive),
        ),
        timeout=_BUILD_SECONDS,
        check=True,
    )
    container = _buildah("from", "scratch").strip()
    _buildah("add", container, str(archive), "/")
    _buildah("commit", container, BASE)
    _buildah("rm", container)
    archive.unlink()


def remove_containers() -> None:
    """Remove the working containers from the storage; base and images stay."""
    _buildah("rm", "--all", check=False)


def _buildah(*arguments: str, check: bool = True) -> str:
    done = subprocess.run((*_BUILDAH, *arguments), capture_output=True, text=True, timeout=_BUILD_SECONDS, check=False)
    if check and done.returncode != 0:
        raise AssertionError(f"buildah {arguments[0]}: {done.stderr.strip()}")
    return done.stdout
