"""Actions by the console's pages beside the running system, on the real broker."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import pytest

from paynotify.sandbox.processes import wait_for
from paynotify.sandbox.system import Plan, Sandbox
from paynotify.schemas import topics
from paynotify.schemas.messages import OperatorAction, decode
from tests import topics_reader
from tests.console_process import DEADLINE_SECONDS, Console

pytestmark = pytest.mark.kafka

SHOP: Final = "shop-uk"


class SignedIn(Console):
    """A console, and a browser in which somebody is signed in. Scripts are off."""

    def __init__(self, sandbox: Sandbox, index: Path) -> None:
        super().__init__(sandbox, index)
        self._cookie = ""

    def get(self, path: str, user: str = "anna") -> str:
        status, page, _ = self._ask("GET", path, user)
        assert status == 200, (status, page)
        return page

    def send(self, page: str, path: str, user: str = "anna", **fields: str) -> tuple[int, str, str]:
        """Send the form of a page. Returns the status, the page and where it leads."""
        token = re.search(r'name="form_token" value="([^"]+)"', page)
        assert token is not None, page
        return self._ask("POST", path, user, {"form_token": token[1], **fields})

    def dry_run(self, path: str, user: str = "anna", **fields: str) -> tuple[str, str]:
        """The address and the page of a dry run."""
        status, page, place = self.send(self.get(path, user), path.partition("?")[0], user, **fields)
        assert status == 303, (status, page)
        return place, self.get(place, user)

    def ended(self, place: str, user: str = "anna") -> str:
        """The page of an action that has ended."""
        assert wait_for(lambda: "http-equiv" not in self.get(place, user), within_seconds=DEADLINE_SECONDS, every=0.2)
        return self.get(place, user)

    def _ask(self, method: str, path: str, user: str, form: Mapping[str, str] | None = None) -> tuple[int, str, str]:
        headers = {"x-forwarded-user": user, "cookie": self._cookie}
        body = None
        if form is not None:
            headers |= {"origin": self.address, "content-type": "application/x-www-form-urlencoded"}
            body = urlencode(form)
        with self.answer(method, path, headers, body) as answer:
            if cookie := answer.getheader("set-cookie"):
                self._cookie = cookie.partition(";")[0]
            return answer.status, answer.read().decode(), answer.getheader("location", "")


@pytest.fixture(scope="module")
def sandbox(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    console = {
        "access": {
            "kind": "proxy",
            "proxy": {"trusted_proxies": ["127.0.0.1/32"]},
            "grants": [
                {"users": ["anna", "ben"], "role": "operator"},
                {"users": ["carl"], "role": "cashier"},
                {"users": ["vera"], "role": "viewer"},
            ],
        },
        "four_eyes_above": {"GBP": 10_000, "EUR": 5_000},
    }
    plan = Plan(
        kafka=kafka,
        consumers=False,
        merchants={"trustpayments": (SHOP,), "nevogate": ("shop-hu",)},
        charges={"shop-hu": {}},
        configuration={"console": console},
    )
    with Sandbox(plan) as running:
        yield running


@pytest.fixture
def console(sandbox: Sandbox, tmp_path: Path) -> Iterator[SignedIn]:
    with SignedIn(sandbox, tmp_path / "index.sqlite") as one:
        yield one


def _actions(sandbox: Sandbox) -> list[OperatorAction]:
    records = topics_reader.whole(sandbox.bootstrap, sandbox.topic(topics.OPERATORS))
    return sorted(
        (decode(one.value, OperatorAction) for one in records), key=lambda one: (one.at, one.state != "intended")
    )


@pytest.fixture(scope="module")
def rejected(sandbox: Sandbox) -> list[str]:
    """The keys of payments that were rejected while a key was broken, which is mended."""
    secret = sandbox.directory / "secrets" / SHOP / "notification"
    right = secret.read_text("utf-8")
    secret.write_text("a-wrong-key", "utf-8")
    _noticed(sandbox, topics.REJECTED)
    made = [f"{SHOP}/{_pay(sandbox, f'ORD-{number}')}" for number in range(9)]
    assert wait_for(
        lambda: set(made) <= set(_keys(sandbox, topics.REJECTED)), within_seconds=DEADLINE_SECONDS, every=0.2
    )
    secret.write_text(right, "utf-8")
    _noticed(sandbox, topics.STATUS)
    return made


def _pay(sandbox: Sandbox, order_id: str, amount: int = 1250) -> str:
    return sandbox.providers["trustpayments"].pay(order_id=order_id, amount=amount, settlestatus="100")


def _noticed(sandbox: Sandbox, name: str) -> None:
    """Pay until a payment ends on the topic: the worker looks for changed files once a second."""

    def ends_there() -> bool:
        payment = _pay(sandbox, "ORD-probe")
        return bool(wait_for(lambda: f"{SHOP}/{payment}" in _keys(sandbox, name), within_seconds=1.0, every=0.1))

    assert wait_for(ends_there, within_seconds=DEADLINE_SECONDS, every=0.1)


def _keys(sandbox: Sandbox, name: str) -> list[str]:
    records = topics_reader.whole(sandbox.bootstrap, sandbox.topic(name))
    return [(one.key or b"").decode() for one in records]


def _replayed(sandbox: Sandbox) -> list[str]:
    """The positions of the rejected records that were sent again."""
    records = topics_reader.whole(sandbox.bootstrap, sandbox.topic(topics.notifications("trustpayments")))
    return [place for one in records if (place := topics_reader.header(one, "replayed-from"))]


def _captured(sandbox: Sandbox, keys: list[str]) -> bool:
    events = topics_reader.payments(topics_reader.whole(sandbox.bootstrap, sandbox.topic(topics.STATUS)))
    return all(events.get(key) and events[key][-1]["status"] == "captured" for key in keys)


def test_rejected_payment_is_captured_after_a_replay_by_its_pages(
    sandbox: Sandbox, console: SignedIn, rejected: list[str]
) -> None:
    key = rejected[0]
    offered = f"/actions/replay?kind=rejected&key={key.replace('/', '%2F')}"
    assert wait_for(
        lambda: key.partition("/")[2] in console.get("/rejected"), within_seconds=DEADLINE_SECONDS, every=0.2
    )
    assert offered.replace("&", "&amp;") in console.get(f"/rejected?key={key.replace('/', '%2F')}")
    place, page = console.dry_run(offered, kind="rejected", key=key)
    assert "1 of 1 records would be sent." in page
    other, _ = console.dry_run(offered, kind="rejected", key=key)
    assert not any(key in one for one in _replayed_keys(sandbox)), "a dry run changes nothing"

    assert console._ask("GET", place, "ben")[0] == 404, "a dry run is its owner's"
    assert console._ask("GET", "/actions/replay", "vera")[0] == 403
    status, page, _ = console.send(page, f"{place}/confirm", why="card 4111 1111 1111 1111")
    assert status == 409
    assert "must not contain card" in page
    for _ in range(2):  # a double submit
        assert console.send(page, f"{place}/confirm", why="case 4711, the key was broken")[0] == 303
    assert "Done. 1 of 1 records were sent." in console.ended(place)
    assert wait_for(lambda: _captured(sandbox, [key]), within_seconds=DEADLINE_SECONDS, every=0.2)
    assert _replayed_keys(sandbox).count(key) == 1

    assert console.send(console.get(other), f"{other}/confirm", why="case 4711 again")[0] == 303
    refused = console.ended(other)
    assert "1 of the 1 records of this dry run were replayed since" in refused
    assert "Nothing was done." in refused
    assert _replayed_keys(sandbox).count(key) == 1

    intended, done = _actions(sandbox)
    assert (intended.state, intended.by, intended.identity) == ("intended", "anna", "authenticated")
    assert (intended.reason, intended.arguments["key"]) == ("case 4711, the key was broken", key)
    assert (done.state, done.by, done.published, done.action_id) == ("done", "anna", 1, intended.action_id)


def _replayed_keys(sandbox: Sandbox) -> list[str]:
    records = topics_reader.whole(sandbox.bootstrap, sandbox.topic(topics.notifications("trustpayments")))
    return [(one.key or b"").decode() for one in records if topics_reader.header(one, "replayed-from")]


def test_killed_replay_is_told_and_repeated_without_doubling_anything(
    sandbox: Sandbox, console: SignedIn, rejected: list[str], tmp_path: Path
) -> None:
    keys = rejected[1:]
    before = len(_replayed(sandbox))
    fields = {"kind": "rejected", "reason": "bad_signature", "merchant": SHOP}
    place, page = console.dry_run("/actions/replay", **fields, per_second="3")
    assert console.send(page, f"{place}/confirm", why="case 4712")[0] == 303
    assert wait_for(lambda: len(_replayed(sandbox)) >= before + 2, within_seconds=DEADLINE_SECONDS, every=0.05)
    console.child.kill()
    killed_at = len(_replayed(sandbox))
    assert before + 2 <= killed_at < before + len(keys)
    assert not _captured(sandbox, keys)

    with SignedIn(sandbox, tmp_path / "again.sqlite") as again:
        assert wait_for(
            lambda: re.search(r"did not end</a></th><td class=\"number\">1<", again.get("/")),
            within_seconds=DEADLINE_SECONDS,
            every=0.2,
        ), again.get("/")
        place, page = again.dry_run("/actions/replay", **fields)
        assert f"{killed_at} left out: replayed before" in page
        assert again.send(page, f"{place}/confirm", why="case 4712, once more")[0] == 303
        assert "Done." in again.ended(place)
    assert wait_for(lambda: _captured(sandbox, keys), within_seconds=DEADLINE_SECONDS, every=0.2)
    replayed = _replayed(sandbox)
    assert len(set(replayed)) == len(replayed), "a record was sent twice"
    events = topics_reader.payments(topics_reader.whole(sandbox.bootstrap, sandbox.topic(topics.STATUS)))
    assert all([one["sequence"] for one in events[key]] == [*range(1, len(events[key]) + 1)] for key in keys)
    states = [(one.state, one.reason) for one in _actions(sandbox) if (one.reason or "").startswith("case 4712")]
    assert states == [("intended", "case 4712"), ("intended", "case 4712, once more"), ("done", "case 4712, once more")]


def test_correction_above_the_limit_needs_a_second_person(sandbox: Sandbox, console: SignedIn) -> None:
    key = f"{SHOP}/{_pay(sandbox, 'ORD-large', 10_001)}"
    assert wait_for(lambda: _captured(sandbox, [key]), within_seconds=DEADLINE_SECONDS, every=0.2)
    path = f"/actions/correct?payment={key.replace('/', '%2F')}"
    place, page = console.dry_run(path, payment=key, status="charged_back")
    assert "1 correction: captured becomes charged_back" in page
    assert console.send(page, f"{place}/confirm", why="case 4713")[0] == 303
    assert "waits for a second person" in console.get(place)
    status, page, _ = console.send(console.get("/actions/correct"), f"{place}/confirm")
    assert (status, "A second person must confirm" in page) == (409, True)
    assert place in console.get("/actions", "ben")
    assert console.send(console.get(place, "ben"), f"{place}/confirm", "ben")[0] == 303
    assert "Done." in console.ended(place)

    def corrected() -> bool:
        events = topics_reader.payments(topics_reader.whole(sandbox.bootstrap, sandbox.topic(topics.STATUS)))
        newest = events[key][-1]
        return (newest["status"], newest.get("correction")) == ("charged_back", {"by": "anna", "reason": "case 4713"})

    assert wait_for(corrected, within_seconds=DEADLINE_SECONDS, every=0.2)
    intended, done = (one for one in _actions(sandbox) if one.reason == "case 4713")
    assert (intended.by, intended.arguments["confirmed_by"], done.state) == ("anna", "ben", "done")


def _latest(sandbox: Sandbox, key: str) -> None:
    """Wait for the payment's first event."""
    assert wait_for(lambda: key in _keys(sandbox, topics.LATEST), within_seconds=DEADLINE_SECONDS, every=0.2)


