"""Exports the expiry times of credentials as a metric: certificates for the brokers, and tokens with an ``exp`` claim.

The files are read for each scrape, so a renewed one shows without a restart.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from cryptography import x509
from prometheus_client import CollectorRegistry

from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.configuration.secrets import Secret
from paynotify.schemas.errors import SecretError
from paynotify.service.metrics import gauge

CREDENTIAL_EXPIRES: Final = gauge(
    "paynotify_credential_expires_timestamp_seconds",
    "Unix time at which a certificate for the brokers, the ingress's own, or a provider's token expires",
    "credential",
)

# a file may hold keys and comments beside its certificates
_PEM: Final = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def watch(
    registry: CollectorRegistry, kafka: KafkaSettings, tokens: Iterable[Secret] = (), served: str | None = None
) -> None:
    """Export the expiry time of each kind of credential: the earliest of several, NaN if it can't be read."""
    expires = CREDENTIAL_EXPIRES.create(registry)
    files = {"kafka_ca": kafka.ssl_cafile, "kafka_certificate": kafka.ssl_certfile, "ingest_certificate": served}
    for credential, path in files.items():
        if path is not None:
            expires.labels(credential).set_function(_end_of_file(Path(path)))
    dated = [token for token in tokens if _revealed_end(token) is not None]
    if dated:
        expires.labels("refresh_token").set_function(lambda: _earliest(map(_revealed_end, dated)))


def certificates_end(pem: bytes) -> float | None:
    """The earliest end of the certificates in a PEM file, as Unix time; None if it has no certificate.

    Raises:
        ValueError: a block marked as a certificate can't be parsed.
    """
    certificates = (x509.load_pem_x509_certificate(block) for block in _PEM.findall(pem))
    return min((one.not_valid_after_utc.timestamp() for one in certificates), default=None)


def token_end(text: str) -> float | None:
    """The ``exp`` claim of a JSON Web Token (RFC 7519), as Unix time; None for a token without one or of another kind.

    The signature is not verified: only the issuer has the key, and only the expiry time is needed.
    """
    parts = text.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        end = claims.get("exp") if isinstance(claims, dict) else None
        return float(end) if isinstance(end, int | float) and not isinstance(end, bool) else None
    except (ValueError, OverflowError, RecursionError):
        return None


def _earliest(ends: Iterable[float | None]) -> float:
    return min((end for end in ends if end is not None), default=math.nan)


def _end_of_file(path: Path) -> Callable[[], float]:
    def end() -> float:
        try:
            return _earliest((certificates_end(path.read_bytes()),))
        except (OSError, ValueError):
            return math.nan

    return end


def _revealed_end(token: Secret) -> float | None:
    try:
        return token_end(token.reveal())
    except SecretError:
        return None
