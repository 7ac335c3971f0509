"""Users are known by a name and a password that they send with each request (HTTP's Basic authentication)."""

from __future__ import annotations

import asyncio
import base64
import logging
import math
import secrets
from dataclasses import replace
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from paynotify.ops.console.access.failure_limit import FailureLimit
from paynotify.ops.console.access.grants import GrantedRoles
from paynotify.ops.console.access.identity import Identity
from paynotify.ops.console.access.password_hash import MAX_PASSWORD_CHARACTERS, PasswordHash
from paynotify.ops.console.access.users_file import UsersFile
from paynotify.ops.console.access.verified_passwords import VerifiedPasswords
from paynotify.schemas.configuration.console_access import PasswordSettings
from paynotify.schemas.configuration.secrets import Secret
from paynotify.service.listener import caller_address
from paynotify.service.logs import event

logger = logging.getLogger("paynotify.console")

#: Checks that may wait for the one in progress: each takes 16 MiB and some tenths of a second of one CPU.
_MAX_WAITING: Final = 20
_CHALLENGE: Final = {"www-authenticate": 'Basic realm="paynotify", charset="UTF-8"'}


class BasicAccess:
    """Identifies users by their passwords.

    Raises:
        ConfigurationError: the users can't be used.
    """

    def __init__(self, settings: PasswordSettings, roles: GrantedRoles, failures: FailureLimit | None = None) -> None:
        self._users = UsersFile(Secret(settings.users))
        self._roles = roles
        self._failures = failures or FailureLimit()
        self._verified = VerifiedPasswords()
        self._checking = asyncio.Lock()
        self._waiting = 0

    async def identify(self, connection: HTTPConnection) -> Identity | None:
        """The user of the request.

        Raises:
            HTTPException: it has no right password (401), or its address has had too many wrong ones (429).
        """
        given = _credentials(connection.headers.get("authorization", ""))
        if given is None:
            raise HTTPException(401, "Sign in to use the console.", _CHALLENGE)
        name, password = given
        address = caller_address(connection.client)
        known = self._users.hashes().get(name)
        if known is None or not self._verified.has(name, password, known.text()):
            await self._check(name, password, known, address)
        return self._roles.identity(name, "basic")

    async def _check(self, name: str, password: str, known: PasswordHash | None, address: str) -> None:
        if self._waiting >= _MAX_WAITING:
            raise HTTPException(503, "Too many users sign in at this moment.", {"retry-after": "5"})
        self._waiting += 1
        try:
            async with self._checking:
                if known is not None and self._verified.has(name, password, known.text()):
                    return  # a page's parts are asked for at once
                if wait := self._failures.wait_seconds(address):
                    seconds = str(math.ceil(wait))
                    raise HTTPException(429, "Too many wrong passwords. Wait a little.", {"retry-after": seconds})
                fits = await run_in_threadpool((known or self._nobodys()).fits, password)
        finally:
            self._waiting -= 1
        if known is None or not fits:
            self._failures.failed(address)
            # not the name: it may be the password, typed into the wrong field
            event(logger, "sign_in_refused", level=logging.WARNING, known_by="basic")
            raise HTTPException(401, "The name or the password is wrong.", _CHALLENGE)
        self._verified.add(name, password, known.text())

    def _nobodys(self) -> PasswordHash:
        """Checked for names that nobody has: it takes as long as for those of users, and no password fits."""
        one = next(iter(self._users.hashes().values()))
        return replace(one, salt=secrets.token_bytes(len(one.salt)), key=secrets.token_bytes(len(one.key)))


def _credentials(header: str) -> tuple[str, str] | None:
    """Name and password; None for what holds none."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except ValueError:
        return None
    return (name, password) if colon and len(password) <= MAX_PASSWORD_CHARACTERS else None
