"""What must be true of the bank's signed events: a genuine one counts once, and only the others are rejected."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import orjson

from tests.simulation.broker import Stored, header
from tests.simulation.plan import Garbage, Plan
from tests.simulation.smartpay import TRUTHS, foreign_order

#: How an event ends that is none of an order of the shop. One of another shop's is looked up where the bank's answer
#: is the truth, and there is none.
_ENDS: Final[Mapping[str, str]] = {
    "foreign": "mismatch",
    "unpublished": "unknown_key",
    "changed": "bad_signature",
    "test": "alert",
}


def problems_of_signed_events(whole: Callable[[str], list[Stored]], plan: Plan) -> Iterator[str]:
    """Of a genuine event one is looked up and the copies are duplicates; any other call ends as it should."""
    expected = {f"evt_{one.number}": "lookup" for one in plan.payments if one.provider == "smartpay"}
    expected |= {_name(one): _ENDS[one.kind] for one in plan.garbage if one.kind in _ENDS}
    looked_up = [one for one in plan.garbage if one.kind == "foreign" and TRUTHS[one.merchant] == "order"]
    expected |= {_name(one): "lookup" for one in looked_up}
    ends = _ends(whole)
    told: dict[str, list[str]] = defaultdict(list)
    for record in whole("notifications.smartpay"):
        if header(record, "attempts"):
            continue  # the same record once more: it has waited for its key
        end = ends.get(header(record, "ce_id"), "nothing")
        name = header(record, "x-smartpay-event-id")
        if name:
            told[name].append(end)
            continue
        unsigned = "unknown_merchant" if header(record, "ce_source").endswith("/nobody") else "missing_signature"
        if end != unsigned:
            yield f"G3 a call of the bank without a signature ended as {end}, not {unsigned}"
    for name, found in told.items():
        copies = ["duplicate"] * (len(found) - 1)
        if sorted(found) != sorted([expected[name], *copies]):
            yield f"G2 event {name} ended as {found}, not {expected[name]} once and duplicate"
    dead, foreign = _dead(whole), {foreign_order(one) for one in looked_up}
    for order_id in sorted(dead ^ foreign):
        yield f"G2 the lookup of an event about {order_id} is dead and the order the shop's, or the contrary"


def _name(garbage: Garbage) -> str:
    return f"evt_{garbage.kind}_{garbage.number}"


def _dead(whole: Callable[[str], list[Stored]]) -> set[str]:
    """The orders for which an event's lookup found nothing."""
    return {
        orjson.loads(one.value or b"")["reference"]
        for one in whole("lookups.dead")
        if header(one, "ce_source") == "/verify/smartpay" and header(one, "reason") == "not_found"
    }


def _ends(whole: Callable[[str], list[Stored]]) -> dict[str, str]:
    """How each notification ended."""
    ends = {header(one, "ce_id"): "duplicate" for one in whole("notifications.duplicates")}
    ends |= {header(one, "ce_id"): "alert" for one in whole("notifications.alerts")}
    ends |= {header(one, "ce_id"): header(one, "reason") for one in whole("notifications.rejected")}
    for record in whole("lookups.smartpay"):
        if header(record, "ce_source") == "/verify/smartpay":
            ends[orjson.loads(record.value or b"")["notification_id"]] = "lookup"
    return ends
