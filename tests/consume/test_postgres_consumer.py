"""The consumer to copy: it applies each event once, whatever happens to it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from paynotify.sandbox import erp
from paynotify.sandbox.processes import wait_for
from paynotify.schemas import messages
from paynotify.schemas.money import exponent
from tests.consume import day
from tests.consume.example_consumer import DEADLINE_SECONDS, FOLDER, Reading, example_module
from tests.consume.local_postgres import PostgresDatabase
from tests.long_form import LONG
from tests.topics_reader import ToWrite

pytestmark = pytest.mark.kafka

KILLS: Final = 100 if LONG else 3
#: Payments that are new at each kill: enough for a transaction on every partition.
PAYMENTS: Final = 40


@pytest.fixture
def reading(kafka: str, topic_prefix: str, erp_database: PostgresDatabase, tmp_path: Path) -> Iterator[Reading]:
    one = Reading(kafka, f"{topic_prefix}payments.status", erp_database, tmp_path)
    yield one
    one.end()


def test_consumer_killed_in_the_middle_applies_each_event_once(reading: Reading) -> None:
    chance = random.Random(11)
    in_the_middle = 0
    for kill in range(KILLS):
        reading.send(day.records(day.day(PAYMENTS, first=kill * PAYMENTS)))
        child = reading.consumer()
        in_the_middle += reading.freeze_while_writing(child, after=chance.randrange(3)) is not None
        child.kill()
    last = reading.consumer()
    reading.wait_until_read(last)
    assert last.stop() == 0
    events = reading.judge()
    assert events > KILLS * PAYMENTS
    print(f"{events} events, {KILLS} kills, {in_the_middle} of them within a transaction that had written")
    assert in_the_middle >= KILLS / 2


def test_consumer_that_froze_in_a_transaction_is_replaced_and_writes_nothing_more(reading: Reading) -> None:
    frozen = reading.consumer()
    for number in range(5):  # it may be too quick to be caught while it writes
        reading.send(day.records(day.day(90, first=90 * number)))
        transaction = reading.freeze_while_writing(frozen)
        if transaction is not None and reading.outcome(transaction) == "aborted":
            break
        frozen.resume()
    else:
        pytest.fail("the consumer was never caught while it wrote")
    successor = reading.consumer()
    reading.wait_until_read(successor)
    frozen.resume()
    assert frozen.wait(DEADLINE_SECONDS)
    assert frozen.exit_code == 1
    assert "stopped:" in frozen.end()
    reading.send(day.records(day.day(20, first=900)))
    reading.wait_until_read(successor)
    assert reading.judge() > 200


def test_consumer_whose_partitions_were_taken_writes_nothing_and_says_so(reading: Reading) -> None:
    child = reading.consumer()
    reading.wait_until_owned(child)
    reading.database.rows("UPDATE consumer_offsets SET owner = gen_random_uuid()")
    reading.send(day.records(day.day(20)))
    assert child.wait(DEADLINE_SECONDS)
    assert child.exit_code == 1
    assert "belongs to another consumer now" in child.end()
    assert reading.database.rows("SELECT * FROM payment_events") == []


def test_goods_of_an_order_leave_once_though_two_consumers_have_its_payments(reading: Reading) -> None:
    orders = {f"order-{number}": (f"a{number}", f"b{number}") for number in range(60)}
    children = [reading.consumer(), reading.consumer()]
    reading.wait_until_owned(*children)
    paid = [day.paid_order(order, *payments) for order, payments in orders.items()]
    # one payment of each order comes in the other direction, so that consumers wait for each other
    reading.send(day.records([first for first, _ in paid] + [second for _, second in reversed(paid)]))
    reading.wait_until_read(children[0])
    assert children[1].running, children[1].end()
    assert reading.judge() == 2 * len(orders)
    assert reading.database.rows("SELECT count(*) FROM shipments") == [(len(orders),)]


def _records(name: str) -> list[ToWrite]:
    """The four events of one payment that is refunded in parts."""
    seed = next(seed for seed in range(100) if len(day.payment(name, seed)) == 5)
    return day.records(day.payment(name, seed))


def test_gap_is_recorded_and_said_and_what_follows_is_applied(reading: Reading) -> None:
    whole = _records("skipped")
    tombstone: ToWrite = (whole[0][0], None, {})
    reading.send([whole[0], whole[2], whole[1], tombstone, *whole[3:]])
    child = reading.consumer()
    reading.wait_until_read(child)
    gaps = reading.database.rows("SELECT payment_id, expected, found FROM payment_gaps ORDER BY noticed_at, found DESC")
    assert gaps == [("skipped", 2, 3), ("skipped", 4, 2)]
    assert "gap: shop-uk/skipped has event 3, not 2" in child.end()
    assert reading.database.rows("SELECT sequence, status FROM payments") == [(5, "refunded")]


def test_unreadable_record_stops_the_consumer_which_names_its_place(reading: Reading) -> None:
    whole = _records("odd")
    reading.send([*whole[:2], (whole[0][0], b'{"event_id": "x"}', {}), *whole[2:]])
    child = reading.consumer()
    assert child.wait(DEADLINE_SECONDS)
    assert child.exit_code == 1
    assert "offset 2 can't be applied" in child.end()
    assert reading.database.rows("SELECT * FROM payment_events") == []


def test_erp_is_notified_of_each_event_and_handles_it_once(reading: Reading) -> None:
    waiting = "SELECT count(*) FROM payment_events WHERE handled_at IS NULL"
    reading.send(day.records(day.day(10)))
    child = reading.consumer()
    reading.wait_until_read(child)
    erps = [reading.run("erp.py"), reading.run("erp.py")]
    assert wait_for(lambda: reading.database.rows(waiting) == [(0,)], within_seconds=DEADLINE_SECONDS)
    reading.send(day.records(day.day(10, first=10)))  # both sleep now, and only a notification wakes them in time
    reading.wait_until_read(child)
    assert wait_for(lambda: reading.database.rows(waiting) == [(0,)], within_seconds=20)
    for one in erps:
        one.kill()
    handled = [line for one in erps for line in one.log_path.read_text("utf-8").splitlines()]
    assert len(handled) == reading.judge()


def test_views_have_the_decimals_of_each_currency(erp_database: PostgresDatabase) -> None:
    erp_database.run_file(FOLDER / "schema.sql")  # once more, which changes nothing
    assert {code: digits for code, digits in erp_database.digits().items() if digits != exponent(code)} == {}
    ten_pounds = 'SELECT in_decimals(\'{"value": 1050, "currency": "GBP"}\'::jsonb)::text, in_decimals(NULL)'
    assert erp_database.rows(ten_pounds) == [("10.50", None)]


@pytest.mark.parametrize("seed", range(3))
def test_bookings_are_those_of_the_sandbox_erp(seed: int) -> None:
    totals = example_module("bookings").totals
    for event in day.day(60, seed):
        content: dict[str, Any] = messages.fields_of(event)
        assert totals(content) == erp.totals(content)
