"""The end of certificates and tokens is read from the very files in use, and shows when they are renewed."""

from __future__ import annotations

import base64
import json
import math
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from paynotify.sandbox.certificates import Authority
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.configuration.secrets import Secret, SecretRef
from paynotify.service.expiry import CREDENTIAL_EXPIRES, certificates_end, token_end, watch

DAY = 86400.0


def token(**claims: object) -> str:
    parts = (json.dumps(part).encode() for part in ({"alg": "none"}, claims))
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + ".c2ln"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def exported(registry: CollectorRegistry, credential: str) -> float | None:
    return registry.get_sample_value(CREDENTIAL_EXPIRES.name, {"credential": credential})


def test_certificate_end_is_read(authority: Authority) -> None:
    issued = authority.issue("user")
    for file in (authority.certificate, issued.certificate, issued.both):
        end = certificates_end(file.read_bytes())
        assert end is not None
        assert abs(end - time.time() - 3 * DAY) < 60


def test_certificates_end_is_the_earliest() -> None:
    pem = Path(__file__).with_name("certificates.pem").read_bytes()
    # `openssl x509 -enddate`: Jan  1 00:00:00 2049 GMT as UTCTime, Jun 30 12:00:00 2051 GMT as GeneralizedTime
    early, late = pem.split(b"\n\n")
    assert certificates_end(late) == 2571739200
    assert certificates_end(early) == 2493072000
    assert certificates_end(late + early) == 2493072000


def test_file_without_a_certificate_has_no_end(authority: Authority) -> None:
    assert certificates_end(authority.issue("other").key.read_bytes()) is None


@given(st.binary(max_size=200))
def test_block_that_is_no_certificate_is_refused(noise: bytes) -> None:
    body = base64.encodebytes(noise).decode()
    with pytest.raises(ValueError):  # noqa: PT011 - its subclasses too
        certificates_end(f"-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n".encode())


def test_token_end_is_its_exp_claim() -> None:
    assert token_end(token(exp=1_900_000_000)) == 1_900_000_000
    for other in ("opaque", token(), token(exp="soon"), token(exp=True), token(exp=10**400), "a.b.c", "ä.ä.ä"):
        assert token_end(other) is None


def test_renewed_certificate_shows_without_a_restart(authority: Authority, tmp_path: Path) -> None:
    registry, file = CollectorRegistry(), tmp_path / "user.crt"
    watch(registry, KafkaSettings(ssl_cafile=str(authority.certificate), ssl_certfile=str(file)))
    ends = exported(registry, "kafka_certificate")
    assert ends is not None
    assert math.isnan(ends)
    file.write_text(authority.issue("renewed").certificate.read_text("utf-8"), "utf-8")
    ends = exported(registry, "kafka_certificate")
    assert ends is not None
    assert ends > time.time()
    assert exported(registry, "refresh_token") is None


def test_tokens_end_is_the_earliest_of_those_that_have_one() -> None:
    registry = CollectorRegistry()
    tokens = (token(exp=2_000_000_000), token(exp=1_900_000_000), "opaque")
    watch(registry, KafkaSettings(), [Secret(SecretRef(value=one)) for one in tokens])
    assert exported(registry, "refresh_token") == 1_900_000_000
    assert exported(registry, "kafka_ca") is None
