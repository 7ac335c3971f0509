"""What ``paynotify doctor`` finds out about the ingress's own settings."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from paynotify.ingest.server_tls import server_tls
from paynotify.ops.doctor.finding import Finding
from paynotify.schemas.configuration.ingest import IngestSettings
from paynotify.schemas.errors import ConfigurationError
from paynotify.service.expiry import certificates_end

_WARNING_SECONDS: Final = 14 * 86_400


def check_certificate(limits: IngestSettings, now: datetime) -> Iterator[Finding]:
    """Whether the ingress's certificate can be used, and for how long; nothing where another terminates TLS."""
    if limits.tls_certfile is None:
        return
    try:
        server_tls(limits)
        end_seconds = certificates_end(Path(limits.tls_certfile).read_bytes())
    except (ConfigurationError, OSError, ValueError) as error:
        yield Finding("ingress certificate", "error", str(error))
        return
    assert end_seconds is not None  # the file has served as a certificate
    left_seconds = end_seconds - now.timestamp()
    until = f"valid until {datetime.fromtimestamp(end_seconds, UTC).date()}"
    if left_seconds >= _WARNING_SECONDS:
        yield Finding("ingress certificate", "ok", until)
    else:
        verdict: Literal["warning", "error"] = "warning" if left_seconds > 0 else "error"
        yield Finding("ingress certificate", verdict, until, "Renew the file; no restart is needed.")
