"""The offsets that consumer groups have committed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from kafka.errors import RetriableError

from paynotify.ops.common.topic_reader import TopicPartition
from paynotify.schemas import topics
from paynotify.schemas.configuration.kafka import KafkaSettings

_COORDINATOR_SECONDS: Final = 15.0
_RETRY_SECONDS: Final = 0.5


def stage_groups(
    kafka: KafkaSettings, provider: str, stages: Iterable[str], partitions: Callable[..., list[TopicPartition]]
) -> dict[str, list[TopicPartition]]:
    """The groups of these stages of a provider, each with the partitions that it reads.

    ``partitions`` tells those of topics (names on the cluster).
    """
    read_by = {
        "verify": (topics.notifications(provider), *topics.unverified_steps(provider)),
        "fetch": (topics.lookups(provider), *topics.retry_steps(provider)),
        "interpret": (topics.responses(provider),),
    }
    return {kafka.stage_group(f"{stage}.{provider}"): partitions(*map(kafka.topic, read_by[stage])) for stage in stages}


def committed_offsets(client: Any, groups: Mapping[str, list[Any]]) -> dict[TopicPartition, int]:
    """The committed offsets of the groups' partitions; 0 where a group has committed nothing.

    Retries for a while: a group's coordinator may be moving, and new brokers create its topic on the first request.

    Raises:
        RetriableError: no coordinator was found in that time.
    """
    deadline = time.monotonic() + _COORDINATOR_SECONDS
    while True:
        try:
            offsets = client.list_group_offsets(groups)
            break
        except RetriableError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_SECONDS)
    committed = {TopicPartition(*one): 0 for partitions in groups.values() for one in partitions}
    for group in groups:
        for partition, one in offsets.get(group, {}).items():
            if one is not None:
                committed[TopicPartition(*partition)] = max(0, one.offset)
    return committed
