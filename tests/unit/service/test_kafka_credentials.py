"""Each new connection to a broker uses the current password and certificates. (aiokafka: see test_patches.)"""

from __future__ import annotations

import logging
import ssl
from pathlib import Path
from typing import Final

import pytest
from kafka.net.sasl import get_sasl_mechanism

from paynotify.processors.runtime.faust_app import broker_credentials
from paynotify.sandbox.certificates import Authority, Issued
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.configuration.secrets import Secret, SecretRef
from paynotify.schemas.errors import ConfigurationError, SecretError
from paynotify.service.kafka_client import client_settings
from paynotify.service.kafka_credentials import BrokerTLS

MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


def with_password(mechanism: str) -> KafkaSettings:
    return KafkaSettings(
        bootstrap_servers="127.0.0.1:1",
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism=mechanism,  # type: ignore[arg-type]  # one of the closed list
        sasl_plain_username="user",
        sasl_plain_password=SecretRef(env="BROKER_PASSWORD"),
    )


@pytest.fixture(autouse=True)
def first_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER_PASSWORD", "first")


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_kafka_python_authenticates_with_the_current_password(mechanism: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = client_settings(with_password(mechanism), "test")

    def presented() -> str:
        made = get_sasl_mechanism(mechanism)(host="broker", **config)
        return str(made.password if mechanism == "PLAIN" else made._scram_client.password.decode())

    assert presented() == "first"
    monkeypatch.setenv("BROKER_PASSWORD", "second")
    assert presented() == "second"
    assert "second" not in repr(config)


def test_unit_gives_faust_what_is_revealed_later() -> None:
    assert isinstance(broker_credentials(with_password("PLAIN")).password, Secret)


def test_password_that_cannot_be_read_ends_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BROKER_PASSWORD")
    with pytest.raises(SecretError, match="BROKER_PASSWORD"):
        client_settings(with_password("PLAIN"), "test")


class Both:
    """A broker's certificate and a client's, of one authority; the client's files are where the configuration says."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.authority = Authority(directory)
        self.broker = self.authority.issue("broker")
        self.client = self.authority.issue("client")

    def kafka(self) -> KafkaSettings:
        return KafkaSettings(
            bootstrap_servers="127.0.0.1:1",
            security_protocol="SSL",
            ssl_cafile=str(self.authority.certificate),
            ssl_certfile=str(self.client.certificate),
            ssl_keyfile=str(self.client.key),
        )

    def lets_in(self, client: BrokerTLS) -> bool:
        """Whether both sides believe each other."""
        return shaken(client, broker_side(self.broker, self.authority))


@pytest.fixture
def first(tmp_path: Path) -> Both:
    return Both(tmp_path / "first")


@pytest.fixture
def second(tmp_path: Path) -> Both:
    return Both(tmp_path / "second")


def broker_side(issued: Issued, believed: Authority) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(believed.certificate))
    context.load_cert_chain(issued.certificate, issued.key)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def shaken(client: ssl.SSLContext, broker: ssl.SSLContext) -> bool:
    """Whether a handshake in memory succeeds."""
    to_client, to_broker = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(to_client, to_broker, server_hostname="127.0.0.1"),
        broker.wrap_bio(to_broker, to_client, server_side=True),
    ]
    for _ in range(4):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError:
                return False
    return True


def move(source: Path, target: Path) -> None:
    other = target.with_suffix(".next")
    other.write_bytes(source.read_bytes())
    other.replace(target)


def test_changed_certificates_are_used_and_the_old_authority_is_dropped(first: Both, second: Both) -> None:
    client = BrokerTLS(first.kafka())
    assert first.lets_in(client)
    assert not second.lets_in(client)
    move(second.authority.certificate, first.authority.certificate)
    move(second.client.certificate, first.client.certificate)
    move(second.client.key, first.client.key)
    assert second.lets_in(client)
    assert not shaken(client, broker_side(first.broker, second.authority)), "the old authority is believed still"


def test_files_that_are_half_replaced_leave_the_last_ones_in_use(
    first: Both, second: Both, caplog: pytest.LogCaptureFixture
) -> None:
    broker = broker_side(first.broker, first.authority)
    client = BrokerTLS(first.kafka())
    move(second.client.certificate, first.client.certificate)
    with caplog.at_level(logging.WARNING):
        assert shaken(client, broker)
        assert shaken(client, broker)
        first.client.key.unlink()
        assert shaken(client, broker)
    told = [one for one in caplog.records if one.getMessage() == "changed_certificates_rejected"]
    assert len(told) == 2, "once for each change"
    second.client.key.replace(first.client.key)
    assert not shaken(client, broker), "what fits together again is used"


def test_certificates_that_cannot_be_used_end_the_start(first: Both) -> None:
    first.client.key.write_text("no key", "utf-8")
    with pytest.raises(ConfigurationError, match="no usable PEM"):
        BrokerTLS(first.kafka())
