"""What must be true of charges, by what shops wrote and were told and by the gateway's books: money moves at most once
for each request, and each request is answered with one outcome, which is true.

Nothing here is imported from the product.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from tests.simulation.broker import Stored
from tests.simulation.installation import CHARGE_LIMIT, REFERENCE_LIMIT
from tests.simulation.recurring import Transaction
from tests.simulation.shop import Asked

_ENDS: Final = ("done", "refused")


def problems_of_requests(
    whole: Callable[[str], list[Stored]],
    asked: Mapping[str, Asked],
    transactions: Mapping[str, Transaction],
    *,
    calm: bool,
) -> Iterator[str]:
    """All that is wrong."""
    told: dict[str, list[dict[str, Any]]] = defaultdict(list)
    contents: dict[str, bytes] = {}
    for record in whole("payments.requests"):
        event = orjson.loads(record.value or b"")
        known = contents.setdefault(event["event_id"], record.value or b"")
        if known != record.value:
            yield f"G5 request event {event['event_id']} has two contents"
        elif event not in told[(record.key or b"").decode()]:
            told[(record.key or b"").decode()].append(event)
    for name in told.keys() - asked.keys():
        yield f"G3 {name} is answered, and nobody asked"
    for name, one in asked.items():
        events = told.get(name, [])
        yield from _one_outcome(one, events, transactions)
        if events and events[-1]["state"] in _ENDS:
            yield from _true(one, events[-1], transactions)
    yield from _money(transactions, calm=calm)
    yield from _known(transactions, told)
    yield from _limits(transactions)


def _one_outcome(
    one: Asked, events: Sequence[Mapping[str, Any]], transactions: Mapping[str, Transaction]
) -> Iterator[str]:
    """Begun, then uncertain perhaps, then one end and nothing after it."""
    states = [event["state"] for event in events]
    if sum(state in _ENDS for state in states) > 1 or (states and states[-1] not in _ENDS and "done" in states):
        yield f"G4 {one.name} was told {states}"
    if not states:
        yield f"G2 {one.name} has no answer"
    elif states[-1] not in _ENDS:
        # a closing nobody answered for as long as it was looked for: it may yet come, and is not asked for again
        held = transactions.get(events[-1]["payment_id"] or "")
        if one.action == "charge" or held is None or held.word != "authorised":
            yield f"G6 {one.name} stays {states}, its payment is {held.word if held else 'none'}"


def _true(one: Asked, end: Mapping[str, Any], transactions: Mapping[str, Transaction]) -> Iterator[str]:
    """The outcome is what the gateway's books say."""
    payment = transactions.get(end["payment_id"] or "")
    if end["state"] == "refused":
        if end["reason"] not in _reasons(one):
            yield f"G6 {one.name} is refused: {end['reason']}"
        if one.action == "charge" and payment is not None and payment.was_held:
            yield f"G3 {one.name} is refused ({end['reason']}), its payment is {payment.word}"
        return
    if payment is None:
        yield f"G3 {one.name} is {end['status']}, and the gateway knows no payment of it"
        return
    if payment.charge is not one.order:
        yield f"G3 {one.name} is answered with a payment of {payment.charge.order_id}"
    words = [word for _, word in payment.words]
    later = one.action == "charge" and one.order.capture == "later"
    if end["status"] != payment.word and not (later and end["status"] == "authorised" and payment.was_held):
        yield f"G3 {one.name} is {end['status']}, its payment was {words}"
    if one.action == "charge" and one.order.capture == "now" and payment.captured not in (0, one.order.amount):
        yield f"G3 {one.name} captured {payment.captured} of {one.order.amount}"
    if one.action == "capture" and end["status"] == "captured" and not one.rival:
        wanted = one.order.amount // 2 if one.order.closing == "part" else one.order.amount
        if payment.captured != wanted:
            yield f"G3 {one.name} captured {payment.captured}, {wanted} was asked for"


def _reasons(one: Asked) -> set[str]:
    """Why a request may be refused."""
    order = one.order
    if one.action != "charge":
        return {"already_closing", "not_authorised"} if order.number % 5 == 0 else set()
    kinds = {"failed": "reference_not_usable", "unknown": "unknown_reference"}
    reasons = {kinds[order.reference.kind]} if order.reference.kind in kinds else set()
    reasons |= {"over_charge_limit"} if order.amount > CHARGE_LIMIT else {"over_reference_limit"}
    reasons |= {"order_already_charged"} if order.rival_at is not None else set()
    # what was tried in vain until it expired is refused for what was in the way
    return reasons | ({"expired", "no_answer", "unavailable"} if order.expires_at is not None else set())


def _money(transactions: Mapping[str, Transaction], *, calm: bool) -> Iterator[str]:
    """It moves at most once for each request, and for each order that was not to be charged again."""
    held = Counter(one.charge.order_id for one in transactions.values() if one.was_held)
    for order, count in held.items():
        if count > 1:
            yield f"G5 {order}: charged {count} times"
    for one in transactions.values():
        if one.starts > 1:
            yield f"G5 {one.payment_id}: StartRP came {one.starts} times"
        if one.closed > 1 or (calm and one.closes > 1):
            yield f"G5 {one.payment_id}: Close came {one.closes} times"
        if calm and not one.started and one.charge.expires_at is None:
            yield f"G5 {one.payment_id} was opened and not started, and nothing had gone wrong"


def _known(transactions: Mapping[str, Transaction], told: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    """Whoever's money was moved, a request is told of it."""
    done = {event["payment_id"] for events in told.values() for event in events if event["state"] in _ENDS}
    for one in transactions.values():
        if one.was_held and one.payment_id not in done:
            yield f"G2 {one.payment_id}: money moved, and no request is told of it"


def _limits(transactions: Mapping[str, Transaction]) -> Iterator[str]:
    charged: dict[str, int] = defaultdict(int)
    for one in transactions.values():
        if one.was_held:
            charged[one.charge.reference.payment_id] += one.charge.amount
    for reference, amount in charged.items():
        if amount > REFERENCE_LIMIT:
            yield f"G9 {reference}: {amount} charged, {REFERENCE_LIMIT} allowed"
