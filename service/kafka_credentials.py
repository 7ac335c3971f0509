"""What brokers let a process in by, as its files hold it when a connection is made.

Passwords and certificates are changed while processes run. A client that kept what it was made with would go on until
its first new connection, and then never get in again. So clients are given a `Secret` instead of a password, revealed
for each connection, and a `BrokerTLS` instead of a context. Connections that are open live on with what they were made
with.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from kafka.net.sasl import get_sasl_mechanism, register_sasl_mechanism

from schemas.configuration.model import KafkaSettings
from schemas.configuration.secrets import Secret, look_of
from schemas.errors import ConfigurationError
from service.logs import event

logger = logging.getLogger("paynotify.kafka")

_WITH_TLS: Final = ("SSL", "SASL_SSL")


def password(kafka: KafkaSettings) -> Secret | None:
    """The user's password, which was read once; none without SASL.

    Raises:
        SecretError: it can't be read.
    """
    if kafka.sasl_plain_password is None:
        return None
    secret = Secret(kafka.sasl_plain_password)
    secret.reveal()
    return secret


def revealed(given: Secret | str | None) -> str | None:
    """A client's password as it is now."""
    return given.reveal() if isinstance(given, Secret) else given


class BrokerTLS(ssl.SSLContext):
    """A context that makes each connection by what the configured files hold then.

    OpenSSL's context can take another certificate, but never forgets an authority; so connections are handed on to one
    that is made anew whenever a file has changed. Files that can't be used, or don't fit together, leave the last one
    in place: they may be half replaced.

    Raises:
        ConfigurationError: a certificate or key can't be used at the start.
    """

    def __new__(cls, kafka: KafkaSettings) -> BrokerTLS:
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._files = [Path(one) for one in (kafka.ssl_cafile, kafka.ssl_certfile, kafka.ssl_keyfile) if one]
        self._seen = self._looks()
        self._present = _context(kafka)

    def wrap_socket(self, *arguments: Any, **settings: Any) -> ssl.SSLSocket:
        """As kafka-python connects."""
        return self._renewed().wrap_socket(*arguments, **settings)

    def wrap_bio(self, *arguments: Any, **settings: Any) -> ssl.SSLObject:
        """As event loops connect."""
        return self._renewed().wrap_bio(*arguments, **settings)

    def _renewed(self) -> ssl.SSLContext:
        looks = self._looks()  # before reading: what changes meanwhile is read again for the next connection
        if looks != self._seen:
            self._seen = looks
            try:
                self._present = _context(self._kafka)
            except ConfigurationError as error:
                event(logger, "changed_certificates_rejected", level=logging.WARNING, problem=str(error))
        return self._present

    def _looks(self) -> list[tuple[int, ...]]:
        return [_look(file) for file in self._files]


def tls(kafka: KafkaSettings) -> BrokerTLS | None:
    """The context for brokers, or none where the connection is not TLS.

    Raises:
        ConfigurationError: a certificate or key can't be used.
    """
    return BrokerTLS(kafka) if kafka.security_protocol in _WITH_TLS else None


def _look(file: Path) -> tuple[int, ...]:
    """As `look_of`; empty for a file that is not there."""
    try:
        return look_of(file)
    except OSError:
        return ()


def _context(kafka: KafkaSettings) -> ssl.SSLContext:
    named = f"kafka.ssl_cafile {kafka.ssl_cafile}"
    try:
        context = ssl.create_default_context(cafile=kafka.ssl_cafile)
        context.check_hostname = kafka.ssl_check_hostname
        if kafka.ssl_certfile:
            named = f"kafka.ssl_certfile {kafka.ssl_certfile} with kafka.ssl_keyfile {kafka.ssl_keyfile}"
            context.load_cert_chain(kafka.ssl_certfile, kafka.ssl_keyfile)
    except OSError as error:
        why = "no usable PEM" if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigurationError(f"{named} can't be used: {why}. Check the path and its permissions.") from None
    return context


def _mechanism(kind: Callable[..., Any], **config: Any) -> Any:
    """kafka-python makes one for each connection, and again where a connection must prove itself anew."""
    return kind(**{**config, "sasl_plain_password": revealed(config["sasl_plain_password"])})


for _name in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"):
    register_sasl_mechanism(_name, partial(_mechanism, get_sasl_mechanism(_name)), overwrite=True)
