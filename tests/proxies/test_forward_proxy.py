"""Provider calls through a real forward proxy: over TLS with an authority of our own, and what goes wrong with it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp import web
from msgspec.structs import replace

from paynotify.ops.doctor.providers import examine, examine_outgoing
from paynotify.processors.providers.background import BackgroundContext
from paynotify.processors.providers.nevogate.charging import NevogateChargeGateway
from paynotify.processors.providers.outcomes import RetryLater, Succeeded
from paynotify.processors.providers.outgoing import open_transport
from paynotify.processors.providers.reachability import clock_of
from paynotify.processors.providers.registry import provider_specs
from paynotify.processors.providers.smartpay.published_keys import KeyFetcher, PublishedKeys
from paynotify.sandbox.certificates import Authority
from paynotify.sandbox.probes import free_port
from paynotify.schemas.configuration import secrets
from paynotify.schemas.configuration.load import parse
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.configuration.secrets import SecretRef
from paynotify.schemas.configuration.worker import ProviderProxySettings, WorkerSettings
from paynotify.schemas.errors import ProviderUnavailableError, ProviderUnreachableError
from paynotify.service.forward_proxy import goes_directly
from tests.fakes.accounts import TRANSACTION, account, vectors, waiting
from tests.fakes.gateway import Gateway, World, json_answer, serving, world
from tests.proxies.forward import ForwardProxy, forward_proxy
from tests.proxies.pooling import running
from tests.proxies.tools import proxy

NEVOGATE: Final = provider_specs()["nevogate"].provider
PAIR: Final = next(one for one in vectors("nevogate")["sdk_pairs"] if one["id"] == "result_successful_captured")
ANSWER: Final = json_answer(PAIR["response"]["body"])
SIGNED_IN: Final = "shop:open-sesame"
LIMITS: Final = {"per_charge": 1, "per_reference": 1, "per_day": 1}
CHARGES: Final = {"public_url": "https://pay.shop.example", "limits": {"EUR": LIMITS}}

#: aiohttp leaves the connection to the proxy to the garbage collector where TLS within the tunnel fails or is cut off.
LEFT_TO_COLLECTOR = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
pytestmark = LEFT_TO_COLLECTOR


@dataclass(slots=True)
class Site:
    """The machine: an authority, a gateway's certificate, and a proxy that asks for credentials."""

    proxy: ForwardProxy
    tls: ssl.SSLContext
    authority: Path
    folder: Path

    @property
    def trusted(self) -> SecretRef:
        return SecretRef(file=str(self.authority))

    def settings(self, credentials: str = SIGNED_IN, *no_proxy: str) -> ProviderProxySettings:
        file = self.folder / "proxy-credentials"
        file.write_text(credentials)
        return ProviderProxySettings(url=self.proxy.url, credentials=SecretRef(file=str(file)), no_proxy=no_proxy)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path, Path]:
    folder = tmp_path_factory.mktemp("certificates")
    authority = Authority(folder)
    issued = authority.issue("gateway")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(issued.certificate, issued.key)
    return tls, authority.certificate, issued.both


@pytest.fixture
def site(tmp_path: Path, certificates: tuple[ssl.SSLContext, Path, Path]) -> Iterator[Site]:
    with forward_proxy(tmp_path, credentials=SIGNED_IN) as proxy:
        yield Site(proxy, certificates[0], certificates[1], tmp_path)


async def fetch(url: str, here: World) -> object:
    (call,) = NEVOGATE.calls([waiting("nevogate", TRANSACTION, lookup_id="first")], here.call_context())
    shop = account("nevogate", base_url=url)
    return (await NEVOGATE.fetch(call, shop, here.call_context(), here.store))["first"]


def tunnels(site: Site, gateway: Gateway) -> int:
    return site.proxy.asked_for().count(f"CONNECT {gateway.url.partition('://')[2]}")


async def test_calls_go_through_the_proxy_over_tls_with_an_own_authority(site: Site) -> None:
    async with serving(ANSWER, tls=site.tls) as gateway, world(site.settings(), site.trusted) as here:
        assert [await fetch(gateway.url, here) for _ in range(3)] == [Succeeded()] * 3
        assert tunnels(site, gateway) == 1, "the connection is used again"
        (seen, *_) = gateway.seen
        assert "Proxy-Authorization" not in seen.headers, "the proxy's password is not the provider's business"


async def test_authority_of_our_own_is_needed_and_others_stay_trusted(site: Site) -> None:
    async with serving(ANSWER, tls=site.tls) as gateway, world(site.settings()) as here:
        with pytest.raises(ProviderUnreachableError, match="Certificate"):
            await fetch(gateway.url, here)
        assert not gateway.seen
    async with open_transport(1, None, site.trusted) as both:
        names = {
            one["subject"]
            for one in both._straight.ssl_context.get_ca_certs()  # type: ignore[attr-defined]
        }
    assert len(names) > 50


