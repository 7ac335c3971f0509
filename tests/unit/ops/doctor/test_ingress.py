"""The ingress's own certificate is looked at before it fails."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from paynotify.ops.doctor.ingress import check_certificate
from paynotify.sandbox.certificates import Authority
from paynotify.schemas.configuration.ingest import IngestSettings


def test_certificate_is_an_error_once_it_is_over_or_cannot_be_used(tmp_path: Path) -> None:
    issued, now = Authority(tmp_path).issue("ingress"), datetime.now(UTC)
    limits = IngestSettings(tls_certfile=str(issued.certificate), tls_keyfile=str(issued.key))

    def verdict(at: datetime) -> str:
        (finding,) = check_certificate(limits, at)
        return finding.verdict

    assert verdict(now - timedelta(days=20)) == "ok"
    assert verdict(now) == "warning"  # it is valid for three days
    assert verdict(now + timedelta(days=4)) == "error"
    issued.key.unlink()
    assert verdict(now) == "error"


def test_nothing_is_said_where_another_terminates_tls() -> None:
    assert list(check_certificate(IngestSettings(), datetime.now(UTC))) == []
