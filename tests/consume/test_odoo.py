"""The mapping to Odoo against a stand-in: real results, lost responses, and everything done once."""

from __future__ import annotations

import importlib
import itertools
import random
import sqlite3
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import orjson
import pytest

from paynotify.sandbox import erp
from paynotify.sandbox.processes import Child, wait_for
from paynotify.schemas import money, topics
from tests.consume.languages import EXAMPLES
from tests.consume.odoo_stand_in import API_KEY, DATABASE, OdooStandIn
from tests.consume.results import written
from tests.fakes.configurations import create_topics
from tests.long_form import LONG
from tests.topics_reader import lag, send

_MODULES: Final = ("odoo", "books", "consumer")
JOURNAL: Final = 7
DEADLINE_SECONDS: Final = 120.0


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, ModuleType]]:
    """The example's modules, which import each other without a package."""
    monkeypatch.syspath_prepend(str(EXAMPLES / "odoo"))
    yield {name: importlib.import_module(name) for name in _MODULES}
    for name in _MODULES:
        del sys.modules[name]


def events() -> list[tuple[str, dict[str, Any]]]:
    """Real results; in the short form of payments whose goods were released and then recalled, and of some others."""
    found = [(key.decode(), orjson.loads(value)) for key, value, _ in written() if key and value]
    said: dict[str, set[str]] = defaultdict(set)
    for payment, event in found:
        said[payment].add(event["fulfilment"])
    found.sort(key=lambda one: not said[one[0]] >= {"release", "stop"})
    return found if LONG else found[:120]


def filled(stand_in: OdooStandIn) -> OdooStandIn:
    """With all orders and currencies."""
    for order in sorted({event["order_id"] or "" for _, event in events()} - {""}):
        stand_in.add("sale.order", client_order_ref=order, state="sent", partner_id=[3, "Customer"])
    for currency in sorted({event["amount"]["currency"] for _, event in events() if event["amount"]}):
        stand_in.add("res.currency", name=currency)
    return stand_in


def until_applied(apply: Callable[[], None], odoo: ModuleType) -> int:
    """Start again, as a supervisor does, until the event is applied; returns how often that took."""
    for tries in itertools.count():
        try:
            apply()
        except odoo.OdooError as error:
            if "502" not in str(error) or tries > 20:
                raise
        else:
            return tries
    raise AssertionError("unreachable")


def test_odoo_has_each_booking_and_confirmed_order_once_though_responses_are_lost(
    example: dict[str, ModuleType],
) -> None:
    chance = random.Random(1)  # every fifth would always be the same call of an event
    stand_in = filled(OdooStandIn(lambda number: chance.random() < 1 / 5))
    books = example["books"].Books(example["odoo"].Odoo(stand_in.url, API_KEY, DATABASE), JOURNAL)
    database = sqlite3.connect(":memory:", isolation_level=None)
    database.execute("CREATE TABLE applied (payment TEXT PRIMARY KEY, sequence INTEGER)")
    stream = [one for one in events() if one[1]["order_id"]]
    lost = 0
    for payment, event in [*stream, *stream[:20]]:
        once = partial(example["consumer"].apply, database, books, payment, event)
        lost += until_applied(once, example["odoo"])
    assert lost > len(stream) / 5
    stand_in.stop()

    newest = dict(stream)
    due: Counter[tuple[str, str]] = Counter()
    for payment, event in newest.items():
        for (kind, currency), value in (erp.totals(event) or {}).items():
            due[f"{payment} {kind}", currency] += value
    names = {row["id"]: row["name"] for row in stand_in.rows["res.currency"]}
    booked: Counter[tuple[str, str]] = Counter()
    for row in stand_in.rows["account.payment"]:
        assert (row["state"], row["journal_id"], row["partner_id"]) == ("paid", JOURNAL, 3)
        currency = names[row["currency_id"]]
        minor = Decimal(str(row["amount"])).scaleb(example["books"].DIGITS.get(currency, 2))
        assert minor == int(minor)
        booked[row["memo"].rsplit(" ", 1)[0], currency] += int(minor)
    assert booked == due
    memos = [row["memo"] for row in stand_in.rows["account.payment"]]
    assert len(set(memos)) == len(memos)

    released = {event["order_id"] for _, event in stream if event["fulfilment"] == "release"}
    orders = {row["id"]: row["client_order_ref"] for row in stand_in.rows["sale.order"]}
    assert sorted(orders[one] for one in stand_in.confirmed) == sorted(released)
    said = [(row["res_id"], row["body"]) for row in stand_in.rows["mail.message"]]
    assert len(set(said)) == len(said)
    recalls = defaultdict(set)
    for res_id, body in said:
        recalls[orders[res_id]].add(body)
    assert recalls.keys() >= {
        event["order_id"]
        for payment, event in newest.items()
        if event["fulfilment"] == "stop" and any(p == payment and e["fulfilment"] == "release" for p, e in stream)
    }


@pytest.mark.kafka
@pytest.mark.skipif(not LONG, reason="`make consumers` runs the program as it is")
def test_program_reads_the_topic_and_starts_again_after_an_error(kafka: str, topic_prefix: str, tmp_path: Path) -> None:
    stand_in = filled(OdooStandIn(lambda number: number == 200))
    topic = f"{topic_prefix}{topics.STATUS}"
    create_topics(kafka, topic, partitions=3)
    records = [one for one in written() if one[1] and orjson.loads(one[1])["order_id"]]
    send(kafka, topic, records)
    environment = {
        "KAFKA": kafka,
        "TOPIC": topic,
        "GROUP": topic,
        "APPLIED": str(tmp_path / "applied.db"),
        "ODOO_URL": stand_in.url,
        "ODOO_API_KEY": API_KEY,
        "ODOO_DATABASE": DATABASE,
        "ODOO_JOURNAL_ID": str(JOURNAL),
    }
    command = (sys.executable, str(EXAMPLES / "odoo" / "consumer.py"))
    first = Child("odoo-1", command, tmp_path / "first.log", environment=environment)
    assert first.wait(DEADLINE_SECONDS)
    assert "502" in first.end()
    second = Child("odoo-2", command, tmp_path / "second.log", environment=environment)
    assert wait_for(lambda: lag(kafka, topic, topic) == 0, within_seconds=DEADLINE_SECONDS), second.end()
    second.stop()
    stand_in.stop()
    released = {event["order_id"] for _, event in events() if event["fulfilment"] == "release"} - {None}
    assert sorted(stand_in.confirmed) == sorted(set(stand_in.confirmed))
    assert len(stand_in.confirmed) == len(released)


def test_payment_of_an_unknown_order_stops_the_consumer(example: dict[str, ModuleType]) -> None:
    stand_in = OdooStandIn()
    books = example["books"].Books(example["odoo"].Odoo(stand_in.url, API_KEY, DATABASE), JOURNAL)
    _, event = next(one for one in events() if one[1]["status"] == "captured")
    with pytest.raises(example["odoo"].OdooError, match="no sales order"):
        books.apply(event)
    wrong = example["odoo"].Odoo(stand_in.url, "old key", DATABASE)
    with pytest.raises(example["odoo"].OdooError, match=r"sale\.order\.search_read: 401 Invalid apikey"):
        wrong.call("sale.order", "search_read", domain=[], fields=[])
    stand_in.stop()


def test_digits_of_the_example_are_those_of_iso_4217(example: dict[str, ModuleType]) -> None:
    assert example["books"].DIGITS == money._EXPONENTS
