"""What must be true of the events on ``operations``: each case has one, by its id, and nothing else has any."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from tests.simulation.broker import Stored, header

_HELD = ("captured", "partially_refunded")
_MONEY = (*_HELD, "refunded", "charged_back", "unknown")


def problems_of_operations(whole: Callable[[str], list[Stored]]) -> Iterator[str]:
    """Each must-have event is there exactly once, by its id, and is the same whenever it was published again."""
    contents: dict[str, bytes] = {}
    told: dict[tuple[str, str], set[str]] = defaultdict(set)
    for record in whole("operations"):
        event = orjson.loads(record.value or b"")
        name = event["event_id"]
        if contents.setdefault(name, record.value or b"") != record.value or header(record, "ce_id") != name:
            yield f"G5 operations event {name} has two contents or two ids"
        told[event["kind"], event["cause"]].add(name)
    due = {*_odd(whole), *_taken_back(whole), *_over_refunded(whole)}
    for kind, cause in sorted(due - told.keys()):
        yield f"G2 {kind} at {cause} is not on operations"
    for kind, cause in sorted(told.keys() - due):
        yield f"G3 {kind} at {cause} is on operations, and did not happen"
    for (kind, cause), names in sorted(told.items()):
        if len(names) != 1:
            yield f"G5 {kind} at {cause} has {len(names)} events"


def _odd(whole: Callable[[str], list[Stored]]) -> Iterator[tuple[str, str]]:
    """Responses of which elements are among the dead, and lookups of a value that was refused."""
    for record in whole("lookups.dead"):
        topic = header(record, "original-topic")
        if header(record, "elements") or (topic == "lookups.trustpayments" and header(record, "reason") == "refused"):
            yield "odd_elements", header(record, "ce_id")


def _over_refunded(whole: Callable[[str], list[Stored]]) -> Iterator[tuple[str, str]]:
    most: dict[bytes | None, int] = defaultdict(int)
    for record in whole("payments.status"):
        event = orjson.loads(record.value or b"")
        refunded, paid = (_value(event, name) for name in ("refunded", "paid"))
        if refunded > max(paid or _value(event, "amount"), most[record.key]):
            yield "over_refunded", event["event_id"]
        most[record.key] = max(most[record.key], refunded)


def _value(event: Mapping[str, Any], name: str) -> int:
    return int((event.get(name) or {"value": 0})["value"])


def _taken_back(whole: Callable[[str], list[Stored]]) -> Iterator[tuple[str, str]]:
    """Observations newer than all before that say of captured money that it is not captured."""
    published: dict[tuple[bytes | None, str, str], str] = {}
    for record in whole("payments.status"):
        event = orjson.loads(record.value or b"")
        published.setdefault((record.key, event["provider_time"] or "", event["observed_at"]), event["status"])
    newest: dict[bytes | None, tuple[str, str]] = {}
    status: dict[bytes | None, str] = {}
    for record in whole("observations"):
        one = orjson.loads(record.value or b"")
        if header(record, "ce_type") != "payment.observed.v1":
            continue
        if one["status"] is None and not one.get("chargeback"):
            continue  # what the shop says: an event of it may come much later, at its moment
        moment = (one.get("provider_time") or "", one["observed_at"])
        if not one.get("chargeback"):
            newer = moment > newest.get(record.key, ("", ""))
            if newer and status.get(record.key) in _HELD and one["status"] not in _MONEY:
                yield "money_taken_back", header(record, "ce_id")
            newest[record.key] = max(moment, newest.get(record.key, ("", "")))
        status[record.key] = published.get((record.key, *moment), status.get(record.key, ""))
