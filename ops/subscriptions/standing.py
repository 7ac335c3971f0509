"""How the subscriptions stand, read from the brokers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from paynotify.deliver.result_event import SUBSCRIPTION
from paynotify.deliver.subscription_reader import group_of, topics_of
from paynotify.deliver.subscription_state import SubscriptionPositions, SubscriptionState, apply, positions_key, said
from paynotify.deliver.waiting import state_key
from paynotify.ops.common.committed import committed_offsets
from paynotify.ops.common.topic_reader import TopicReader
from paynotify.schemas import topics
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.records import Record, to_record
from paynotify.service.cluster import admin


@dataclass(frozen=True, slots=True)
class SubscriptionStanding:
    """One subscription: what was last said of it, how many deliveries wait and are dead, and what it has not read.

    ``unread`` is None for one that nobody has delivered yet.
    """

    subscription: str
    said: SubscriptionState | None
    waiting: int
    dead: int
    unread: int | None

    @property
    def state(self) -> str:
        return _state(self.said)


def standings(configuration: Configuration, reader: TopicReader) -> list[SubscriptionStanding]:
    """All configured subscriptions.

    Raises:
        MissingTopicsError: the state topic does not exist.
        ClusterUnavailableError: the cluster cannot be read.
    """
    records = _newest(configuration, reader)
    names = [one.id for one in configuration.deliver.subscriptions]
    states = {one: said(records.get(state_key(one)), SubscriptionState) for one in names}
    positions = {positions_key(one) for one in names}
    waiting = Counter(key.partition(b"/")[0].decode() for key in records if b"/" in key and key not in positions)
    dead = _dead(configuration, reader)
    unread = _unread(configuration, reader, records)
    return [SubscriptionStanding(one, states[one], waiting[one], dead[one], unread[one]) for one in names]


def state_of(subscription: str, configuration: Configuration, reader: TopicReader) -> str:
    """Whether the subscription is enabled or disabled.

    Raises:
        MissingTopicsError: the state topic does not exist.
        ClusterUnavailableError: the cluster cannot be read.
    """
    return _state(said(_newest(configuration, reader).get(state_key(subscription)), SubscriptionState))


def _state(found: SubscriptionState | None) -> str:
    return found.state if found is not None else "enabled"


def _newest(configuration: Configuration, reader: TopicReader) -> Mapping[bytes, Record]:
    partitions = reader.present(configuration.kafka.topic(topics.DELIVERIES_STATE))
    found: dict[bytes, Record] = {}
    for _, records in reader.read(reader.ranges(partitions)):
        apply(records, found)
    return found


def _dead(configuration: Configuration, reader: TopicReader) -> Counter[str]:
    found: Counter[str] = Counter()
    name = configuration.kafka.topic(topics.DELIVERIES_DEAD)
    for _, records in reader.read(reader.ranges(reader.partitions(name))):
        found.update(to_record(one).header(SUBSCRIPTION) for one in records)
    return found


def _unread(
    configuration: Configuration, reader: TopicReader, records: Mapping[bytes, Record]
) -> Mapping[str, int | None]:
    kafka, found = configuration.kafka, dict[str, int | None]()
    with admin(configuration) as client:
        for one in configuration.deliver.subscriptions:
            recorded = said(records.get(positions_key(one.id)), SubscriptionPositions)
            if recorded is None:
                found[one.id] = None
                continue
            partitions = reader.partitions(*topics_of(one, kafka))
            committed = committed_offsets(client, {group_of(one.id, kafka): partitions})
            began = recorded.offsets
            done = {at: max(committed[at], began.get(at.topic, {}).get(at.partition, 0)) for at in partitions}
            found[one.id] = sum(max(0, range_.end - done[range_.partition]) for range_ in reader.ranges(partitions))
    return found
