"""Which authorities are trusted in calls to subscribers: the system's, and those of the configuration."""

from __future__ import annotations

import ssl
from typing import Final

from paynotify.schemas.configuration.secrets import Secret, SecretRef
from paynotify.schemas.errors import ConfigurationError


class Trust:
    """The one TLS context of all subscribers' calls: reading the system's authorities takes tens of milliseconds.

    Raises:
        ConfigurationError: the authorities can't be read, or are of no use.
    """

    def __init__(self, authorities: SecretRef | None) -> None:
        self.context: Final = ssl.create_default_context()
        self._authorities = None if authorities is None else Secret(authorities)
        self._trusted = ""
        self.refresh()

    def refresh(self) -> None:
        """Trust the present authorities in new connections. Those of before are trusted until the process ends.

        Raises:
            ConfigurationError: they can't be read, or are of no use.
        """
        if self._authorities is None or (text := self._authorities.reveal()) == self._trusted:
            return
        try:
            self.context.load_verify_locations(cadata=text)
        except (ssl.SSLError, ValueError):
            raise ConfigurationError(
                f"deliver.ca {self._authorities.reference!r} holds no usable PEM certificates. "
                "Write the authorities' certificates into it."
            ) from None
        self._trusted = text
