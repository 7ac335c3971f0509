"""Kafka Connect and the sink in ``build/connect``, fetched by the command of the page and kept in the cache."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Final

from paynotify.sandbox.kafka_distribution import cache_directory
from tests.consume.page import ROOT, Page

WANTED: Final = ROOT / "build" / "connect"
_POMS: Final = ROOT / "examples" / "connect"


def fetched(page: Page) -> Path:
    """The folder with the jars of today's ``pom.xml``."""
    poms = b"".join(file.read_bytes() for file in sorted(_POMS.rglob("pom.xml")))
    kept = cache_directory() / f"connect-{hashlib.sha256(poms).hexdigest()[:12]}"
    if not kept.is_dir():
        shutil.rmtree(WANTED, ignore_errors=True)
        page.type("mvn ")
        half = kept.with_suffix(f".{os.getpid()}")
        shutil.copytree(WANTED, half)
        half.rename(kept)  # whole or not at all
    if not WANTED.exists():
        shutil.copytree(kept, WANTED, copy_function=os.symlink)
    return WANTED
