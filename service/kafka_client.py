"""Connection settings of the Kafka clients, from the configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from kafka.net.compat import KafkaNetClient
from kafka.net.selector import NetworkSelector

from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.errors import ClusterUnavailableError
from paynotify.service.kafka_credentials import password, reveal_passwords_per_connection, tls
from paynotify.service.oauth_token import BrokerToken
from paynotify.service.rebootstrap import RebootstrapManager, check_library
from paynotify.service.token_sources import broker_token

T = TypeVar("T")


def client_settings(kafka: KafkaSettings, client_id: str) -> dict[str, Any]:
    """Keyword arguments that every client of kafka-python and of aiokafka takes.

    A password is a `Secret`, and a token a `BrokerToken`: both are read again for each connection. aiokafka accepts
    them only after `processors.transport.patches.install`.

    Raises:
        ConfigurationError: a password, token, certificate or key can't be read.
    """
    settings: dict[str, Any] = {
        "bootstrap_servers": [server.strip() for server in kafka.bootstrap_servers.split(",")],
        "client_id": client_id,
        "security_protocol": kafka.security_protocol,
    }
    context = tls(kafka)
    if context is not None:
        settings["ssl_context"] = context
    if (token := broker_token(kafka)) is not None:
        settings["sasl_mechanism"] = kafka.sasl_mechanism
        settings["sasl_oauth_token_provider"] = token
    elif kafka.sasl_mechanism is not None:
        reveal_passwords_per_connection()
        settings["sasl_mechanism"] = kafka.sasl_mechanism
        settings["sasl_plain_username"] = kafka.sasl_plain_username
        settings["sasl_plain_password"] = password(kafka)
    return settings


def unreachable(servers: str, error: Exception) -> ClusterUnavailableError:
    """The error for bootstrap servers of which none answered, or none let this user in."""
    if isinstance(error, ClusterUnavailableError):
        return error  # it says more
    return ClusterUnavailableError(
        f"No Kafka broker answered at {servers} ({type(error).__name__}). Check that the brokers run, and "
        "kafka.bootstrap_servers and the security settings of the configuration."
    )


def opened(
    kind: Callable[..., T], settings: Mapping[str, Any], network: Callable[..., KafkaNetClient] = KafkaNetClient
) -> T:
    """A client of kafka-python with its ``network``, which finds brokers that have moved.

    Its constructor connects, so this blocks.

    A constructor that fails leaves a thread, sockets and a selector behind: a process that retries while the brokers
    are away would run out of files. They are closed here. No upstream issue is known for kafka-python 3.

    Raises:
        kafka.errors.KafkaError: no broker answered within its ``bootstrap_timeout_ms``.
        TokenUnavailableError: there is no token with which to ask one.
    """
    check_library()
    if isinstance(token := settings.get("sasl_oauth_token_provider"), BrokerToken):
        token.await_first()
    networks: list[Any] = []

    def moving_network(**configs: Any) -> Any:
        selector = NetworkSelector(**configs)
        networks.append(network(selector, RebootstrapManager(selector, **configs)))
        return networks[-1]

    try:
        return kind(**settings, kafka_client=moving_network)
    except BaseException:
        for one in networks:
            one.close()
        raise
