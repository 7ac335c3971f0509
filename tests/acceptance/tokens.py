"""A broker that lets clients in by the tokens of an issuer, and asks for them again and again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from paynotify.sandbox.broker import LocalBroker
from tests.fakes.issuer_server import SECRET
from tests.fakes.token_issuer import AUDIENCE, CLIENT, ISSUER, TokenIssuer

_PACKAGE = "org.apache.kafka.common.security.oauthbearer"


@contextmanager
def broker_with_tokens(issuer: TokenIssuer, session_milliseconds: int) -> Iterator[LocalBroker]:
    """A broker whose listener ``TOKEN`` takes the issuer's tokens; each session there ends after the time."""
    settings = {
        "listener.name.token.sasl.enabled.mechanisms": "OAUTHBEARER",
        "listener.name.token.connections.max.reauth.ms": str(session_milliseconds),
        "listener.name.token.oauthbearer.sasl.jaas.config": f"{_PACKAGE}.OAuthBearerLoginModule required;",
        "listener.name.token.oauthbearer.sasl.server.callback.handler.class": (
            f"{_PACKAGE}.OAuthBearerValidatorCallbackHandler"
        ),
        "listener.name.token.oauthbearer.connections.max.reauth.ms": str(session_milliseconds),
        "sasl.oauthbearer.jwks.endpoint.url": issuer.keys,
        "sasl.oauthbearer.expected.audience": AUDIENCE,
        "sasl.oauthbearer.expected.issuer": ISSUER,
    }
    with LocalBroker(
        settings,
        listeners={"TOKEN": "SASL_PLAINTEXT"},
        java_properties={"org.apache.kafka.sasl.oauthbearer.allowed.urls": issuer.keys},
    ) as broker:
        yield broker


def by_endpoint(broker: LocalBroker, issuer: TokenIssuer, **changes: Any) -> dict[str, Any]:
    """The configuration's ``kafka`` for a client of the issuer."""
    return {
        "bootstrap_servers": broker.address("TOKEN"),
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "OAUTHBEARER",
        "sasl_oauth": {
            "token_endpoint": issuer.endpoint,
            "client_id": CLIENT,
            "client_secret": {"value": SECRET},
            **changes,
        },
    }
