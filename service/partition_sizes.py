"""How many bytes each partition has on the brokers' disks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kafka.errors import KafkaError


def largest_partitions(client: Any, topics: Iterable[str]) -> dict[str, int]:
    """The bytes of each topic's largest partition. Empty where the user may not DESCRIBE the cluster."""
    found: dict[str, int] = {}
    try:
        brokers = client.describe_log_dirs(sorted(topics))
    except KafkaError:
        return found
    for broker in brokers:
        for directory in broker["log_dirs"]:
            for topic in directory.get("topics") or ():
                sizes = [one["partition_size"] for one in topic["partitions"]]
                found[topic["name"]] = max((found.get(topic["name"], 0), *sizes))
    return found
