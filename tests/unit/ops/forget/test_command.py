"""Which stages must have processed what `paynotify forget` deletes."""

from __future__ import annotations

from pathlib import Path

import orjson

from paynotify.ops.common.topic_reader import TopicPartition
from paynotify.ops.forget.command import processed_by
from paynotify.schemas.configuration.load import parse
from tests.fakes.configurations import document

GROWN = 5


def test_partitions_beyond_the_configuration_wait_for_their_stage_too(tmp_path: Path) -> None:
    configuration = parse(orjson.dumps(document("127.0.0.1:1", "", tmp_path)).decode(), "test")
    (_, wanted, _) = configuration.wanted_topics()[configuration.kafka.topic("notifications.nevogate")]
    assert wanted < GROWN

    def present(*topics: str) -> list[TopicPartition]:
        return [TopicPartition(topic, number) for topic in topics for number in range(GROWN)]

    groups = processed_by(configuration, "nevogate", present)
    assert {group.rpartition("paynotify.")[2] for group in groups} == {"verify.nevogate", "interpret.nevogate"}
    read = {one for partitions in groups.values() for one in partitions}
    for name in ("notifications.nevogate", "responses.nevogate"):
        assert set(present(configuration.kafka.topic(name))) <= read
