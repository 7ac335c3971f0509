"""The lookups that would mend differences: what may be asked, each at most once a day, by the rules of recovery."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from ops.progress import Bar
from ops.reconcile_compare import Difference
from ops.replay_sender import Sender, turns
from ops.topic_reader import TopicReader
from processors.providers.recovery import lookup_key, recovery_lookup
from schemas import messages, topics
from schemas.configuration import Kafka, Merchant, provider_of
from schemas.messages import Lookup
from schemas.records import Output, cloud_event, derived_id, new_traceparent, rfc3339

#: What the lookups name as their cause, where others name a notification.
CAUSE: Final = "reconcile"


@dataclass(slots=True)
class Mending:
    """The lookups to queue by their id, and the differences that none mends, by cause."""

    lookups: dict[str, Lookup] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)


def mending(merchant: Merchant, differences: Iterable[Difference], now: datetime) -> Mending:
    """One lookup for each payment or order that differs. The same question has the same id for the whole day (UTC)."""
    found = Mending()
    for one in differences:
        if one.there is None:
            found.left_out["missing there: we know more than they tell, so there is nothing to ask"] += 1
            continue
        lookup = _lookup(merchant, one, rfc3339(now))
        if lookup is None:
            found.left_out["the provider's rules allow no lookup (see --help)"] += 1
            continue
        found.lookups.setdefault(lookup_id(lookup, now), lookup)
    return found


def lookup_id(lookup: Lookup, now: datetime) -> str:
    """The id of a lookup's record: of what it asks, and the day."""
    asked = lookup.reference or lookup.arguments.get("orderreference", "")
    return derived_id(CAUSE, lookup.merchant, lookup.operation, asked, f"{now:%Y-%m-%d}")


def _lookup(merchant: Merchant, difference: Difference, at: str) -> Lookup | None:
    """By the payment's id where they tell it; a shop may write an order's id in its own way, so ours comes first."""
    here = difference.here
    order_id = here.order_id if here is not None else None
    if order_id is None and difference.payment_id is None:
        order_id = difference.order_id
    return recovery_lookup(merchant, order_id=order_id, payment_id=difference.payment_id, lookup_cause=CAUSE, at=at)


def leave_out_queued(found: Mending, reader: TopicReader, kafka: Kafka, merchant: Merchant, now: datetime) -> None:
    """Take out what was queued today: the topic of lookups itself is the memory of that."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    topic = kafka.topic(topics.lookups(provider_of(merchant)))
    spans = reader.spans(reader.places(topic), midnight.timestamp())
    with Bar("looking for earlier lookups", sum(span.length for span in spans)) as bar:
        for _, records in reader.read(spans):
            bar.advance(len(records))
            for raw in records:
                name = next((value for name, value in raw.headers if name == "ce_id"), b"").decode("utf-8", "replace")
                if found.lookups.pop(name, None) is not None:
                    found.left_out["queued before today"] += 1


def queue(found: Mending, kafka: Kafka, per_second: float) -> int:
    """Queue the lookups; how many were.

    Raises:
        ClusterError: the brokers did not take one; those before it are queued and left out next time.
    """
    turn, sent = turns(per_second), 0
    with Sender(kafka) as sender, Bar("queueing lookups", len(found.lookups)) as bar:
        for output in outputs(found, kafka):
            turn()
            sender.send(output)
            sent += 1
            bar.advance(1)
    return sent


def outputs(found: Mending, kafka: Kafka) -> Sequence[Output]:
    """The lookups as records, in a fixed order."""
    return [_output(name, lookup, kafka) for name, lookup in sorted(found.lookups.items(), key=_question)]


def _question(item: tuple[str, Lookup]) -> tuple[str, str]:
    return item[1].reference or "", item[1].arguments.get("orderreference", "")


def _output(name: str, lookup: Lookup, kafka: Kafka) -> Output:
    headers = cloud_event(
        event_id=name,
        source=f"/{CAUSE}/{lookup.provider}",
        event_type=messages.LOOKUP_REQUESTED,
        event_time=lookup.received_at,
        traceparent=new_traceparent(),
    )
    return Output(kafka.topic(topics.lookups(lookup.provider)), lookup_key(lookup), messages.encode(lookup), headers)
