"""Kafka Connect and the sink in ``build/connect``, fetched by the command of the page and kept in the cache."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

from tests.consume.page import ROOT, Page
from tests.kept_downloads import kept

WANTED: Final = ROOT / "build" / "connect"
_POMS: Final = ROOT / "examples" / "connect"


def fetched(page: Page) -> Path:
    """The folder with the jars of today's ``pom.xml``."""

    def fetch(folder: Path) -> None:
        shutil.rmtree(WANTED, ignore_errors=True)
        page.type("mvn ")
        shutil.copytree(WANTED, folder, dirs_exist_ok=True)

    jars = kept("connect", fetch, of=sorted(_POMS.rglob("pom.xml")))
    if not WANTED.exists():
        shutil.copytree(jars, WANTED, copy_function=os.symlink)
    return WANTED
