"""The process's token for the brokers: where it comes from, that it is renewed in time, and what is said if not."""

from __future__ import annotations

import logging
import ssl
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest
from kafka.net.sasl import get_sasl_mechanism

from paynotify.ops.main import main
from paynotify.processors.runtime.faust_app import broker_credentials
from paynotify.sandbox.certificates import Authority
from paynotify.sandbox.processes import wait_for
from paynotify.schemas.configuration.kafka import KafkaSettings, OAuthSettings
from paynotify.schemas.configuration.secrets import SecretRef
from paynotify.schemas.errors import ConfigurationError, TokenUnavailableError
from paynotify.service import token_sources
from paynotify.service.kafka_client import client_settings
from paynotify.service.msk_signer import MskSigner
from paynotify.service.oauth_token import _RENEW_SHARE, FetchedToken, FileToken
from paynotify.service.token_endpoint import TokenEndpoint
from tests.fakes import configurations
from tests.fakes.issuer_server import SECRET
from tests.fakes.token_issuer import CLIENT, TokenIssuer

DEADLINE_SECONDS: Final = 10.0


@pytest.fixture(autouse=True)
def no_token_left() -> Iterator[None]:
    """The thread of a process's token would go on to open sockets during other tests."""
    yield
    while token_sources._tokens:
        _, token = token_sources._tokens.popitem()
        assert isinstance(token, FetchedToken)
        token.stop()


@pytest.fixture
def issuer() -> Iterator[TokenIssuer]:
    with TokenIssuer() as one:
        yield one


def settings(issuer: TokenIssuer, **changes: Any) -> OAuthSettings:
    return OAuthSettings(
        **{
            "token_endpoint": issuer.endpoint,
            "client_id": CLIENT,
            "client_secret": SecretRef(value=SECRET),
            **changes,
        }
    )


def with_oauth(oauth: OAuthSettings) -> KafkaSettings:
    return KafkaSettings(security_protocol="SASL_PLAINTEXT", sasl_mechanism="OAUTHBEARER", sasl_oauth=oauth)


def test_endpoint_is_asked_with_the_client_credentials(issuer: TokenIssuer) -> None:
    token = TokenEndpoint(settings(issuer, scope="kafka write")).fetch()
    assert token.text.count(".") == 2
    assert 3590 < token.expires_at_seconds - time.monotonic() <= 3600
    assert issuer.forms == [{"grant_type": ["client_credentials"], "scope": ["kafka write"]}]
    assert token.text not in repr(token)


def test_endpoint_that_refuses_is_named_without_its_own_words(issuer: TokenIssuer) -> None:
    with pytest.raises(TokenUnavailableError, match=r"HTTP 401, invalid_client") as error:
        TokenEndpoint(settings(issuer, client_id="nobody")).fetch()
    assert SECRET not in str(error.value)
    issuer.status = 400
    with pytest.raises(TokenUnavailableError, match=r"HTTP 400\)"):
        TokenEndpoint(settings(issuer)).fetch()
    with pytest.raises(TokenUnavailableError, match="did not answer"):
        TokenEndpoint(settings(issuer, token_endpoint="http://127.0.0.1:1/token")).fetch()


