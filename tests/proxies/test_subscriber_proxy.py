"""Calls to subscribers through Tinyproxy: over TLS, with credentials that change, and without what is listed."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from paynotify.deliver.answer import DELIVERED, SubscriberAnswer
from paynotify.deliver.caller import SubscriberCaller
from paynotify.deliver.trust import Trust
from paynotify.sandbox.certificates import Authority
from paynotify.schemas.configuration.deliver import DeliverSettings, SubscriberProxySettings, Subscription
from paynotify.schemas.configuration.secrets import SecretRef
from tests.fakes.deliveries import status_event
from tests.fakes.subscriber import SECRET, FakeSubscriber
from tests.proxies.forward import ForwardProxy, forward_proxy

SIGNED_IN: Final = "shop:open-sesame"

#: aiohttp leaves the connection to the proxy to the garbage collector where TLS within the tunnel fails or is cut off.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@dataclass(frozen=True)
class Way:
    """A subscriber with a certificate of an own authority, behind a proxy that asks for credentials."""

    subscriber: FakeSubscriber
    proxy: ForwardProxy
    authority: SecretRef
    credentials: Path

    def caller(self, *no_proxy: str, networks: tuple[str, ...] = ("127.0.0.0/8",)) -> SubscriberCaller:
        proxy = SubscriberProxySettings(
            url=self.proxy.url, credentials=SecretRef(file=str(self.credentials)), no_proxy=no_proxy
        )
        settings = DeliverSettings(proxy=proxy, ca=self.authority, private_networks=networks)
        subscription = Subscription(id="erp", url=self.subscriber.url, secrets=(SecretRef(value=SECRET),))
        return SubscriberCaller(subscription, settings, Trust(settings.ca))


@pytest.fixture
def way(tmp_path: Path) -> Iterator[Way]:
    authority = Authority(tmp_path)
    issued = authority.issue("subscriber")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(issued.certificate, issued.key)
    credentials = tmp_path / "proxy-credentials"
    credentials.write_text(SIGNED_IN)
    subscriber = FakeSubscriber(tls=tls)
    with forward_proxy(tmp_path, credentials=SIGNED_IN) as proxy:
        yield Way(subscriber, proxy, SecretRef(file=str(authority.certificate)), credentials)
    subscriber.down()


async def answers(caller: SubscriberCaller, calls: int = 1) -> list[SubscriberAnswer]:
    try:
        return [await caller.call(status_event("p1", 1, 0)) for _ in range(calls)]
    finally:
        await caller.close()


async def test_call_goes_through_the_proxy_whose_password_the_subscriber_never_sees(way: Way) -> None:
    assert await answers(way.caller(), 2) == [DELIVERED, DELIVERED]
    assert len(way.proxy.asked_for()) == 1  # the tunnel is used again
    assert "proxy-authorization" not in way.subscriber.calls[0].headers
    assert not way.subscriber.calls[0].problem


async def test_wrong_credentials_and_a_proxy_that_is_away_are_no_connection(way: Way) -> None:
    way.credentials.write_text("shop:wrong")
    assert await answers(way.caller()) == [SubscriberAnswer("unreachable", is_outage=True)]
    way.credentials.write_text("nothing")
    assert await answers(way.caller()) == [SubscriberAnswer("no_secret", is_outage=True)]
    way.credentials.write_text(SIGNED_IN)
    way.proxy.stop()
    assert await answers(way.caller()) == [SubscriberAnswer("unreachable", is_outage=True)]
    assert way.subscriber.calls == []


async def problem(caller: SubscriberCaller) -> str | None:
    try:
        return await caller.problem()
    finally:
        await caller.close()


async def test_way_through_the_proxy_is_found_right_or_said_to_be_refused(way: Way) -> None:
    assert await problem(way.caller()) is None
    assert len(way.proxy.asked_for()) == 1
    way.credentials.write_text("shop:wrong")
    assert await problem(way.caller()) == "the proxy does not accept the credentials (HTTP 401)"
    assert way.subscriber.calls == []


async def test_host_that_needs_no_proxy_is_judged_by_its_address_again(way: Way) -> None:
    assert await answers(way.caller("127.0.0.1", networks=())) == [
        SubscriberAnswer("forbidden_address", is_outage=True)
    ]
    assert way.subscriber.calls == []
    assert await answers(way.caller("127.0.0.1")) == [DELIVERED]
    assert way.proxy.asked_for() == []
