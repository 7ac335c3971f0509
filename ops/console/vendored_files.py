"""The files of others that the console serves: one table, so that each can be compared with what its authors publish.

They lie unchanged in ``static/vendor/``. A browser asks no other host, and nothing is built.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class VendoredFile:
    """A file in ``static/vendor/``: the npm package, its version, the path inside it, and the SHA-256 of its bytes."""

    name: str
    package: str
    version: str
    path: str
    sha256: str


_HTMX: Final = ("htmx.org", "4.0.1")
_UPLOT: Final = ("uplot", "1.6.32")

#: The packages' licences, by their names in SPDX.
VENDORED_LICENCES: Final = {"htmx.org": "0BSD", "uplot": "MIT"}

VENDORED_FILES: Final = (
    VendoredFile(
        "htmx.min.js", *_HTMX, "dist/htmx.min.js", "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130"
    ),
    VendoredFile(
        "hx-sse.min.js",
        *_HTMX,
        "dist/ext/hx-sse.min.js",
        "18ef2761356ec1fe0bb6d92612315b37517a7c1e9856b661c5ae81fef239d103",
    ),
    VendoredFile(
        "htmx.LICENSE.txt", *_HTMX, "LICENSE", "d3d2456f76414f2456104660ebd65aff1c04cd7966b942bdabd63f3cdb316a38"
    ),
    VendoredFile(
        "uPlot.iife.min.js",
        *_UPLOT,
        "dist/uPlot.iife.min.js",
        "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    ),
    VendoredFile(
        "uPlot.min.css",
        *_UPLOT,
        "dist/uPlot.min.css",
        "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    ),
    VendoredFile(
        "uPlot.LICENSE.txt", *_UPLOT, "LICENSE", "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd"
    ),
)
