"""How a client reaches the brokers, as the contract documents describe it: servers and security schemes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

#: One scheme for each value of `kafka.sasl_mechanism`, and one for a client's certificate.
SECURITY_SCHEMES: Final[Mapping[str, dict[str, Any]]] = {
    "SCRAM-SHA-512": {"type": "scramSha512", "description": "SASL/SCRAM-SHA-512 over TLS."},
    "SCRAM-SHA-256": {"type": "scramSha256", "description": "SASL/SCRAM-SHA-256 over TLS."},
    "PLAIN": {"type": "plain", "description": "SASL/PLAIN over TLS."},
    "OAUTHBEARER": {
        "type": "oauth2",
        "description": "SASL/OAUTHBEARER over TLS; the token comes from the operator's identity provider.",
        "flows": {
            "clientCredentials": {
                "tokenUrl": "https://identity.example/oauth2/token",
                "availableScopes": {},
            }
        },
        "scopes": [],
    },
    "TLS": {"type": "X509", "description": "Mutual TLS with a certificate of the client's own."},
}

_DESCRIPTION: Final = """\
The operator's Apache Kafka, 3.7 or newer. A consumer needs READ on the topics it reads and on a group of its own, a
shop WRITE on the topics it writes. Which of the security schemes is used is the operator's choice; without TLS
(`security.protocol` PLAINTEXT) use it on a test machine only."""


def servers() -> dict[str, Any]:
    """The brokers, whose address only the operator knows."""
    return {
        "brokers": {
            "host": "{bootstrap}",
            "protocol": "kafka-secure",
            "protocolVersion": "3.7",
            "title": "Brokers",
            "summary": "The Apache Kafka cluster of the installation.",
            "description": _DESCRIPTION,
            "variables": {
                "bootstrap": {
                    "description": "Bootstrap servers as `HOST:PORT`, separated by commas.",
                    "default": "kafka.example:9093",
                    "examples": ["kafka.example:9093", "broker-1.example:9093,broker-2.example:9093"],
                }
            },
            "security": [{"$ref": f"#/components/securitySchemes/{name}"} for name in SECURITY_SCHEMES],
            "bindings": {"kafka": {"bindingVersion": "0.5.0"}},
        }
    }
