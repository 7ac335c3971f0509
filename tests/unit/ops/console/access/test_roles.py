"""Every route of the console by every role: one table says what each gets, and it has to have every route."""

from __future__ import annotations

import contextlib
import random
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import httpx
import pytest
from starlette.requests import HTTPConnection

from paynotify.ops.console import page_groups
from paynotify.ops.console.access.form_tokens import FORM_FIELD
from paynotify.ops.console.access.identity import Identity, Role
from paynotify.ops.console.access.method import access_method
from paynotify.ops.console.actions.pages import ActionPages
from paynotify.ops.console.answer_headers import PROBE_PATHS
from paynotify.ops.console.application import build_application
from paynotify.ops.console.flow.sampler import FlowSampler
from paynotify.ops.console.index.follower import IndexAge
from paynotify.ops.console.index.payment_index import PaymentIndex
from paynotify.ops.console.live.fan_out import EventFanOut
from paynotify.ops.console.page_groups import page_routes
from paynotify.ops.console.queries import IndexQueries
from paynotify.ops.console.rendering import PageRenderer
from paynotify.ops.console.routes import ConsoleRoute
from paynotify.schemas.configuration.console import ConsoleSettings
from paynotify.schemas.configuration.console_access import ConsoleAccessSettings, RoleGrant, SignInSettings
from paynotify.schemas.configuration.secrets import SecretRef
from tests.fakes import configurations
from tests.fakes.console_browser import HOST, no_broker
from tests.fakes.console_topics import NAMES, many, reads

#: Who asks. All but the last have their role with shop-uk, of which the URLs of the table are.
ASKERS: Final = ("nobody", "viewer", "operator", "cashier", "other merchant's viewer")
ROLES: Final = {
    "viewer": {"shop-uk": Role.VIEWER},
    "operator": {"shop-uk": Role.OPERATOR},
    "cashier": {"shop-uk": Role.CASHIER},
    "other merchant's viewer": {"shop-other": Role.VIEWER},
}
#: Routes that everybody with a role reaches; what they show depends on the merchants.
SEEN: Final = (401, 200, 200, 200, 200)
#: Routes of one merchant.
OF_MERCHANT: Final = (401, 200, 200, 200, 403)
#: Of something that the merchant does not have.
MISSING: Final = (401, 404, 404, 404, 403)
#: Routes that read a topic: no broker is there.
NO_BROKER: Final = (401, 503, 503, 503, 503)
#: Routes for operators.
OPERATED: Final = (401, 403, 200, 200, 403)
#: Forms for cashiers, and what becomes of forms that are empty.
MOVES_MONEY: Final = (401, 403, 403, 200, 403)
EMPTY_FORM: Final = (401, 403, 400, 400, 403)
EMPTY_MONEY_FORM: Final = (401, 403, 403, 400, 403)
#: Routes for everybody.
OPEN: Final = (200,) * 5

#: Method and route, the URL that is asked, and the status for each of `ASKERS`; HEAD for GET where that would stream.
TABLE: Final = (
    ("GET", "/", "/", SEEN),
    ("GET", "/payments", "/payments", SEEN),
    ("GET", "/rejected", "/rejected", SEEN),
    ("GET", "/dead", "/dead", SEEN),
    ("GET", "/overdue", "/overdue", SEEN),
    ("GET", "/requests", "/requests", SEEN),
    ("GET", "/silent", "/silent", SEEN),
    ("GET", "/cases", "/cases", SEEN),
    ("GET", "/history", "/history", SEEN),
    ("GET", "/reconciliations", "/reconciliations", SEEN),
    ("GET", "/search", "/search?q=run", SEEN),
    ("GET", "/payments/{merchant}/{payment_id:path}", "/payments/shop-uk/b", OF_MERCHANT),
    ("GET", "/orders/{merchant}/{order_id:path}", "/orders/shop-uk/a", OF_MERCHANT),
    ("GET", "/reconciliations/{merchant}/{run_id}", "/reconciliations/shop-uk/none", MISSING),
    ("GET", "/records/{topic}/{partition}/{offset}", "/records/payments.status/0/0", NO_BROKER),
    ("GET", "/flow", "/flow", SEEN),
    ("GET", "/flow/samples", "/flow/samples", SEEN),
    ("GET", "/live", "/live", SEEN),
    ("HEAD", "/live/events", "/live/events", SEEN),
    ("HEAD", "/live/news", "/live/news", SEEN),
    ("GET", "/doctor", "/doctor", OPERATED),
    ("POST", "/doctor", "/doctor", (401, 403, 303, 303, 403)),
    ("GET", "/configuration", "/configuration", OPERATED),
    ("GET", "/configuration/{merchant}", "/configuration/shop-uk", OPERATED),
    ("GET", "/versions", "/versions", OPERATED),
    ("GET", "/actions", "/actions", OPERATED),
    ("GET", "/actions/replay", "/actions/replay", OPERATED),
    ("POST", "/actions/replay", "/actions/replay", (401, 403, 503, 503, 403)),  # it has defaults for all, and no broker
    ("GET", "/actions/look-up", "/actions/look-up", OPERATED),
    ("POST", "/actions/look-up", "/actions/look-up", EMPTY_FORM),
    ("GET", "/actions/correct", "/actions/correct", OPERATED),
    ("POST", "/actions/correct", "/actions/correct", EMPTY_FORM),
    ("GET", "/actions/reconcile", "/actions/reconcile", OPERATED),
    ("POST", "/actions/reconcile", "/actions/reconcile", EMPTY_FORM),
    ("GET", "/actions/capture", "/actions/capture", MOVES_MONEY),
    ("POST", "/actions/capture", "/actions/capture", EMPTY_MONEY_FORM),
    ("GET", "/actions/void", "/actions/void", MOVES_MONEY),
    ("POST", "/actions/void", "/actions/void", EMPTY_MONEY_FORM),
    ("GET", "/actions/charge", "/actions/charge", MOVES_MONEY),
    ("POST", "/actions/charge", "/actions/charge", EMPTY_MONEY_FORM),
    ("GET", "/actions/plans/{plan_id}", "/actions/plans/none", (401, 403, 404, 404, 403)),
    ("POST", "/actions/plans/{plan_id}/confirm", "/actions/plans/none/confirm", (401, 403, 409, 409, 403)),
    ("POST", "/actions/plans/{plan_id}/stop", "/actions/plans/none/stop", (401, 403, 404, 404, 403)),
    ("GET", "/sign-in", "/sign-in", (503,) * 5),  # no issuer is there
    ("GET", "/sign-in/done", "/sign-in/done?code=1&state=2", (403,) * 5),
    ("POST", "/sign-out", "/sign-out", (403, 303, 303, 303, 303)),  # nobody has no form for it
    ("GET", "/signed-out", "/signed-out", OPEN),
    ("GET", "/healthz", "/healthz", OPEN),
    ("GET", "/readyz", "/readyz", OPEN),
)


