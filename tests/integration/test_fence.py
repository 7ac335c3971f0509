"""Only the newest holder of a partition can write for it: the brokers themselves refuse the others."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from paynotify.processors.state.changelog import Changelog
from paynotify.processors.state.partition_state import PartitionState
from paynotify.processors.state.rocksdb_store import RocksDBStore
from paynotify.sandbox.broker import LocalBroker
from paynotify.schemas.errors import PartitionRevokedError, StateUnavailableError
from paynotify.schemas.records import Output
from tests.fakes.configurations import create_topics
from tests.integration.conftest import Installation
from tests.topics_reader import whole

pytestmark = pytest.mark.kafka


async def test_former_owner_is_refused(installation: Installation) -> None:
    topic = installation.topic("paynotify.resolve-state-changelog")
    one, two = (Changelog({"bootstrap_servers": installation.kafka}, topic, 1) for _ in range(2))
    try:
        await one.acquire()
        await one.write({b"k": b"first"})
        await two.acquire()
        # the new holder has not written anything yet
        with pytest.raises(PartitionRevokedError):
            await one.write({b"k": b"late"})
        with pytest.raises(PartitionRevokedError, match="not acquired"):
            await one.verify_ownership()
        await two.write({b"k": b"second"})
        await one.acquire()
        with pytest.raises(PartitionRevokedError):
            await two.write({b"k": b"late"})
        await one.write({b"k": b"third"})
    finally:
        await one.close()
        await two.close()
    assert [record.value for record in whole(installation.kafka, topic)] == [b"first", b"second", b"third"]


async def test_former_owners_outputs_never_follow_those_of_the_next_owner(installation: Installation) -> None:
    topic, results = installation.topic("paynotify.resolve-state-changelog"), installation.topic("payments.latest")
    one, two = (Changelog({"bootstrap_servers": installation.kafka}, topic, 1) for _ in range(2))
    first, second = (Output(results, b"shop/1", value, ()) for value in (b"first", b"second"))
    try:
        await one.acquire()
        await one.publish([first])
        await two.acquire()
        await two.publish([first, second])
        with pytest.raises(PartitionRevokedError):
            await one.publish([first])
        await one.acquire()
        await one.publish([second])
    finally:
        await one.close()
        await two.close()
    found = [record.value for record in whole(installation.kafka, results)]
    assert found == [b"first", b"first", b"second", b"second"]


async def test_concurrent_acquisitions_have_one_owner(installation: Installation) -> None:
    topic = installation.topic("paynotify.resolve-state-changelog")
    takers = [Changelog({"bootstrap_servers": installation.kafka}, topic, 2) for _ in range(3)]

    async def written(taker: Changelog, value: bytes) -> bool:
        try:
            await taker.write({b"k": value})
        except PartitionRevokedError:
            return False
        return True

    try:
        for number in range(3):
            await asyncio.gather(*(taker.acquire() for taker in takers), return_exceptions=True)
            wrote = [await written(taker, b"%d" % number) for taker in takers]
            assert sum(wrote) <= 1
        await takers[0].acquire()
        assert await written(takers[0], b"last")
    finally:
        await asyncio.gather(*(taker.close() for taker in takers))


async def test_state_is_acquired_again_after_a_rebalance_only_if_another_owned_it(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = installation.topic("paynotify.resolve-state-changelog")
    taken: list[Changelog] = []
    acquire = Changelog.acquire

    async def counted(changelog: Changelog) -> None:
        taken.append(changelog)
        await acquire(changelog)

    monkeypatch.setattr(Changelog, "acquire", counted)
    changelogs = [Changelog({"bootstrap_servers": installation.kafka}, topic, 0) for _ in range(2)]
    one, two = (
        PartitionState(RocksDBStore(tmp_path / str(number), None), changelog)
        for number, changelog in enumerate(changelogs)
    )
    try:
        await one.acquire(1)
        await one.persist(1, {b"k": b"first"})
        await one.acquire(2)
        assert taken == [changelogs[0]]
        await two.acquire(3)
        await two.persist(3, {b"k": b"second"})
        await one.acquire(4)
        assert taken == [changelogs[0], changelogs[1], changelogs[0]]
        assert one.get(b"k") == b"second"
        with pytest.raises(PartitionRevokedError):
            await two.persist(3, {b"k": b"late"})
        await one.persist(4, {b"k": b"third"})
    finally:
        await one.close()
        await two.close()


async def test_store_is_filled_from_the_changelog_and_again_if_that_was_recreated(
    installation: Installation,
) -> None:
    topic = installation.topic("paynotify.resolve-state-changelog")
    store = RocksDBStore(installation.state_directory / "0")
    changelog = Changelog({"bootstrap_servers": installation.kafka}, topic, 0)
    try:
        await changelog.acquire()
        await changelog.write({b"a": b"1", b"b": b"2"})
        store.write({}, await changelog.write({b"a": None, b"c": b"3"}))
        assert await changelog.catch_up(store) == 0
        store.clear()
        assert await changelog.catch_up(store) == 4
        assert [store.get(key) for key in (b"a", b"b", b"c")] == [None, b"2", b"3"]
        assert await changelog.catch_up(store) == 0
        store.write({b"d": b"4"}, 1_000_000)
        assert await changelog.catch_up(store) == 4
        assert [store.get(key) for key in (b"b", b"d")] == [b"2", None], "what the changelog does not hold is gone"
    finally:
        store.close()
        await changelog.close()


async def test_values_of_a_later_release_are_neither_read_nor_stored(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = installation.topic("paynotify.resolve-state-changelog")
    store = RocksDBStore(installation.state_directory / "1")
    changelog = Changelog({"bootstrap_servers": installation.kafka}, topic, 1)
    try:
        await changelog.acquire()
        store.write({b"a": b"1"}, await changelog.write({b"a": b"1"}))
        with monkeypatch.context() as later:
            later.setattr("paynotify.processors.state.rocksdb_store.STATE_FORMAT", 3)
            store.write({b"a": b"new"}, await changelog.write({b"a": b"new"}, 3), 3)
            store.close()
            assert await changelog.catch_up(store) == 0
            assert store.get(b"a") == b"new"
        store.close()
        assert store.get(b"a") is None
        with pytest.raises(StateUnavailableError, match="later release"):
            await changelog.catch_up(store)
    finally:
        store.close()
        await changelog.close()


async def test_sandbox_without_a_transaction_log_works_without_fencing() -> None:
    # what a single broker is like whose settings nobody adapted to its number
    with LocalBroker({"transaction.state.log.replication.factor": "3"}) as broker:
        create_topics(broker.bootstrap, "changelog", partitions=1)
        settings = {"bootstrap_servers": broker.bootstrap}
        sandbox = Changelog(settings, "changelog", 0, sandbox=True)
        try:
            with pytest.raises(PartitionRevokedError, match="__transaction_state"):
                await sandbox.acquire()
            await sandbox.acquire()
            assert await sandbox.write({b"k": b"v"}) == 1
        finally:
            await sandbox.close()