async def test_wrong_credentials_send_nothing_until_they_are_corrected(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "_RECHECK_SECONDS", 0.0)
    settings = site.settings("shop:wrong")
    async with serving(ANSWER, tls=site.tls) as gateway, world(settings, site.trusted) as here:
        with pytest.raises(ProviderUnreachableError, match=r"the proxy opens no connection \(HTTP 401\)") as refused:
            await fetch(gateway.url, here)
        assert "wrong" not in str(refused.value)
        assert not gateway.seen
        site.settings("no colon")
        with pytest.raises(ProviderUnreachableError):
            await fetch(gateway.url, here)
        site.settings(SIGNED_IN)
        assert await fetch(gateway.url, here) == Succeeded()


async def test_plain_calls_without_credentials_are_no_refusal_of_the_provider(site: Site) -> None:
    async with serving(ANSWER) as gateway, world(ProviderProxySettings(url=site.proxy.url)) as here:
        with pytest.raises(ProviderUnreachableError, match="407"):
            await fetch(gateway.url, here)
        assert not gateway.seen
    async with serving(ANSWER) as gateway, world(site.settings()) as here:
        assert await fetch(gateway.url, here) == Succeeded()
        assert site.proxy.asked_for()[-1].startswith("POST http://127.0.0.1")


async def test_proxy_that_goes_away_is_an_unreachable_provider_until_it_is_back(site: Site) -> None:
    async with serving(ANSWER, tls=site.tls) as gateway, world(site.settings(), site.trusted) as here:
        assert await fetch(gateway.url, here) == Succeeded()
        site.proxy.stop()
        for _ in range(2):
            with pytest.raises(ProviderUnavailableError):
                await fetch(gateway.url, here)
        with pytest.raises(ProviderUnreachableError, match="ClientProxyConnectionError"):
            await fetch(gateway.url, here)
        site.proxy.start()
        assert await fetch(gateway.url, here) == Succeeded()
        assert len(gateway.seen) == 2


async def test_hosts_without_proxy_are_called_directly(site: Site) -> None:
    async with (
        serving(ANSWER, tls=site.tls) as gateway,
        world(site.settings(SIGNED_IN, "127.0.0.0/8"), site.trusted) as here,
    ):
        assert await fetch(gateway.url, here) == Succeeded()
        assert site.proxy.asked_for() == []


async def test_connection_to_the_proxy_can_be_encrypted_too(
    site: Site, certificates: tuple[ssl.SSLContext, Path, Path]
) -> None:
    port = free_port()
    text = (
        "defaults\n  mode tcp\n  timeout connect 2s\n  timeout client 60s\n  timeout server 60s\n"
        f"frontend encrypted\n  bind 127.0.0.1:{port} ssl crt {certificates[2]}\n  default_backend proxy\n"
        f"backend proxy\n  server one 127.0.0.1:{site.proxy.port}\n"
    )
    settings = replace(site.settings(), url=f"https://127.0.0.1:{port}")
    file = site.folder / "haproxy.conf"
    file.write_text(text)
    async with (
        running((proxy("haproxy"), "-db", "-f", str(file)), port, site.folder / "haproxy.log"),
        serving(ANSWER, tls=site.tls) as gateway,
        world(settings, site.trusted) as here,
    ):
        assert await fetch(gateway.url, here) == Succeeded()
        assert tunnels(site, gateway) == 1


async def test_charge_that_the_proxy_lets_nobody_make_moved_no_money(site: Site) -> None:
    shop = account("nevogate", base_url="https://127.0.0.1:1", charges=CHARGES)
    async with world(site.settings("shop:wrong")) as here:
        outcome = await NevogateChargeGateway().start(TRANSACTION, shop, here.call_context())
    assert outcome == RetryLater("unavailable"), "no poll, for certainly nothing was done"


async def test_public_keys_are_fetched_through_the_proxy(site: Site, tmp_path: Path) -> None:
    told: list[tuple[str, datetime | None]] = []
    keys = (Path(__file__).parents[1] / "vectors" / "smartpay-keys.json").read_bytes()
    served = serving(web.Response(body=keys), tls=site.tls)
    async with served as gateway, world(site.settings(), site.trusted) as here:
        context = BackgroundContext(here.call_context(), tmp_path, lambda *one: told.append(one))
        merchant = account("smartpay", jwks_file=None, jwks_url=gateway.url).merchant
        published = PublishedKeys()
        await KeyFetcher(gateway.url, {"shop": merchant}, published, context).fetch()
        assert tunnels(site, gateway) == 1
        assert published.of(merchant) is not None


