"""Secrets by reference: a file, an environment variable, or (sandbox only) a value in the configuration.

A changed file is read again, so a rotated secret needs no restart. Where several references are allowed, the old and
the new secret are both valid for as long as both are listed.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec

from paynotify.schemas.errors import SecretError
from paynotify.schemas.text import is_text

_RECHECK_SECONDS = 1.0


class SecretRef(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where a secret is: exactly one of ``file``, ``env`` and ``value``."""

    file: str | None = None
    env: str | None = None
    value: str | None = None

    def __post_init__(self) -> None:
        if sum(part is not None for part in (self.file, self.env, self.value)) != 1:
            raise ValueError("a secret is exactly one of {file: PATH}, {env: NAME} and {value: TEXT}")
        if "" in (self.file, self.env, self.value):
            raise ValueError("a secret's place or value must not be empty")

    def __repr__(self) -> str:
        place = "value" if self.value is not None else f"file={self.file!r}" if self.file else f"env={self.env!r}"
        return f"SecretRef({place})"


class Secret:
    """The present value of one reference. Reading is cheap: a file is checked for changes at most once a second."""

    __slots__ = ("_checked_at", "_path", "_text", "_version", "reference")

    def __init__(self, reference: SecretRef) -> None:
        self.reference = reference
        self._path = None if reference.file is None else Path(reference.file)
        self._text: str | None = reference.value
        self._version: tuple[int, ...] = ()
        self._checked_at = float("-inf")

    def __repr__(self) -> str:
        return f"Secret({self.reference!r})"

    def reveal(self) -> str:
        """The secret's text without a trailing line break.

        Raises:
            SecretError: the file or variable is missing, unreadable, empty or not UTF-8 text.
        """
        if self._path is not None:
            self._reread(self._path)
        elif self.reference.env is not None:
            self._text = os.environ.get(self.reference.env)
            if not self._text:
                raise SecretError(
                    f"The environment variable {self.reference.env} is not set or empty. "
                    "Set it to the secret, or name a file instead."
                )
            if not is_text(self._text):
                raise SecretError(
                    f"The environment variable {self.reference.env} is not UTF-8 text. "
                    "Set it to the secret as it was given to you, or name a file instead."
                )
        assert self._text is not None
        return self._text

    def _reread(self, path: Path) -> None:
        now = time.monotonic()
        if now - self._checked_at < _RECHECK_SECONDS and self._text is not None:
            return
        self._checked_at = now
        try:
            version = file_version(path)
            if version != self._version or self._text is None:
                text = path.read_text("utf-8").rstrip("\r\n")
                if not text and self._text is not None:
                    return  # caught between truncation and write: the last value stays valid
                if not text:
                    raise SecretError(f"The secret file {path} is empty. Write the secret into it.")
                self._text, self._version = text, version
        except (OSError, ValueError) as error:
            if self._text is not None:
                return  # a file being replaced is missing for a moment: the last value stays valid
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text, or the path is invalid"
            raise SecretError(
                f"The secret file {path} can't be read: {reason}. Check the path and its permissions."
            ) from None


def file_version(path: Path) -> tuple[int, ...]:
    """A value that changes with the file's content, without reading it.

    Raises:
        OSError: the file is missing or can't be accessed.
    """
    found = path.stat()
    # two writes may fall into one tick of the file system's clock: the inode and the length differ then
    return found.st_mtime_ns, found.st_ino, found.st_size


def reveal_all(secrets: tuple[Secret, ...]) -> tuple[str, ...]:
    """Every value that is valid now. An unreadable reference is left out if another can be read.

    Raises:
        SecretError: no reference can be read.
    """
    values: list[str] = []
    problem: SecretError | None = None
    for secret in secrets:
        try:
            values.append(secret.reveal())
        except SecretError as error:
            problem = error
    if not values and problem is not None:
        raise problem
    return tuple(values)
