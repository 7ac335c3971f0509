"""Orders are compared with their payments, reported as overdue, polled, and reported as settled: each once."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from paynotify.processors.orders.stage import OrdersStage
from paynotify.processors.orders.state_machine import OVERDUE_QUEUE
from paynotify.processors.runtime.stage import BatchContext
from paynotify.processors.state import timer_queue
from paynotify.processors.state.memory_store import MemoryStore
from paynotify.processors.state.overlay import Overlay
from paynotify.schemas import messages
from paynotify.schemas.configuration.worker import OverdueSettings, SilenceSettings
from paynotify.schemas.messages import (
    Expectation,
    ExpectedPayment,
    HeardOf,
    Lookup,
    Observation,
    OverduePayment,
    PaymentSeen,
    ProviderSilent,
    TimeReached,
)
from paynotify.schemas.money import Money
from paynotify.schemas.records import Output, Record
from paynotify.schemas.status import FINAL, Status
from paynotify.schemas.times import rfc3339
from tests.fakes.stages import KAFKA, counted, metrics, record, refuse_publish

DUE = datetime(2026, 6, 1, 13, tzinfo=UTC)
SCHEDULE_SECONDS = (60.0, 600.0)
PRICE = Money(1000, "GBP")
#: Of two expectations of one moment the one made later counts.
_later = itertools.count()


def recover(merchant: str, order_id: str | None, payment_id: str | None, cause: str, at: str) -> tuple[bytes, Lookup]:
    """A provider that finds payments by their order, and single ones by their id."""
    key = merchant if payment_id is None else f"{merchant}/{payment_id}"
    return key.encode(), Lookup(
        provider="trustpayments",
        merchant=merchant,
        operation="transaction",
        reference=payment_id,
        notification_id=cause,
        received_at=at,
    )


class Shop:
    """One stage with its state, given one record after the other; ``outputs`` is all it published."""

    def __init__(self, **changes: Any) -> None:
        self.metrics = metrics()
        self.outputs: list[Output] = []
        self.store = changes.get("store", MemoryStore())
        self.stage = OrdersStage(
            changes.get("providers", {"shop": "trustpayments", "other": "trustpayments"}),
            KAFKA,
            self.metrics,
            changes.get("recover", recover),
            OverdueSettings(poll_schedule_seconds={"trustpayments": SCHEDULE_SECONDS}),
            changes.get("silence", SilenceSettings()),
        )

    async def told(self, *records: Record) -> list[Output]:
        state = Overlay(self.store)
        outputs = list(await self.stage.process(BatchContext(records, state, refuse_publish)))
        self.store.write(state.changes, 0)
        self.outputs += outputs
        for output in outputs:
            if output.topic == "payments.orders":
                outputs += await self.told(Record("payments.orders", 0, 0, output.key, output.value, output.headers, 0))
        return outputs

    async def reach(self, moment: datetime, told: datetime | None = None) -> list[Output]:
        """Fire every timer due until then, at its own time or all of them at the time ``told``."""
        outputs: list[Output] = []
        while True:
            entries = [
                one
                for queue in (OVERDUE_QUEUE, "look/shop", "look/other")
                for one in timer_queue.due(self.store, queue, moment, 99)
            ]
            if not entries:
                return outputs
            for entry in entries:
                outputs += await self.told(time_reached(entry, told))

    def of(self, topic: str, kind: type[Any]) -> list[Any]:
        return [messages.decode(one.value, kind) for one in self.outputs if one.topic == topic]

    @property
    def overdue(self) -> list[tuple[str, str | None]]:
        return [(one.state, one.status) for one in self.of("payments.overdue", OverduePayment)]

    @property
    def expected(self) -> list[tuple[str, int]]:
        return [(one.payment_id, one.expected.amount.value) for one in self.of("observations", Observation)]


def internal(kind: str, value: Any, key: str, **headers: str) -> Record:
    more = {name.replace("_", "-"): text for name, text in headers.items()}
    return record(messages.encode(value), {"ce_type": kind, "ce_time": rfc3339(DUE), **more}, key=key.encode())


def expected(order: str = "o1", merchant: str = "shop", **changes: Any) -> Record:
    one = ExpectedPayment(
        merchant=merchant, order_id=order, amount=PRICE, created_at="2026-06-01T12:00:00.000Z", final_by=rfc3339(DUE)
    )
    one = replace(one, **changes)
    said = f"{one.created_at}/{next(_later):06d}"
    return internal(messages.PAYMENT_EXPECTED, one, f"{merchant}/{order}", said=said)


def seen(
    payment: str = "p1",
    status: Status = "captured",
    order: str = "o1",
    compared: Expectation | None = None,
    **changes: Any,
) -> Record:
    one = PaymentSeen(
        provider="trustpayments",
        merchant="shop",
        payment_id=payment,
        order_id=order,
        status=status,
        final=status in FINAL,
        amount=PRICE,
        observed_at=rfc3339(DUE),
        expected=compared,
    )
    return internal(messages.PAYMENT_SEEN, replace(one, **changes), f"shop/{order}")


def time_reached(entry: timer_queue.Timer, told: datetime | None = None) -> Record:
    moment = timer_queue.moment_of(entry.due_milliseconds)
    value = TimeReached(name=entry.name, lane=entry.queue, due=rfc3339(moment))
    one = internal(messages.TIME_REACHED, value, entry.name)
    return replace(one, timestamp_seconds=(told or moment).timestamp())


async def test_payment_is_compared_whichever_came_first() -> None:
    for records in ([expected(), seen()], [seen(), expected()]):
        shop = Shop()
        await shop.told(*records)
        assert shop.expected == [("p1", 1000)]


async def test_payment_already_compared_is_not_compared_again() -> None:
    shop, one = Shop(), expected()
    await shop.told(one, seen(compared=Expectation(order_id="o1", amount=PRICE, said=one.header("said"))))
    assert shop.expected == []


async def test_registered_payment_is_compared_before_it_is_observed() -> None:
    shop = Shop()
    await shop.told(expected(payment_id="p9"))
    assert shop.expected == [("p9", 1000)]


def payers(shop: Shop) -> list[tuple[str, str | None]]:
    """Which payments were told that another has paid their order."""
    told = [(one.payment_id, one.expected.paid_by) for one in shop.of("observations", Observation)]
    return [one for one in told if one[1] is not None]


async def test_order_is_paid_once_and_each_further_payment_is_one_too_many() -> None:
    shop = Shop()
    await shop.told(expected(), seen("p1"), seen("p2"), seen("p3", "pending"), seen("p3"))
    assert payers(shop) == [("p2", "p1"), ("p3", "p1"), ("p3", "p1")]
    assert ("p1", None) in [(one.payment_id, one.expected.paid_by) for one in shop.of("observations", Observation)]
    again = Shop()
    await again.told(seen("p1"), seen("p2"), expected())
    assert payers(again) == [("p2", "p1")]


async def test_open_payments_are_compared_again_once_the_order_is_paid() -> None:
    shop = Shop()
    await shop.told(expected(payment_id="p2"), seen("p3", "pending"), seen("p4", "declined"), seen("p1"))
    assert payers(shop) == [("p2", "p1"), ("p3", "p1")]


async def test_order_stays_paid_after_a_refund() -> None:
    shop = Shop()
    await shop.told(expected(), seen("p1"), seen("p1", "refunded", sequence=9), seen("p2"))
    assert payers(shop) == [("p2", "p1")], "its goods may have left"


async def test_order_is_not_paid_by_a_wrong_amount() -> None:
    shop = Shop()
    await shop.told(expected(), seen("p1", amount=Money(999, "GBP")), seen("p2"))
    assert payers(shop) == []
    await shop.told(seen("p3"))
    assert payers(shop) == [("p3", "p2")]


async def test_newer_expectation_counts() -> None:
    shop, newer = Shop(), "2026-06-01T12:30:00.000Z"
    await shop.told(seen(), expected(amount=Money(5, "GBP"), created_at=newer), expected())
    assert shop.expected == [("p1", 5)]


async def test_repeated_older_expectation_changes_nothing() -> None:
    shop, old, new = Shop(), expected(), expected(amount=Money(5, "GBP"))
    await shop.told(old, new, seen(), old, new)
    assert shop.expected == [("p1", 5)]


async def test_batches_repeated_on_the_state_after_them_publish_nothing_new() -> None:
    """Several may be processed before the first one's offset is committed; then a crash repeats them all."""
    shop, log = Shop(), [seen(), expected()]
    await shop.told(*log)
    await shop.told(*log)
    assert shop.expected == [("p1", 1000)]


