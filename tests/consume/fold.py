"""What a consumer has to have done, folded from the whole topic without any consumer; and what it did."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import orjson

from paynotify.schemas.messages import event_types
from tests.topics_reader import Record, header

#: By payment and sequence.
Effects: TypeAlias = Mapping[tuple[str, int], Mapping[str, Any]]

_CHANGED: Final = event_types.STATUS_CHANGED


def done(folder: Path) -> Effects:
    """What the consumers wrote down."""
    effects = [orjson.loads(file.read_bytes()) for file in folder.glob("payments/*/*")]
    found = {(effect["payment"], effect["sequence"]): effect for effect in effects}
    assert len(found) == len(effects), "two files say the same"
    return found


def due(records: Iterable[Record], effects: Effects) -> Effects:
    """What they had to do. Which payment of an order comes first differs from run to run, so ``effects`` tells that."""
    events = {(record.key.decode(), one["sequence"]): one for record in records for one in _event(record)}
    sent_by = _sent_by(events, effects)
    return {
        (payment, sequence): {
            "payment": payment,
            "sequence": sequence,
            "event_id": event["event_id"],
            "status": event["status"],
            "goods": _decision(event, payment, sequence, sent_by[goods_of(event)]),
            **({"paid": event["paid"]["value"], "currency": event["paid"]["currency"]} if event["paid"] else {}),
        }
        for (payment, sequence), event in events.items()
    }


def _event(record: Record) -> Iterator[dict[str, Any]]:
    if record.value is not None and header(record, "ce_type") == _CHANGED:
        yield orjson.loads(record.value)


def goods_of(event: Mapping[str, Any]) -> tuple[str, ...]:
    """What goods the payment is for: its order's, or goods of its own."""
    if event.get("order_role", "whole") == "whole" and event["order_id"] is not None:
        return event["merchant"], event["order_id"]
    return event["merchant"], "payment", event["payment_id"]


def _sent_by(
    events: Mapping[tuple[str, int], Mapping[str, Any]], effects: Effects
) -> Mapping[tuple[str, ...], tuple[str, int]]:
    """Which event sent the goods; asserts that it was one alone, and the first of its payment that may."""
    first: dict[tuple[str, ...], dict[str, int]] = defaultdict(dict)
    for (payment, sequence), event in sorted(events.items()):
        if event["fulfilment"] == "release":
            first[goods_of(event)].setdefault(payment, sequence)
    sent: dict[tuple[str, ...], tuple[str, int]] = defaultdict(lambda: ("", 0))
    for place, effect in effects.items():
        if effect["goods"] == "send":
            goods = goods_of(events[place])
            assert goods not in sent, f"sent twice: {goods}"
            sent[goods] = place
    assert sent.keys() == first.keys()
    for goods, (payment, sequence) in sent.items():
        assert first[goods].get(payment) == sequence, f"not the first release of {payment}"
    return sent


def _decision(event: Mapping[str, Any], payment: str, sequence: int, sent_by: tuple[str, int]) -> str:
    if event["fulfilment"] == "release":
        return "send" if (payment, sequence) == sent_by else "nothing"
    if event["fulfilment"] == "stop":
        return "recall" if payment == sent_by[0] and sequence > sent_by[1] else "keep"
    return "wait"
