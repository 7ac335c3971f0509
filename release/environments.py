"""Virtual environments with what a lock names, for what must not see the libraries of this project's tests."""

from __future__ import annotations

import subprocess
import venv
from collections.abc import Sequence
from pathlib import Path

from release.locks import ROOT

_PIP = ("-m", "pip", "--quiet", "--disable-pip-version-check", "install")


def environment_of(
    folder: Path, locks: Sequence[str], wheels: Sequence[Path] = (), options: Sequence[str] = ()
) -> Path:
    """Make an environment of the locks, installed with pip's ``options``, and of these wheels; returns its Python.

    Raises:
        subprocess.CalledProcessError: something could not be installed; pip has said what.
    """
    venv.create(folder, clear=True, with_pip=True)
    python = folder / "bin" / "python"
    files = [word for lock in locks for word in ("-r", str(ROOT / "requirements" / f"{lock}.txt"))]
    subprocess.run((python, *_PIP, "--require-hashes", *options, *files), check=True)
    if wheels:
        subprocess.run((python, *_PIP, "--no-deps", "--no-index", *wheels), check=True)
    return python
