"""The budget of unsigned notifications: the pure bucket, and verify with the ids that it knows."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from paynotify.processors.metrics import Metrics
from paynotify.processors.providers.account import open_account
from paynotify.processors.providers.registry import provider_specs
from paynotify.processors.runtime.stage import BatchContext
from paynotify.processors.state.overlay import Overlay
from paynotify.processors.verify.known_ids import KnownIdsStage
from paynotify.processors.verify.stage import VerifyStage
from paynotify.processors.verify.unsigned_budget import TokenBucketState, charge_unknown, full_bucket, partition_share
from paynotify.schemas.configuration.load import parse
from paynotify.schemas.configuration.worker import UnsignedBudgetSettings
from paynotify.schemas.messages import KNOWN, UNKNOWN
from paynotify.schemas.records import Record
from paynotify.schemas.times import rfc3339

BUDGET = UnsignedBudgetSettings(per_second=1, burst=10, unknown_cost=5, known_per_second=0.5, known_burst=4)
CONFIGURATION = """
sandbox: true
merchants:
  - {id: shop-hu, provider: nevogate, store_name: s, api_key: {value: k}, base_url: "https://hu.example"}
"""
START = datetime(2026, 1, 1, tzinfo=UTC)


class Partition:
    """The stages verify and reputation over one partition's state."""

    def __init__(self) -> None:
        configuration = parse(CONFIGURATION, "test.yaml")
        accounts = {name: open_account(one) for name, one in configuration.merchants_of("nevogate").items()}
        self.metrics = Metrics(CollectorRegistry())
        self.verify = VerifyStage(
            provider_specs()["nevogate"].provider, accounts, configuration.kafka, self.metrics, 0.0, BUDGET
        )
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
        (self.output,) = await self.verify.process(BatchContext([record], self.state, no_publish))
        return self.output.topic

    async def learn(self, transaction: int, value: bytes) -> None:
        key = b"shop-hu/%032x" % transaction
        record = Record("lookups.nevogate.known", 0, 0, key, value, (), 0.0)
        assert not await self.reputation.process(BatchContext([record], self.state, no_publish))


async def no_publish(outputs: object) -> None:
    raise AssertionError("nothing is published early here")


async def test_budget_rejects_a_flood_of_new_ids_and_recovers_with_time() -> None:
    partition = Partition()
    ended = [await partition.call(number) for number in range(15)]
    assert ended == ["lookups.nevogate"] * 10 + ["notifications.rejected"] * 5
    assert await partition.call(99, after_seconds=2.0) == "lookups.nevogate"


async def test_repeated_call_is_charged_once_and_judged_the_same() -> None:
    partition = Partition()
    for number in range(10):
        await partition.call(number)
    assert await partition.call(10) == "notifications.rejected"
    partition.calls -= 1
    assert await partition.call(10, after_seconds=5.0) == "notifications.rejected"
    partition.calls = 0
    assert [await partition.call(number, after_seconds=5.0) for number in range(10)] == ["lookups.nevogate"] * 10
    partition.calls = 50
    new = [await partition.call(number, after_seconds=5.0) for number in range(200, 210)]
    assert new.count("lookups.nevogate") == 5  # what five seconds have earned, nothing less


async def test_known_id_is_not_charged_to_the_merchants_bucket() -> None:
    partition = Partition()
    await partition.learn(7, KNOWN)
    for number in range(100, 120):
        await partition.call(number)
    assert await partition.call(7) == "lookups.nevogate"


async def test_known_id_is_stored_when_it_becomes_known_and_with_each_call_about_it() -> None:
    partition = Partition()
    durable = partition.state
    await partition.learn(7, KNOWN)
    known = set(durable.changes)
    partition.state = durable.branch()
    await partition.learn(7, KNOWN)
    assert partition.state.changes == {}, "a response that says so again costs no write"
    await partition.call(7)
    assert known < set(partition.state.changes), "it is retained for as long as calls about it come"


async def test_lookup_says_whether_its_id_is_known() -> None:
    partition = Partition()
    await partition.call(7)
    assert "known" not in dict(partition.output.headers)
    await partition.learn(7, KNOWN)
    await partition.call(7)
    assert dict(partition.output.headers)["known"] == b"1"


async def test_over_budget_call_can_be_replayed_once_the_bucket_has_filled() -> None:
    partition = Partition()
    for number in range(10):
        await partition.call(number)
    ended = [await partition.call(10, replayed_seconds=seconds) for seconds in (0.1, 0.2, 60.0)]
    assert ended == ["notifications.rejected", "notifications.rejected", "lookups.nevogate"]


async def test_known_id_has_a_bucket_of_its_own() -> None:
    partition = Partition()
    await partition.learn(7, KNOWN)
    await partition.learn(8, KNOWN)
    ended = [await partition.call(7) for _ in range(12)]
    assert ended == ["lookups.nevogate"] * 4 + ["notifications.rejected"] * 8
    partition.calls = 0
    assert [await partition.call(7, after_seconds=1.0) for _ in range(12)] == ended, "repeated after a crash"
    assert await partition.call(8) == "lookups.nevogate"
    assert [await partition.call(number) for number in range(100, 110)] == ["lookups.nevogate"] * 10
    assert await partition.call(7, after_seconds=3.0) == "lookups.nevogate"


async def test_unknown_id_costs_more() -> None:
    partition = Partition()
    await partition.call(1)
    await partition.learn(1, UNKNOWN)
    ended = [await partition.call(number) for number in range(2, 9)]
    assert ended.count("lookups.nevogate") == 5  # of ten: one taken, four more as penalty


@given(
    steps=st.lists(st.tuples(st.floats(0, 100), st.integers(0, 3)), max_size=50),
)
def test_bucket_never_spends_more_than_burst_and_earnings(steps: list[tuple[float, int]]) -> None:
    bucket = full_bucket(BUDGET, 0.0)
    now_seconds, unknown_ids, spent = 0.0, 0, 0
    for wait_seconds, new_unknown in steps:
        now_seconds, unknown_ids = now_seconds + wait_seconds, unknown_ids + new_unknown
        ok, bucket = charge_unknown(bucket, BUDGET, unknown_ids=unknown_ids, now_seconds=now_seconds)
        spent += ok
        bucket = TokenBucketState.from_bytes(bucket.to_bytes())
    assert spent <= BUDGET.burst + now_seconds * BUDGET.per_second + 1e-6


def test_partition_share_divides_the_budget() -> None:
    assert partition_share(BUDGET, 4) == UnsignedBudgetSettings(
        per_second=0.25, burst=2, unknown_cost=5, known_per_second=0.5, known_burst=4
    )
