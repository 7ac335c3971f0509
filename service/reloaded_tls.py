"""SSL contexts whose files change while the process runs: each connection is opened with what they hold then."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from paynotify.schemas.configuration.secrets import file_version
from paynotify.schemas.errors import ConfigurationError


class ReloadedTLS(ssl.SSLContext):
    """Delegates connections to a context that is created again whenever a file has changed.

    Files that can't be used, or do not fit together, leave the previous context in place: they may be half replaced.
    They are tried again with the next connection, and logged once for each change.

    Raises:
        ConfigurationError: a file can't be used at the start.
    """

    def __init__(self, files: Iterable[str | None]) -> None:
        self._files = [Path(one) for one in files if one]
        self._seen = self._rejected = self._versions()
        self._context = self._created()

    def wrap_socket(self, *arguments: Any, **settings: Any) -> ssl.SSLSocket:
        """Open a connection over a socket."""
        self._refresh()
        return self._context.wrap_socket(*arguments, **settings)

    def wrap_bio(self, *arguments: Any, **settings: Any) -> ssl.SSLObject:
        """Open a connection of an event loop."""
        self._refresh()
        return self._context.wrap_bio(*arguments, **settings)

    def _created(self) -> ssl.SSLContext:
        """A context from the present files.

        Raises:
            ConfigurationError: they can't be used.
        """
        raise NotImplementedError

    def _log_rejected(self, problem: str) -> None:
        raise NotImplementedError

    def _log_replaced(self) -> None:
        """Nothing, unless somebody waits for it."""

    def _refresh(self) -> None:
        versions = self._versions()  # before reading: a change meanwhile is noticed the next time
        if versions == self._seen:
            return
        try:
            self._context = self._created()
        except ConfigurationError as error:
            if versions != self._rejected:
                self._log_rejected(str(error))
            self._rejected = versions
        else:
            self._seen = versions
            self._log_replaced()

    def _versions(self) -> list[tuple[int, ...]]:
        return [_version(file) for file in self._files]


def _version(file: Path) -> tuple[int, ...]:
    """As `file_version`; empty for a file that does not exist."""
    try:
        return file_version(file)
    except OSError:
        return ()
