"""A gateway that answers each TRANSACTIONQUERY from a list of records, and refuses one with a malformed value.

The gateway refuses a whole query with errorcode 30000 and the field's name in ``errordata`` or ``data`` if one of its
values is malformed, leaves unknown references out without an error, and sends no more than 500 records.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, Final

import orjson
from aiohttp import web

from paynotify.processors.providers.base import WaitingLookup
from paynotify.processors.providers.outcomes import LookupOutcome
from paynotify.processors.providers.registry import provider_specs
from tests.fakes.accounts import account, response, waiting
from tests.fakes.gateway import Gateway, Scripted, World, json_answer
from tests.fakes.gateway_records import card

_TRUSTPAYMENTS: Final = provider_specs()["trustpayments"].provider
SITE: Final = {"sitereference": "test_acme98765"}


def reference(number: int) -> str:
    return f"57-9-{number}"


def payment(number: int, **fields: str) -> dict[str, Any]:
    return {**card("0", transactionreference=reference(number), **SITE), **fields}


def gateway_of(
    *records: Mapping[str, Any],
    poison: Collection[str] = (),
    named_in: str = "errordata",
    down: Collection[str] = (),
    raw: Mapping[str, bytes] | None = None,
) -> Scripted:
    """A gateway with these records. It refuses each query for a ``poison`` value, and fails each for one in ``down``.

    ``raw`` are the bytes of records that no JSON writer would write, by their references.
    """

    async def answer(request: web.Request, body: bytes) -> web.StreamResponse:
        asked = json.loads(body)["request"][0]
        wanted = {name: [one["value"] for one in values] for name, values in asked["filter"].items()}
        wanted.pop("sitereference")
        start, end = (wanted.pop(name, [""])[0] for name in ("starttimestamp", "endtimestamp"))
        field, values = next(iter(wanted.items()), ("", []))
        if set(values) & set(down):
            return web.Response(status=503)
        if set(values) & set(poison):
            error = {"errorcode": "30000", "errormessage": "Invalid field", "requesttypedescription": "ERROR"}
            return json_answer(
                orjson.dumps(
                    {"requestreference": asked["requestreference"], "response": [{**error, named_in: [field]}]}
                )
            )
        found = [one for one in records if not field or one.get(field) in values]
        if start:
            found = [one for one in found if start <= one["transactionstartedtimestamp"] <= end]
        texts = [orjson.dumps(one) for one in found[:500]] + [
            text for name, text in (raw or {}).items() if name in values
        ]
        query = b'{"errorcode":"0","transactionstartedtimestamp":"2026-06-01 12:00:00","records":[%b]}' % b",".join(
            texts
        )
        return json_answer(b'{"requestreference":"%b","response":[%b]}' % (asked["requestreference"].encode(), query))

    return answer


def settlement(*numbers: int, lookup_id: str = "s") -> WaitingLookup:
    """The lookup of payments whose settlement is due."""
    references = " ".join(reference(number) for number in numbers)
    return waiting("trustpayments", lookup_id=lookup_id, references=references, cause="settlement due", recovery="1")


def notified(number: int, lookup_id: str = "") -> WaitingLookup:
    return waiting("trustpayments", reference(number), lookup_id=lookup_id or reference(number))


async def fetch(
    gateway: Gateway, here: World, *lookups: WaitingLookup, transactions: int = 100
) -> dict[str, LookupOutcome]:
    shop = account("trustpayments", webservices_url=gateway.url + "/json/")
    context = here.call_context(transactions=transactions)
    outcomes: dict[str, LookupOutcome] = {}
    for call in _TRUSTPAYMENTS.calls(lookups, context):
        outcomes.update(await _TRUSTPAYMENTS.fetch(call, shop, context, here.store))
    return outcomes


def observed(here: World) -> set[str]:
    """The payments that the stored responses say something about."""
    shop = account("trustpayments")
    return {
        one.payment_id
        for stored in here.stored
        for one in _TRUSTPAYMENTS.interpret(response(stored.body), shop).observations
    }


def asked_in(gateway: Gateway) -> list[list[str]]:
    """The references that each query asked for."""
    filters = [json.loads(one.body)["request"][0]["filter"] for one in gateway.seen]
    return [[value["value"] for value in one.get("transactionreference", [])] for one in filters]
