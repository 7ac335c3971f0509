"""The users of the console with their passwords' hashes, read again when their secret changes."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Final

from paynotify.ops.console.access.password_hash import PasswordHash, parse_hash
from paynotify.schemas.configuration.console_access import USER_NAME
from paynotify.schemas.configuration.secrets import Secret
from paynotify.schemas.errors import ConfigurationError
from paynotify.service.logs import event

logger = logging.getLogger("paynotify.console")

_NAME: Final = re.compile(USER_NAME)
_MAX_USERS: Final = 1000


class UsersFile:
    """The hashes by name.

    Raises:
        ConfigurationError: a line can't be used at the start.
        SecretError: the secret can't be read.
    """

    def __init__(self, secret: Secret) -> None:
        self._secret = secret
        self._text = secret.reveal()
        self._users = parse_users(self._text)

    def hashes(self) -> Mapping[str, PasswordHash]:
        """As the secret is now. One that can't be used leaves the users as they were."""
        text = self._secret.reveal()
        if text != self._text:
            self._text = text
            try:
                self._users = parse_users(text)
            except ConfigurationError as error:
                event(logger, "changed_users_rejected", level=logging.WARNING, problem=str(error))
            else:
                event(logger, "users_replaced", users=len(self._users))
        return self._users


def parse_users(text: str) -> Mapping[str, PasswordHash]:
    """One user a line, ``NAME:HASH``; empty lines and those that begin with ``#`` are none.

    Raises:
        ConfigurationError: a line is no user, names one twice, or there are none or too many. It tells only the line's
            number: a password may stand where the hash should.
    """
    users: dict[str, PasswordHash] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, written = line.strip().partition(":")
        try:
            one = parse_hash(written)
        except ValueError as error:  # base64's own says nothing of the line
            why = str(error) if str(error).startswith("is ") else "is no hash"
            raise _wrong(number, f"what follows the name {why}") from None
        if not _NAME.match(name):
            raise _wrong(number, "the name is not 1 to 64 letters, digits and . _ @ + -")
        if name in users:
            raise _wrong(number, "another line has the same name")
        users[name] = one
    if not 0 < len(users) <= _MAX_USERS:
        raise ConfigurationError(f"console.access.basic.users must be 1 to {_MAX_USERS} users, got {len(users)}.")
    return users


def _wrong(number: int, problem: str) -> ConfigurationError:
    return ConfigurationError(
        f"console.access.basic.users, line {number}: {problem}. Write NAME:HASH, with a hash that "
        "`paynotify console --hash-password` has made."
    )