def test_cashier_charges_and_captures(sandbox: Sandbox, console: SignedIn) -> None:
    gateway = sandbox.providers["nevogate"]
    reference = gateway.pay(order_id="REG", amount=100, currency="EUR", registration="active")
    _latest(sandbox, f"shop-hu/{reference}")
    wanted = {"merchant": "shop-hu", "order": "SUB-1", "reference": reference, "amount": "19.90", "currency": "EUR"}
    place, page = console.dry_run("/actions/charge", "carl", **wanted)
    assert "payment now</dt><dd>captured" in page
    assert console.send(page, f"{place}/confirm", "carl", why="case 4714")[0] == 303
    charged = re.search(r"<dd>(shop-hu/[0-9a-f]{32})</dd>", console.ended(place, "carl"))
    assert charged is not None
    _latest(sandbox, charged[1])
    place, page = console.dry_run("/actions/capture", "carl", payment=charged[1])
    assert console._ask("GET", place, "anna")[0] == 404, "an operator captures nothing"
    assert console.send(page, f"{place}/confirm", "carl", why="case 4715")[0] == 303
    assert "done: captured" in console.ended(place, "carl")
    assert wait_for(lambda: _captured(sandbox, [charged[1]]), within_seconds=DEADLINE_SECONDS, every=0.2)
    done = [one for one in _actions(sandbox) if one.by == "carl" and one.state == "done"]
    assert [(one.command, one.reason) for one in done] == [("charge", "case 4714"), ("capture", "case 4715")]
