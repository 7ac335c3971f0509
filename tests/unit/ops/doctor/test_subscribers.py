"""The doctor finds what keeps subscribers from being called: secrets, addresses, names, certificates, closed ports."""

from __future__ import annotations

import gc
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from paynotify.ops.doctor.finding import Finding
from paynotify.ops.doctor.subscribers import check_subscribers
from paynotify.ops.main import main
from paynotify.sandbox.certificates import Authority
from paynotify.schemas.configuration.load import parse
from paynotify.schemas.configuration.model import Configuration
from tests.fakes import configurations
from tests.fakes.subscriber import OTHER_SECRET, SECRET, FakeSubscriber

LOOPBACK = ["127.0.0.0/8"]


@pytest.fixture
def subscriber() -> Iterator[FakeSubscriber]:
    made = FakeSubscriber()
    yield made
    made.down()


def configuration(url: str, secrets: list[dict[str, str]] | None = None, **settings: Any) -> Configuration:
    subscription = {"id": "erp", "url": url, "secrets": secrets or [{"value": SECRET}]}
    deliver = {"private_networks": LOOPBACK, **settings, "subscriptions": [subscription]}
    merchants = [{"id": "shop", "provider": "nevogate", "store_name": "s", "api_key": {"value": "k"}}]
    merchants[0]["base_url"] = "https://hu.example"
    document = {"sandbox": True, "deliver": deliver, "merchants": merchants}
    return parse(msgspec.json.encode(document).decode(), "test.yaml")


def findings(url: str, *, offline: bool = False, **more: Any) -> list[Finding]:
    return list(check_subscribers(configuration(url, **more), offline=offline))


def problems(url: str, **more: Any) -> list[tuple[str, str, str]]:
    """What is not right, but for the missing TLS of a fake subscriber."""
    found = [(one.about, one.verdict, one.what) for one in findings(url, **more) if one.verdict != "ok"]
    return [one for one in found if not one[2].startswith("its URL has no TLS")]


def test_subscriber_that_can_be_called_is_reachable_and_gets_no_event(subscriber: FakeSubscriber) -> None:
    assert [str(one) for one in findings(subscriber.url, secrets=[{"value": SECRET}, {"value": OTHER_SECRET}])] == [
        "ok       subscriber erp: secrets: 2 of use",
        "warning  subscriber erp: its URL has no TLS: events can be read on their way. Use https.",
        "ok       subscriber erp: 127.0.0.1 is reachable",
    ]
    assert subscriber.calls == []


def test_closed_port_is_an_error(subscriber: FakeSubscriber) -> None:
    subscriber.down()
    ((about, verdict, what),) = problems(subscriber.url)
    assert (about, verdict) == ("subscriber erp", "error")
    assert what.startswith("127.0.0.1 cannot be reached (")


def test_name_that_does_not_exist_is_an_error() -> None:
    assert problems("https://erp.invalid/hooks") == [
        ("subscriber erp", "error", "the name erp.invalid cannot be resolved")
    ]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_private_address_is_an_error_unless_it_is_allowed(subscriber: FakeSubscriber, host: str) -> None:
    url = subscriber.url.replace("127.0.0.1", host)
    ((_, verdict, what),) = problems(url, private_networks=[])
    assert verdict == "error"
    assert what.endswith("127.0.0.1 must not be called: it is no public address")
    assert problems(url) == []


# aiohttp leaves a connection of TLS to the garbage collector where the loop ends before the server's goodbye
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_certificate_of_an_unknown_authority_is_an_error_until_it_is_trusted(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    issued = authority.issue("subscriber")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(issued.certificate, issued.key)
    subscriber = FakeSubscriber(tls=tls)
    try:
        ((_, verdict, what),) = problems(subscriber.url)
        assert verdict == "error"
        assert what.startswith("127.0.0.1 has an invalid certificate (")
        found = findings(subscriber.url, ca={"file": str(authority.certificate)})
    finally:
        subscriber.down()
        gc.collect()
    assert [str(one) for one in found] == [
        "ok       calls to subscribers: go out directly, with authorities of your own",
        "ok       subscriber erp: secrets: 1 of use",
        "ok       subscriber erp: 127.0.0.1 is reachable",
    ]


def test_each_secret_must_be_of_use_though_one_is_enough_to_sign(subscriber: FakeSubscriber, tmp_path: Path) -> None:
    secrets = [{"value": SECRET}, {"file": str(tmp_path / "elsewhere")}, {"value": "whsec_a"}]
    missing, malformed = problems(subscriber.url, secrets=secrets)
    assert missing[:2] == malformed[:2] == ("subscriber erp", "error")
    assert missing[2].startswith("secrets[1]: The secret file ")
    assert malformed[2].startswith("secrets[2]: ")
    assert malformed[2].endswith("It must be `whsec_` and base64.")


def test_process_without_the_secrets_of_subscribers_cannot_tell_and_says_so(
    subscriber: FakeSubscriber, tmp_path: Path
) -> None:
    one = configuration(subscriber.url, secrets=[{"file": str(tmp_path / "elsewhere")}])
    verdicts = [found.verdict for found in check_subscribers(one, offline=False, has_secrets=False)]
    assert verdicts == ["skipped", "warning", "ok"]


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_authorities_of_no_use_are_an_error_and_nobody_is_called(
    subscriber: FakeSubscriber, text: str | None, tmp_path: Path
) -> None:
    file = tmp_path / "ca.pem"
    if text is not None:
        file.write_text(text)
    error, skipped = problems(subscriber.url, ca={"file": str(file)})
    assert error[:2] == ("calls to subscribers", "error")
    assert skipped[:2] == ("calls to subscribers", "skipped")


def test_credentials_of_the_proxy_must_be_user_and_password(subscriber: FakeSubscriber) -> None:
    proxy = {"url": "http://127.0.0.1:9", "credentials": {"value": "open-sesame"}}
    error, skipped = problems(subscriber.url, proxy=proxy)
    assert error[:2] == ("calls to subscribers", "error")
    assert "USER:PASSWORD" in error[2]
    assert "open-sesame" not in error[2]
    assert skipped[1] == "skipped"


def test_proxy_that_cannot_be_reached_is_named(subscriber: FakeSubscriber) -> None:
    found = findings(subscriber.url, proxy={"url": "http://127.0.0.1:9"})
    assert str(found[0]) == "ok       calls to subscribers: go through the proxy 127.0.0.1:9"
    assert (found[-1].verdict, found[-1].what) == ("error", "the proxy 127.0.0.1 cannot be reached")


def test_offline_check_calls_nobody(subscriber: FakeSubscriber) -> None:
    subscriber.down()
    assert problems(subscriber.url, offline=True) == []


def test_configuration_without_subscribers_has_no_findings() -> None:
    one = configuration("https://erp.example")
    none = msgspec.structs.replace(one, deliver=msgspec.structs.replace(one.deliver, subscriptions=()))
    assert list(check_subscribers(none, offline=False)) == []


@pytest.mark.parametrize(("chosen", "code"), [([], 1), (["--provider=omnikassa"], 0)])
def test_pod_of_one_provider_need_not_have_the_secrets_of_subscribers(
    chosen: list[str], code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = configurations.document("127.0.0.1:9", "", tmp_path)
    secrets = [{"file": str(tmp_path / "elsewhere")}]
    content["deliver"] = {"subscriptions": [{"id": "erp", "url": "https://erp.example", "secrets": secrets}]}
    config = str(configurations.write(tmp_path, content))
    assert main(["doctor", "--offline", "--config", config, *chosen]) == code
    assert ("subscriber erp" in capsys.readouterr().out) == bool(code)
