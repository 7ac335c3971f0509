"""The keys of the simulated bank. They are the same in every run, and so are their signatures.

The sandbox's bank makes its own keys and nonces by chance, and a history would never be the same again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from paynotify.sandbox.simulators.smartpay.key_ring import BankKey, base64url

#: The order of P-256 (FIPS 186-4, D.1.2.3).
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_SCALAR_BITS: Final = 250
_PRIME_BITS: Final = 1024
#: How far behind the number that is drawn the next prime is: a search takes a second.
_TO_THE_PRIME: Final = {"p": 730, "q": 772}
_EXPONENT: Final = 65537


@dataclass(frozen=True, slots=True)
class CurveKey:
    """A key for ES256. Its one nonce makes signatures cheap and gives the key away, which is no secret here."""

    public: BankKey
    secret: int
    inverse_nonce: int
    r: int

    def sign(self, body: bytes) -> str:
        """The detached signature over the body."""
        header = base64url(json.dumps({"alg": "ES256", "kid": self.public.kid}).encode())
        digest = int.from_bytes(hashlib.sha256(f"{header}.{base64url(body)}".encode()).digest(), "big")
        s = self.inverse_nonce * (digest + self.r * self.secret) % _ORDER
        return f"{header}..{base64url(self.r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


@cache
def curve_key(kid: str) -> CurveKey:
    """The key with that id."""
    chance = Random(kid)
    secret, nonce = (1 + chance.getrandbits(_SCALAR_BITS) for _ in range(2))
    private, point = (ec.derive_private_key(one, ec.SECP256R1()) for one in (secret, nonce))
    r = point.public_key().public_numbers().x % _ORDER
    return CurveKey(BankKey(kid, "ES256", private), secret, pow(nonce, -1, _ORDER), r)


@cache
def rsa_key(kid: str) -> BankKey:
    """The bank's only key for RS256, whose signatures have no nonce."""
    p, q = (_prime(name) for name in ("p", "q"))
    d = pow(_EXPONENT, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(_EXPONENT, p * q)
    parts = rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q)
    return BankKey(kid, "RS256", rsa.RSAPrivateNumbers(p, q, d, *parts, public).private_key())


def _prime(name: str) -> int:
    drawn = Random(f"{name} of the simulated bank").getrandbits(_PRIME_BITS)
    return (drawn | 3 << (_PRIME_BITS - 2) | 1) + _TO_THE_PRIME[name]