async def by_header(connection: HTTPConnection) -> Identity | None:
    who = connection.headers.get("who", "nobody")
    return Identity(who.replace(" ", "-"), "oidc", ROLES[who]) if who in ROLES else None


def console_routes(queries: IndexQueries, renderer: PageRenderer, folder: Path) -> tuple[ConsoleRoute, ...]:
    """All that the process serves, with those of signing in."""
    configuration = configurations.parsed("127.0.0.1:9", "", folder)
    issuer = SignInSettings(issuer="http://127.0.0.1:9", client_id="c", client_secret=SecretRef(value="s"))
    grants = (RoleGrant(users=("alice",), role="viewer"),)
    settings = ConsoleSettings(access=ConsoleAccessSettings(kind="oidc", oidc=issuer, grants=grants))
    actions = ActionPages(configuration, renderer, no_broker)
    sampler = FlowSampler(configuration)
    pages = page_routes(configuration, queries, renderer, EventFanOut(), sampler, actions, no_broker)
    return (*pages, *access_method(settings, renderer, is_loopback=True).routes)


@pytest.fixture(autouse=True)
def no_doctor(monkeypatch: pytest.MonkeyPatch) -> None:
    """No broker and no provider is there to be examined."""
    monkeypatch.setattr(page_groups, "examined", lambda configuration, scope: iter(()))


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of records of three merchants."""
    path = tmp_path_factory.mktemp("console") / "index.sqlite"
    with contextlib.closing(PaymentIndex(path, NAMES, "test")) as made:
        for (topic, partition), records in reads(many(), random.Random(1)):
            made.apply(topic, partition, records, records[-1].offset + 1)
    return path


@contextlib.asynccontextmanager
async def asking(index: Path, who: str) -> AsyncIterator[httpx.AsyncClient]:
    renderer = PageRenderer(lambda: IndexAge(0, 1764410400.0))
    with contextlib.closing(IndexQueries(index)) as queries:
        application = build_application(renderer, console_routes(queries, renderer, index.parent), by_header)
        headers = {"who": who, "origin": HOST}
        transport = httpx.ASGITransport(app=application)
        async with httpx.AsyncClient(transport=transport, base_url=HOST, headers=headers) as client:
            yield client


def test_table_has_every_route(index: Path) -> None:
    served = {
        ("HEAD" if method == "GET" and path.startswith("/live/") else method, path)
        for one in console_routes(IndexQueries(index), PageRenderer(IndexAge), index.parent)
        for method, path in ((method, one.path) for method in one.methods)
    }
    assert {(method, path) for method, path, _, _ in TABLE} == served | {("GET", path) for path in PROBE_PATHS}


@pytest.mark.parametrize("number", range(len(ASKERS)), ids=ASKERS)
async def test_each_route_answers_each_role_as_the_table_says(index: Path, number: int) -> None:
    async with asking(index, ASKERS[number]) as browser:
        found, wanted = {}, {}
        for method, path, url, statuses in TABLE:
            form = await form_of_session(browser) if method == "POST" else None
            answer = await browser.request(method, url, data=form)
            found[method, path], wanted[method, path] = answer.status_code, statuses[number]
        assert found == wanted


async def form_of_session(browser: httpx.AsyncClient) -> dict[str, str]:
    """With the token that a page of this session has; nobody gets none."""
    page = (await browser.get("/signed-out")).text
    token = re.search(rf'name="{FORM_FIELD}" value="(\w+)"', page)
    return {FORM_FIELD: token[1]} if token is not None else {}


async def test_nothing_of_a_merchant_is_shown_to_another_ones_viewer(index: Path) -> None:
    async with asking(index, "viewer") as own, asking(index, "other merchant's viewer") as other:
        seen = 0
        for method, _, url, statuses in TABLE:
            if method == "GET" and statuses[-1] == 200:
                seen += "shop-uk" in (await own.get(url)).text
                page = (await other.get(url)).text
                assert not re.findall("shop-uk|shop-hu|shop-nl", page), url
        assert seen >= 5, "the pages show what their own merchant has"


async def test_unknown_path_tells_nobody_anything(index: Path) -> None:
    async with asking(index, "nobody") as browser:
        answer = await browser.get("/nowhere")
        assert answer.status_code == 404
        assert "The index" not in answer.text
