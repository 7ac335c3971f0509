"""The retention of payments without news, and late news of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from paynotify.processors.resolve.payment_state import PaymentState, encoded
from paynotify.processors.resolve.retention import PaymentRetention, closed, payment_state
from paynotify.processors.resolve.tombstones import Tombstones
from paynotify.processors.resolve.transitions import advance
from paynotify.processors.state import timer_queue
from paynotify.processors.state.overlay import Overlay
from paynotify.processors.state.partition_state import PartitionState
from paynotify.processors.state.rocksdb_store import RocksDBStore
from paynotify.processors.state.store import FIRST_KEY
from paynotify.processors.state.timer_queue import Timer
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.errors import PartitionRevokedError
from paynotify.schemas.messages import FollowUp, Observation, Refund
from paynotify.schemas.money import Money
from paynotify.schemas.records import Output
from paynotify.schemas.status import Status
from paynotify.schemas.times import rfc3339
from tests.fakes.observations import observation
from tests.fakes.stages import FakeChangelog, header

SEEN_AT: Final = datetime(2026, 6, 1, tzinfo=UTC)
YEAR: Final = timedelta(days=365)


def state_of(statuses: Iterable[Status], payment: str = "p") -> PaymentState:
    state = PaymentState()
    for status in statuses:
        state = advance(state, seen(status, SEEN_AT, payment)).state
    return state


def seen(status: Status, at: datetime, payment: str = "p") -> Observation:
    return observation(payment, status, observed_at=rfc3339(at), provider_time=None)


def kept(after: timedelta, *, forgotten_after: timedelta | None = 2 * YEAR) -> PaymentRetention:
    return PaymentRetention(
        compress_after_seconds=YEAR.total_seconds(),
        delete_after_seconds=forgotten_after.total_seconds() if forgotten_after else None,
        now=lambda: SEEN_AT + after,
        tombstones=Tombstones(KafkaSettings()),
    )


FULL: Final = encoded(state_of(["authorised", "captured"]))


@given(st.lists(st.sampled_from(get_args(Status)), max_size=6), st.sampled_from(get_args(Status)))
def test_late_news_changes_a_closed_payment_like_an_open_one(statuses: list[Status], late: Status) -> None:
    state = state_of(statuses)
    compressed = closed(encoded(state), 0)
    assert payment_state(compressed) == state
    news = seen(late, SEEN_AT + YEAR)
    assert advance(payment_state(compressed), news) == advance(state, news)


def test_payment_is_compressed_and_later_deleted() -> None:
    assert kept(YEAR - timedelta(seconds=1)).apply(FULL) is FULL
    compressed = kept(YEAR).apply(FULL)
    assert compressed is not None
    assert len(compressed) < len(FULL) / 4
    assert kept(2 * YEAR - timedelta(seconds=1)).apply(compressed) is compressed
    assert kept(2 * YEAR).apply(compressed) is None
    assert kept(2 * YEAR).apply(FULL) is None
    assert kept(20 * YEAR, forgotten_after=None).apply(compressed) is compressed


def test_followed_payment_is_not_deleted() -> None:
    """Its settlement may be deferred for longer than payments are retained."""
    times = dict.fromkeys(("due", "until", "settles_by"), rfc3339(SEEN_AT + 3 * YEAR))
    followed = replace(seen("authorised", SEEN_AT), follow=FollowUp(reference="p", **times))
    value = encoded(advance(PaymentState(), followed).state)
    compressed = kept(20 * YEAR).apply(value)
    assert compressed is not None
    assert payment_state(compressed) == payment_state(value)
    assert kept(20 * YEAR).apply(compressed) is compressed


def test_timer_is_neither_compressed_nor_deleted() -> None:
    state = Overlay(None)
    timer_queue.add(state, Timer("settlement/shop", 0, "shop/p"))
    (value,) = state.changes.values()
    assert value is not None
    assert kept(20 * YEAR).apply(value) is value


@pytest.mark.parametrize("value", [b"", b"{", b'{"last": 1}', encoded(PaymentState())])
def test_value_without_a_time_is_retained(value: bytes) -> None:
    assert kept(20 * YEAR).apply(value) is value


async def reviewed(state: PartitionState, keeping: PaymentRetention, most: int = 2) -> None:
    after: bytes | None = FIRST_KEY
    while after is not None:
        after = await state.apply_retention(1, keeping, after, most)


async def test_pass_reviews_every_payment_and_changes_old_ones_only(tmp_path: Path) -> None:
    store, changelog = RocksDBStore(tmp_path / "0"), Told()
    names = [b"shop/%d" % number for number in range(5)]
    young = encoded(advance(PaymentState(), seen("captured", SEEN_AT + YEAR)).state)
    changelog.others = {**dict.fromkeys(names, FULL), b"shop/young": young}
    state = PartitionState(store, changelog)
    try:
        await state.acquire(1)
        await reviewed(state, kept(YEAR))
        assert all(payment_state(store.get(name)) == payment_state(FULL) for name in names)
        assert all(len(store.get(name) or b"") < len(FULL) / 4 for name in names)
        assert store.get(b"shop/young") == young
        assert [len(changes) for changes in changelog.written] == [2, 2, 1]
        await reviewed(state, kept(2 * YEAR))
        assert [store.get(name) for name in names] == [None] * 5
        assert store.get(b"shop/young") is not None
        assert [(one.key, one.value) for one in changelog.outputs] == [(name, None) for name in names]
    finally:
        await state.close()


class Told(FakeChangelog):
    """Notes what its holder publishes; refuses it once for each of ``refusals``."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.outputs: list[Output] = []
        self.refusals: list[Exception] = []
        super().__init__(self.order)

    async def publish(self, outputs: Sequence[Output]) -> None:
        if self.refusals:
            raise self.refusals.pop()
        self.order.append("publish")
        self.outputs += outputs