async def test_polls_include_each_payment_the_shop_named() -> None:
    shop = Shop()
    await shop.told(expected(payment_id="p1"), expected(payment_id="p2"), expected())
    assert [name for name, _ in shop.expected] == ["p1", "p1", "p2", "p1", "p2"]
    await shop.reach(DUE + timedelta(seconds=70))
    lookups = [one.key for one in shop.outputs if one.topic == "lookups.trustpayments"]
    assert lookups == [b"shop", b"shop/p1", b"shop/p2"]


async def test_payment_final_in_time_is_never_overdue() -> None:
    shop = Shop()
    await shop.told(expected(), seen(status="pending"), seen(status="declined"))
    assert await shop.reach(DUE + timedelta(days=9)) == []
    assert shop.overdue == []


async def test_overdue_is_raised_once_and_cleared_by_the_first_final_payment() -> None:
    shop = Shop()
    await shop.told(expected(), seen(status="pending"))
    await shop.reach(DUE - timedelta(milliseconds=1))
    assert shop.overdue == []
    await shop.reach(DUE + timedelta(days=1))
    assert shop.overdue == [("raised", "pending")]
    await shop.told(seen(), seen("p2"), expected())
    assert shop.overdue == [("raised", "pending"), ("cleared", "captured")]
    assert await shop.reach(DUE + timedelta(days=9)) == []


