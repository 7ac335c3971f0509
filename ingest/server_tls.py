"""TLS at a process itself, with a certificate that is read again when its files change."""

from __future__ import annotations

import logging
import ssl
from typing import Self

from paynotify.schemas.configuration.ingest import IngestSettings
from paynotify.schemas.errors import ConfigurationError
from paynotify.service.logs import event
from paynotify.service.reloaded_tls import ReloadedTLS


class ServerTLS(ReloadedTLS):
    """An SSL context that opens each connection with the current certificate, which a ``section`` of the file names.

    Raises:
        ConfigurationError: certificate or key can't be used at the start.
    """

    def __new__(cls, certificate: str, key: str | None, section: str = "ingest") -> Self:
        return super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)

    def __init__(self, certificate: str, key: str | None, section: str = "ingest") -> None:
        self._certificate = certificate
        self._key = key
        self._section = section
        self._logger = logging.getLogger(f"paynotify.{section}")
        super().__init__((certificate, key))

    def _created(self) -> ssl.SSLContext:
        return _context(self._certificate, self._key, self._section)

    def _log_rejected(self, problem: str) -> None:
        event(self._logger, "changed_certificate_rejected", level=logging.WARNING, problem=problem)

    def _log_replaced(self) -> None:
        event(self._logger, "certificate_replaced", certificate=self._certificate)


def server_tls(limits: IngestSettings) -> ServerTLS | None:
    """The context of the configuration; None where another terminates TLS.

    Raises:
        ConfigurationError: certificate or key can't be used.
    """
    return ServerTLS(limits.tls_certfile, limits.tls_keyfile) if limits.tls_certfile else None


def _context(certificate: str, key: str | None, section: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:
        why = "no usable PEM, or they do not fit together" if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigurationError(
            f"{section}.tls_certfile {certificate} with {section}.tls_keyfile {key} can't be used: {why}. "
            "Check the paths and their permissions."
        ) from None
    return context
