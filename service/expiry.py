"""When what lets this process in stops working: certificates towards the brokers, and tokens that name their own end.

The values are read when somebody asks for the metrics, so a renewed file shows without a restart.
"""

from __future__ import annotations

import base64
import json
import math
import re
import ssl
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Gauge

from schemas.configuration.model import KafkaSettings
from schemas.configuration.secrets import Secret
from schemas.errors import SecretError

METRIC: Final = "paynotify_credential_expires_timestamp_seconds"

_PEM: Final = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
# tags of X.690
_VERSION: Final = 0xA0
_UTC_TIME: Final = 0x17
_GENERALIZED_TIME: Final = 0x18
_FIELDS_BEFORE_VALIDITY: Final = 3  # serial number, algorithm, issuer (RFC 5280, 4.1)


def watch(registry: CollectorRegistry, kafka: KafkaSettings, tokens: Iterable[Secret] = ()) -> None:
    """Export the end of each kind of credential: of several of a kind the earliest, NaN where it can't be read."""
    gauge = Gauge(
        METRIC,
        "Unix time at which a certificate towards the brokers or a provider's token expires",
        ("credential",),
        registry=registry,
    )
    files = {"kafka_ca": kafka.ssl_cafile, "kafka_certificate": kafka.ssl_certfile}
    for credential, path in files.items():
        if path is not None:
            gauge.labels(credential).set_function(_end_of_file(Path(path)))
    dated = [token for token in tokens if _revealed_end(token) is not None]
    if dated:
        gauge.labels("refresh_token").set_function(lambda: _earliest(map(_revealed_end, dated)))


def certificates_end(pem: str) -> float | None:
    """The earliest end of the certificates in a PEM file, as Unix time; none where there is no certificate.

    Raises:
        ValueError: something that calls itself a certificate is none.
    """
    return min((_not_after(ssl.PEM_cert_to_DER_cert(found)) for found in _PEM.findall(pem)), default=None)


def token_end(text: str) -> float | None:
    """``exp`` of a JSON Web Token (RFC 7519), as Unix time; none where it has none or is another kind of token.

    The signature is not looked at: only the issuer can tell whether the token is good.
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
            return _earliest((certificates_end(path.read_text("ascii", "replace")),))
        except (OSError, ValueError):
            return math.nan

    return end


def _revealed_end(token: Secret) -> float | None:
    try:
        return token_end(token.reveal())
    except SecretError:
        return None


def _not_after(der: bytes) -> float:
    """The end of validity of one certificate (RFC 5280, 4.1)."""
    try:
        _, certificate = next(_elements(der))
        _, to_be_signed = next(_elements(certificate))
        fields = [content for tag, content in _elements(to_be_signed) if tag != _VERSION]
        _, (tag, end) = _elements(fields[_FIELDS_BEFORE_VALIDITY])
        text = end.decode("ascii")
    except (StopIteration, IndexError) as error:
        raise ValueError("no certificate") from error
    if tag == _UTC_TIME:
        text = ("19" if text >= "50" else "20") + text
    elif tag != _GENERALIZED_TIME:
        raise ValueError("no certificate")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each element that lies side by side in ``der``."""
    at = 0
    while at < len(der):
        tag, length, at = der[at], der[at + 1], at + 2
        if length >= 0x80:
            size = length - 0x80
            length, at = int.from_bytes(der[at : at + size], "big"), at + size
        if at + length > len(der):
            raise ValueError("no certificate")
        yield tag, der[at : at + length]
        at += length