async def test_declined_first_attempt_settles_nothing_while_a_second_is_open() -> None:
    for second in (seen("p2", "pending"), expected(payment_id="p2")):
        shop = Shop()
        await shop.told(expected(), seen("p1", "declined"), second)
        await shop.reach(DUE + timedelta(seconds=70))
        assert [word for word, _ in shop.overdue] == ["raised"]
        lookups = [one.key for one in shop.outputs if one.topic == "lookups.trustpayments"]
        assert lookups == [b"shop", b"shop/p2"], "what has ended is not asked for"
        await shop.told(seen("p2", "captured"))
        assert shop.overdue[1:] == [("cleared", "captured")]
        assert await shop.reach(DUE + timedelta(days=9)) == []


async def test_failed_payment_authorised_later_is_overdue_again() -> None:
    shop = Shop()
    await shop.told(expected(), seen("p1", "failed"), seen("p1", "authorised"))
    await shop.reach(DUE)
    assert shop.overdue == [("raised", "authorised")]


async def test_missed_polls_are_made_once_after_a_long_stall() -> None:
    shop, later = Shop(), DUE + timedelta(days=3)
    await shop.told(expected())
    await shop.reach(later, told=later)
    assert shop.overdue == [("raised", None)]
    (lookup,) = shop.of("lookups.trustpayments", Lookup)
    assert lookup.received_at == rfc3339(later), "asked now, not when it was due"


async def test_older_news_read_again_changes_nothing() -> None:
    shop = Shop()
    older, newer = seen(status="authorised", sequence=1), seen(status="captured", sequence=2)
    await shop.told(expected(), older, newer)
    await shop.told(expected(), older)
    await shop.reach(DUE + timedelta(days=9))
    assert shop.overdue == []


async def test_news_of_an_earlier_release_count_without_a_sequence() -> None:
    shop = Shop()
    await shop.told(expected(), seen(status="authorised", sequence=1), seen(status="captured"))
    await shop.reach(DUE + timedelta(days=9))
    assert shop.overdue == []


async def test_order_without_a_deadline_is_never_overdue() -> None:
    shop = Shop()
    await shop.told(expected(final_by=None))
    assert await shop.reach(DUE + timedelta(days=9)) == []


async def test_new_deadline_replaces_the_old_one() -> None:
    shop = Shop()
    await shop.told(expected(), expected(final_by=rfc3339(DUE + timedelta(hours=1))))
    assert await shop.reach(DUE + timedelta(minutes=59)) == []
    await shop.reach(DUE + timedelta(hours=1))
    assert shop.overdue == [("raised", None)]


