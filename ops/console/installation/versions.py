"""The versions of what this process is made of."""

from __future__ import annotations

import platform
import re
import sqlite3
import ssl
from collections.abc import Iterator
from functools import lru_cache
from importlib import metadata
from typing import Final

PRODUCT: Final = "paynotify"

_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")


@lru_cache(maxsize=1)
def versions() -> tuple[tuple[str, str], ...]:
    """Names with versions: paynotify, Python and what it brings, then each installed library that paynotify names."""
    return (
        (PRODUCT, _version(PRODUCT) or "not installed"),
        (platform.python_implementation(), platform.python_version()),
        ("SQLite", sqlite3.sqlite_version),
        ("OpenSSL", ssl.OPENSSL_VERSION.removeprefix("OpenSSL ")),
        *_libraries(),
    )


def _libraries() -> Iterator[tuple[str, str]]:
    try:
        required = metadata.requires(PRODUCT) or ()
    except metadata.PackageNotFoundError:
        return
    names = {found[0].lower() for one in required if (found := _NAME.match(one))}
    for name in sorted(names):
        version = _version(name)
        if version:
            yield name, version


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:  # of an extra that is not installed
        return ""
