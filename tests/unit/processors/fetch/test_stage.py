"""What becomes of each lookup, and which calls run side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from paynotify.processors.providers.account import Account
from paynotify.processors.providers.base import Call, CallContext, Policy, ProviderResponse, Store, WaitingLookup
from paynotify.processors.providers.outcomes import Failed, FurtherLookup, LookupOutcome, RetryLater, Succeeded
from paynotify.schemas.errors import ProviderRefusedError, ProviderUnavailableError, RateLimitedError
from paynotify.schemas.messages import KNOWN, Answered, Lookup, OperationsEvent, decode, encode
from paynotify.schemas.reasons import DeadReason
from paynotify.schemas.records import Record
from paynotify.schemas.times import parse_time
from tests.fakes.fetching import DELAYS, Bench, answering
from tests.fakes.stages import (
    NOW,
    FakeProvider,
    counted,
    empty,
    header,
    lookup_record,
    record,
)


def recovery_record(lookup_id: str, reference: str) -> Record:
    made = lookup_record(lookup_id, reference)
    lookup = replace(decode(made.value, Lookup), arguments={"recovery": "1", "own": "x"}, notification_id="overdue")
    return replace(made, value=encode(lookup))


async def test_answer_is_stored_with_what_it_answers_before_the_batch_ends() -> None:
    bench = Bench(FakeProvider())
    assert await bench.work(lookup_record("l-1", "t-1")) == []
    (stored,) = bench.stored
    assert (stored.topic, stored.key, stored.value) == ("responses.nevogate", b"shop/t-1", b"{}")
    assert (header(stored, "http-status"), header(stored, "fact-version")) == ("200", "2")
    (answered,) = decode(header(stored, "lookups").encode(), list[Answered])
    assert (answered.lookup_id, answered.reference) == ("l-1", "t-1")


@pytest.mark.parametrize(
    ("outcome", "reason", "step"),
    [
        (RetryLater("unavailable", "down"), "unavailable", 1),
        (ProviderUnavailableError("HTTP 503"), "unavailable", 1),
        (ProviderUnavailableError("HTTP 503", retry_after_seconds=200), "unavailable", 4),
    ],
)
async def test_later_goes_to_the_retry_topic_of_its_delay(
    outcome: RetryLater[DeadReason] | Exception, reason: str, step: int
) -> None:
    bench = Bench(FakeProvider(answer=answering(outcome)))
    made = lookup_record("l-1")
    (output,) = await bench.work(made)
    assert output.topic == f"lookups.nevogate.retry.{step}"
    assert (output.key, output.value) == (made.key, made.value)
    assert (header(output, "ce_id"), header(output, "attempts"), header(output, "reason")) == ("l-1", "1", reason)
    due = parse_time(header(output, "not-before"))
    assert due is not None
    assert (due - NOW).total_seconds() == DELAYS[step - 1]
    assert header(output, "first-seen") == "2026-06-01T11:00:00.000Z"


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (Failed("not_found", "forged"), "not_found"),
        (ProviderRefusedError("credentials", "wrong key"), "credentials"),
        (RateLimitedError("HTTP 429"), "rate_limited"),
    ],
)
async def test_dead_are_kept_whole_with_their_reason(outcome: Failed[DeadReason] | Exception, reason: str) -> None:
    bench = Bench(FakeProvider(answer=answering(outcome)))
    made = lookup_record("l-1", attempts="2", first_seen="2026-06-01T10:00:00.000Z")
    (output,) = await bench.work(made)
    assert output.topic == "lookups.dead"
    assert (output.key, output.value) == (made.key, made.value)
    assert (header(output, "reason"), header(output, "attempts")) == (reason, "3")
    assert header(output, "first-seen") == "2026-06-01T10:00:00.000Z"
    assert counted(bench.metrics.dead_letters, provider="nevogate", stage="fetch", reason=reason) == 1


async def test_value_that_is_refused_alone_is_an_event_that_does_not_quote_it() -> None:
    bench = Bench(FakeProvider(answer=answering(Failed("refused", "a value was refused", alone=True))))
    outputs = await bench.work(lookup_record("one", "t-4711"))
    (noticed,) = [one for one in outputs if one.topic == "operations"]
    event = decode(noticed.value, OperationsEvent)
    assert (event.kind, event.cause, event.merchant, event.elements_total) == ("odd_elements", "one", "shop", 1)
    assert b"4711" not in (noticed.value or b"")
    again = Bench(FakeProvider(answer=answering(Failed("refused", "a value was refused", alone=True))))
    assert noticed in await again.work(lookup_record("one", "t-4711", offset=3)), "the same event after a crash"


async def test_used_up_tries_end_a_lookup() -> None:
    bench = Bench(FakeProvider(answer=answering(RetryLater("unavailable", "down"))))
    (output,) = await bench.work(lookup_record("l-1", attempts="3"))
    assert (output.topic, header(output, "reason")) == ("lookups.dead", "unavailable")


async def test_lookup_the_call_says_nothing_of_is_not_lost() -> None:
    bench = Bench(FakeProvider(answer=lambda call: {}))
    (output,) = await bench.work(lookup_record("l-1"))
    assert output.topic == "lookups.nevogate.retry.1"


async def test_inconclusive_answer_asks_again_under_a_new_id() -> None:
    bench = Bench(FakeProvider(answer=answering(Succeeded(again="uncertain"))))
    (output,) = await bench.work(lookup_record("l-1"))
    assert output.topic == "lookups.nevogate.retry.1"
    assert header(output, "ce_id") not in ("", "l-1")
    assert (await bench.work(lookup_record("l-1"), state=empty()))[0].headers == output.headers


async def test_inconclusive_response_after_the_last_try_dead_letters_the_next_lookup() -> None:
    bench = Bench(FakeProvider(answer=answering(Succeeded(again="uncertain"))))
    (output,) = await bench.work(lookup_record("l-1", attempts="7"))
    assert (output.topic, header(output, "reason")) == ("lookups.dead", "uncertain")
    assert header(output, "ce_id") not in ("", "l-1")
    assert header(output, "again-of") == "l-1"


async def test_follow_ups_are_lookups_of_their_own() -> None:
    bench = Bench(FakeProvider(answer=answering(Succeeded(follow_ups=("t-9",)))))
    (output,) = await bench.work(lookup_record("l-1", "t-1"))
    assert (output.topic, output.key) == ("lookups.nevogate", b"shop/t-9")
    assert decode(output.value, Lookup).reference == "t-9"
    assert header(output, "ce_id") not in ("", "l-1")


async def test_further_lookup_of_another_operation_is_recovery_with_an_id_of_its_own() -> None:
    many = FurtherLookup("transaction", None, {"references": "t-8 t-9"})
    bench = Bench(FakeProvider(answer=answering(Succeeded(further=(FurtherLookup("details", "t-1"), many)))))
    one, other = await bench.work(lookup_record("l-1", "t-1"))
    assert (one.key, other.key) == (b"shop/t-1", b"shop")
    asked = decode(one.value, Lookup)
    assert (asked.operation, asked.reference, asked.arguments) == ("details", "t-1", {"recovery": "1"})
    asked = decode(other.value, Lookup)
    assert asked.arguments == {"references": "t-8 t-9", "recovery": "1"}
    assert len({header(one, "ce_id"), header(other, "ce_id"), "l-1"}) == 3
    again = Bench(FakeProvider(answer=answering(Succeeded(further=(FurtherLookup("details", "t-1"), many)))))
    assert await again.work(lookup_record("l-1", "t-1")) == [one, other], "a batch processed again asks for the same"


async def test_further_lookup_of_what_must_exist_is_no_recovery_lookup() -> None:
    pair = FurtherLookup("transaction", None, {"references": "t-8 t-9"}, must_exist=True)
    bench = Bench(FakeProvider(answer=answering(Succeeded(further=(pair,)))))
    for made in (lookup_record("l-1", "t-1"), recovery_record("l-1", "t-1")):
        (output,) = await bench.work(made, state=empty())
        assert decode(output.value, Lookup).arguments == {"references": "t-8 t-9"}, "not found there is an alarm"


async def test_follow_up_of_a_recovery_lookup_is_recovery_too() -> None:
    bench = Bench(FakeProvider(answer=answering(Succeeded(follow_ups=("t-9",)))))
    made = recovery_record("l-1", "t-1")
    (output,) = await bench.work(made)
    followed = decode(output.value, Lookup)
    assert (followed.arguments, followed.notification_id) == ({"recovery": "1"}, "overdue")


@pytest.mark.parametrize("with_token", [False, True])
async def test_known_id_is_told_only_where_calls_are_limited(with_token: bool) -> None:
    bench = Bench(FakeProvider(policy=Policy(retries={}, unsigned=True)), with_token=with_token)
    await bench.work(lookup_record("l-1", "t-1"))
    told = [("lookups.nevogate.known", b"shop/t-1", KNOWN)]
    known = [(one.topic, one.key, one.value) for one in bench.stored if one.topic != "responses.nevogate"]
    assert known == ([] if with_token else told)


async def test_unknown_id_counts_against_callers_only_if_a_call_named_it() -> None:
    unknown, policy = answering(Failed("not_found", "forged")), Policy(retries={}, unsigned=True)
    bench = Bench(FakeProvider(policy=policy, answer=unknown))
    assert [one.topic for one in await bench.work(lookup_record("l-1", "t-1"))] == [
        "lookups.dead",
        "lookups.nevogate.known",
    ]
    assert [one.topic for one in await bench.work(recovery_record("l-2", "t-1"))] == ["lookups.dead"]


async def test_known_id_is_told_once_with_the_response() -> None:
    bench = Bench(FakeProvider(policy=Policy(retries={}, unsigned=True)))
    assert await bench.work(lookup_record("l-1", "t-1")) == []
    assert [one.topic for one in bench.stored] == ["responses.nevogate", "lookups.nevogate.known"]
    assert (bench.stored[1].key, bench.stored[1].value) == (b"shop/t-1", KNOWN)


async def test_id_that_verify_knows_is_not_told_again() -> None:
    bench = Bench(FakeProvider(policy=Policy(retries={}, unsigned=True)))
    assert await bench.work(lookup_record("l-1", "t-1", known="1")) == []
    assert [one.topic for one in bench.stored] == ["responses.nevogate"]
    gone = Bench(FakeProvider(policy=Policy(retries={}, unsigned=True), answer=answering(Failed("not_found", "gone"))))
    outputs = await gone.work(lookup_record("l-1", "t-1", known="1"))
    assert [one.topic for one in outputs] == ["lookups.dead", "lookups.nevogate.known"]


class StoringOnce(FakeProvider):
    """Answers every lookup, and stores a response for the first alone."""

    async def fetch(
        self, call: Call, account: Account[Any], context: CallContext, store: Store
    ) -> Mapping[str, LookupOutcome]:
        async def nothing(response: ProviderResponse, lookups: tuple[WaitingLookup, ...]) -> None:
            assert self.made

        return await super().fetch(call, account, context, nothing if self.made else store)


async def test_known_id_is_told_also_where_no_response_is_stored() -> None:
    policy = Policy(retries={}, unsigned=True)
    bench = Bench(StoringOnce(policy=policy, queues=False))
    outputs = await bench.work(lookup_record("l-1", "t-1"), lookup_record("l-2", "t-2"))
    assert [one.key for one in bench.stored if one.value == KNOWN] == [b"shop/t-1"]
    assert [one.key for one in outputs] == [b"shop/t-2"]


async def test_unreadable_lookup_and_one_of_a_removed_merchant_end_dead() -> None:
    bench = Bench(FakeProvider())
    outputs = await bench.work(
        record(b"garbage", {"ce_id": "x"}),
        lookup_record(""),
        lookup_record("l-1", merchant="gone"),
        lookup_record("l-2"),
    )
    assert [header(one, "reason") for one in outputs] == ["unreadable_lookup", "unreadable_lookup", "unknown_merchant"]
    assert bench.provider.made == [("l-2",)]


async def test_answered_lookup_is_not_asked_twice() -> None:
    bench = Bench(FakeProvider())
    await bench.work(lookup_record("l-1"))
    assert await bench.work(lookup_record("l-1"), lookup_record("l-2", "t-2")) == []
    assert bench.provider.made == [("l-1",), ("l-2",)]


async def test_harmless_repeats_are_not_remembered() -> None:
    bench = Bench(FakeProvider(Policy(retries={})))
    await bench.work(lookup_record("l-1"))
    await bench.work(lookup_record("l-1"))
    assert bench.provider.made == [("l-1",)] * 2
    assert not bench.state.changes


async def test_one_lookup_twice_in_a_batch_is_asked_once() -> None:
    bench = Bench(FakeProvider())
    await bench.work(lookup_record("l-1", offset=1), lookup_record("l-1", offset=2))
    assert bench.provider.made == [("l-1",)]


async def test_calls_of_one_queue_keep_their_order_and_queues_run_side_by_side() -> None:
    barrier = asyncio.Barrier(2)

    async def meet(merchant: str) -> None:
        async with asyncio.timeout(10):
            await barrier.wait()

    # both queues must be inside before either continues
    bench = Bench(FakeProvider(), pace=meet)
    batch = [lookup_record(f"l-{n}", f"t-{n % 2}", offset=n) for n in range(6)]
    await bench.work(*batch)
    assert bench.provider.most_at_work == 2
    for queue in (0, 1):
        order = [one for (one,) in bench.provider.made if int(one[2:]) % 2 == queue]
        assert order == sorted(order)


async def test_lanes_of_different_merchants_are_different_queues() -> None:
    provider = FakeProvider(queues=False)
    answers = asyncio.Barrier(2)

    async def meet(merchant: str) -> None:
        provider.at_work.clear()  # the fake knows queues by name only
        async with asyncio.timeout(10):
            await answers.wait()

    bench = Bench(provider, "one", "two", pace=meet)
    await bench.work(lookup_record("l-1", merchant="one"), lookup_record("l-2", merchant="two"))
    assert len(bench.provider.made) == 2


async def test_calls_in_flight_stay_within_the_limit() -> None:
    bench = Bench(FakeProvider(), calls_in_flight=3)
    await bench.work(*(lookup_record(f"l-{n}", f"t-{n}") for n in range(20)))
    assert len(bench.provider.made) == 20
    assert bench.provider.most_at_work <= 3


async def test_broken_call_leaves_no_other_running_behind() -> None:
    release = asyncio.Event()

    def answer(call: Call) -> dict[str, Succeeded] | Exception:
        return ZeroDivisionError() if call.queue == "t-bug" else {one.lookup_id: Succeeded() for one in call.lookups}

    entered: list[str] = []

    async def wait(merchant: str) -> None:
        entered.append(merchant)
        if len(entered) > 1:
            await release.wait()

    bench = Bench(FakeProvider(answer=answer), pace=wait)
    work = asyncio.create_task(bench.work(lookup_record("l-1", "t-bug"), lookup_record("l-2", "t-2")))
    while len(entered) < 2:
        await asyncio.sleep(0)
    for _ in range(5):
        await asyncio.sleep(0)
    assert not work.done(), "the batch would be repeated while the other call still runs"
    release.set()
    with pytest.raises(ZeroDivisionError):
        await work
    assert bench.provider.made == [("l-1",), ("l-2",)]
