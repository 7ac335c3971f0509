"""Who passes the console's guard: by role and merchant, from own hosts and origins, with a form of own pages."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response

from paynotify.ops.console.access.form_tokens import FORM_FIELD, FORM_HEADER, form_of, form_token
from paynotify.ops.console.access.identity import EVERY_MERCHANT, Identity, Role, identity_of
from paynotify.ops.console.access.origins import OwnOrigins
from paynotify.ops.console.access.site import ConsoleSite
from paynotify.ops.console.application import build_application
from paynotify.ops.console.index.follower import IndexAge
from paynotify.ops.console.rendering import PageRenderer
from paynotify.ops.console.routes import ConsoleRoute

HOST = "http://127.0.0.1:8090"
PUBLIC = "https://console.shop.example"
OWN = {"origin": HOST}

ROLES: dict[str, Mapping[str, Role]] = {
    "viewer": {EVERY_MERCHANT: Role.VIEWER},
    "operator": {"shop-uk": Role.OPERATOR},
    "cashier": {EVERY_MERCHANT: Role.CASHIER},
    "nothing": {},
}


async def by_header(connection: HTTPConnection) -> Identity | None:
    """The tests' way to be somebody."""
    name = connection.headers.get("who", "")
    if name == "locked":
        raise HTTPException(401, "Sign in.", {"www-authenticate": "Basic"})
    return Identity(name, "basic", ROLES[name]) if name in ROLES else None


async def token(request: Request) -> Response:
    return PlainTextResponse(form_token(request))


async def told(request: Request) -> Response:
    return PlainTextResponse(f"{identity_of(request).name}: {form_of(request).get('amount')}")


ROUTES = (
    ConsoleRoute("/form", token, Role.VIEWER),
    ConsoleRoute("/act", told, Role.OPERATOR, methods=("POST",)),
    ConsoleRoute("/merchants/{merchant}", token, Role.OPERATOR),
    ConsoleRoute("/open", token, None),
    ConsoleRoute("/leave", token, None, methods=("POST",)),
)


def client(who: str = "operator", base: str = HOST, **settings: Any) -> httpx.AsyncClient:
    site = ConsoleSite(origins=OwnOrigins([PUBLIC]), **settings)
    application = build_application(PageRenderer(IndexAge), ROUTES, by_header, site)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=application), base_url=base, headers={"who": who})


@pytest.mark.parametrize(
    ("who", "path", "status"),
    [
        ("nobody", "/form", 401),
        ("nothing", "/form", 403),
        ("viewer", "/form", 200),
        ("viewer", "/merchants/shop-uk", 403),
        ("operator", "/merchants/shop-uk", 200),
        ("operator", "/merchants/shop-hu", 403),
        ("cashier", "/merchants/shop-hu", 200),
        ("nobody", "/open", 200),
        ("locked", "/open", 200),
    ],
)
async def test_route_is_reached_by_its_role_with_its_merchant(who: str, path: str, status: int) -> None:
    async with client(who) as browser:
        assert (await browser.get(path)).status_code == status


async def test_answer_asks_for_the_credentials_that_are_missing() -> None:
    async with client("locked") as browser:
        refused = await browser.get("/form")
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Basic")
        assert "The index" not in refused.text, "who is not known learns nothing of the topics"


async def test_form_of_an_own_page_is_taken() -> None:
    async with client() as browser:
        value = (await browser.get("/form")).text
        answer = await browser.post("/act", data={FORM_FIELD: value, "amount": "10.50"}, headers=OWN)
        assert (answer.status_code, answer.text) == (200, "operator: 10.50")
        by_script = await browser.post("/act", headers={**OWN, FORM_HEADER: value, "sec-fetch-site": "same-origin"})
        assert by_script.status_code == 200


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"origin": "https://attacker.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:9999"}, 403),
        ({}, 403),
        ({**OWN, "sec-fetch-site": "cross-site"}, 403),
        ({**OWN, "sec-fetch-site": "same-site"}, 403),
        ({**OWN, "sec-fetch-site": "none"}, 403),
        ({**OWN, "content-type": "text/plain"}, 415),
        ({**OWN, "content-length": "70000"}, 413),
        ({**OWN, "content-length": "-1"}, 411),
        (OWN, 200),
        ({"sec-fetch-site": "same-origin"}, 200),
    ],
)
async def test_form_of_another_page_is_refused(sent: dict[str, str], status: int) -> None:
    async with client() as browser:
        value = (await browser.get("/form")).text
        answer = await browser.post("/act", data={FORM_FIELD: value}, headers=sent)
        assert answer.status_code == status


