"""What unsigned calls may cost: the pure account, and verify with what it learned of ids."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from processors.metrics import Metrics
from processors.providers.base import account_of
from processors.providers.registry import PROVIDERS
from processors.runtime.loop import BatchContext
from processors.state.partition_state import Overlay
from processors.verify.known_ids import KNOWN, UNKNOWN, KnownIdsStage
from processors.verify.stage import VerifyStage
from processors.verify.unsigned_budget import TokenBucketState, share, spend, spending
from schemas.configuration.model import UnsignedBudget, parse
from schemas.records import Record
from schemas.times import rfc3339

BUDGET = UnsignedBudget(per_second=1, burst=10, unknown_cost=5, known_per_second=0.5, known_burst=4)
CONFIGURATION = """
sandbox: true
merchants:
  - {id: shop-hu, provider: nevogate, store_name: s, api_key: {value: k}, base_url: "https://hu.example"}
"""
START = datetime(2026, 1, 1, tzinfo=UTC)


class Desk:
    """verify and reputation over one partition's state."""

    def __init__(self) -> None:
        configuration = parse(CONFIGURATION, "test.yaml")
        accounts = {name: account_of(one) for name, one in configuration.merchants_of("nevogate").items()}
        self.metrics = Metrics(CollectorRegistry())
        self.verify = VerifyStage(PROVIDERS["nevogate"], accounts, configuration.kafka, self.metrics, 0.0, BUDGET)
        self.reputation = KnownIdsStage("nevogate", configuration.kafka)
        self.state = Overlay(None)
        self.calls = 0

    async def call(self, transaction: int, *, after_seconds: float = 0.0, replayed_seconds: float = 0.0) -> str:
        """One call about a transaction, and its replay if it is one; the topic it ended on."""
        self.calls += 1
        headers = (
            ("ce_id", b"replayed" if replayed_seconds else str(self.calls).encode()),
            ("ce_source", b"/notifications/nevogate/shop-hu"),
            ("ce_time", rfc3339(START + timedelta(seconds=after_seconds)).encode()),
        )
        body = b'{"commonData": {"transactionId": "%032x"}}' % transaction
        appended = (START + timedelta(seconds=replayed_seconds or after_seconds)).timestamp()
        record = Record("notifications.nevogate", 0, self.calls, b"k", body, headers, appended)
        (output,) = await self.verify.process(BatchContext([record], self.state, no_publish))
        return output.topic

    async def learn(self, transaction: int, word: bytes) -> None:
        key = b"shop-hu/%032x" % transaction
        record = Record("lookups.nevogate.known", 0, 0, key, word, (), 0.0)
        assert not await self.reputation.process(BatchContext([record], self.state, no_publish))


async def no_publish(outputs: object) -> None:
    raise AssertionError("nothing is published early here")


async def test_a_flood_of_new_ids_is_rejected_beyond_the_burst_and_recovers_with_time() -> None:
    desk = Desk()
    ended = [await desk.call(number) for number in range(15)]
    assert ended == ["lookups.nevogate"] * 10 + ["notifications.rejected"] * 5
    assert await desk.call(99, after_seconds=2.0) == "lookups.nevogate"


async def test_a_call_repeated_after_a_crash_is_charged_once_and_judged_the_same() -> None:
    desk = Desk()
    for number in range(10):
        await desk.call(number)
    assert await desk.call(10) == "notifications.rejected"
    desk.calls -= 1
    assert await desk.call(10, after_seconds=5.0) == "notifications.rejected"
    desk.calls = 0
    assert [await desk.call(number, after_seconds=5.0) for number in range(10)] == ["lookups.nevogate"] * 10
    desk.calls = 50
    new = [await desk.call(number, after_seconds=5.0) for number in range(200, 210)]
    assert new.count("lookups.nevogate") == 5  # what five seconds have earned, nothing less


async def test_an_id_the_provider_knew_is_never_over_budget() -> None:
    desk = Desk()
    await desk.learn(7, KNOWN)
    for number in range(100, 120):
        await desk.call(number)
    assert await desk.call(7) == "lookups.nevogate"


async def test_what_was_over_budget_can_be_replayed_once_there_is_budget_again() -> None:
    desk = Desk()
    for number in range(10):
        await desk.call(number)
    ended = [await desk.call(10, replayed_seconds=seconds) for seconds in (0.1, 0.2, 60.0)]
    assert ended == ["notifications.rejected", "notifications.rejected", "lookups.nevogate"]


async def test_calls_about_one_known_id_have_an_account_of_their_own() -> None:
    desk = Desk()
    await desk.learn(7, KNOWN)
    await desk.learn(8, KNOWN)
    ended = [await desk.call(7) for _ in range(12)]
    assert ended == ["lookups.nevogate"] * 4 + ["notifications.rejected"] * 8
    desk.calls = 0
    assert [await desk.call(7, after_seconds=1.0) for _ in range(12)] == ended, "repeated after a crash"
    assert await desk.call(8) == "lookups.nevogate"
    assert [await desk.call(number) for number in range(100, 110)] == ["lookups.nevogate"] * 10
    assert await desk.call(7, after_seconds=3.0) == "lookups.nevogate"


async def test_an_id_the_provider_did_not_know_weighs_more() -> None:
    desk = Desk()
    await desk.call(1)
    await desk.learn(1, UNKNOWN)
    ended = [await desk.call(number) for number in range(2, 9)]
    assert ended.count("lookups.nevogate") == 5  # of ten: one spent, four fined


@given(
    steps=st.lists(st.tuples(st.floats(0, 100), st.integers(0, 3)), max_size=50),
)
def test_no_more_is_spent_than_was_saved_and_earned(steps: list[tuple[float, int]]) -> None:
    account: TokenBucketState = spending(None, BUDGET, 0.0)
    now_seconds, unknown_ids, spent = 0.0, 0, 0
    for wait_seconds, new_unknown in steps:
        now_seconds, unknown_ids = now_seconds + wait_seconds, unknown_ids + new_unknown
        within, account = spend(account, BUDGET, unknown_ids=unknown_ids, now_seconds=now_seconds)
        spent += within
        account = spending(account.to_bytes(), BUDGET, now_seconds)
    assert spent <= BUDGET.burst + now_seconds * BUDGET.per_second + 1e-6


def test_partitions_share_a_budget() -> None:
    assert share(BUDGET, 4) == UnsignedBudget(
        per_second=0.25, burst=2, unknown_cost=5, known_per_second=0.5, known_burst=4
    )
