"""Finds what operators did: the records of one action become one entry, newest last."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from paynotify.ops.common.progress_bar import ProgressBar
from paynotify.ops.common.topic_reader import TopicReader
from paynotify.schemas import topics
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.errors import UnreadableError
from paynotify.schemas.messages import OperatorAction, decode
from paynotify.schemas.times import parse_time


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One action: what was intended, and how it ended; None where nobody knows, or it goes on."""

    intended: OperatorAction
    ended: OperatorAction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryFilter:
    """Which actions are shown; an empty field matches every action."""

    by: Collection[str] = ()
    commands: Collection[str] = ()
    merchants: Collection[str] = ()
    payment: tuple[str, str] | None = None

    def matches(self, action: OperatorAction) -> bool:
        """Whether the action is wanted."""
        return (
            (not self.by or bool({action.by, action.os_user, action.kafka_user or action.by} & set(self.by)))
            and (not self.commands or action.command in self.commands)
            and (not self.merchants or action.merchant in self.merchants)
            and self.payment in (None, (action.merchant, action.payment_id))
        )


def read_history(
    reader: TopicReader,
    kafka: KafkaSettings,
    wanted: HistoryFilter,
    since: datetime | None,
    until: datetime | None,
) -> list[HistoryEntry]:
    """The wanted actions that began in the time window, in the order of their beginning.

    Raises:
        MissingTopicsError: the topic does not exist.
        ClusterUnavailableError: it cannot be read.
    """
    partitions = reader.present(kafka.topic(topics.OPERATORS))
    # not until ``until``: how an action ended may have been written later
    ranges = reader.ranges(partitions, since.timestamp() if since else None)
    found: list[OperatorAction] = []
    with ProgressBar("reading actions", sum(one.length for one in ranges)) as bar:
        for _, records in reader.read(ranges):
            bar.advance(len(records))
            for raw in records:
                try:
                    action = decode(raw.value, OperatorAction)
                except UnreadableError:  # written by a later release, or by somebody else
                    continue
                if wanted.matches(action):
                    found.append(action)
    began = [(parse_time(one.intended.at), one) for one in entries(found)]
    return [one for at, one in began if until is None or at is None or at < until]


def entries(actions: Iterable[OperatorAction]) -> list[HistoryEntry]:
    """One entry for each action, whatever was written twice; without its beginning, an end stands for both."""
    intended: dict[str, OperatorAction] = {}
    ended: dict[str, OperatorAction] = {}
    for one in actions:
        (intended if one.state == "intended" else ended)[one.action_id] = one
    began = sorted((ended | intended).values(), key=lambda one: one.at)
    return [HistoryEntry(one, ended.get(one.action_id)) for one in began]
