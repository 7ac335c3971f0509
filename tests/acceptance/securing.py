"""A broker that lets clients in by password over TLS, or by certificate; and how its secrets are changed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kafka.admin import KafkaAdminClient, UserScramCredentialUpsertion

from paynotify.sandbox.broker import LocalBroker
from paynotify.sandbox.certificates import Authority, Issued

USER: Final = "paynotify"
#: With characters that JAAS, SCRAM and base64 treat in their own ways.
PASSWORD: Final = "s3cret+pass/word==;%"
NEXT_PASSWORD: Final = "rotated,pass=word/2;%"
SCRAM: Final = ("SCRAM-SHA-256", "SCRAM-SHA-512")
MECHANISMS: Final = ("PLAIN", *SCRAM)


@dataclass(frozen=True, slots=True)
class Secured:
    """A broker with a listener for passwords over TLS and one for client certificates, and what clients need."""

    broker: LocalBroker
    directory: Path
    authority: Authority
    successor: Authority
    client: Issued
    password_file: Path

    def sasl(self, mechanism: str, **changes: Any) -> dict[str, Any]:
        """The configuration's ``kafka`` for a user with a password."""
        return {
            "bootstrap_servers": self.broker.address("SASL"),
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": mechanism,
            "sasl_plain_username": USER,
            "sasl_plain_password": {"file": str(self.password_file)},
            "ssl_cafile": str(self.authority.certificate),
            **changes,
        }

    def mutual(self, **changes: Any) -> dict[str, Any]:
        """The configuration's ``kafka`` for a client with a certificate."""
        return {
            "bootstrap_servers": self.broker.address("MUTUAL"),
            "security_protocol": "SSL",
            "ssl_cafile": str(self.authority.certificate),
            "ssl_certfile": str(self.client.certificate),
            "ssl_keyfile": str(self.client.key),
            **changes,
        }

    def way(self, name: str) -> dict[str, Any]:
        """The configuration's ``kafka`` for one of the mechanisms, or for ``MUTUAL``."""
        return self.mutual() if name == "MUTUAL" else self.sasl(name)

    def rotate_at_broker(self, way: str) -> None:
        """From now on the broker lets in only who has the next secret; it is started again, so nobody stays."""
        if way in SCRAM:
            self._upsert(way)
        elif way == "PLAIN":
            settings = self.broker.log_path.parent / "server.properties"
            settings.write_text(settings.read_text("utf-8").replace(PASSWORD, NEXT_PASSWORD), "utf-8")
        else:
            shutil.copy(self.successor.issue("broker").both, self.directory / "broker.both")
            shutil.copy(self.successor.certificate, self.directory / "trusted.pem")
        self.broker.restart()

    def rotate_at_clients(self, way: str) -> None:
        """Their files take the next secret, one after the other, each at once."""
        if way in MECHANISMS:
            replace(self.password_file, NEXT_PASSWORD + "\n")
            return
        issued = self.successor.issue("client")
        for old, new in (
            (self.authority.certificate, self.successor.certificate),
            (self.client.certificate, issued.certificate),
            (self.client.key, issued.key),
        ):
            replace(old, new.read_text("utf-8"))

    def _upsert(self, mechanism: str) -> None:
        admin = KafkaAdminClient(bootstrap_servers=self.broker.bootstrap)
        try:
            admin.alter_user_scram_credentials([UserScramCredentialUpsertion(USER, mechanism, NEXT_PASSWORD)])
        finally:
            admin.close()


def replace(file: Path, text: str) -> None:
    """As Kubernetes and careful scripts do it: another file takes the place of the first."""
    other = file.with_suffix(".next")
    other.write_text(text, "utf-8")
    other.replace(file)


@contextmanager
def secured_broker(directory: Path) -> Iterator[Secured]:
    """The broker, its certificates and the password's file, which are in the directory."""
    authority = Authority(directory)
    (directory / "next").mkdir()
    successor = Authority(directory / "next")
    shutil.copy(authority.certificate, directory / "trusted.pem")
    (directory / "password").write_text(PASSWORD + "\n", "utf-8")
    login = "org.apache.kafka.common.security"
    settings = {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(authority.issue("broker").both),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(directory / "trusted.pem"),
        "listener.name.mutual.ssl.client.auth": "required",
        "listener.name.sasl.sasl.enabled.mechanisms": ",".join(MECHANISMS),
        "listener.name.sasl.plain.sasl.jaas.config": (
            f'{login}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
        ),
        **{
            f"listener.name.sasl.{mechanism.lower()}.sasl.jaas.config": f"{login}.scram.ScramLoginModule required;"
            for mechanism in SCRAM
        },
    }
    broker = LocalBroker(
        settings,
        listeners={"SASL": "SASL_SSL", "MUTUAL": "SSL"},
        scram=[f"{mechanism}=[name={USER},password={PASSWORD}]" for mechanism in SCRAM],
    )
    with broker:
        yield Secured(broker, directory, authority, successor, authority.issue("client"), directory / "password")
