"""Hot-reloaded Kafka credentials: passwords and TLS files are read for each new connection.

Operators change passwords and certificates while processes run. A client that kept what it started with would fail at
its first new connection, and never connect again. So clients get a `Secret` instead of a password, revealed for each
connection, and a `BrokerTLS` instead of an SSL context. Open connections keep the credentials they were opened with.
"""

from __future__ import annotations

import functools
import logging
import ssl
from collections.abc import Callable
from typing import Any, Final, Self

from kafka.net.sasl import get_sasl_mechanism, register_sasl_mechanism

from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.configuration.secrets import Secret
from paynotify.schemas.errors import ConfigurationError
from paynotify.service.logs import event
from paynotify.service.private_names import PrivateName, require
from paynotify.service.reloaded_tls import ReloadedTLS

logger = logging.getLogger("paynotify.kafka")

_WITH_TLS: Final = ("SSL", "SASL_SSL")
_MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_PRIVATE_NAMES: Final = (
    PrivateName("kafka-python", "kafka.net.connection", "KafkaConnection._sasl_authenticate", ("get_sasl_mechanism",)),
)


def password(kafka: KafkaSettings) -> Secret | None:
    """The user's password, after a first read that proves it readable; None without SASL.

    Raises:
        SecretError: the password can't be read.
    """
    if kafka.sasl_plain_password is None:
        return None
    secret = Secret(kafka.sasl_plain_password)
    secret.reveal()
    return secret


def revealed(given: Secret | str | None) -> str | None:
    """The current text of a client's password."""
    return given.reveal() if isinstance(given, Secret) else given


class BrokerTLS(ReloadedTLS):
    """An SSL context that opens each connection with the current content of the configured files.

    OpenSSL's context accepts another certificate, but never forgets an authority: so each change makes another context.

    Raises:
        ConfigurationError: a certificate or key can't be used at the start.
    """

    def __new__(cls, kafka: KafkaSettings) -> Self:
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        super().__init__((kafka.ssl_cafile, kafka.ssl_certfile, kafka.ssl_keyfile))

    def _created(self) -> ssl.SSLContext:
        return _context(self._kafka)

    def _log_rejected(self, problem: str) -> None:
        event(logger, "changed_certificates_rejected", level=logging.WARNING, problem=problem)


def tls(kafka: KafkaSettings) -> BrokerTLS | None:
    """The context for brokers; None if the connection does not use TLS.

    Raises:
        ConfigurationError: a certificate or key can't be used.
    """
    return BrokerTLS(kafka) if kafka.security_protocol in _WITH_TLS else None


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
    """kafka-python creates a mechanism for each connection, and again when a connection must authenticate again."""
    return kind(**{**config, "sasl_plain_password": revealed(config["sasl_plain_password"])})


@functools.cache
def reveal_passwords_per_connection() -> None:
    """Register SASL mechanisms with kafka-python that accept a `Secret`, for the whole process; once.

    `service.kafka_client.client_settings` calls it. The registry is public; for aiokafka see
    `processors.transport.patches`.

    Raises:
        UnsupportedLibraryError: the installed kafka-python does not ask the registry for each connection.
    """
    require(_PRIVATE_NAMES)
    for name in _MECHANISMS:
        register_sasl_mechanism(name, functools.partial(_mechanism, get_sasl_mechanism(name)), overwrite=True)
