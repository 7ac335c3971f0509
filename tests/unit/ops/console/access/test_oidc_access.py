"""Signing in at an issuer over HTTP: who is known afterwards, for how long, and what does not count."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from paynotify.ops.console.access.browser_session import BrowserSessions, SignedInUser
from paynotify.ops.console.access.identity import Role, identity_of
from paynotify.ops.console.access.method import access_method
from paynotify.ops.console.access.oidc_access import own_path
from paynotify.ops.console.application import build_application
from paynotify.ops.console.index.follower import IndexAge
from paynotify.ops.console.rendering import PageRenderer
from paynotify.ops.console.routes import ConsoleRoute
from paynotify.schemas.configuration.console import ConsoleSettings
from paynotify.schemas.configuration.console_access import ConsoleAccessSettings, RoleGrant, SignInSettings
from paynotify.schemas.configuration.secrets import SecretRef
from paynotify.schemas.errors import ConfigurationError
from tests.fakes.issuer_server import SECRET
from tests.fakes.login_issuer import CLIENT, LoginIssuer

PUBLIC = "https://console.shop.example"
GRANTS = (RoleGrant(groups=("finance",), role="viewer", merchants=("shop-uk",)),)
PAGE = {"accept": "text/html,*/*"}


async def shown(request: Request) -> Response:
    identity = identity_of(request)
    return PlainTextResponse(f"{identity.name} {identity.kind} {dict(identity.roles)}")


@pytest.fixture
def issuer() -> Iterator[LoginIssuer]:
    with LoginIssuer() as one:
        yield one


def client(issuer: LoginIssuer, base: str = PUBLIC, **settings: Any) -> httpx.AsyncClient:
    asked = {"client_id": CLIENT, "client_secret": SecretRef(value=SECRET), "issuer": issuer.url}
    sign_in = SignInSettings(**{**asked, **settings})
    access = ConsoleAccessSettings(kind="oidc", oidc=sign_in, grants=GRANTS)
    renderer = PageRenderer(IndexAge)
    method = access_method(ConsoleSettings(access=access, public_urls=(PUBLIC,)), renderer, is_loopback=False)
    routes = (ConsoleRoute("/me", shown, Role.VIEWER), *method.routes)
    application = build_application(renderer, routes, method.identify, method.site)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=application), base_url=base, headers=PAGE)


async def come_back(browser: httpx.AsyncClient, wanted: str = "/me") -> str:
    """Go to a page, then to the issuer, and return the URL that it leads back to."""
    led = await browser.get(wanted)
    assert led.status_code == 303, led.text
    to_issuer = await browser.get(led.headers["location"])
    assert to_issuer.status_code == 302, to_issuer.text
    async with httpx.AsyncClient(verify=False) as network:
        back = await network.get(to_issuer.headers["location"])
    return str(back.headers["location"])


async def sign_in(browser: httpx.AsyncClient, wanted: str = "/me") -> httpx.Response:
    return await browser.get(await come_back(browser, wanted))


async def test_user_of_the_issuer_sees_the_page_asked_for(issuer: LoginIssuer) -> None:
    async with client(issuer) as browser:
        done = await sign_in(browser, "/me?order=ORD%201&x=y")
        assert (done.status_code, done.headers["location"]) == (303, "/me?order=ORD%201&x=y")
        page = await browser.get(done.headers["location"])
        assert page.text == f"alice oidc {{'shop-uk': {Role.VIEWER!r}}}"
    (asked,) = issuer.requests
    assert asked["redirect_uri"] == f"{PUBLIC}/sign-in/done"
    assert asked["scope"] == "openid profile"
    assert len(asked["state"]) >= 20
    assert len(asked["nonce"]) >= 20
    assert len(asked["code_challenge"]) == 43


async def test_session_is_a_cookie_that_no_script_and_no_other_site_has(issuer: LoginIssuer) -> None:
    async with client(issuer) as browser:
        cookie = (await sign_in(browser)).headers["set-cookie"]
        assert re.match(
            r"__Host-paynotify-console=[^;]+; path=/; Max-Age=28800; httponly; samesite=lax; secure", cookie
        )


async def test_secret_goes_the_way_the_issuer_takes_it(issuer: LoginIssuer) -> None:
    issuer.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    async with client(issuer) as browser:
        assert (await sign_in(browser)).status_code == 303


async def test_tunnel_to_this_machine_signs_in_too(issuer: LoginIssuer) -> None:
    async with client(issuer, "https://127.0.0.1:8090") as browser:
        assert (await sign_in(browser)).status_code == 303
        assert issuer.requests[0]["redirect_uri"] == "https://127.0.0.1:8090/sign-in/done"


async def test_script_and_program_are_not_led_away(issuer: LoginIssuer) -> None:
    async with client(issuer) as browser:
        for headers in ({"accept": "application/json"}, {"hx-request": "true"}):
            assert (await browser.get("/me", headers=headers)).status_code == 401
    assert issuer.requests == []


@pytest.mark.parametrize(
    "changed",
    [
        {"nonce": "another"},
        {"aud": "another"},
        {"aud": ["another", "third"], "azp": CLIENT},
        {"iss": "http://another.example"},
        {"exp": 1},
        {"iat": 4_000_000_000},
        {"preferred_username": "a person"},
        {"preferred_username": None},
        {"preferred_username": ["alice"]},
    ],
    ids=str,
)
async def test_token_with_another_claim_signs_nobody_in(issuer: LoginIssuer, changed: dict[str, Any]) -> None:
    issuer.changed = changed
    async with client(issuer) as browser:
        assert (await sign_in(browser)).status_code == 403
        assert (await browser.get("/me")).status_code == 303


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
async def test_token_that_anybody_can_sign_signs_nobody_in(issuer: LoginIssuer, algorithm: str) -> None:
    issuer.algorithm = algorithm
    issuer.metadata = {"id_token_signing_alg_values_supported": ["RS256", "HS256", "none"]}
    async with client(issuer) as browser:
        assert (await sign_in(browser)).status_code == 403


async def test_token_of_a_key_that_is_not_the_issuers_signs_nobody_in(issuer: LoginIssuer) -> None:
    with LoginIssuer() as another:
        another.rotate()
        issuer.metadata = {"jwks_uri": f"{another.url}/keys"}
        async with client(issuer) as browser:
            assert (await sign_in(browser)).status_code == 403


async def test_key_that_is_new_is_fetched(issuer: LoginIssuer) -> None:
    async with client(issuer) as browser:
        assert (await sign_in(browser)).status_code == 303
        issuer.rotate()
        browser.cookies.clear()
        assert (await sign_in(browser)).status_code == 303


async def test_issuer_that_calls_itself_otherwise_is_refused(issuer: LoginIssuer) -> None:
    issuer.metadata = {"issuer": "http://another.example"}
    async with client(issuer) as browser:
        led = await browser.get("/me")
        assert (await browser.get(led.headers["location"])).status_code == 503


async def test_way_back_counts_once_and_in_its_own_browser(issuer: LoginIssuer) -> None:
    async with client(issuer) as browser, client(issuer) as victim:
        back = await come_back(browser)
        await come_back(victim)
        for url in (back, back.replace("state=", "state=x"), f"{PUBLIC}/sign-in/done?error=access_denied"):
            assert (await victim.get(url)).status_code == 403, url
        assert issuer.tokens == 0, "nobody's code is redeemed in another browser"
        assert (await browser.get(back)).status_code == 303
        assert (await browser.get(back)).status_code == 403


async def test_way_back_that_anybody_makes_up_asks_the_issuer_nothing(issuer: LoginIssuer) -> None:
    async with client(issuer) as browser:
        for _ in range(5):
            for made_up in ("", "?error=access_denied", "?code=1&state=2"):
                assert (await browser.get(f"/sign-in/done{made_up}")).status_code == 403
    assert (issuer.discoveries, issuer.tokens) == (1, 0)


async def test_issuer_that_is_away_is_told_and_asked_again(issuer: LoginIssuer) -> None:
    async with client(issuer) as browser:
        issuer.status = 500
        led = await browser.get("/me")
        away = await browser.get(led.headers["location"])
        assert away.status_code == 503
        assert "can&#39;t be reached" in away.text
        issuer.status = 200
        assert (await sign_in(browser)).status_code == 303


async def test_signing_out_ends_copies_of_the_cookie_too(issuer: LoginIssuer) -> None:
    async with client(issuer) as browser:
        await sign_in(browser)
        copy = dict(browser.cookies)
        page = await browser.get("/nowhere")
        assert "Sign out" not in page.text, "an unknown page knows nobody"
        page = await browser.get("/signed-out")
        token = re.search(r'name="form_token" value="(\w+)"', page.text)
        assert token is not None
        sent = {"origin": PUBLIC}
        assert (await browser.post("/sign-out", headers=sent)).status_code == 403
        out = await browser.post("/sign-out", data={"form_token": token[1]}, headers=sent)
        assert (out.status_code, out.headers["location"]) == (303, "/signed-out")
        assert (await browser.get("/me")).status_code == 303
        browser.cookies.clear()
        browser.cookies.update(copy)
        assert (await browser.get("/me")).status_code == 303


async def test_user_without_a_granted_group_has_no_role(issuer: LoginIssuer) -> None:
    issuer.claims["groups"] = ["staff"]
    async with client(issuer) as browser:
        await sign_in(browser)
        assert (await browser.get("/me")).status_code == 403


@pytest.mark.parametrize(("verified", "status"), [(True, 303), (False, 403), ("true", 403), (None, 403)])
async def test_mail_address_counts_if_the_issuer_has_verified_it(
    issuer: LoginIssuer, verified: Any, status: int
) -> None:
    issuer.claims |= {"email": "alice@shop.example", "email_verified": verified}
    async with client(issuer, name_claim="email") as browser:
        assert (await sign_in(browser)).status_code == status


async def test_log_has_no_word_of_the_issuers(issuer: LoginIssuer, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "paynotify.console"):
        async with client(issuer, client_secret=SecretRef(value="wrong")) as browser:
            back = await come_back(browser)
            assert (await browser.get(back)).status_code == 403
    code = parse_qs(urlsplit(back).query)["code"][0]
    lines = [str(one.__dict__) for one in caplog.records]
    assert [one.getMessage() for one in caplog.records if one.getMessage() == "sign_in_refused"]
    assert not [line for line in lines if code in line or SECRET in line]


def test_session_ends_in_time_however_often_it_is_used() -> None:
    now = [1000.0]
    sessions = BrowserSessions(60.0, lambda: now[0])
    session: dict[str, Any] = {"forms": "before"}
    sessions.begin(session, SignedInUser("alice", ("finance",)))
    assert "forms" not in session, "nothing of before counts after signing in"
    now[0] += 59
    assert sessions.user(session) == SignedInUser("alice", ("finance",))
    now[0] += 1
    assert sessions.user(session) is None


@pytest.mark.parametrize(
    "wanted", ["//attacker.example", "/\\attacker.example", "https://attacker.example", "", "/\n", "/" + "x" * 500]
)
def test_way_after_signing_in_leads_nowhere_else(wanted: str) -> None:
    assert own_path(wanted) == "/"


async def test_key_of_sessions_outlives_a_restart_and_is_long(issuer: LoginIssuer) -> None:
    key = SecretRef(value="k" * 32)
    async with client(issuer, session_key=key) as browser, client(issuer, session_key=key) as after:
        await sign_in(browser)
        after.cookies.update(browser.cookies)
        assert (await after.get("/me")).status_code == 200
    with pytest.raises(ConfigurationError, match="at least 32 characters, got 5"):
        client(issuer, session_key=SecretRef(value="short"))
