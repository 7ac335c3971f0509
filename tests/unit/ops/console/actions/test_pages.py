"""The pages of actions: who reaches which, and from the form over the dry run to the outcome."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

import httpx
import pytest
import yaml
from starlette.requests import HTTPConnection

from paynotify.ops.common import action_log
from paynotify.ops.console.access.identity import EVERY_MERCHANT, Identity, Role
from paynotify.ops.console.actions import correct, requests
from paynotify.ops.console.actions.console_action import needs_second_person
from paynotify.ops.console.actions.pages import ActionPages
from paynotify.ops.console.application import build_application
from paynotify.ops.console.index.follower import IndexAge
from paynotify.ops.console.rendering import PageRenderer
from paynotify.ops.correct import publishing as correcting
from paynotify.ops.correct.current import CurrentPayment
from paynotify.ops.requests import publishing as requesting
from paynotify.schemas.configuration.load import parse
from paynotify.schemas.messages import Correction, Observation, OperatorAction, RequestedPayment, decode
from paynotify.schemas.money import Money
from paynotify.schemas.records import Output
from tests.fakes import configurations
from tests.fakes.brokers import RecordingBrokers
from tests.fakes.observations import observation
from tests.fakes.payment_histories import run

ORIGIN: Final = "http://127.0.0.1:8090"
TRANSACTION: Final = "6a5e3c4fb0d14bd6a7b0f1c2d3e4f506"
CORRECTED: Final = {"payment": "shop-uk/p1", "status": "captured"}
PEOPLE: Final = {
    "anna@shop.example": {EVERY_MERCHANT: Role.CASHIER},
    "ben": {EVERY_MERCHANT: Role.CASHIER},
    "olga": {EVERY_MERCHANT: Role.OPERATOR},
    "nils": {"shop-nl": Role.OPERATOR},
    "vera": {EVERY_MERCHANT: Role.VIEWER},
}
ANNA: Final = "anna@shop.example"


async def identify(connection: HTTPConnection) -> Identity | None:
    name = connection.headers.get("user", "")
    return Identity(name, "oidc", PEOPLE[name]) if name in PEOPLE else None


def known(*observed: Observation) -> CurrentPayment:
    state, _ = run(observed)
    return CurrentPayment(state.last, state)


class Clerk:
    """People with browsers, and the brokers behind the console. ``payment`` is what the topics say now."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.payment = known(observation("p1", "authorised"))
        self.effects: list[Output] = []
        self.log: list[Output] = []

    async def get(self, path: str, user: str = ANNA) -> httpx.Response:
        return await self.client.get(path, headers={"user": user})

    async def send(self, page: str, path: str, user: str = ANNA, **fields: str) -> httpx.Response:
        token = re.search(r'name="form_token" value="([^"]+)"', page)
        assert token is not None, page
        headers = {"user": user, "origin": ORIGIN}
        return await self.client.post(path, data={"form_token": token[1], **fields}, headers=headers)

    async def dry_run(self, name: str, user: str = ANNA, **fields: str) -> httpx.Response:
        return await self.send((await self.get(f"/actions/{name}", user)).text, f"/actions/{name}", user, **fields)

    async def confirmed(self, place: str, user: str = ANNA, why: str = "case 4711") -> str:
        """The page of the plan once what was confirmed has ended."""
        answer = await self.send((await self.get("/actions/look-up", user)).text, f"{place}/confirm", user, why=why)
        assert answer.status_code == 303, answer.text
        while "http-equiv" in (page := (await self.get(place, user)).text):
            pass
        return page

    def actions(self) -> list[OperatorAction]:
        return [decode(one.value, OperatorAction) for one in self.log]


