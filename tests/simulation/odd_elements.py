"""What must be true of odd elements among good ones: a refused value of a query, a foreign order on a page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import orjson

from tests.simulation.broker import Stored, header
from tests.simulation.gateways import FOREIGN
from tests.simulation.plan import Plan
from tests.simulation.trustpayments import REFUSED


def problems_of_odd_elements(whole: Callable[[str], list[Stored]], plan: Plan) -> Iterator[str]:
    """Each is among the dead, and alone."""
    refused = {f"57-9-{one.number}{REFUSED}" for one in plan.garbage if one.kind == "refused"}
    dead: set[str] = set()
    places: set[str] = set()
    for record in whole("lookups.dead"):
        topic = header(record, "original-topic")
        if topic == "lookups.trustpayments" and header(record, "reason") == "refused":
            dead.add(str(orjson.loads(record.value or b"")["reference"]))
        elif topic == "responses.omnikassa":
            place = f"{header(record, 'original-partition')}/{header(record, 'original-offset')}"
            places.update(f"{place}/{one}" for one in header(record, "elements").split())
    for reference in sorted(dead - refused):
        yield f"G2 the lookup of {reference} was refused because of another"
    for reference in sorted(refused - dead):
        yield f"G2 the refused lookup of {reference} is not among the dead"
    for place in sorted(places ^ _foreign(whole)):
        yield f"G2 the order at {place} of the bank's pages is foreign and not dead alone, or the contrary"


def _foreign(whole: Callable[[str], list[Stored]]) -> set[str]:
    """The places of other shops' orders on the pages that were stored whole."""
    return {
        f"{record.partition}/{record.offset}/orderResults/{number}"
        for record in whole("responses.omnikassa")
        for number, order in enumerate(_orders(record))
        if order.get("poiId") == FOREIGN
    }


def _orders(record: Stored) -> list[dict[str, Any]]:
    try:
        page = orjson.loads(record.value or b"")
    except orjson.JSONDecodeError:
        return []
    return page.get("orderResults", []) if isinstance(page, dict) else []