async def test_polls_follow_the_schedule_and_then_end() -> None:
    shop = Shop()
    await shop.told(expected(payment_id="p1"))
    moments = []
    while planned := [one for one in shop.store.values if one.startswith(b"due\0")]:
        (entry,) = planned
        queue = entry.split(b"\0")[1].decode()
        (due,) = timer_queue.due(shop.store, queue, DUE + timedelta(days=99), 2)
        moments.append((queue, timer_queue.moment_of(due.due_milliseconds) - DUE))
        await shop.told(time_reached(due))
    queues, times = zip(*moments, strict=True)
    assert queues == (OVERDUE_QUEUE, "look/shop", "look/shop")
    for moment, seconds, spacing in zip(times, (0.0, *SCHEDULE_SECONDS), (0.0, 60.0, 540.0), strict=True):
        assert timedelta(0) <= moment - timedelta(seconds=seconds) <= timedelta(seconds=spacing / 10), "jittered"
    lookups = [one for one in shop.outputs if one.topic == "lookups.trustpayments"]
    assert [one.key for one in lookups] == [b"shop", b"shop/p1"] * 2
    assert len({dict(one.headers)["ce_id"] for one in lookups}) == 4


async def test_poll_is_one_lookup_where_the_order_finds_its_payments() -> None:
    shop = Shop(recover=lambda merchant, order_id, payment_id, cause, at: recover(merchant, order_id, None, cause, at))
    await shop.told(expected(payment_id="p1"), seen("p2", "pending"))
    await shop.reach(DUE + timedelta(days=9))
    assert len([one for one in shop.outputs if one.topic == "lookups.trustpayments"]) == len(SCHEDULE_SECONDS)


async def test_polls_end_when_the_payment_is_final() -> None:
    shop = Shop()
    await shop.told(expected())
    await shop.reach(DUE + timedelta(seconds=70))
    await shop.told(seen())
    assert await shop.reach(DUE + timedelta(days=9)) == []


async def test_polls_are_left_out_where_no_lookup_is_allowed() -> None:
    shop = Shop(recover=lambda *_: None)
    await shop.told(expected())
    await shop.reach(DUE + timedelta(days=9))
    assert {one.topic for one in shop.outputs} == {"payments.overdue", "payments.orders"}


async def test_order_is_counted_once_as_observed_or_missed() -> None:
    shop = Shop()
    await shop.told(expected(), seen(status="pending"), seen())
    await shop.told(seen("p2", order="o2"), expected("o2"))
    await shop.told(expected("o3"))
    await shop.reach(DUE + timedelta(days=1))
    await shop.told(seen("p3", order="o3"))
    told = [(one.order_id, one.heard) for one in shop.of("payments.orders", HeardOf)]
    assert told == [("o1", True), ("o2", True), ("o3", False)]
    labels = {"provider": "trustpayments"}
    assert counted(shop.metrics.expected, outcome="observed", **labels) == 2
    assert counted(shop.metrics.expected, outcome="missed", **labels) == 1


async def test_silent_provider_is_reported_once_and_again_when_it_resumes() -> None:
    shop = Shop(silence=SilenceSettings(min_missed=5, false_alarm_probability=0.05))
    await shop.told(*(expected(f"o{number}") for number in range(9)))
    await shop.told(*(seen(f"p{number}", order=f"o{number}") for number in range(9)))
    later = {"created_at": rfc3339(DUE + timedelta(hours=1)), "final_by": rfc3339(DUE + timedelta(hours=2))}
    await shop.told(*(expected(f"o{number}", **later) for number in range(9, 40)))
    await shop.reach(DUE + timedelta(days=9))
    await shop.told(expected("new"), seen("p", order="new"))
    said = shop.of("providers.silent", ProviderSilent)
    assert [(one.state, one.urgent) for one in said] == [("silent", True), ("heard", False)]
    assert said[0].unheard == 9, "the provider's usual share is not known yet: 0.7 ** 9 is less than 0.05"
    assert said[1].unheard == 31
    assert shop.metrics.silent.labels("trustpayments", "")._value.get() == 0


async def test_silent_merchant_is_reported_among_others() -> None:
    shop = Shop(silence=SilenceSettings(min_missed=5, false_alarm_probability=0.2))
    for number in range(9):
        later = {
            "created_at": rfc3339(DUE + timedelta(hours=number)),
            "final_by": rfc3339(DUE + timedelta(hours=number + 1)),
        }
        await shop.told(expected(f"o{number}", **later), expected(f"x{number}", "other", **later))
        await shop.told(seen(f"p{number}", order=f"o{number}", observed_at=later["final_by"]))
        await shop.reach(DUE + timedelta(hours=number + 2))
    said = shop.of("providers.silent", ProviderSilent)
    assert [(one.state, one.merchant, one.unheard) for one in said] == [("silent", "other", 5)]
    assert shop.metrics.silent.labels("trustpayments", "other")._value.get() == 1
    assert shop.metrics.silent.labels("trustpayments", "shop")._value.get() == 0


