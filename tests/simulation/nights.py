"""What must be true of the looks at payments that settle at night: for each due date at most one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from math import floor
from typing import Final

import orjson

from tests.simulation.broker import EPOCH_SECONDS, Stored, header
from tests.simulation.gateways import DAY_SECONDS
from tests.simulation.installation import CHECK_HOUR
from tests.simulation.plan import Plan

#: A look may come so much early: by a clock that is off, and what is between the clock and the broker.
_EARLY_SECONDS: Final = 4.0
_MORNING_SECONDS: Final = CHECK_HOUR / 24 * DAY_SECONDS


def problems_of_nights(whole: Callable[[str], list[Stored]], plan: Plan) -> Iterator[str]:
    """Looks that no morning explains: since a payment began there were at least as many mornings as looks at it."""
    began = {one.payment_id: one.changes[0][0] for one in plan.payments if one.changes}
    for reference, times in _looks(whole).items():
        # a refund has its payment's id but for the end; of a charge it is not known when it began
        first = _mornings(began.get(reference, began.get(reference[:-1] + "0", 0.0)))
        for number, at in enumerate(sorted(times), start=1):
            mornings = _mornings(at + _EARLY_SECONDS) - first
            if number > mornings:
                yield f"G7 {reference}: look {number} at {at:.1f} s, {mornings} mornings after it began"


def _looks(whole: Callable[[str], list[Stored]]) -> dict[str, list[float]]:
    """When each reference was asked for because its settlement was due. A lookup put off comes back under its id."""
    looks: dict[str, dict[str, float]] = defaultdict(dict)
    for record in (*whole("lookups.trustpayments"), *whole("lookups.nevogate")):
        lookup = orjson.loads(record.value or b"")
        if lookup["arguments"].get("cause") == "settlement due":
            name = header(record, "ce_id")
            for reference in (lookup["reference"] or lookup["arguments"]["references"]).split():
                looks[reference].setdefault(name, record.timestamp - EPOCH_SECONDS)
    return {reference: list(times.values()) for reference, times in looks.items()}


def _mornings(seconds: float) -> int:
    """How many mornings have begun by then."""
    return floor((seconds - _MORNING_SECONDS) / DAY_SECONDS) + 1
