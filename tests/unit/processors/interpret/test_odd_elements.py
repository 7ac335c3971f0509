"""Of a page's good orders and any odd ones among them, the good ones are published and the odd ones dead-lettered."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from paynotify.processors.interpret.stage import InterpretStage
from paynotify.processors.providers.omnikassa.signature import results_text
from paynotify.processors.providers.registry import provider_specs
from paynotify.processors.runtime.stage import BatchContext
from paynotify.schemas.records import Output
from tests.fakes.accounts import OMNIKASSA_KEY, account
from tests.fakes.stages import KAFKA, NothingExpected, empty, header, metrics, record, refuse_publish

OMNIKASSA: Final = provider_specs()["omnikassa"].provider
FIELDS: Final = ("merchantOrderId", "omnikassaOrderId", "poiId", "totalAmount", "paidAmount")
#: Values of which no field can be made that is published.
ODD: Final[dict[str, st.SearchStrategy[Any]]] = {
    "merchantOrderId": st.lists(st.integers()) | st.just("x\ud800") | st.booleans() | st.just("x" * 5000),
    "omnikassaOrderId": st.none() | st.integers() | st.just("a,b") | st.text(min_size=37),
    "poiId": st.none() | st.integers().filter(lambda one: one != 123) | st.sampled_from(["0124", "12a", "", [None]]),
    "totalAmount": st.none() | st.integers() | st.just({"currency": "EUR", "amount": 10**300}),
    "paidAmount": st.none() | st.text() | st.just({"currency": "", "amount": "1"}) | st.just({"amount": 1}),
}


def _order(number: int) -> dict[str, Any]:
    amount = {"currency": "EUR", "amount": "599"}
    return {
        "merchantOrderId": f"O{number}",
        "omnikassaOrderId": f"{number:08d}-2589-439b-9562-c50aa19f9caf",
        "poiId": "123",
        "orderStatus": "COMPLETED",
        "orderStatusDateTime": "2026-06-01T14:00:00.1+02:00",
        "errorCode": "",
        "paidAmount": amount,
        "totalAmount": amount,
    }


@st.composite
def _pages(draw: st.DrawFn) -> tuple[list[Any], list[int]]:
    """A page's orders, and the places of the odd ones."""
    orders: list[Any] = [_order(number) for number in range(draw(st.integers(1, 20)))]
    places = draw(st.sets(st.integers(0, len(orders) - 1), max_size=5))
    for place in places:
        field = draw(st.sampled_from(FIELDS))
        value = draw(ODD[field])
        orders[place] = draw(st.sampled_from([{**orders[place], field: value}, None]))
    return orders, sorted(places)


async def _interpreted(orders: list[Any]) -> list[Output]:
    content = {"moreOrderResultsAvailable": False, "orderResults": orders}
    text = results_text(content, 2).encode("utf-8", "replace")
    signature = hmac.new(base64.b64decode(OMNIKASSA_KEY), text, hashlib.sha512).hexdigest()
    body = json.dumps({**content, "signature": signature}).encode()
    made = record(
        body,
        {"ce_id": "r-1", "ce_source": "/providers/omnikassa/shop", "ce_time": "2026-06-01T12:00:00.000Z"},
        topic="responses.omnikassa",
    )
    stage = InterpretStage(OMNIKASSA, {"shop": account("omnikassa")}, KAFKA, metrics(), NothingExpected())
    return list(await stage.process(BatchContext([made], empty(), refuse_publish)))


@settings(max_examples=200, deadline=None)
@given(_pages())
def test_good_orders_are_published_whatever_the_odd_ones_among_them_are(page: tuple[list[Any], list[int]]) -> None:
    orders, odd = page
    outputs = asyncio.run(_interpreted(orders))
    published = [one.key for one in outputs if one.topic == "observations"]
    good = [f"shop/{one['omnikassaOrderId']}".encode() for place, one in enumerate(orders) if place not in odd]
    assert published == good
    named = " ".join(header(one, "elements") for one in outputs if one.topic == "lookups.dead").split()
    assert sorted(named) == sorted(f"orderResults/{place}" for place in odd)
