"""What each command of an operator needs of the brokers: one row for each, the least with which it works.

The chart's user for the tools and the table in docs/reference/topics.md are made from it, and a test runs each command
on a broker with a user that has exactly its row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from paynotify.schemas import topics
from paynotify.schemas.providers import provider_names

#: Whom the chart gives the command's rights: everybody who operates, or only on request.
Allowance = Literal["tools", "mayCharge", "mayForget"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRights:
    """A command's rights on topics. In their names ``P`` stands for each provider and ``N`` for each step of retries.

    ``describes`` are topics whose settings it compares. ``groups`` says whether it asks how far the stages have come.
    READ and WRITE include DESCRIBE.
    """

    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    deletes: tuple[str, ...] = ()
    describes: tuple[str, ...] = ()
    groups: bool = False
    allowance: Allowance = "tools"


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """One operation, as Strimzi writes it, on one topic (its name without prefix) or on all of the stages' groups."""

    kind: Literal["topic", "group"]
    name: str
    operation: str


#: The stages' groups begin so.
GROUPS: Final = "paynotify."

_CALLS: Final = ("notifications.P", "notifications.P.retry.N")
_LOOKUPS: Final = ("lookups.P", "lookups.P.retry.N")
_ENDS: Final = (topics.REJECTED, topics.DUPLICATES, topics.DEAD)
_COPIES: Final = (*_CALLS, *_LOOKUPS, *_ENDS, "responses.P", topics.OBSERVATIONS, topics.STATUS)
_STORY: Final = (
    *_COPIES,
    *(topics.EXPECTED, topics.OVERDUE, topics.REQUESTS, topics.OPERATIONS, topics.OPERATORS),
)
_REPLAYED: Final = (
    *(*_CALLS, *_LOOKUPS, "lookups.P.known", "responses.P"),
    *(topics.OBSERVATIONS, topics.EXPECTED, topics.ORDERS, topics.DELIVERIES_REPLAYED),
)
_ALL: Final = ("*",)

COMMANDS: Final[dict[str, CommandRights]] = {
    "trace": CommandRights(reads=(*_STORY, topics.LATEST)),
    "export": CommandRights(reads=(topics.STATUS,)),
    "history": CommandRights(reads=(topics.OPERATORS,)),
    "audit": CommandRights(
        reads=(*_CALLS, *_LOOKUPS, *_ENDS, topics.ALERTS, "responses.P", topics.STATUS, topics.LATEST),
        describes=_ALL,
        groups=True,
    ),
    "topics check": CommandRights(describes=_ALL),
    "replay": CommandRights(
        reads=(topics.REJECTED, topics.DEAD, topics.DELIVERIES_DEAD, *_REPLAYED),
        writes=(*_REPLAYED, topics.OPERATORS),
    ),
    "correct": CommandRights(
        reads=(topics.LATEST, topics.changelog("resolve")), writes=(topics.OBSERVATIONS, topics.OPERATORS)
    ),
    "reconcile --repair": CommandRights(
        reads=(topics.STATUS, topics.LATEST, "lookups.P"),
        writes=("lookups.P", topics.OPERATORS, topics.RECONCILIATIONS),
    ),
    "charge, capture, release": CommandRights(
        reads=(topics.REQUESTS,), writes=(topics.REQUESTED, topics.OPERATORS), allowance="mayCharge"
    ),
    "forget --yes": CommandRights(
        reads=(*_STORY, topics.LATEST),
        writes=(topics.OBSERVATIONS, topics.OPERATORS),
        deletes=(*_CALLS, topics.REJECTED, topics.DEAD, "responses.P"),
        groups=True,
        allowance="mayForget",
    ),
}

#: What the console reads, for its index, a payment's story and the flow. What operators do with it needs the commands'
#: rights too.
CONSOLE: Final = CommandRights(
    reads=(
        *(*_STORY, topics.LATEST, topics.SILENT, topics.RECONCILIATIONS),
        *(topics.ORDERS, topics.REQUESTED, topics.CHARGES),  # only how old their next record is
    ),
    describes=_ALL,
    groups=True,
)


def expanded(names: Iterable[str]) -> Iterator[str]:
    """The topics that the names stand for."""
    present = [topic.name for topic in topics.all_topics()]
    for name in names:
        if name == "*":
            yield from present
            continue
        for provider in provider_names() if "P" in name else ("",):
            one = name.replace("P", provider)
            steps = range(1, topics.RETRY_STEPS + 1) if "N" in one else (0,)
            yield from (full for step in steps if (full := one.replace("N", str(step))) in present)


def grants(rights: CommandRights) -> set[Grant]:
    """The rights one by one."""
    found = {Grant("topic", name, "Read") for name in expanded(rights.reads)}
    found |= {Grant("topic", name, "Write") for name in expanded(rights.writes)}
    found |= {Grant("topic", name, "Delete") for name in expanded(rights.deletes)}
    for name in expanded(rights.describes):
        found |= {Grant("topic", name, "Describe"), Grant("topic", name, "DescribeConfigs")}
    if rights.groups:
        found.add(Grant("group", GROUPS, "Describe"))
    return found


def allowed(allowance: Allowance) -> set[Grant]:
    """What all commands of an allowance need together."""
    return set[Grant]().union(*(grants(one) for one in COMMANDS.values() if one.allowance == allowance))
