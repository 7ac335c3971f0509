"""Every topic: its name, what it holds, how long, and which others must have the same number of partitions.

``topics apply`` creates them from this table and the configuration; nothing else creates topics, except the
state changelogs, which belong to their stage and are listed here too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Final

from paynotify.schemas.providers import provider_contracts, provider_names

RETRY_STEPS: Final = 5

_DAY: Final = 24 * 3600
_KEEP_RAW: Final = 30 * _DAY


_MIB: Final = 1024 * 1024

#: For each partition. docs/security-model.md says how they were chosen.
_CALL_BYTES: Final = 2048 * _MIB
_REJECTED_BYTES: Final = 1024 * _MIB
_COPY_BYTES: Final = 512 * _MIB

#: What a topic with ``retention_bytes`` has too. Kafka deletes whole segments, and never the one that is written to:
#: with segments of a gigabyte, as by default, a bound would be exceeded by as much.
BOUNDED_SETTINGS: Final = {"segment.bytes": str(128 * _MIB)}


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic as it should be. ``retention_seconds`` of ``None`` keeps records for ever."""

    name: str
    holds: str
    retention_seconds: int | None = _KEEP_RAW
    compacted: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)
    follows: str | None = None
    """The topic whose number of partitions this one must have."""
    retention_bytes: int | None = None
    """What each partition keeps at most, for topics that callers can fill; beyond it the oldest records are deleted."""

    def kafka_settings(self) -> dict[str, str]:
        """The topic's settings as Kafka names them, without replication."""
        policy = {(True, True): "compact", (True, False): "compact,delete"}.get(
            (self.compacted, self.retention_seconds is None), "delete"
        )
        milliseconds = -1 if self.retention_seconds is None else self.retention_seconds * 1000
        return {"cleanup.policy": policy, "retention.ms": str(milliseconds), **self.bounds(), **self.settings}

    def bounds(self) -> dict[str, str]:
        """The settings that keep the topic from filling a disk; none where it has no ``retention_bytes``."""
        return (
            {} if self.retention_bytes is None else {"retention.bytes": str(self.retention_bytes), **BOUNDED_SETTINGS}
        )


def notifications(provider: str) -> str:
    return f"notifications.{provider}"


def lookups(provider: str) -> str:
    return f"lookups.{provider}"


def retry(provider: str, step: int) -> str:
    """The topic that holds lookups for the delay of ``step`` (1 is the shortest)."""
    return f"lookups.{provider}.retry.{step}"


def retry_steps(provider: str) -> tuple[str, ...]:
    """Those topics, shortest delay first."""
    return tuple(retry(provider, step) for step in range(1, RETRY_STEPS + 1))


def unverified(provider: str, step: int) -> str:
    """The topic that holds notifications which can't be judged yet, for the delay of ``step`` (1 is the shortest)."""
    return f"notifications.{provider}.retry.{step}"


def unverified_steps(provider: str) -> tuple[str, ...]:
    """Those topics, shortest delay first; none for a provider whose notifications can always be judged at once."""
    steps = range(1, RETRY_STEPS + 1) if provider_contracts()[provider].verification_retries else ()
    return tuple(unverified(provider, step) for step in steps)


def responses(provider: str) -> str:
    return f"responses.{provider}"


def known(provider: str) -> str:
    """The topic from which ``verify`` learns which ids of unsigned notifications the provider knew."""
    return f"lookups.{provider}.known"


def raw_topics() -> tuple[str, ...]:
    """The topics with values as callers and providers sent them, which may hold personal data.

    `DEAD` holds such values too, beside lookups.
    """
    own = [(notifications(one), *unverified_steps(one), responses(one)) for one in provider_names()]
    return (*(name for names in own for name in names), REJECTED, ALERTS)


def filled_by_callers() -> tuple[str, ...]:
    """The topics that grow with each call, whoever makes it: only their `retention.bytes` protects the disks."""
    return tuple(topic.name for topic in all_topics() if topic.retention_bytes is not None)


REJECTED: Final = "notifications.rejected"
DUPLICATES: Final = "notifications.duplicates"
ALERTS: Final = "notifications.alerts"
DEAD: Final = "lookups.dead"
OBSERVATIONS: Final = "observations"
STATUS: Final = "payments.status"
LATEST: Final = "payments.latest"
EXPECTED: Final = "payments.expected"
OVERDUE: Final = "payments.overdue"
ORDERS: Final = "payments.orders"
REQUESTED: Final = "payments.requested"
REQUESTS: Final = "payments.requests"
CHARGES: Final = "payments.charges"
SILENT: Final = "providers.silent"
OPERATIONS: Final = "operations"
OPERATORS: Final = "operators.actions"
RECONCILIATIONS: Final = "reconciliations"
CLOCK: Final = "paynotify.clock"
DELIVERIES_STATE: Final = "deliveries.state"
DELIVERIES_DEAD: Final = "deliveries.dead"
DELIVERIES_REPLAYED: Final = "deliveries.replayed"