@pytest.fixture
async def clerk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Clerk]:
    merchants = configurations.merchants()
    limits = {"EUR": {"per_charge": 5000, "per_reference": 10_000, "per_day": 100_000}}
    merchants[2]["charges"] = {"public_url": "http://127.0.0.1:1", "limits": limits}
    document = configurations.document(
        "127.0.0.1:9", "", tmp_path, merchants=merchants, console={"four_eyes_above": {"EUR": 2000, "GBP": 1000}}
    )
    readers, logged, sent = RecordingBrokers(), RecordingBrokers(), RecordingBrokers()
    renderer = PageRenderer(lambda: IndexAge(0, 1764410400.0))
    pages = ActionPages(parse(yaml.safe_dump(document), "test.yaml"), renderer, lambda: readers)  # type: ignore[arg-type, return-value]
    transport = httpx.ASGITransport(app=build_application(renderer, pages.routes(), identify))
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
        one = Clerk(client)
        one.effects, one.log = sent.sent, logged.sent
        monkeypatch.setattr(action_log, "RecordSender", logged)
        monkeypatch.setattr(correcting, "RecordSender", sent)
        monkeypatch.setattr(requesting, "RecordSender", sent)
        monkeypatch.setattr(requests, "Tail", readers)
        monkeypatch.setattr(requests, "newest_event", lambda *_: None)
        monkeypatch.setattr(requests, "_FOLLOW_SECONDS", 0.0)
        monkeypatch.setattr(correct, "current_payment", lambda *_: one.payment)
        yield one
    pages.close()


FORMS: Final = {
    "replay": Role.OPERATOR,
    "look-up": Role.OPERATOR,
    "correct": Role.OPERATOR,
    "reconcile": Role.OPERATOR,
    "capture": Role.CASHIER,
    "void": Role.CASHIER,
    "charge": Role.CASHIER,
}


@pytest.mark.parametrize(("user", "role"), [(ANNA, Role.CASHIER), ("olga", Role.OPERATOR), ("vera", Role.VIEWER)])
async def test_form_is_for_those_who_have_its_role(clerk: Clerk, user: str, role: Role) -> None:
    for name, least in FORMS.items():
        assert (await clerk.get(f"/actions/{name}", user)).status_code == (200 if role >= least else 403), name
    overview = await clerk.get("/actions", user)
    assert (overview.status_code == 200) is (role >= Role.OPERATOR)
    assert ("/actions/capture" in overview.text) is (role >= Role.CASHIER)


async def test_form_without_its_token_makes_no_dry_run(clerk: Clerk) -> None:
    headers = {"user": ANNA, "origin": ORIGIN}
    assert (await clerk.client.post("/actions/correct", data=CORRECTED, headers=headers)).status_code == 403


async def test_correction_is_shown_first_and_then_published_with_its_author(clerk: Clerk) -> None:
    clerk.payment = known(observation("p1", "authorised", amount=None))
    answer = await clerk.dry_run("correct", **CORRECTED)
    place = answer.headers["location"]
    page = (await clerk.get(place)).text
    assert "1 correction: authorised becomes captured" in page
    assert (clerk.effects, clerk.log) == ([], [])
    assert (await clerk.send(page, f"{place}/confirm", why="mail jo@shop.example")).status_code == 409
    assert (await clerk.send(page, f"{place}/confirm", why="case 4711")).status_code == 303
    assert "waits for a second person" in (await clerk.get(place)).text, "its amount is not known"
    assert "Done." in await clerk.confirmed(place, "ben")
    (effect,) = clerk.effects
    correction = decode(effect.value, Observation).correction
    assert correction == Correction(by="anna", reason="case 4711"), "no e-mail address for every consumer"
    intended, done = clerk.actions()
    assert (intended.by, intended.identity, intended.state) == (ANNA, "authenticated", "intended")
    assert (intended.arguments["confirmed_by"], done.state, done.published) == ("ben", "done", 1)


async def test_payment_that_changed_since_the_dry_run_is_not_corrected(clerk: Clerk) -> None:
    place = (await clerk.dry_run("correct", **CORRECTED)).headers["location"]
    clerk.payment = known(
        observation("p1", "authorised"), observation("p1", "suspended", observed_at="2026-06-02T12:00Z")
    )
    page = await clerk.confirmed(place)
    assert "Refused. The payment has changed since this dry run" in page
    assert "Nothing was done." in page
    assert (clerk.effects, clerk.log) == ([], [])


