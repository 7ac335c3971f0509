"""Finds a notification by its id on the topics: the index keeps those alone that were rejected or dead-lettered.

The id of a notification begins with the moment at which the ingress made it (UUIDv7). So a few minutes of the topics
are read, however many notifications they hold.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from paynotify.ops.common.topic_reader import TopicReader
from paynotify.schemas import topics
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.providers import provider_names
from paynotify.schemas.records import Record

_TIME_ORDERED: Final = re.compile(r"([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\Z")
#: How much earlier or later than its id the brokers may have stored the record: clocks differ, and an ingress waits
#: for brokers that are away.
_BEFORE_SECONDS: Final = 60.0
_AFTER_SECONDS: Final = 300.0


def made_at(notification_id: str) -> datetime | None:
    """When the id was made; None if it is no id of a notification."""
    found = _TIME_ORDERED.match(notification_id)
    return datetime.fromtimestamp(int(found[1] + found[2], 16) / 1000, UTC) if found is not None else None


def find_notification(reader: TopicReader, configuration: Configuration, notification_id: str) -> Record | None:
    """The notification as the ingress stored it; None if it is not there, or not any more.

    Raises:
        ClusterUnavailableError: the topics can't be read.
    """
    at = made_at(notification_id)
    if at is None:
        return None
    names = [configuration.kafka.topic(topics.notifications(one)) for one in provider_names()]
    window = (at.timestamp() - _BEFORE_SECONDS, at.timestamp() + _AFTER_SECONDS)
    ranges = reader.ranges(reader.partitions(*names), *window)
    found = reader.matching(ranges, {notification_id.encode()}, lambda key, value: True)
    return next((one for one in found if one.header("ce_id") == notification_id), None)
