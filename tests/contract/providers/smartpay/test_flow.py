"""An event goes through all stages; told by ping and pull too, it is one payment with one sequence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import yaml
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from paynotify.processors.metrics import Metrics
from paynotify.processors.runtime.failpoints import ignore
from paynotify.processors.runtime.stage import BatchContext, StageSpec
from paynotify.processors.state.overlay import Overlay
from paynotify.processors.wiring import StageSelection, build_stages
from paynotify.sandbox.simulators.omnikassa.signature import sign, signed_fields
from paynotify.sandbox.simulators.smartpay.key_ring import KeyRing
from paynotify.schemas.configuration.load import parse
from paynotify.schemas.messages import PaymentStatus, decode
from paynotify.schemas.records import Output, Record
from tests.fakes.accounts import NOW, OMNIKASSA_KEY
from tests.fakes.gateway import World, world
from tests.fakes.observations import notification_headers
from tests.fakes.signed_events import ORDER_ID, SUBSCRIPTION, event_body, event_data, key_file, signed_event
from tests.fakes.stages import NothingExpected, empty

KEYS: Final = KeyRing()
KEY: Final = KEYS.signing("ES256")


def stages(folder: Path, here: World, **settings: Any) -> dict[str, tuple[StageSpec, ...]]:
    merchants = [
        {
            "id": "shop-nl",
            "provider": "omnikassa",
            "poi_id": 123,
            "base_url": "https://bank.example",
            "signing_keys": [{"value": OMNIKASSA_KEY}],
        },
        {
            "id": "shop",
            "provider": "smartpay",
            "base_url": "https://bank.example",
            "jwks_file": key_file(KEYS, folder),
            "truth": "event",
            "subscription_ids": [SUBSCRIPTION],
            **settings,
        },
    ]
    configuration = parse(yaml.safe_dump({"sandbox": True, "merchants": merchants}), "test.yaml")
    metrics = Metrics(CollectorRegistry())
    return build_stages(configuration, StageSelection(), metrics, here.call_context(), NothingExpected(), ignore)


async def processed(spec: StageSpec, records: Sequence[Record], state: Overlay | None = None) -> list[Record]:
    early: list[Output] = []

    async def publish(outputs: Sequence[Output]) -> None:
        early.extend(outputs)

    outputs = await spec.stage.process(BatchContext(records, empty() if state is None else state, publish))
    return [
        Record(one.topic, 0, offset, one.key, one.value, tuple(one.headers), NOW.timestamp())
        for offset, one in enumerate((*early, *outputs))
    ]


def stored(data: Any = None) -> Record:
    """An event as the ingress stores it."""
    call = signed_event(KEY, event_body(data=event_data() if data is None else data))
    headers = {**notification_headers("smartpay", "shop", "n-1"), **call.headers, "ce_time": NOW.isoformat()}
    raw = tuple((name, value.encode()) for name, value in headers.items())
    return Record("notifications.smartpay", 0, 0, b"shop/1", call.body, raw, NOW.timestamp())


def pulled() -> Record:
    """A page of OmniKassa's results about the same order, as fetch stores it."""
    amount = {"currency": "EUR", "amount": "1050"}
    order = {
        "merchantOrderId": "ORD-7",
        "omnikassaOrderId": ORDER_ID,
        "poiId": "123",
        "orderStatus": "COMPLETED",
        "orderStatusDateTime": "2026-06-01T12:00:00.12+01:00",
        "errorCode": "",
        "paidAmount": amount,
        "totalAmount": amount,
        "transactions": [],
    }
    page = {"moreOrderResultsAvailable": False, "orderResults": [order]}
    body = json.dumps({**page, "signature": sign(OMNIKASSA_KEY, signed_fields(page))}).encode()
    headers = {
        "ce_id": "r-1",
        "ce_source": "/providers/omnikassa/shop-nl",
        "ce_time": NOW.isoformat(),
        "fact-results-version": "2",
        "lookups": "[]",
    }
    raw = tuple((name, value.encode()) for name, value in headers.items())
    return Record("responses.omnikassa", 0, 0, b"shop-nl", body, raw, NOW.timestamp())


def events(records: Sequence[Record]) -> list[PaymentStatus]:
    return [decode(one.value, PaymentStatus) for one in records if one.topic == "payments.status"]


async def taken(specs: Any, record: Record, state: Overlay) -> list[Record]:
    lookups = await processed(specs["verify.smartpay"][0], [record])
    responses = await processed(specs["fetch.smartpay"][0], lookups)
    observations = await processed(specs["interpret.smartpay"][0], responses)
    assert [one.topic for one in (*lookups, *responses, *observations)] == [
        "lookups.smartpay",
        "responses.smartpay",
        "observations",
    ]
    return await processed(specs["resolve"][0], [replace(one, offset=5) for one in observations], state)


async def test_event_becomes_a_result(tmp_path: Path) -> None:
    async with world() as here:
        results = await taken(stages(tmp_path, here), stored(), empty())
    (event,) = events(results)
    assert (event.provider, event.merchant, event.payment_id) == ("smartpay", "shop", ORDER_ID)
    assert (event.status, event.source, event.sequence) == ("captured", "EVENT", 1)


async def test_unknown_word_is_held(tmp_path: Path) -> None:
    async with world() as here:
        (event,) = events(await taken(stages(tmp_path, here), stored(event_data("settling")), empty()))
    assert (event.status, event.fulfilment) == ("unknown", "hold")


async def test_order_told_by_ping_and_event_is_one_payment_with_one_sequence(tmp_path: Path) -> None:
    async with world() as here:
        for first in ("event", "ping"):
            specs, state = stages(tmp_path, here, same_as="shop-nl"), empty()
            found: list[PaymentStatus] = []
            for way in (first, "ping" if first == "event" else "event"):
                if way == "event":
                    found += events(await taken(specs, stored(), state))
                    continue
                observations = await processed(specs["interpret.omnikassa"][0], [pulled()])
                assert [one.key for one in observations] == [f"shop-nl/{ORDER_ID}".encode()]
                found += events(await processed(specs["resolve"][0], observations, state))
            assert {(one.provider, one.merchant, one.payment_id) for one in found} == {
                ("omnikassa", "shop-nl", ORDER_ID)
            }
            assert [one.sequence for one in found] == list(range(1, len(found) + 1))
            assert {one.status for one in found} == {"captured"}