async def test_double_submit_publishes_once(clerk: Clerk) -> None:
    place = (await clerk.dry_run("correct", **CORRECTED)).headers["location"]
    await clerk.confirmed(place)
    await clerk.confirmed(place)
    assert len(clerk.effects) == 1


async def test_dry_run_of_somebody_else_is_not_there(clerk: Clerk) -> None:
    place = (await clerk.dry_run("correct", **CORRECTED)).headers["location"]
    token = (await clerk.get("/actions/correct", "ben")).text
    assert (await clerk.get(place, "ben")).status_code == 404
    assert (await clerk.send(token, f"{place}/confirm", "ben", why="case 4711")).status_code == 409
    assert (await clerk.send(token, f"{place}/stop", "ben")).status_code == 404
    assert clerk.effects == []


@pytest.mark.parametrize(
    ("name", "fields", "said"),
    [
        ("correct", {"payment": "shop-uk/p1", "status": "captured"}, "needs the role operator with the merchant"),
        ("look-up", {"merchant": "shop-uk", "payment": "p1"}, "needs the role operator with the merchant"),
        ("reconcile", {"merchant": "shop-uk", "from": "24h"}, "needs the role operator with the merchant"),
        ("replay", {"kind": "dead", "merchant": "shop-uk"}, "must be one of shop-nl"),
    ],
)
async def test_other_merchants_are_refused(clerk: Clerk, name: str, fields: dict[str, str], said: str) -> None:
    answer = await clerk.dry_run(name, "nils", **fields)
    assert answer.status_code == 400
    assert said in answer.text
    assert "shop-uk</option>" not in answer.text


@pytest.mark.parametrize(
    ("name", "fields", "said"),
    [
        ("correct", {"payment": "shop-uk"}, "The payment must be MERCHANT/PAYMENT"),
        ("correct", {"payment": "shop-uk/p1", "status": "paid"}, "status must be one of"),
        ("correct", {"payment": "shop-uk/p1", "paid": "10"}, "paid and currency must be given together"),
        ("replay", {"kind": "all"}, "kind must be one of rejected, dead"),
        ("replay", {"kind": "dead", "reason": "bad_signature"}, "reason must be one of"),
        ("replay", {"since": "yesterday"}, "since must be"),
        ("replay", {"per_second": "nan"}, "per_second must be a number between 1 and 1000"),
        ("look-up", {"merchant": "shop-uk"}, "payment or order must be given"),
        ("reconcile", {"merchant": "shop-uk", "from": "90d"}, "at most 31 days"),
        ("reconcile", {"merchant": "shop-nl"}, "has no list of payments"),
        ("capture", {"payment": f"shop-uk/{TRANSACTION}"}, "but shop-uk is one of trustpayments"),
        ("charge", {"merchant": "shop-hu", "order": "jo@shop.example"}, "order must be"),
        ("look-up", {"merchant": "shop-uk", "payment": "x" * 300}, "at most 255 characters"),
    ],
)
async def test_wrong_field_is_told_and_the_form_is_kept(
    clerk: Clerk, name: str, fields: dict[str, str], said: str
) -> None:
    answer = await clerk.dry_run(name, **fields)
    assert answer.status_code == 400
    assert said in answer.text
    assert 'role="alert"' in answer.text
    assert "--" not in answer.text.split('role="alert">')[1].split("</p>")[0]


CHARGE: Final = {"merchant": "shop-hu", "order": "O-1", "reference": TRANSACTION, "currency": "EUR"}


@pytest.mark.parametrize(("amount", "waits"), [("20.00", False), ("20.01", True)])
async def test_charge_above_the_limit_alone_needs_a_second_person(clerk: Clerk, amount: str, waits: bool) -> None:
    place = (await clerk.dry_run("charge", **CHARGE, amount=amount)).headers["location"]
    page = await clerk.confirmed(place)
    assert ("waits for a second person" in page) is waits
    assert len(clerk.effects) == (0 if waits else 1)
    if waits:
        assert (await clerk.get(place, "olga")).status_code == 404, "an operator charges nothing"
        page = await clerk.confirmed(place, "ben")
    assert "Done." in page
    (effect,) = clerk.effects
    request = decode(effect.value, RequestedPayment)
    assert (request.action, request.order_id, request.capture) == ("charge", "O-1", "later")
    intended, _ = clerk.actions()
    assert (intended.command, intended.by, intended.arguments["amount"]) == ("charge", ANNA, amount)


