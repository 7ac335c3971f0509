"""Builds the images with the container engine that is here, and takes files out of them."""

from __future__ import annotations

import shlex
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from release.locks import ROOT

TARGETS: Final = ("product", "trial")


@dataclass(frozen=True, slots=True)
class ContainerEngine:
    """docker, podman or buildah, with its own options."""

    command: str

    def build(self, target: str, image: str, options: tuple[str, ...]) -> bool:
        """Build one image with `make image`; if that fails, the engine has said why."""
        make = ("make", "image", f"TARGET={target}", f"ENGINE={self.command}", f"IMAGE={image}", *options)
        return subprocess.run(make, cwd=ROOT).returncode == 0

    def file(self, image: str, path: str) -> str:
        """The text of one of the image's files."""
        if self._is_buildah:
            container = self._said("from", image)
            try:
                return (Path(self._said("mount", container)) / path.lstrip("/")).read_text("utf-8")
            finally:
                self._said("rm", container)
        container = self._said("create", image)
        try:
            with tempfile.TemporaryDirectory() as folder:
                self._said("cp", f"{container}:{path}", f"{folder}/file")
                return (Path(folder) / "file").read_text("utf-8")
        finally:
            self._said("rm", container)

    @property
    def _is_buildah(self) -> bool:
        return Path(shlex.split(self.command)[0]).name == "buildah"

    def _said(self, *arguments: str) -> str:
        command = (*shlex.split(self.command), *arguments)
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
