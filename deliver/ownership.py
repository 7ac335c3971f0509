"""Gives all partitions of a subscription to one process, its owner.

What waits of a subscription, its circuit and its limits are one thing. With partitions at several processes each would
call the subscriber with limits of its own, and a replayed delivery could overtake what waits at another process. So
load is spread by subscriptions, and further processes stand by.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata


class OneOwner(AbstractPartitionAssignor):  # type: ignore[misc]  # aiokafka has no types
    """Assigns every partition to the member with the smallest id, which the brokers chose at random."""

    name = "paynotify-one-owner"
    version = 0

    @classmethod
    def assign(cls, cluster: Any, members: Mapping[str, Any]) -> dict[str, Any]:
        names = sorted({topic for one in members.values() for topic in one.subscription})
        partitions = [(name, sorted(cluster.partitions_for_topic(name) or ())) for name in names]
        owner = min(members)
        return {
            member: ConsumerProtocolMemberAssignment(cls.version, partitions if member == owner else [], b"")
            for member in members
        }

    @classmethod
    def metadata(cls, topics: Iterable[str]) -> Any:
        return ConsumerProtocolMemberMetadata(cls.version, list(topics), b"")

    @classmethod
    def on_assignment(cls, assignment: Any) -> None:
        """Nothing is remembered from one assignment to the next."""