async def test_amount_that_is_charged_in_parts_needs_a_second_person(clerk: Clerk) -> None:
    places = [
        (await clerk.dry_run("charge", **{**CHARGE, "order": f"O-{number}"}, amount="10.00")).headers["location"]
        for number in range(3)
    ]
    for place in places[:2]:
        assert "Done." in await clerk.confirmed(place)
    assert "waits for a second person" in await clerk.confirmed(places[2])
    assert len(clerk.effects) == 2
    of_another = {**CHARGE, "reference": TRANSACTION.replace("6", "7")}
    assert "Done." in await clerk.confirmed(
        (await clerk.dry_run("charge", **of_another, amount="20.00")).headers["location"]
    )
    assert "Done." in await clerk.confirmed(places[2], "ben")


async def test_void_of_a_payment_that_nobody_knows_needs_a_second_person(clerk: Clerk) -> None:
    place = (await clerk.dry_run("void", payment=f"shop-hu/{TRANSACTION}")).headers["location"]
    assert "no event on payments.latest" in (await clerk.get(place)).text
    assert "waits for a second person" in await clerk.confirmed(place)
    assert "Done." in await clerk.confirmed(place, "ben")
    assert decode(clerk.effects[0].value, RequestedPayment).action == "release"


@pytest.mark.parametrize("entered", [{"amount": "0.01"}, {"amount": "0.01", "paid": "0.01"}])
async def test_amount_that_somebody_enters_makes_no_unknown_one_known(clerk: Clerk, entered: dict[str, str]) -> None:
    clerk.payment = known(observation("p1", "authorised", amount=None))
    place = (await clerk.dry_run("correct", **CORRECTED, **entered, currency="GBP")).headers["location"]
    assert "waits for a second person" in await clerk.confirmed(place)
    assert clerk.effects == []


@pytest.mark.parametrize(
    ("part", "waits"),
    [
        ({}, False),
        ({"amount": "1.00", "currency": "EUR"}, False),
        ({"amount": "20.01", "currency": "EUR"}, True),
        ({"amount": "1.00", "currency": "GBP"}, True),
    ],
)
async def test_part_to_capture_counts_if_it_is_more_than_the_payment(
    clerk: Clerk, monkeypatch: pytest.MonkeyPatch, part: dict[str, str], waits: bool
) -> None:
    seen = run([observation("p1", "authorised", amount=Money(1000, "EUR"))])[0].last
    monkeypatch.setattr(requests.RequestAction, "_newest", lambda *_: seen)
    place = (await clerk.dry_run("capture", payment=f"shop-hu/{TRANSACTION}", **part)).headers["location"]
    assert ("waits for a second person" in await clerk.confirmed(place)) is waits


async def test_form_is_filled_by_the_link_that_leads_to_it(clerk: Clerk) -> None:
    page = (await clerk.get(f"/actions/replay?kind=dead&reason=refused&key={quote('shop-uk/<b>', safe='')}")).text
    assert "<option selected>dead</option>" in page
    assert "<option selected>refused</option>" in page
    assert 'value="shop-uk/&lt;b&gt;"' in page


async def test_page_of_no_plan_is_told(clerk: Clerk) -> None:
    answer = await clerk.get("/actions/plans/none")
    assert answer.status_code == 404
    assert "Make another dry run." in answer.text


def test_amounts_that_need_a_second_person() -> None:
    limits = {"EUR": 2000}
    assert not needs_second_person(None, {})
    assert not needs_second_person(Money(2000, "EUR"), limits)
    assert needs_second_person(Money(2001, "EUR"), limits)
    assert needs_second_person(Money(1, "GBP"), limits), "a currency without a limit is not one without limits"
    assert needs_second_person(None, limits)