async def test_silent_provider_is_not_reported_by_merchant() -> None:
    shop = Shop(silence=SilenceSettings(min_missed=5, false_alarm_probability=0.2))
    await shop.told(*(expected(f"o{number}", name) for number in range(20) for name in ("shop", "other")))
    await shop.reach(DUE + timedelta(days=9))
    said = shop.of("providers.silent", ProviderSilent)
    assert [(one.state, one.merchant) for one in said] == [("silent", None)]


async def test_many_attempts_are_bounded_and_the_paid_one_is_retained() -> None:
    shop = Shop()
    await shop.told(expected(), seen("paid"), *(seen(f"p{number}", "pending") for number in range(99)))
    await shop.told(*(seen(f"d{number}", "declined") for number in range(99)), seen("last", "pending"))
    assert len(next(iter(shop.store.values.values()))) < 20_000
    assert await shop.reach(DUE + timedelta(days=9)) == []


async def test_removed_merchants_records_are_ignored() -> None:
    assert await Shop().told(expected(merchant="gone")) == []


async def test_removed_merchants_timers_do_not_block_others() -> None:
    before = Shop()
    await before.told(expected(merchant="other"), expected("o2", final_by=rfc3339(DUE + timedelta(seconds=1))))
    shop = Shop(providers={"shop": "trustpayments"}, store=before.store)
    await shop.reach(DUE + timedelta(seconds=1))
    assert shop.overdue == [("raised", None)]
    assert [key for key in shop.store.values if key.startswith(b"due\0raise")] == []


async def test_deadline_before_1970_is_overdue_too() -> None:
    shop = Shop()
    await shop.told(expected(final_by="1960-01-01T00:00:00.000Z"))
    await shop.reach(DUE)
    assert shop.overdue == [("raised", None)]


steps = st.lists(
    st.one_of(
        st.builds(
            lambda order, value, at: expected(order, amount=Money(value, "GBP"), created_at=f"2026-06-01T1{at}Z"),
            st.sampled_from(("o1", "o2")),
            st.integers(1, 3),
            st.sampled_from(("0:00:00", "1:00:00")),
        ),
        st.builds(
            lambda payment, status, order: seen(payment, status, order),
            st.sampled_from("ab"),
            st.sampled_from(("pending", "captured", "declined")),
            st.sampled_from(("o1", "o2")),
        ),
        st.sampled_from((DUE, DUE + timedelta(minutes=2), DUE + timedelta(days=1))),
    ),
    max_size=12,
)


@given(steps, st.integers(1, 4))
async def test_batch_repeated_on_the_state_before_it_has_the_same_outputs(one: list[Any], size: int) -> None:
    records = [step for step in one if isinstance(step, Record)]
    first, second = Shop(), Shop()
    for start in range(0, len(records), size):
        batch = records[start : start + size]
        lost = Overlay(second.store)  # a crash before the state was stored
        said = list(await second.stage.process(BatchContext(batch, lost, refuse_publish)))
        assert list(await second.stage.process(BatchContext(batch, Overlay(second.store), refuse_publish))) == said
        assert await first.told(*batch) == await second.told(*batch)


@given(steps)
async def test_overdue_is_raised_then_cleared_and_one_timer_at_most_is_set(one: list[Any]) -> None:
    shop = Shop()
    for step in one:
        await (shop.told(step) if isinstance(step, Record) else shop.reach(step))
    for order in ("o1", "o2"):
        said = [event for event in shop.of("payments.overdue", OverduePayment) if event.order_id == order]
        assert [event.state for event in said] == ["raised", "cleared"][: len(said)] * (len(said) <= 2)
        assert len([key for key in shop.store.values if key.startswith(b"due\0") and key.endswith(order.encode())]) <= 1
    ids = {dict(output.headers)["ce_id"] for output in shop.outputs}
    assert len(ids) == len({(output.topic, output.value) for output in shop.outputs})
