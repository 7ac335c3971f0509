"""The partition of a key against that of the client's own partitioner."""

from hypothesis import given
from hypothesis import strategies as st
from kafka.partitioner import DefaultPartitioner

from paynotify.service.partitioner import partition_of

TOPIC = "notifications.trustpayments"


class SomePartitions:
    """A topic's metadata."""

    def __init__(self, count: int) -> None:
        self._count = count

    def topics(self) -> set[str]:
        return {TOPIC}

    def partitions_for_topic(self, topic: str) -> set[int]:
        return set(range(self._count))

    available_partitions_for_topic = partitions_for_topic


@given(st.binary(max_size=100), st.integers(1, 300))
def test_partition_of_a_key_is_the_default_partitioners(key: bytes, partitions: int) -> None:
    expected = DefaultPartitioner().partition(TOPIC, key, key, b"", b"", SomePartitions(partitions))
    assert partition_of(key, partitions) == expected
