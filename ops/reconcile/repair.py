"""The lookups that would mend differences: what may be asked, each at most once a day, by the rules of recovery."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from ops.common.progress_bar import Bar
from ops.common.record_sender import RecordSender, turns
from ops.common.topic_reader import TopicReader, record_of
from ops.reconcile.compare import AFTER_CAPTURE, PaymentDifference
from processors.providers.recovery import BUDGETED, lookup_key, recovery_lookup
from schemas import messages, topics
from schemas.cloudevents import cloud_event
from schemas.configuration.merchants import Merchant, provider_of
from schemas.configuration.model import Configuration, KafkaSettings
from schemas.errors import UnreadableError
from schemas.ids import derived_id
from schemas.messages import RECOVERY, Lookup, decode
from schemas.records import Output, Record
from schemas.times import rfc3339
from schemas.traceparent import new_traceparent

#: What the lookups name as their cause, where others name a notification.
CAUSE: Final = "reconcile"

#: The worker's budget of recovery calls is by the hour.
_BUDGET_PERIOD: Final = timedelta(hours=1)


@dataclass(slots=True)
class RepairPlan:
    """The lookups to queue by their id, and the differences that none mends, by cause."""

    lookups: dict[str, Lookup] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)


def mending(merchant: Merchant, differences: Iterable[PaymentDifference], now: datetime, *, listed: bool) -> RepairPlan:
    """One lookup for each payment or order that differs. The same question has the same id for the whole day (UTC).

    ``listed`` says that their book is the provider's own list.
    """
    found = RepairPlan()
    for one in differences:
        if one.there is None:
            found.left_out["missing there: we know more than they tell, so there is nothing to ask"] += 1
            continue
        lookup = _lookup(merchant, one, rfc3339(now), listed=listed)
        if lookup is None:
            found.left_out["the provider's rules allow no lookup (see --help)"] += 1
            continue
        found.lookups.setdefault(lookup_id(lookup, now), lookup)
    return found


def lookup_id(lookup: Lookup, now: datetime) -> str:
    """The id of a lookup's record: of what it asks, and the day."""
    asked = lookup.reference or lookup.arguments.get("orderreference", "")
    return derived_id(CAUSE, lookup.merchant, lookup.operation, asked, f"{now:%Y-%m-%d}")


def _lookup(merchant: Merchant, difference: PaymentDifference, at: str, *, listed: bool) -> Lookup | None:
    """By the payment, of which many are asked for at once; by the order where more than it is to be learned."""
    here, there = difference.here, difference.there
    assert there is not None
    # a shop may write its orders' ids in a way of its own: where it tells the payment's, only that is sure
    theirs = there.order_id if listed or there.payment_id is None else None
    order_id = theirs if here is None else here.order_id
    money_went_back = any(one is not None and one.status in AFTER_CAPTURE for one in (here, there))
    by_order = order_id is not None and (money_went_back or there.payment_id is None)
    return recovery_lookup(
        merchant,
        order_id=order_id if by_order else None,
        payment_id=difference.payment_id,
        lookup_cause=CAUSE,
        at=at,
    )


def leave_out(
    found: RepairPlan, reader: TopicReader, configuration: Configuration, merchant: Merchant, now: datetime
) -> None:
    """Take out what was queued today, and what the hour's budget has no room for.

    The topic of lookups itself is the memory of both, so an interrupted mending can simply be started again.
    """
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    since = min(midnight, now - _BUDGET_PERIOD)
    topic = configuration.kafka.topic(topics.lookups(provider_of(merchant)))
    spans = reader.spans(reader.places(topic), since.timestamp())
    before: set[str] = set()
    recently: set[str] = set()
    with Bar("looking for earlier lookups", sum(span.length for span in spans)) as bar:
        for _, records in reader.read(spans):
            bar.advance(len(records))
            for raw in records:
                record = record_of(raw)
                before.add(record.header("ce_id"))
                if record.timestamp_seconds >= (now - _BUDGET_PERIOD).timestamp() and _is_recovery(record, merchant):
                    recently.add(record.header("ce_id"))
    for name in before & found.lookups.keys():
        del found.lookups[name]
        found.left_out["queued before today"] += 1
    if provider_of(merchant) in BUDGETED:
        keep_within(found, configuration.worker.recovery_calls_per_hour - len(recently))


def keep_within(found: RepairPlan, most: int) -> None:
    """Keep the first ``most`` lookups: more than the worker may make in an hour would end dead."""
    for name, _ in _in_order(found)[max(0, most) :]:
        del found.lookups[name]
        found.left_out["no room in this hour's recovery_calls_per_hour: mend again in an hour"] += 1


def _is_recovery(record: Record, merchant: Merchant) -> bool:
    """Whether the record asks for something of the merchant's on the recovery budget."""
    if (record.key or b"").partition(b"/")[0] != merchant.id.encode():
        return False
    try:
        return RECOVERY in decode(record.value, Lookup).arguments
    except UnreadableError:
        return False


def queue(found: RepairPlan, kafka: KafkaSettings, per_second: float) -> int:
    """Queue the lookups; how many were.

    Raises:
        ClusterUnavailableError: the brokers did not take one; those before it are queued and left out next time.
    """
    turn, sent = turns(per_second), 0
    remedy = "start again: a lookup that is queued is not queued twice"
    with (
        RecordSender(kafka, client_id="paynotify-reconcile", what="a lookup", remedy=remedy) as sender,
        Bar("queueing lookups", len(found.lookups)) as bar,
    ):
        for output in outputs(found, kafka):
            turn()
            sender.send(output)
            sent += 1
            bar.advance(1)
    return sent


def outputs(found: RepairPlan, kafka: KafkaSettings) -> Sequence[Output]:
    """The lookups as records, in a fixed order."""
    return [_output(name, lookup, kafka) for name, lookup in _in_order(found)]


def _in_order(found: RepairPlan) -> list[tuple[str, Lookup]]:
    return sorted(found.lookups.items(), key=_question)


def _question(item: tuple[str, Lookup]) -> tuple[str, str]:
    return item[1].reference or "", item[1].arguments.get("orderreference", "")


def _output(name: str, lookup: Lookup, kafka: KafkaSettings) -> Output:
    headers = cloud_event(
        event_id=name,
        source=f"/{CAUSE}/{lookup.provider}",
        event_type=messages.LOOKUP_REQUESTED,
        event_time=lookup.received_at,
        traceparent=new_traceparent(),
    )
    return Output(kafka.topic(topics.lookups(lookup.provider)), lookup_key(lookup), messages.encode(lookup), headers)