def test_endpoint_over_tls_is_believed_by_its_authority_only(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    issued = authority.issue("login")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(issued.certificate, issued.key)
    with TokenIssuer(tls=tls) as issuer:
        assert TokenEndpoint(settings(issuer, ca_file=str(authority.certificate))).fetch().text
        with pytest.raises(TokenUnavailableError, match=r"SSLCertVerificationError.*ca_file"):
            TokenEndpoint(settings(issuer)).fetch()
        assert issuer.issued == 1


def test_token_is_renewed_before_it_expires(issuer: TokenIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert 0 < _RENEW_SHARE[0] < _RENEW_SHARE[1] < 1
    monkeypatch.setattr("paynotify.service.oauth_token._RENEW_SHARE", (0.01, 0.02))
    issuer.lifetime_seconds = 60.0  # a busy machine may be late, but not by so much
    token = FetchedToken(TokenEndpoint(settings(issuer)), {})
    try:
        token.await_first()
        first = token.token()
        assert wait_for(lambda: token.token() != first, within_seconds=issuer.lifetime_seconds, every=0.01)
    finally:
        token.stop()


def test_token_without_a_successor_ends_and_comes_again(issuer: TokenIssuer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "paynotify.kafka")
    issuer.lifetime_seconds, issuer.status = 60.0, 503
    token = FetchedToken(TokenEndpoint(settings(issuer)), {})
    try:
        with pytest.raises(TokenUnavailableError, match="HTTP 503"):
            token.await_first()
        issuer.status = 200
        assert wait_for(lambda: "broker_token_available" in caplog.messages, within_seconds=DEADLINE_SECONDS)
        assert token.token()
    finally:
        token.stop()
    assert caplog.messages == ["broker_token_unavailable", "broker_token_available"]


def test_token_file_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paynotify.schemas.configuration.secrets._RECHECK_SECONDS", 0.0)
    file = tmp_path / "token"
    file.write_text("first\n", "utf-8")
    token = FileToken(str(file), {})
    assert token.token() == "first"
    other = tmp_path / "next"
    other.write_text("second", "utf-8")
    other.replace(file)
    assert token.token() == "second"


def test_clients_of_a_process_share_one_token(issuer: TokenIssuer) -> None:
    kafka = with_oauth(settings(issuer, extensions={"logicalCluster": "lkc-1"}))
    config = client_settings(kafka, "test")
    token = config["sasl_oauth_token_provider"]
    assert token is client_settings(kafka, "another")["sasl_oauth_token_provider"]
    assert token is broker_credentials(kafka).oauth_cb
    token.await_first()
    made = get_sasl_mechanism("OAUTHBEARER")(host="broker", **config)
    assert made.auth_bytes() == f"n,,\x01auth=Bearer {token.token()}\x01logicalCluster=lkc-1\x01\x01".encode()
    assert issuer.issued == 1


def test_command_without_a_token_names_the_endpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = configurations.document("127.0.0.1:9", "", tmp_path)
    oauth = {"token_endpoint": "http://127.0.0.1:9/token", "client_id": CLIENT, "client_secret": {"value": SECRET}}
    content["kafka"] |= {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "OAUTHBEARER",
        "sasl_oauth": oauth,
    }
    assert main(["topics", "check", "--config", str(configurations.write(tmp_path, content))]) == 3
    assert "the token endpoint http://127.0.0.1:9/token did not answer" in capsys.readouterr().err


def test_msk_signer_uses_the_library_of_amazon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A substitute of the library, which is optional and asks AWS for credentials."""
    regions = []

    def generate(region: str) -> tuple[str, int]:
        regions.append(region)
        if len(regions) > 1:
            raise RuntimeError("no credentials")
        return "signed", round((time.time() + 900) * 1000)

    monkeypatch.setitem(sys.modules, "aws_msk_iam_sasl_signer", SimpleNamespace())
    provider = SimpleNamespace(generate_auth_token=generate)
    monkeypatch.setitem(sys.modules, "aws_msk_iam_sasl_signer.MSKAuthTokenProvider", provider)
    signer = MskSigner("eu-west-1")
    token = signer.fetch()
    assert (token.text, regions) == ("signed", ["eu-west-1"])
    assert 890 < token.expires_at_seconds - time.monotonic() <= 900.1
    with pytest.raises(TokenUnavailableError, match="no credentials"):
        signer.fetch()


def test_missing_library_of_amazon_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aws_msk_iam_sasl_signer", None)
    with pytest.raises(ConfigurationError, match=r"paynotify\[msk\]"):
        MskSigner("eu-west-1")
