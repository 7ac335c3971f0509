"""The bank's signature: a detached JWS (RFC 7515, appendix F) over the body's bytes.

The library does the cryptography. What it would let pass is decided here: which algorithm, which key, and which form.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from jwcrypto.common import JWException
from jwcrypto.jws import JWS

from paynotify.processors.providers.smartpay.key_set import KeySet, PublishedKey
from paynotify.schemas.errors import RejectedNotificationError, UndecidedNotificationError

#: Three parts with an empty middle, base64url without padding. A comma, as of a repeated header, is in none of them.
_DETACHED: Final = re.compile(r"([A-Za-z0-9_-]+)\.\.([A-Za-z0-9_-]+)\Z")
#: The one extension that is understood (RFC 7797).
_EXTENSIONS: Final = ["b64"]


@dataclass(frozen=True, slots=True)
class DetachedSignature:
    """A signature of the right form, not verified. ``text`` is the header's value, ``header`` the JWS's own header."""

    text: str
    header: dict[str, Any]


def signature_in(value: str, limit_bytes: int) -> DetachedSignature:
    """The signature in the header's value.

    Raises:
        RejectedNotificationError: there is none, or it has another form.
    """
    if not value:
        raise RejectedNotificationError("missing_signature", "the call has no signature")
    form = _DETACHED.match(value) if len(value) <= limit_bytes else None
    if form is None:
        raise RejectedNotificationError("malformed", "the signature is not a detached JWS")
    _decoded(form[2])
    try:
        header = json.loads(_decoded(form[1]).decode(), object_pairs_hook=_distinct)
    except (ValueError, RecursionError):
        raise RejectedNotificationError("malformed", "the signature's header is not JSON") from None
    if not isinstance(header, dict):
        raise RejectedNotificationError("malformed", "the signature's header is not an object")
    _check_extensions(header)
    return DetachedSignature(value, header)


def check_signature(
    signature: DetachedSignature, body: bytes, published: KeySet | None, algorithms: Collection[str]
) -> None:
    """Check that a published key made the signature over the body.

    A key in the message, or where it points to, is never used.

    Raises:
        RejectedNotificationError: no key made it, or it may not be of its algorithm.
        UndecidedNotificationError: no published key has its id.
    """
    algorithm = signature.header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise RejectedNotificationError("algorithm", "the signature's algorithm is not on the list")
    kid = signature.header.get("kid")
    if not isinstance(kid, str) or not kid:
        raise RejectedNotificationError("unknown_key", "the signature names no key")
    named = published.of(kid) if published is not None else ()
    if not named:
        raise UndecidedNotificationError("unknown_key", "no published key has the id that the signature names")
    fitting = [key for key in named if key.fits(algorithm)]
    if not fitting:
        raise RejectedNotificationError("algorithm", "the named key is not for the signature's algorithm")
    if not any(_made_by(key, signature, body, algorithm) for key in fitting):
        raise RejectedNotificationError("bad_signature", "the named key did not make the signature")


def _made_by(key: PublishedKey, signature: DetachedSignature, body: bytes, algorithm: str) -> bool:
    token = JWS()
    token.allowed_algs = [algorithm]
    try:
        token.deserialize(signature.text)
        token.verify(key.jwk, alg=algorithm, detached_payload=body)
    except (JWException, ValueError, TypeError):
        return False
    return bool(token.is_valid)


def _check_extensions(header: dict[str, Any]) -> None:
    """``crit`` lists what a receiver must understand; without it nobody need know that the body is not encoded."""
    critical = header.get("crit")
    if "crit" in header and (critical != _EXTENSIONS or "b64" not in header):
        raise RejectedNotificationError("malformed", "the signature needs an extension that is not understood")
    encoded = header.get("b64", True)
    if not isinstance(encoded, bool) or (not encoded and critical != _EXTENSIONS):
        raise RejectedNotificationError("malformed", "the signature's b64 is not named in crit")


def _decoded(part: str) -> bytes:
    """The bytes of a part; of several texts with the same bytes only the standard's own counts."""
    try:
        raw = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError):
        raw = b""
    if base64.urlsafe_b64encode(raw).rstrip(b"=") != part.encode():
        raise RejectedNotificationError("malformed", "a part of the signature is not base64url")
    return raw


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The members of an object, each named once: of two readers each could take another one."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member comes twice")
    return members
