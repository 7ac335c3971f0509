"""The bank's published keys (JWK Set, RFC 7517): which of them may verify a signature.

What is no key for signatures is left out, whatever else the set holds: a set with one odd key must not make the events
under the others unverifiable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from jwcrypto.common import JWException
from jwcrypto.jwk import JWK

#: The key type and curve that each algorithm needs.
KEY_KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "RS256": ("RSA", ""),
    "RS384": ("RSA", ""),
    "RS512": ("RSA", ""),
    "EdDSA": ("OKP", "Ed25519"),
}

#: The public members of each type of key: a private one must not be kept, even if somebody published it.
_MEMBERS: Final[Mapping[str, tuple[str, ...]]] = {"EC": ("crv", "x", "y"), "RSA": ("n", "e"), "OKP": ("crv", "x")}
_MAX_KEYS: Final = 100
_MAX_MEMBER: Final = 2048
#: RFC 7518 allows no shorter key; 256 bytes are 342 characters of base64url.
_MIN_MODULUS_CHARACTERS: Final = 342


class KeySetError(ValueError):
    """The bytes are no set with a usable key."""


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """One published key that may verify signatures; ``alg`` is empty where the bank does not bind it to one."""

    kid: str
    kind: tuple[str, str]
    alg: str
    jwk: JWK

    def fits(self, algorithm: str) -> bool:
        """Whether signatures of this algorithm may be by this key."""
        return KEY_KINDS.get(algorithm) == self.kind and self.alg in ("", algorithm)


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys of one set. Several may have one id."""

    keys: tuple[PublishedKey, ...]

    def of(self, kid: object) -> Sequence[PublishedKey]:
        """The keys with that id."""
        return [one for one in self.keys if one.kid == kid]


def key_set_in(raw: bytes) -> KeySet:
    """The usable keys in a JWK Set.

    Raises:
        KeySetError: it is none, or holds no usable key, or more keys than can be meant.
    """
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise KeySetError("it is not JSON") from None
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list) or len(entries) > _MAX_KEYS:
        raise KeySetError(f"it is not a set of at most {_MAX_KEYS} keys")
    keys = tuple(key for one in entries if isinstance(one, dict) and (key := _key(one)) is not None)
    if not keys:
        raise KeySetError("it holds no key that signatures may be verified with")
    return KeySet(keys)


def _key(entry: Mapping[str, Any]) -> PublishedKey | None:
    kid, kty = entry.get("kid"), entry.get("kty")
    if not isinstance(kid, str) or not kid or not isinstance(kty, str) or kty not in _MEMBERS:
        return None
    kind = kty, ("" if kty == "RSA" else str(entry.get("crv")))
    alg, members = entry.get("alg", ""), {name: entry.get(name) for name in _MEMBERS[kty]}
    usable = (
        kind in KEY_KINDS.values()
        and isinstance(alg, str)
        and all(isinstance(one, str) and 0 < len(one) <= _MAX_MEMBER for one in members.values())
        and (kty != "RSA" or len(str(entry["n"])) >= _MIN_MODULUS_CHARACTERS)
    )
    if not usable or not _for_signatures(entry):
        return None
    try:
        key = JWK(kty=kty, **members)
        key.get_op_key("verify")  # reads the numbers: a point beside its curve is found now
    except (JWException, ValueError, TypeError):
        return None
    return PublishedKey(kid, kind, alg, key)


def _for_signatures(entry: Mapping[str, Any]) -> bool:
    operations = entry.get("key_ops")
    listed = operations is None or (isinstance(operations, list) and "verify" in operations)
    return listed and entry.get("use", "sig") == "sig"
