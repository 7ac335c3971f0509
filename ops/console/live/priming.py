"""Reads the newest events once when the console starts, so that the live tail is not empty until something comes."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Final

from paynotify.ops.common.topic_reader import TopicReader
from paynotify.ops.console.index.tables import TABLES
from paynotify.ops.console.live.events import TAIL_KINDS
from paynotify.ops.console.live.fan_out import EventFanOut
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.errors import PaynotifyError
from paynotify.schemas.records import to_record
from paynotify.service.logs import event

logger = logging.getLogger("paynotify.console")

#: Of each partition.
PRIMED_RECORDS: Final = 100


def prime(configuration: Configuration, fan_out: EventFanOut) -> None:
    """Give the fan-out the newest records of what the tail shows. Without brokers it begins empty."""
    names = {configuration.kafka.topic(one.topic): one.topic for one in TABLES if one.name in TAIL_KINDS}
    try:
        with TopicReader(configuration) as reader:
            wholes = reader.ranges(reader.partitions(*names))
            newest = [replace(one, start=max(one.start, one.end - PRIMED_RECORDS)) for one in wholes]
            for (topic, _), read in reader.read(newest):
                fan_out.prime(names[topic], [to_record(one) for one in read])
    except PaynotifyError as error:
        event(logger, "tail_begins_empty", level=logging.WARNING, error=type(error).__name__)
