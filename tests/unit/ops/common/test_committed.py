"""The offsets that groups have committed, of each partition that was asked for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from paynotify.ops.common.committed import committed_offsets
from paynotify.ops.common.topic_reader import TopicPartition

FIRST, SECOND, THIRD, FOURTH = (TopicPartition("notifications.nevogate", number) for number in range(4))


class Groups:
    """An admin client of brokers that know only one group, and leave one of its partitions out."""

    def list_group_offsets(self, asked: Any) -> Any:
        return {"verify": {FIRST: SimpleNamespace(offset=7), SECOND: SimpleNamespace(offset=-1)}}


def test_partition_without_a_commit_is_committed_up_to_zero() -> None:
    """Without its 0 a partition would count as one that no stage reads, and `forget` would delete what is in work."""
    found = committed_offsets(Groups(), {"verify": [FIRST, SECOND, THIRD], "interpret": [FOURTH]})
    assert found == {FIRST: 7, SECOND: 0, THIRD: 0, FOURTH: 0}
