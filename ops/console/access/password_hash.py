"""Hashes of passwords (scrypt), as the users' file of the console has them: ``scrypt$LOG2N$R$P$SALT$KEY``."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Final

from paynotify.schemas.errors import ConfigurationError

MAX_PASSWORD_CHARACTERS: Final = 200
LEAST_PASSWORD_CHARACTERS: Final = 12

_KIND: Final = "scrypt"
_SALT_BYTES: Final = 16
_KEY_BYTES: Final = 32
#: 16 MiB of memory and five rounds, which guard as well as 128 MiB and one.
_LOG2_N, _R, _P = 14, 8, 5
#: What one check may cost at most, whatever the file says.
_MAX_BYTES: Final = 64 * 1024 * 1024
_MAX_ROUNDS: Final = 16


@dataclass(frozen=True, slots=True)
class PasswordHash:
    """One password's hash, with what it costs to make."""

    log2_n: int
    r: int
    p: int
    salt: bytes
    key: bytes

    def fits(self, password: str) -> bool:
        """Whether it is this password's. Takes some tenths of a second."""
        return hmac.compare_digest(self._key_of(password), self.key)

    def text(self) -> str:
        """As the file has it."""
        parts = (base64.b64encode(one).decode() for one in (self.salt, self.key))
        return "$".join((_KIND, str(self.log2_n), str(self.r), str(self.p), *parts))

    def _key_of(self, password: str) -> bytes:
        return hashlib.scrypt(
            password.encode(),
            salt=self.salt,
            n=1 << self.log2_n,
            r=self.r,
            p=self.p,
            maxmem=2 * _MAX_BYTES,
            dklen=_KEY_BYTES,
        )


def hash_password(password: str) -> PasswordHash:
    """A new hash.

    Raises:
        ConfigurationError: the password is too short or too long.
    """
    if not LEAST_PASSWORD_CHARACTERS <= len(password) <= MAX_PASSWORD_CHARACTERS or not password.isprintable():
        raise ConfigurationError(
            f"A password of the console is one line of {LEAST_PASSWORD_CHARACTERS} to {MAX_PASSWORD_CHARACTERS} "
            f"printable characters, got {len(password)} characters. Write it to standard input."
        )
    blank = PasswordHash(_LOG2_N, _R, _P, secrets.token_bytes(_SALT_BYTES), b"")
    return PasswordHash(blank.log2_n, blank.r, blank.p, blank.salt, blank._key_of(password))


def parse_hash(text: str) -> PasswordHash:
    """The hash in the text.

    Raises:
        ValueError: it is none, or one that costs too little or too much.
    """
    kind, *parts = text.split("$")
    if kind != _KIND or len(parts) != 5:
        raise ValueError("is no hash")
    log2_n, r, p = (int(one) if one.isascii() and one.isdigit() and len(one) < 4 else 0 for one in parts[:3])
    salt, key = (base64.b64decode(one, validate=True) for one in parts[3:])
    costs = (1 << log2_n) * 128 * r if log2_n < 64 else _MAX_BYTES + 1
    if log2_n < 10 or r < 1 or not 1 <= p <= _MAX_ROUNDS or costs > _MAX_BYTES:
        raise ValueError("is a hash that costs too little or too much")
    if len(salt) < _SALT_BYTES or len(key) != _KEY_BYTES:
        raise ValueError("is a hash that was cut off")
    return PasswordHash(log2_n, r, p, salt, key)
