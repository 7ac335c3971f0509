"""Connection settings of the Kafka clients, from the configuration."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from kafka.net.compat import KafkaNetClient

from schemas.configuration import Kafka
from schemas.errors import ConfigurationError
from schemas.secrets import Secret

T = TypeVar("T")


def ssl_context(kafka: Kafka) -> ssl.SSLContext | None:
    """The TLS context for brokers, or none where the connection is not TLS.

    Raises:
        ConfigurationError: a certificate or key can't be read.
    """
    if kafka.security_protocol not in ("SSL", "SASL_SSL"):
        return None
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


def sasl_password(kafka: Kafka) -> str | None:
    """The SASL password, read now."""
    return Secret(kafka.sasl_plain_password).reveal() if kafka.sasl_plain_password else None


def client_settings(kafka: Kafka, client_id: str) -> dict[str, Any]:
    """Keyword arguments every client of kafka-python and of aiokafka takes."""
    settings: dict[str, Any] = {
        "bootstrap_servers": [server.strip() for server in kafka.bootstrap_servers.split(",")],
        "client_id": client_id,
        "security_protocol": kafka.security_protocol,
    }
    context = ssl_context(kafka)
    if context is not None:
        settings["ssl_context"] = context
    if kafka.sasl_mechanism is not None:
        settings["sasl_mechanism"] = kafka.sasl_mechanism
        settings["sasl_plain_username"] = kafka.sasl_plain_username
        settings["sasl_plain_password"] = sasl_password(kafka)
    return settings


def opened(kind: Callable[..., T], settings: Mapping[str, Any]) -> T:
    """A client of kafka-python, which asks the brokers while it is made.

    One that can't be made would leave its thread, its sockets and its selector behind: whoever tries again and again
    while the brokers are away would run out of files.

    Raises:
        kafka.errors.KafkaError: no broker answered within its ``bootstrap_timeout_ms``.
    """
    networks: list[Any] = []

    def network(**configs: Any) -> Any:
        networks.append(KafkaNetClient(**configs))
        return networks[-1]

    try:
        return kind(**settings, kafka_client=network)
    except BaseException:
        for one in networks:
            one.close()
        raise