#: Stamped by the brokers' clock: those of workers and of the ingress differ (`processors.interpret.stage`), and the
#: expiry of a token is judged by it (`processors.verify.stage`).
_STAMPED: Final = {"message.timestamp.type": "LogAppendTime"}

#: Raw responses may be as large as a full page of results with all their transactions.
RESPONSE_BYTES: Final = 2 * 1024 * 1024


def changelog(unit: str) -> str:
    """The topic behind a stage's local state; ``unit`` is ``verify.omnikassa``, ``resolve`` and so on."""
    return f"paynotify.{unit}-state-changelog"


def _of_provider(provider: str) -> list[Topic]:
    response_settings = {"max.message.bytes": str(RESPONSE_BYTES), **_STAMPED}
    return [
        Topic(
            notifications(provider),
            "webhook calls exactly as received",
            settings=_STAMPED,
            retention_bytes=_CALL_BYTES,
        ),
        *(
            Topic(
                name,
                "notifications that wait to be verified again",
                follows=notifications(provider),
                retention_bytes=_COPY_BYTES,
            )
            for name in unverified_steps(provider)
        ),
        Topic(lookups(provider), "calls to make to the provider"),
        *(Topic(name, "lookups that wait to be retried", follows=lookups(provider)) for name in retry_steps(provider)),
        Topic(
            known(provider),
            "which ids of unsigned notifications the provider knew",
            3 * _DAY,
            follows=notifications(provider),
        ),
        Topic(responses(provider), "the provider's raw responses", settings=response_settings),
        Topic(
            changelog(f"verify.{provider}"),
            "notifications already received",
            max(3 * _DAY, ceil(provider_contracts()[provider].duplicate_window_seconds or 0)),
            compacted=True,
            follows=notifications(provider),
        ),
        Topic(
            changelog(f"fetch.{provider}"),
            "lookups already carried out",
            3 * _DAY,
            compacted=True,
            follows=lookups(provider),
        ),
    ]


def all_topics() -> tuple[Topic, ...]:
    """Every topic of the system, in the order of the flow."""
    # whole records are copied here with headers added; one that does not fit would be retried for ever
    roomy = {"max.message.bytes": str(RESPONSE_BYTES)}
    shared = [
        Topic(
            REJECTED,
            "notifications that cause no lookup, with the reason",
            90 * _DAY,
            settings=roomy,
            retention_bytes=_REJECTED_BYTES,
        ),
        Topic(DUPLICATES, "which notification is a duplicate of which", retention_bytes=_COPY_BYTES),
        Topic(
            ALERTS,
            "notifications about the provider's service, not about a payment",
            settings=roomy,
            retention_bytes=_COPY_BYTES,
        ),
        Topic(DEAD, "dead-lettered records, with the reason", 90 * _DAY, settings=roomy),
        Topic(OBSERVATIONS, "what one response says about one payment"),
        Topic(STATUS, "the result: every change of every payment's status", None),
        Topic(LATEST, "the newest event of every payment", None, compacted=True),
        Topic(EXPECTED, "payments that the shops expect (written by shops)", 90 * _DAY),
        Topic(OVERDUE, "expected payments that were not final in time", 90 * _DAY),
        Topic(SILENT, "providers that report none of the orders expected from them, and that report again", 90 * _DAY),
        Topic(OPERATIONS, "cases that a person has to know of, one event each", 90 * _DAY),
        Topic(OPERATORS, "what operators do: who, when, why, and what became of it", 400 * _DAY),
        Topic(RECONCILIATIONS, "what each run of `paynotify reconcile` found, one record each", 400 * _DAY),
        Topic(ORDERS, "expected payments and the payments observed for them, by order"),
        Topic(REQUESTED, "requests to charge, capture or release (written by shops)", 90 * _DAY),
        Topic(REQUESTS, "the progress of each of these requests", None),
        Topic(CHARGES, "requests and the events they wait for, by merchant"),
        Topic(
            DELIVERIES_STATE,
            "deliveries that wait to be tried again, and the state of subscriptions",
            None,
            compacted=True,
            settings=roomy,
        ),
        Topic(DELIVERIES_DEAD, "dead-lettered deliveries, with the reason", 90 * _DAY, settings=roomy),
        Topic(DELIVERIES_REPLAYED, "dead-lettered deliveries that are to be made again", 90 * _DAY, settings=roomy),
        Topic(
            CLOCK,
            "empty records of `paynotify doctor`, which compares its clock with the brokers'",
            _DAY,
            settings=_STAMPED,
        ),
        Topic(changelog("resolve"), "the newest state of every payment", None, compacted=True, follows=OBSERVATIONS),
        Topic(changelog("orders"), "expected orders and their timers", 90 * _DAY, compacted=True, follows=ORDERS),
        Topic(changelog("charge"), "requests and their state", 400 * _DAY, compacted=True, follows=CHARGES),
    ]
    return tuple([topic for provider in provider_names() for topic in _of_provider(provider)] + shared)
