"""TLS at the ingress itself, with a certificate that is read again when its files change."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path
from typing import Any

from schemas.configuration.ingest import IngestSettings
from schemas.configuration.secrets import file_version
from schemas.errors import ConfigurationError
from service.logs import event

logger = logging.getLogger("paynotify.ingest")


class ServerTLS(ssl.SSLContext):
    """An SSL context that opens each connection with the current certificate.

    Connections are delegated to a context that is created again whenever a file has changed. Files that can't be used,
    or do not fit together, leave the previous one in place: they may be half replaced. They are tried again with the
    next connection.

    Raises:
        ConfigurationError: certificate or key can't be used at the start.
    """

    def __new__(cls, certificate: str, key: str | None) -> ServerTLS:
        return super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)

    def __init__(self, certificate: str, key: str | None) -> None:
        self._certificate = certificate
        self._key = key
        self._seen = self._versions()
        self._rejected = self._seen
        self._context = _context(certificate, key)

    def wrap_bio(self, *arguments: Any, **settings: Any) -> ssl.SSLObject:
        """Open a connection of the event loop."""
        self.refresh()
        return self._context.wrap_bio(*arguments, **settings)

    def refresh(self) -> None:
        """Read changed files."""
        versions = self._versions()  # before reading: a change meanwhile is noticed the next time
        if versions == self._seen:
            return
        try:
            self._context = _context(self._certificate, self._key)
        except ConfigurationError as error:
            if versions != self._rejected:
                event(logger, "changed_certificate_rejected", level=logging.WARNING, problem=str(error))
            self._rejected = versions
        else:
            self._seen = versions
            event(logger, "certificate_replaced", certificate=self._certificate)

    def _versions(self) -> list[tuple[int, ...]]:
        return [_version(Path(one)) for one in (self._certificate, self._key) if one]


def server_tls(limits: IngestSettings) -> ServerTLS | None:
    """The context of the configuration; None where another terminates TLS.

    Raises:
        ConfigurationError: certificate or key can't be used.
    """
    return ServerTLS(limits.tls_certfile, limits.tls_keyfile) if limits.tls_certfile else None


def _version(file: Path) -> tuple[int, ...]:
    try:
        return file_version(file)
    except OSError:
        return ()


def _context(certificate: str, key: str | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:
        why = "no usable PEM, or they do not fit together" if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigurationError(
            f"ingest.tls_certfile {certificate} with ingest.tls_keyfile {key} can't be used: {why}. "
            "Check the paths and their permissions."
        ) from None
    return context
