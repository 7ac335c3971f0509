"""Plans and queues the lookups that repair differences, by the rules of recovery and each at most once a day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from paynotify.ops.common.progress_bar import ProgressBar
from paynotify.ops.common.record_sender import RecordSender, rate_limiter
from paynotify.ops.common.topic_reader import TopicReader
from paynotify.ops.reconcile.compare import AFTER_CAPTURE, PaymentDifference
from paynotify.processors.providers.recovery import lookup_key, recovery_lookup
from paynotify.processors.providers.registry import provider_specs
from paynotify.schemas import messages, topics
from paynotify.schemas.cloudevents import EventHeaders
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.configuration.merchants import Merchant, provider_of
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.errors import UnreadableError
from paynotify.schemas.ids import derived_id
from paynotify.schemas.messages import RECOVERY, Lookup, decode
from paynotify.schemas.records import Output, Record, to_record
from paynotify.schemas.times import rfc3339
from paynotify.schemas.traceparent import new_traceparent

#: The cause that these lookups name where others name their notification.
CAUSE: Final = "reconcile"

#: The worker's quota of recovery calls is per hour.
_QUOTA_PERIOD: Final = timedelta(hours=1)


@dataclass(slots=True)
class RepairPlan:
    """The lookups to queue, by id, and the number of differences without a lookup, by cause."""

    lookups: dict[str, Lookup] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)


def plan_repair(
    merchant: Merchant, differences: Iterable[PaymentDifference], now: datetime, *, listed: bool
) -> RepairPlan:
    """One lookup for each payment or order that differs; a lookup has the same id for the whole day (UTC).

    ``listed`` is whether the other side is the provider's own list.
    """
    plan = RepairPlan()
    for one in differences:
        if one.there is None:
            plan.left_out["missing there: a lookup cannot add anything"] += 1
            continue
        lookup = _lookup(merchant, one, rfc3339(now), listed=listed)
        if lookup is None:
            plan.left_out["the provider's rules allow no lookup (docs/operations/reconcile.md)"] += 1
            continue
        plan.lookups.setdefault(lookup_id(lookup, now), lookup)
    return plan


def lookup_id(lookup: Lookup, now: datetime) -> str:
    """The id of a lookup's record, derived from what it looks up and from the day."""
    asked = lookup.reference or lookup.arguments.get("orderreference", "")
    return derived_id(CAUSE, lookup.merchant, lookup.operation, asked, f"{now:%Y-%m-%d}")


def _lookup(merchant: Merchant, difference: PaymentDifference, at: str, *, listed: bool) -> Lookup | None:
    """A lookup by payment, because one call can serve many; by order if other transactions of the order matter."""
    here, there = difference.here, difference.there
    assert there is not None
    # an export may format order ids differently from the provider, so its payment id is used if it has one
    their_order = there.order_id if listed or there.payment_id is None else None
    order_id = their_order if here is None else here.order_id
    refunded = any(one is not None and one.status in AFTER_CAPTURE for one in (here, there))
    by_order = order_id is not None and (refunded or there.payment_id is None)
    return recovery_lookup(
        merchant,
        order_id=order_id if by_order else None,
        payment_id=difference.payment_id,
        lookup_cause=CAUSE,
        at=at,
    )


def leave_out_queued(
    plan: RepairPlan, reader: TopicReader, configuration: Configuration, merchant: Merchant, now: datetime
) -> None:
    """Remove the lookups that were queued today, and those that exceed the hour's quota.

    Both are read from the lookup topic itself, so an interrupted repair can be started again.
    """
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    since = min(midnight, now - _QUOTA_PERIOD)
    topic = configuration.kafka.topic(topics.lookups(provider_of(merchant)))
    ranges = reader.ranges(reader.partitions(topic), since.timestamp())
    queued: set[str] = set()
    recent: set[str] = set()
    with ProgressBar("finding earlier lookups", sum(one.length for one in ranges)) as bar:
        for _, records in reader.read(ranges):
            bar.advance(len(records))
            for raw in records:
                record = to_record(raw)
                queued.add(record.header("ce_id"))
                if record.timestamp_seconds >= (now - _QUOTA_PERIOD).timestamp() and _is_recovery(record, merchant):
                    recent.add(record.header("ce_id"))
    for name in queued & plan.lookups.keys():
        del plan.lookups[name]
        plan.left_out["already queued today"] += 1
    if provider_specs()[provider_of(merchant)].provider.policy.recovers_rarely:
        limit_lookups(plan, configuration.worker.recovery_calls_per_hour - len(recent))


def limit_lookups(plan: RepairPlan, limit: int) -> None:
    """Keep the first ``limit`` lookups: the worker would dead-letter those beyond its quota."""
    for name, _ in _in_order(plan)[max(0, limit) :]:
        del plan.lookups[name]
        plan.left_out["over this hour's recovery_calls_per_hour: repeat the repair in an hour"] += 1


def _is_recovery(record: Record, merchant: Merchant) -> bool:
    """Whether the record is a recovery lookup of the merchant."""
    if (record.key or b"").partition(b"/")[0] != merchant.id.encode():
        return False
    try:
        return RECOVERY in decode(record.value, Lookup).arguments
    except UnreadableError:
        return False


def queue(plan: RepairPlan, kafka: KafkaSettings, per_second: float, sent: Callable[[], None]) -> None:
    """Queue the lookups; calls ``sent`` for each.

    Raises:
        ClusterUnavailableError: the brokers did not acknowledge a lookup. Those before it are queued, and left out
            next time.
    """
    wait = rate_limiter(per_second)
    remedy = "start again; a queued lookup is not queued twice"
    with RecordSender(kafka, client_id="paynotify-reconcile", what="a lookup", remedy=remedy) as sender:
        for output in outputs(plan, kafka):
            wait()
            sender.send(output)
            sent()


def outputs(plan: RepairPlan, kafka: KafkaSettings) -> Sequence[Output]:
    """The lookups as records, in a fixed order."""
    return [_output(name, lookup, kafka) for name, lookup in _in_order(plan)]


def _in_order(plan: RepairPlan) -> list[tuple[str, Lookup]]:
    return sorted(plan.lookups.items(), key=_sort_key)


def _sort_key(item: tuple[str, Lookup]) -> tuple[str, str]:
    return item[1].reference or "", item[1].arguments.get("orderreference", "")


def _output(name: str, lookup: Lookup, kafka: KafkaSettings) -> Output:
    key = lookup_key(lookup)
    make_headers = EventHeaders(kafka.events, f"/{CAUSE}/{lookup.provider}", messages.LOOKUP_REQUESTED)
    headers = make_headers(name, lookup.received_at, key, traceparent=new_traceparent())
    return Output(kafka.topic(topics.lookups(lookup.provider)), key, messages.encode(lookup), headers)