async def test_form_needs_the_token_of_its_session_and_user() -> None:
    async with client() as browser, client() as other:
        strange = (await other.get("/form")).text
        assert (await browser.post("/act", data={FORM_FIELD: strange}, headers=OWN)).status_code == 403
        own = (await browser.get("/form")).text
        for given in (strange, "", own[:-1], "ä"):
            assert (await browser.post("/act", data={FORM_FIELD: given}, headers=OWN)).status_code == 403, given
        assert (await browser.post("/act", headers=OWN)).status_code == 403
        as_cashier = {**OWN, "who": "cashier"}
        assert (await browser.post("/act", data={FORM_FIELD: own}, headers=as_cashier)).status_code == 403
        as_viewer = {**OWN, "who": "viewer"}
        assert (await browser.post("/act", data={FORM_FIELD: own}, headers=as_viewer)).status_code == 403


async def test_form_with_too_many_fields_or_odd_bytes_is_refused() -> None:
    async with client() as browser:
        sent = {**OWN, "content-type": "application/x-www-form-urlencoded"}
        for body in ("a=1&" * 300, b"\xff=1"):
            assert (await browser.post("/act", content=body, headers=sent)).status_code == 400


async def test_form_that_is_longer_than_it_says_is_not_read_to_its_end() -> None:
    read = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal read
        while read < 1000:
            read += 1
            yield b"a" * 1024

    async with client("nobody") as anybody:
        sent = {**OWN, "content-type": "application/x-www-form-urlencoded", "content-length": "5"}
        assert (await anybody.post("/leave", content=chunks(), headers=sent)).status_code == 413
    assert read < 100


async def test_session_of_a_changed_cookie_is_none() -> None:
    async with client() as browser:
        value = (await browser.get("/form")).text
        name, cookie = next(iter(browser.cookies.items()))
        browser.cookies.clear()
        browser.cookies.set(name, "A" + cookie[1:])
        assert (await browser.post("/act", data={FORM_FIELD: value}, headers=OWN)).status_code == 403


@pytest.mark.parametrize("is_secure", [True, False])
async def test_cookie_is_kept_from_scripts_other_sites_and_plain_http(is_secure: bool) -> None:
    async with client(base=PUBLIC, is_secure=is_secure) as browser:
        cookie = (await browser.get("/form")).headers["set-cookie"].lower()
        assert re.search(r"; httponly; samesite=lax", cookie)
        assert ("; secure" in cookie) == cookie.startswith("__host-") == is_secure
        assert "domain" not in cookie


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("console.shop.example", PUBLIC, 200),
        ("console.shop.example:443", PUBLIC, 421),
        ("console.shop.example", "http://console.shop.example", 403),
        ("console.shop.example", "https://console.shop.example:8443", 403),
        ("other.shop.example", PUBLIC, 421),
        ("localhost:1234", "http://localhost:1234", 200),
        ("localhost:1234", PUBLIC, 403),
    ],
)
async def test_hosts_are_the_public_ones_and_this_machine(host: str, origin: str, status: int) -> None:
    async with client(base=PUBLIC) as browser:
        value = (await browser.get("/form")).text
        cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        headers = {"host": host, "origin": origin, "cookie": cookie}
        assert (await browser.post("/act", data={FORM_FIELD: value}, headers=headers)).status_code == status


async def test_probe_is_answered_at_any_address_and_to_everybody() -> None:
    async with client("nobody", "http://10.1.2.3:8090") as prober:
        assert (await prober.get("/healthz")).status_code == 200
        assert (await prober.get("/open")).status_code == 421


async def test_log_says_who_asked_for_which_route_and_no_ids(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "paynotify.console"):
        async with client() as browser:
            await browser.get("/merchants/shop-uk?q=A+Person")
            await browser.get("/merchants/shop-hu", headers={"who": "viewer"})
            await browser.get("/form", headers={"who": "nobody"})
            await browser.get("/healthz")
    lines = [one.fields for one in caplog.records if one.getMessage() == "console_request"]  # type: ignore[attr-defined]
    asked = {"method": "GET", "route": "/merchants/{merchant}"}
    assert lines == [
        {**asked, "status": 200, "who": "operator", "known_by": "basic"},
        {**asked, "status": 403, "who": "viewer", "known_by": "basic"},
        {"method": "GET", "route": "/form", "status": 401},
    ]
    assert "Person" not in json.dumps(lines)