async def test_tombstone_is_published_before_the_state_is_deleted(tmp_path: Path) -> None:
    """Deleted first, a crash in between would leave the payment on the topic for ever."""
    store, changelog = RocksDBStore(tmp_path / "0"), Told()
    changelog.others = {b"shop/p": FULL, b"shop/refund": encoded(unpublished())}
    changelog.refusals = [PartitionRevokedError("another owns it")]
    state = PartitionState(store, changelog)
    try:
        await state.acquire(1)
        with pytest.raises(PartitionRevokedError):
            await reviewed(state, kept(2 * YEAR))
        assert (store.get(b"shop/p"), changelog.written) == (FULL, [])
        await state.acquire(1)
        await reviewed(state, kept(2 * YEAR))
        assert changelog.order[-2:] == ["publish", "changelog"]
        (tombstone,) = changelog.outputs
        assert (tombstone.topic, tombstone.key, tombstone.value) == ("payments.latest", b"shop/p", None)
        assert header(tombstone, "ce_type") == "payment.forgotten.v1"
        assert kept(2 * YEAR).farewell(b"shop/p", FULL) == [tombstone]
        assert kept(2 * YEAR).farewell(b"shop/p", closed(FULL, 0)) == [tombstone]
    finally:
        await state.close()


def unpublished() -> PaymentState:
    """Of a payment of which only a refund is known, nothing was published."""
    refund = Refund(refund_id="r", amount=Money(1, "EUR"), settled=True)
    state = advance(PaymentState(), replace(seen("captured", SEEN_AT), status=None, refund=refund)).state
    assert state.last is None
    return state


def test_value_that_can_not_be_read_is_deleted_without_a_tombstone() -> None:
    broken = closed(FULL, 0)[:-20]
    assert kept(2 * YEAR).apply(broken) is None
    assert list(kept(2 * YEAR).farewell(b"shop/p", broken)) == []


class Interrupted(RocksDBStore):
    """News arrives between the first read and the exclusive section."""

    def items_after(self, key: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        found = super().items_after(key, limit)
        self.write({b"shop/p": NEWS}, 9)
        return found


NEWS: Final = encoded(advance(state_of(["captured"]), seen("charged_back", SEEN_AT + YEAR)).state)


async def test_news_during_a_review_is_not_undone(tmp_path: Path) -> None:
    store, changelog = Interrupted(tmp_path / "0"), FakeChangelog()
    changelog.others = {b"shop/p": FULL}
    state = PartitionState(store, changelog)
    try:
        await state.acquire(1)
        await reviewed(state, kept(YEAR))
        assert store.get(b"shop/p") == NEWS
        assert changelog.written == []
    finally:
        await state.close()
