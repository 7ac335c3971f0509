"""The bank's keys and signatures, made with plain cryptography by the standards, not with the product's library.

RFC 7515 (signature, appendix F), RFC 7517 (key set), RFC 7518 (algorithms).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from paynotify.sandbox.simulators.smartpay.settings import Algorithm, KeySetKind

_HASHES: Final[Mapping[str, type[hashes.HashAlgorithm]]] = {
    "256": hashes.SHA256,
    "384": hashes.SHA384,
    "512": hashes.SHA512,
}
#: Curve, its name in a key set, and how many bytes a coordinate has.
_CURVES: Final[Mapping[str, tuple[type[ec.EllipticCurve], str, int]]] = {
    "ES256": (ec.SECP256R1, "P-256", 32),
    "ES384": (ec.SECP384R1, "P-384", 48),
    "ES512": (ec.SECP521R1, "P-521", 66),
}
_RSA_BITS: Final = 2048
_HUGE_BYTES: Final = 10 * 1024 * 1024


def base64url(raw: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class BankKey:
    """One pair of keys."""

    kid: str
    algorithm: Algorithm
    private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

    def public(self) -> dict[str, str]:
        """The public half as the bank publishes it."""
        common = {"kid": self.kid, "use": "sig", "alg": self.algorithm}
        if isinstance(self.private, rsa.RSAPrivateKey):
            numbers = self.private.public_key().public_numbers()
            return {**common, "kty": "RSA", "n": _integer(numbers.n), "e": _integer(numbers.e)}
        point = self.private.public_key().public_numbers()
        _, name, size = _CURVES[self.algorithm]
        return {**common, "kty": "EC", "crv": name, "x": _fixed(point.x, size), "y": _fixed(point.y, size)}

    def sign(self, body: bytes) -> str:
        """The detached signature over the body."""
        header = base64url(json.dumps({"alg": self.algorithm, "kid": self.kid}).encode())
        text = f"{header}.{base64url(body)}".encode()
        digest = _HASHES[self.algorithm[2:]]()
        if isinstance(self.private, rsa.RSAPrivateKey):
            return f"{header}..{base64url(self.private.sign(text, padding.PKCS1v15(), digest))}"
        r, s = decode_dss_signature(self.private.sign(text, ec.ECDSA(digest)))
        size = _CURVES[self.algorithm][2]
        return f"{header}..{base64url(r.to_bytes(size, 'big') + s.to_bytes(size, 'big'))}"


class KeyRing:
    """The keys that the bank has published and signs with: the newest of each algorithm signs."""

    def __init__(self) -> None:
        self.published: list[BankKey] = []
        self._before: list[BankKey] = []
        self._made = 0
        self.kind: KeySetKind = "current"

    def signing(self, algorithm: Algorithm) -> BankKey:
        """The newest published key of the algorithm; the first one is made when it is needed."""
        found = [key for key in self.published if key.algorithm == algorithm]
        return found[-1] if found else self.rotate(algorithm)

    def rotate(self, algorithm: Algorithm) -> BankKey:
        """A new key, which signs from now on."""
        self._before = list(self.published)
        self.published.append(self.unpublished(algorithm))
        return self.published[-1]

    def twin(self, algorithm: Algorithm) -> None:
        """Another key with the id of the signing one, published before it."""
        key = self.signing(algorithm)
        other = BankKey(key.kid, algorithm, _private(algorithm))
        self.published.insert(self.published.index(key), other)

    def retire(self) -> None:
        """Publish only the newest key of each algorithm."""
        newest = {key.algorithm: key for key in self.published}
        self.published = list(newest.values())

    def unpublished(self, algorithm: Algorithm) -> BankKey:
        """A key that is in no set."""
        self._made += 1
        return BankKey(f"{algorithm.lower()}-{self._made}", algorithm, _private(algorithm))

    def document(self) -> bytes:
        """What the key set's address answers with."""
        if self.kind == "huge":
            return json.dumps({"keys": [], "filler": "x" * _HUGE_BYTES}).encode()
        keys: list[dict[str, Any]] = [key.public() for key in (self._before if self.kind == "old" else self.published)]
        return json.dumps({"keys": keys}).encode()


def _private(algorithm: Algorithm) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    if algorithm.startswith("RS"):
        return rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)
    return ec.generate_private_key(_CURVES[algorithm][0]())


def _fixed(number: int, size: int) -> str:
    return base64url(number.to_bytes(size, "big"))


def _integer(number: int) -> str:
    return base64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))