def configuration(site: Site, url: str) -> Configuration:
    file = site.settings().credentials
    assert file is not None
    return parse(
        f"sandbox: true\nworker: {{provider_proxy: {{url: '{site.proxy.url}', credentials: {{file: {file.file}}}}}}}\n"
        f"merchants:\n  - {{id: shop, provider: nevogate, store_name: s, api_key: {{value: k}}, base_url: '{url}'}}\n",
        "test",
    )


async def test_doctor_says_what_is_wrong_with_the_proxy(site: Site, tmp_path: Path) -> None:
    async with serving(web.Response(), tls=site.tls) as gateway:

        def asked(**worker: Any) -> object:
            return clock_of(gateway.url, WorkerSettings(**worker))

        def problem(**worker: Any) -> str:
            with pytest.raises(ProviderUnavailableError) as found:
                asked(**worker)
            return str(found.value)

        good = await asyncio.to_thread(asked, provider_proxy=site.settings(), provider_ca=site.trusted)
        assert isinstance(good, datetime)
        wrong = await asyncio.to_thread(problem, provider_proxy=site.settings("a:b"), provider_ca=site.trusted)
        assert wrong == "the proxy does not accept the credentials (HTTP 401)"
        none = ProviderProxySettings(url=site.proxy.url)
        missing = await asyncio.to_thread(problem, provider_proxy=none, provider_ca=site.trusted)
        assert missing == "the proxy does not accept the credentials (HTTP 407)"
        untrusted = await asyncio.to_thread(problem, provider_proxy=site.settings())
        assert untrusted.startswith("127.0.0.1 has an invalid certificate (")
        async with serving(web.Response()) as other:
            settings = configuration(site, other.url)
            merchant = settings.merchants[0]
            found = await asyncio.to_thread(lambda: list(examine(merchant, None, settings, recovery=False)))
        assert (found[0].verdict, found[0].what) == ("ok", "127.0.0.1 is reachable through the proxy")
        site.proxy.stop()
        away = await asyncio.to_thread(problem, provider_proxy=site.settings(), provider_ca=site.trusted)
        assert away == "the proxy 127.0.0.1 cannot be reached"


def test_doctor_finds_unusable_authorities_and_credentials_offline(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("nothing of use")
    secret = SecretRef(file=str(file))
    settings = ProviderProxySettings(url="http://proxy.internal:3128", credentials=secret)
    (authorities,) = examine_outgoing(WorkerSettings(provider_ca=secret))
    (credentials,) = examine_outgoing(WorkerSettings(provider_proxy=settings))
    assert [authorities.verdict, credentials.verdict] == ["error", "error"]
    assert "worker.provider_ca" in authorities.what
    assert "is not USER:PASSWORD" in credentials.what
    assert "nothing of use" not in authorities.what + credentials.what
    file.write_text("user:password")
    (good,) = examine_outgoing(WorkerSettings(provider_proxy=settings))
    assert (good.verdict, good.what) == ("ok", "go through the proxy proxy.internal:3128")
    assert not list(examine_outgoing(WorkerSettings()))


@pytest.mark.parametrize(
    "url", ["proxy:3128", "socks5://proxy:1", "http://user:pw@proxy:1", "http://proxy:x", "http://"]
)
def test_url_of_a_proxy_has_scheme_host_and_port_only(url: str) -> None:
    with pytest.raises(ValueError, match="url must be") as refused:
        ProviderProxySettings(url=url)
    assert "pw" not in str(refused.value).replace("password", "")


@pytest.mark.parametrize("entry", ["*.shop.example", "https://a.example", "a.example:443", "10.0.0.0/33", "10.0.1", ""])
def test_entry_without_proxy_that_could_never_match_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="no_proxy holds"):
        ProviderProxySettings(url="http://proxy:3128", no_proxy=(entry,))


def test_host_without_proxy_is_a_name_a_domain_an_address_or_a_network() -> None:
    listed = ("api.shop.example", ".Internal", "10.0.0.0/8", "::1", "192.0.2.7")
    ProviderProxySettings(url="http://proxy:3128", no_proxy=listed)
    for host in ("API.shop.example", "api.shop.example.", "a.internal", "b.a.internal", "10.1.2.3", "::1", "192.0.2.7"):
        assert goes_directly(host, listed), host
    for host in ("shop.example", "x.api.shop.example", "internal", "xinternal", "11.0.0.1", "192.0.2.8", "::2"):
        assert not goes_directly(host, listed), host
