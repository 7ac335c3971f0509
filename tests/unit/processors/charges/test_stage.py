"""The charge stage: what is refused before any call, what is counted, told and asked for, and in which order."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, Final

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paynotify.processors.charges.intake_stage import ChargeIntakeStage
from paynotify.processors.providers.account import Account
from paynotify.processors.providers.base import CallContext
from paynotify.processors.providers.outcomes import Failed, RetryLater, Unknown
from paynotify.processors.runtime.stage import BatchContext
from paynotify.schemas import messages, topics
from paynotify.schemas.messages import Observation, RequestedPayment
from paynotify.schemas.money import Money
from paynotify.schemas.times import rfc3339
from tests.fakes.charges import (
    KAFKA,
    NOW,
    REFERENCE,
    Fault,
    Gateway,
    World,
    capture,
    charge,
    euros,
    shop,
)
from tests.fakes.stages import counted, empty, metrics, record, refuse_publish

PAYMENT: Final = "f" * 32


def faults(by_call: dict[str, Fault]) -> Any:
    """The fault of the first call of each name; later ones are answered."""
    left = dict(by_call)
    return lambda call: left.pop(call, "answer")


async def known(world: World) -> World:
    """A world whose reference payment was seen."""
    await world.work(world.seen(REFERENCE))
    return world


async def ask(world: World, *requests: RequestedPayment) -> None:
    await world.work(*(world.asked(one) for one in requests))


# --- charges that go well ----------------------------------------------------------------------------------------


async def test_charge_for_later_ends_with_the_money_reserved() -> None:
    world = await known(World())
    await ask(world, charge())
    assert [call for call, _ in world.gateway.calls] == ["init", "start"]
    assert world.states() == ["received", "started", "done"]
    assert world.events()[-1].status == "authorised"
    assert not world.due()


async def test_charge_for_now_is_captured() -> None:
    world = await known(World())
    await ask(world, charge(capture="now"))
    assert [call for call, _ in world.gateway.calls] == ["init", "start", "close"]
    assert world.events()[-1].status == "captured"
    (transaction,) = (one for name, one in world.gateway.transactions.items() if name != REFERENCE)
    assert (transaction.moved, transaction.closed, transaction.captured) == (1, 1, 1000)


async def test_intention_is_durable_before_its_call_and_response_before_the_next() -> None:
    world = await known(World())
    seen: list[tuple[str, str, int]] = []

    def fault(call: str) -> Fault:
        value = world.store.values[b"request\0shop/r1"]
        seen.append((call, orjson.loads(value)["phase"], len(world.topic("responses.nevogate"))))
        return "answer"

    world.gateway.fault = fault
    await ask(world, charge(capture="now"))
    assert seen == [("init", "init", 0), ("start", "starting", 0), ("close", "closing", 1)]
    assert len(world.topic("responses.nevogate")) == 2


async def test_events_are_published_by_the_owner_and_responses_by_anybody() -> None:
    """An answer that came while the machine stood still must not be lost; a state told late would be a step back."""
    world = await known(World())
    await ask(world, charge(capture="now"))
    assert [one.topic for one in world.told] == [topics.REQUESTS] * 3
    assert topics.REQUESTS not in {one.topic for one in world.published if one not in world.told}
    assert len(world.topic("responses.nevogate")) == 2


async def test_resolve_and_verify_know_the_payment_before_money_moves() -> None:
    world = await known(World())
    await ask(world, charge())
    (output,) = world.topic("observations")
    payment_id = world.events()[-1].payment_id
    assert output.key == f"shop/{payment_id}".encode()
    said = messages.decode(output.value, Observation)
    assert said.status is None
    assert said.expected is not None
    assert (said.expected.order_id, said.expected.amount) == ("order-r1", euros(1000))
    (mark,) = world.topic("lookups.nevogate.known")
    assert (mark.key, mark.value) == (output.key, b"known")


class Slow(Gateway):
    """A gateway that lets the charges of one shop hang."""

    hanging: asyncio.Event

    async def start(self, payment_id: str, account: Account[Any], outside: CallContext) -> Any:
        if account.merchant.id == "slow":
            self.hanging.set()
            await asyncio.Event().wait()
        return await super().start(payment_id, account, outside)


async def test_shop_is_told_of_its_charge_while_another_shops_call_hangs() -> None:
    gateway = Slow()
    gateway.hanging = asyncio.Event()
    world = World(gateway, accounts={"slow": shop("slow"), "shop": shop()})
    task = asyncio.create_task(ask(world, charge("s", merchant="slow"), charge("r1", capture="now")))
    await asyncio.wait_for(gateway.hanging.wait(), 10)
    async with asyncio.timeout(10):
        while world.states("r1") != ["received", "started", "done"]:
            await asyncio.sleep(0)
    assert not task.done()
    task.cancel()
    assert world.states("s") == ["received", "started"]


async def test_many_charges_share_their_writes() -> None:
    gateway = Gateway()
    world = await known(
        World(
            gateway,
            accounts={"shop": shop(limits={"EUR": {"per_charge": 10_000, "per_reference": 10**9, "per_day": 10**9}})},
        )
    )
    before = len(world.kept)
    await ask(world, *(charge(f"r{number}") for number in range(4)))
    assert len(world.kept) - before <= 4


# --- what is refused before any call -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (charge(merchant="nobody"), "unknown_merchant"),
        (charge(merchant="shop-nl"), "not_enabled"),
        (charge(amount=None), "bad_request"),
        (charge(amount=euros(0)), "bad_request"),
        (charge(amount=euros(-5)), "bad_request"),
        (charge(amount=Money(5, "eur")), "bad_request"),
        (charge(order_id=None), "bad_request"),
        (charge(order_id=""), "bad_request"),
        (charge(order_id="o" * 256), "bad_request"),
        (charge(order_id="a\nb"), "bad_request"),
        (charge(reference_payment_id=None), "bad_request"),
        (charge(payment_id=PAYMENT), "bad_request"),
        (charge(expires_at="tomorrow"), "bad_request"),
        (charge(expires_at=rfc3339(NOW)), "expired"),
        (charge(amount=Money(1000, "HUF")), "wrong_currency"),
        (charge(amount=euros(10_001)), "over_charge_limit"),
        (capture(PAYMENT, action="release", amount=euros(5)), "bad_request"),
        (capture(PAYMENT, user_id="u"), "bad_request"),
        (capture(PAYMENT, amount=euros(0)), "bad_request"),
        (RequestedPayment(request_id="r", merchant="shop", action="capture"), "bad_request"),
    ],
)
async def test_forbidden_request_is_refused_without_a_call(asked: RequestedPayment, reason: str) -> None:
    world = await known(World())
    await ask(world, asked)
    (event,) = world.events(asked.request_id)
    assert (event.state, event.reason, event.at) == ("refused", reason, rfc3339(NOW))
    assert world.gateway.calls == []
    assert world.counted() == 0


async def test_expired_request_is_not_begun_though_it_was_received_in_time() -> None:
    world = await known(World())
    late = world.asked(charge(expires_at=rfc3339(NOW + timedelta(hours=1))))
    world.now += timedelta(hours=2)
    await world.work(late)
    assert world.events()[-1].reason == "expired"
    assert world.gateway.calls == []


async def test_currency_without_limits_is_not_charged() -> None:
    world = World(accounts={"shop": shop(limits={"HUF": {"per_charge": 1, "per_reference": 1, "per_day": 1}})})
    await ask(await known(world), charge())
    assert world.events()[-1].reason == "no_limit"


async def test_limits_of_a_reference_and_of_a_day_hold_across_requests() -> None:
    world = await known(World())
    other = "9" * 32
    await world.work(world.seen(other, "captured"))
    await ask(world, charge("a", amount=euros(10_000)), charge("b", amount=euros(10_000)), charge("c"))
    assert world.events("c")[-1].reason == "over_reference_limit"
    await ask(world, charge("d", amount=euros(10_000), reference_payment_id=other))
    await ask(world, charge("e", amount=euros(1), reference_payment_id=other))
    assert world.events("d")[-1].state == "done"
    assert world.events("e")[-1].reason == "over_day_limit"
    world.now += timedelta(days=1)
    await ask(world, charge("f", amount=euros(1), reference_payment_id=other))
    await ask(world, charge("g", amount=euros(1)))
    assert world.events("f")[-1].state == "done"
    assert world.events("g")[-1].reason == "over_reference_limit"
    world.now += timedelta(days=29)
    await ask(world, charge("h", amount=euros(1)))
    assert world.events("h")[-1].state == "done"


async def test_charge_that_moved_no_money_is_returned_to_the_limits() -> None:
    world = await known(World(Gateway(end=lambda: "failed")))
    await ask(world, charge("a"))
    assert world.events("a")[-1].status == "failed"
    assert world.counted() == 0
    world.gateway.end = lambda: "authorised"
    await ask(world, charge("b"))
    assert world.counted() == 1000


# --- asked twice -------------------------------------------------------------------------------------------------


async def test_request_seen_before_is_answered_with_its_outcome_and_not_done_again() -> None:
    world = await known(World())
    await ask(world, charge())
    calls = list(world.gateway.calls)
    world.now += timedelta(days=3)
    await ask(world, charge(amount=euros(5), order_id="another"))
    assert world.gateway.calls == calls
    told = [output.value for output in world.topic("payments.requests")]
    assert told[-1] == told[-2]


async def test_two_requests_for_one_order_are_refused_unless_they_are_meant() -> None:
    world = await known(World())
    await ask(world, charge("a", order_id="o"), charge("b", order_id="o"), charge("c", order_id="o", again=True))
    assert world.events("b")[-1].reason == "order_already_charged"
    assert world.events("c")[-1].status == "authorised"
    assert world.gateway.moved("o") == 2
    await ask(world, charge("d", order_id="o"))
    assert world.events("d")[-1].reason == "order_already_charged"


async def test_order_whose_charge_failed_may_be_charged() -> None:
    world = await known(World(Gateway(end=lambda: "failed")))
    await ask(world, charge("a", order_id="o"))
    world.gateway.end = lambda: "authorised"
    await ask(world, charge("b", order_id="o"))
    assert world.events("b")[-1].status == "authorised"


# --- the reference payment ---------------------------------------------------------------------------------------


async def test_reference_that_was_never_seen_is_asked_for_once() -> None:
    world = World()
    await ask(world, charge("a"))
    await ask(world, charge("b"))
    assert [call for call, _ in world.gateway.calls] == ["get_payment", "init", "start", "init", "start"]
    # it is perhaps years old: asking for it must not make news of it
    assert {output.key for output in world.topic("responses.nevogate")} == {
        f"shop/{world.events(name)[-1].payment_id}".encode() for name in ("a", "b")
    }


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (charge(reference_payment_id=PAYMENT), "unknown_reference"),
        (charge(amount=Money(1, "HUF")), "no_limit"),
        (capture(PAYMENT), "unknown_payment"),
        (capture(REFERENCE), "not_authorised"),
    ],
)
async def test_truth_about_a_payment_never_seen_can_refuse_the_request(asked: RequestedPayment, reason: str) -> None:
    world = World()
    await ask(world, asked)
    assert world.events(asked.request_id)[-1].reason == reason
    assert {call for call, _ in world.gateway.calls} <= {"get_payment"}
    assert world.counted() == 0


async def test_reference_of_another_currency_is_found_by_asking() -> None:
    world = World(accounts={"shop": shop(limits={"HUF": {"per_charge": 10, "per_reference": 10, "per_day": 10}})})
    await ask(world, charge(amount=Money(1, "HUF")))
    assert world.events()[-1].reason == "wrong_currency"


@pytest.mark.parametrize("status", ["failed", "declined", "expired", "pending", "charged_back"])
async def test_payment_that_took_no_money_is_no_reference(status: Any) -> None:
    world = World()
    await world.work(world.seen(REFERENCE, status))
    await ask(world, charge())
    assert world.events()[-1].reason == "reference_not_usable"


@pytest.mark.parametrize(("corrected", "reason"), [(True, "reference_not_usable"), (False, None)])
async def test_reference_that_an_operator_corrected_is_what_the_operator_says(
    corrected: bool, reason: str | None
) -> None:
    world = await known(World())
    world.now += timedelta(seconds=1)
    await world.work(world.seen(REFERENCE, "failed", corrected=corrected))
    await ask(world, charge())
    assert world.events()[-1].reason == reason


# --- capture and release -----------------------------------------------------------------------------------------


async def reserved(world: World | None = None) -> tuple[World, str]:
    """A world with money reserved by a charge."""
    world = await known(world or World())
    await ask(world, charge())
    payment_id = world.events()[-1].payment_id
    assert payment_id is not None
    return world, payment_id


@pytest.mark.parametrize(
    ("asked", "status", "captured"),
    [({}, "captured", 1000), ({"amount": euros(300)}, "captured", 300), ({"action": "release"}, "cancelled", 0)],
)
async def test_reserved_money_is_captured_whole_or_in_part_or_released(
    asked: dict[str, Any], status: str, captured: int
) -> None:
    world, payment_id = await reserved()
    await ask(world, capture(payment_id, **asked))
    assert world.states("c1") == ["received", "started", "done"]
    assert world.events("c1")[-1].status == status
    one = world.gateway.transactions[payment_id]
    assert (one.closed, one.captured) == (1, captured)


async def test_resolve_knows_the_part_before_it_is_captured() -> None:
    world, payment_id = await reserved()
    await ask(world, capture(payment_id, amount=euros(300)))
    said = messages.decode(world.topic("observations")[-1].value, Observation)
    assert (said.capturing, said.expected and said.expected.amount) == (euros(300), euros(300))


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"amount": euros(1001)}, "over_authorised"),
        ({"amount": Money(10, "HUF")}, "wrong_currency"),
    ],
)
async def test_capture_beyond_what_is_reserved_is_refused(asked: dict[str, Any], reason: str) -> None:
    world, payment_id = await reserved()
    calls = len(world.gateway.calls)
    await ask(world, capture(payment_id, **asked))
    assert world.events("c1")[-1].reason == reason
    assert len(world.gateway.calls) == calls


async def test_payment_is_closed_by_one_request() -> None:
    world, payment_id = await reserved()
    await ask(world, capture(payment_id), capture(payment_id, "c2", action="release"))
    assert world.events("c1")[-1].status == "captured"
    assert world.events("c2")[-1].reason == "already_closing"
    await world.work(world.seen(payment_id, "authorised"))
    await ask(world, capture(payment_id, "c3"))
    assert world.events("c3")[-1].reason == "already_closing"


async def test_payment_that_its_charge_is_capturing_is_not_closed_by_another_request() -> None:
    world = await known(World(Gateway(fault=faults({"close": "late"}))))
    await ask(world, charge(capture="now"))
    payment_id = world.events()[-1].payment_id or ""
    assert world.events()[-1].state == "uncertain"
    await ask(world, capture(payment_id), capture(payment_id, "c2", action="release"))
    assert [world.events(name)[-1].reason for name in ("c1", "c2")] == ["already_closing"] * 2
    await world.settle()
    assert world.events()[-1].status == "captured"
    await world.work(world.seen(payment_id, "authorised"))  # older news that comes late
    await ask(world, capture(payment_id, "c3"))
    assert world.events("c3")[-1].reason == "already_closing"
    assert world.gateway.transactions[payment_id].closed == 1


async def test_hold_that_its_charge_could_not_capture_may_be_closed_by_another_request() -> None:
    world = await known(World())
    world.gateway.refusals["close"] = Failed("unknown_provider")
    await ask(world, charge(capture="now"))
    world.gateway.refusals.clear()
    await ask(world, capture(world.events()[-1].payment_id or "", action="release"))
    assert world.events("c1")[-1].status == "cancelled"


async def test_payment_whose_closing_was_refused_may_be_closed_by_another_request() -> None:
    world, payment_id = await reserved()
    world.gateway.refusals["close"] = Failed("parameters")
    await ask(world, capture(payment_id, amount=euros(300)))
    assert world.events("c1")[-1].reason == "parameters"
    world.gateway.refusals.clear()
    await ask(world, capture(payment_id, "c2"))
    assert world.events("c2")[-1].status == "captured"
    # what resolve was told of the part that was refused no longer counts
    assert messages.decode(world.topic("observations")[-1].value, Observation).capturing == euros(1000)


async def test_charge_whose_capture_is_refused_ends_with_the_money_reserved() -> None:
    world = await known(World())
    world.gateway.refusals["close"] = Failed("unknown_provider")
    await ask(world, charge(capture="now"))
    end = world.events()[-1]
    assert (end.state, end.status, end.reason) == ("done", "authorised", "unknown_provider")
    assert world.counted() == 1000


# --- what was lost -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", ["lost before", "lost after"])
@pytest.mark.parametrize("call", ["start", "close"])
async def test_call_whose_answer_is_lost_is_asked_for_and_not_repeated_blindly(call: str, lost: Fault) -> None:
    world = await known(World(Gateway(fault=faults({call: lost}))))
    await ask(world, charge(capture="now"))
    names = [name for name, _ in world.gateway.calls]
    at = names.index(call)
    assert names[at + 1] == "get_payment"
    await world.settle()
    if lost == "lost after":
        assert world.events()[-1].status == "captured"
        assert world.states() == ["received", "started", "done"]
    one = next(one for name, one in world.gateway.transactions.items() if name != REFERENCE)
    assert one.starts <= 1
    assert one.closed <= 1


async def test_start_that_never_arrived_is_uncertain_and_settled_by_the_gateways_word() -> None:
    world = await known(World(Gateway(fault=faults({"start": "lost before"}))))
    await ask(world, charge())
    assert (world.events()[-1].state, world.events()[-1].reason) == ("uncertain", "no_answer")
    assert world.uncertain() == {"shop/r1"}
    await world.settle()
    assert world.states()[-1] == "uncertain"
    assert [name for name, _ in world.gateway.calls].count("start") == 1
    payment_id = world.events()[-1].payment_id or ""
    world.gateway.transactions[payment_id].status = "expired"
    await world.work(world.seen(payment_id))
    assert (world.events()[-1].state, world.events()[-1].status) == ("done", "expired")
    assert world.uncertain() == set()
    assert world.counted() == 0


async def test_closing_that_never_arrived_is_made_again_only_after_its_time() -> None:
    world = await known(World(Gateway(fault=faults({"close": "lost before"}))))
    await ask(world, charge(capture="now"))
    names = [name for name, _ in world.gateway.calls]
    assert names == ["init", "start", "close", "get_payment"]
    for looks in (1, 2):  # 5 s and 30 s after the call, which may take effect for 60 s
        await world.wait()
        assert [name for name, _ in world.gateway.calls] == [*names, *["get_payment"] * looks]
    await world.wait()
    assert [name for name, _ in world.gateway.calls] == [*names, *["get_payment"] * 3, "close"]
    assert world.events()[-1].status == "captured"


@pytest.mark.parametrize("call", ["init", "start", "close"])
async def test_call_that_was_never_sent_is_made_again_later(call: str) -> None:
    world = await known(World(Gateway(fault=faults({call: "not sent"}))))
    await ask(world, charge(capture="now"))
    assert world.events()[-1].state != "uncertain"
    await world.settle()
    assert world.events()[-1].status == "captured"
    assert [name for name, _ in world.gateway.calls].count(call) == 2
    assert "get_payment" not in [name for name, _ in world.gateway.calls]


async def test_request_that_cannot_begin_in_time_is_refused() -> None:
    world = await known(World())
    world.gateway.refusals["init"] = RetryLater("credentials")
    await ask(world, charge())
    await world.settle()
    end = world.events()[-1]
    assert (end.state, end.reason) == ("refused", "credentials")
    assert world.now < NOW + timedelta(hours=1)
    assert [name for name, _ in world.gateway.calls].count("init") > 3
    assert world.counted() == 0


async def test_pending_charge_is_started_and_ends_as_the_gateway_says() -> None:
    world = await known(World(Gateway(end=lambda: "pending")))
    await ask(world, charge(capture="now"))
    assert world.states() == ["received", "started"]
    payment_id, one = next((name, one) for name, one in world.gateway.transactions.items() if name != REFERENCE)
    one.status = "authorised"
    await world.work(world.seen(payment_id))
    assert world.events()[-1].status == "captured"
    assert not world.due()


async def test_charge_that_stays_pending_is_held_as_uncertain() -> None:
    world = await known(World(Gateway(end=lambda: "pending")))
    await ask(world, charge())
    await world.settle()
    assert world.states() == ["received", "started", "uncertain"]
    assert [name for name, _ in world.gateway.calls].count("get_payment") == 3


async def test_unknown_code_of_a_start_is_not_guessed_at() -> None:
    world = await known(World())
    world.gateway.refusals["start"] = Unknown("provider_code")
    await ask(world, charge())
    assert (world.events()[-1].state, world.events()[-1].reason) == ("uncertain", "provider_code")


async def test_failure_that_turns_into_success_is_told() -> None:
    world = await known(World(Gateway(end=lambda: "failed")))
    await ask(world, charge(capture="now"))
    payment_id = world.events()[-1].payment_id or ""
    world.now += timedelta(seconds=1)
    await world.work(world.seen(payment_id, "authorised"))
    assert [(one.state, one.status) for one in world.events()][-2:] == [("done", "failed"), ("done", "authorised")]
    assert world.counted() == 1000
    assert "close" not in [name for name, _ in world.gateway.calls], "it is the shop's to decide by now"


async def test_older_news_of_a_payment_does_not_hide_what_its_own_call_has_told() -> None:
    world = await known(World())
    await ask(world, charge())
    payment_id = world.events()[-1].payment_id or ""
    await world.work(world.seen(payment_id, "pending"))
    await ask(world, capture(payment_id))
    assert world.events("c1")[-1].status == "captured"


async def test_older_news_does_not_turn_a_failure_into_success() -> None:
    world = await known(World(Gateway(end=lambda: "failed")))
    await ask(world, charge(capture="now"))
    payment_id = world.events()[-1].payment_id or ""
    world.now -= timedelta(seconds=1)
    await world.work(world.seen(payment_id, "authorised"))
    assert world.events()[-1].status == "failed"


async def test_forgotten_transaction_says_nothing_of_the_request() -> None:
    world = await known(World())
    await ask(world, charge())
    await world.work(world.seen("a" * 32, "captured"))
    assert world.events()[-1].status == "authorised"


async def test_gauge_tells_how_many_are_uncertain() -> None:
    world = await known(World(Gateway(fault=faults({"start": "lost before"}))))
    await ask(world, charge())
    await world.settle()
    await world.work(world.seen(REFERENCE))
    assert not world.due()
    assert world.gauge() == 1


async def test_record_that_is_none_of_the_logs_is_buried_with_its_place() -> None:
    world = World()
    stage = world.stage()
    buried = stage.dead_letter(record(b"?", {"ce_type": "other"}))
    assert buried.topic == "lookups.dead"
    assert counted(world.metrics.dead_letters, provider="all", stage="charge", reason="internal_error") == 1


# --- the shops' topic --------------------------------------------------------------------------------------------


async def requested(value: bytes) -> Any:
    (output,) = await ChargeIntakeStage(KAFKA, metrics()).process(
        BatchContext([record(value, key=b"any")], empty(), refuse_publish)
    )
    return output


async def test_request_goes_to_its_merchants_log_with_the_time_it_was_received() -> None:
    asked = charge()
    output = await requested(messages.encode(asked))
    assert (output.topic, output.key) == ("payments.charges", b"shop")
    assert messages.decode(output.value, RequestedPayment) == asked
    assert dict(output.headers)["received-at"] == rfc3339(NOW).encode()
    assert await requested(messages.encode(asked)) == output


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"{",
        b"[]",
        b'{"request_id": "r"}',
        b'{"request_id": "r", "merchant": "shop", "action": "steal"}',
        messages.encode(charge("")),
        messages.encode(charge("r" * 256)),
        messages.encode(charge(merchant="")),
        b'{"request_id": "\\ud800", "merchant": "shop", "action": "charge"}',
    ],
)
async def test_unreadable_request_is_dead_lettered_with_its_reason(value: bytes) -> None:
    output = await requested(value)
    assert (output.topic, output.value) == ("lookups.dead", value)
    assert dict(output.headers)["reason"] == b"unreadable_request"


@given(st.binary(max_size=200))
async def test_any_bytes_on_the_shops_topic_are_forwarded_or_dead_lettered(value: bytes) -> None:
    assert (await requested(value)).topic in ("lookups.dead", "payments.charges")
