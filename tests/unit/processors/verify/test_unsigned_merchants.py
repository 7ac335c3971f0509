"""Unsigned notifications of a provider that signs them as a rule: accepted by merchant, within the budget."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import urlencode

import pytest
import yaml
from prometheus_client import CollectorRegistry

from paynotify.processors.fetch.stage import FetchStage
from paynotify.processors.metrics import Metrics
from paynotify.processors.orders.expectation_cache import ExpectedPayments
from paynotify.processors.providers.account import Account, open_account
from paynotify.processors.providers.outcomes import Failed
from paynotify.processors.providers.registry import provider_specs
from paynotify.processors.runtime.failpoints import ignore
from paynotify.processors.runtime.stage import BatchContext
from paynotify.processors.state.overlay import Overlay
from paynotify.processors.verify.known_ids import KnownIdsStage
from paynotify.processors.verify.stage import VerifyStage
from paynotify.processors.wiring import StageSelection, build_stages
from paynotify.sandbox.simulators.trustpayments.signature import security_hash
from paynotify.schemas.configuration.load import load, parse
from paynotify.schemas.configuration.worker import UnsignedBudgetSettings
from paynotify.schemas.records import Output, Record
from tests.fakes import configurations
from tests.fakes.stages import (
    KAFKA,
    NOW,
    FakeProvider,
    call_context,
    circuits,
    counted,
    empty,
    header,
    lookup_record,
    metrics,
    refuse_publish,
)

SETTINGS: Final = {
    "provider": "trustpayments",
    "notification_passwords": [{"value": "n"}],
    "webservices_url": "https://gateway.example/json/",
    "username": "u",
    "password": {"value": "p"},
}
BUDGET: Final = UnsignedBudgetSettings(per_second=1, burst=3, unknown_cost=5, known_per_second=1, known_burst=2)


def accounts() -> dict[str, Account[Any]]:
    """Two sites: one without site security, of which the merchant accepts unsigned forms, and one with."""
    merchants = [
        {"id": "open", "site_reference": "open", "accept_unsigned": True, **SETTINGS},
        {"id": "signed", "site_reference": "signed", **SETTINGS},
    ]
    configuration = parse(yaml.safe_dump({"sandbox": True, "merchants": merchants}), "test")
    return {one.id: open_account(one) for one in configuration.merchants}


def stage(numbers: Metrics) -> VerifyStage:
    return VerifyStage(provider_specs()["trustpayments"].provider, accounts(), KAFKA, numbers, 3600.0, BUDGET)


def call(site: str, number: int, *, signed: bool = False, offset: int = 0, **more: str) -> Record:
    """A form about a transaction of the site, as it lies on the topic."""
    fields = {"errorcode": "0", "sitereference": site, "transactionreference": f"57-9-{number}", **more}
    if signed:
        fields["responsesitesecurity"] = security_hash(fields, "n")
    headers = (
        ("ce_id", f"{site}-{number}-{offset}".encode()),
        ("ce_source", f"/notifications/trustpayments/{site}".encode()),
        ("ce_time", b"2026-06-01T12:00:00.000Z"),
    )
    return Record("notifications.trustpayments", 0, offset, b"k", urlencode(fields).encode(), headers, NOW.timestamp())


async def verified(one: VerifyStage, state: Overlay, *records: Record) -> list[str]:
    outputs: list[Output] = list(await one.process(BatchContext(records, state, refuse_publish)))
    return [header(output, "reason") or output.topic for output in outputs]


async def test_unsigned_forms_are_accepted_of_the_merchant_that_says_so_and_no_other() -> None:
    ended = await verified(
        stage(metrics()), empty(), call("open", 1), call("signed", 1), call("signed", 1, signed=True)
    )
    assert ended == ["lookups.trustpayments", "missing_signature", "lookups.trustpayments"]


async def test_flood_of_unsigned_forms_ends_at_the_merchants_budget_and_delays_nobody_else() -> None:
    one, state = stage(metrics()), empty()
    flood = [call("open", number, offset=number) for number in range(10)]
    assert await verified(one, state, *flood) == ["lookups.trustpayments"] * 3 + ["over_budget"] * 7
    genuine = [call("signed", 1, signed=True), call("open", 99, signed=True, offset=99)]
    assert await verified(one, state, *genuine) == ["lookups.trustpayments"] * 2, "a hash is worth more than a budget"


async def test_field_nobody_configured_is_counted_by_no_name_of_its_own() -> None:
    numbers = metrics()
    odd = call("signed", 1, signed=True, billingemail="joe@example.com")
    forged = call("signed", 2, billingemail="joe@example.com", responsesitesecurity="0" * 64)
    assert await verified(stage(numbers), empty(), odd, forged) == ["lookups.trustpayments", "bad_signature"]
    assert counted(numbers.notification_warnings, provider="trustpayments", warning="unexpected_field") == 1


@pytest.mark.parametrize(("merchant", "learned"), [("open", 1), ("signed", 0)])
async def test_id_the_provider_does_not_know_counts_against_unsigned_callers_only(merchant: str, learned: int) -> None:
    provider = FakeProvider(answer=lambda call: {one.lookup_id: Failed("not_found") for one in call.lookups})
    numbers = metrics()
    fetch = FetchStage(
        provider,
        accounts(),
        KAFKA,
        call_context(),
        numbers,
        circuits(numbers),
        delays_seconds=(5.0,),
        calls_in_flight=1,
    )
    outputs = await fetch.process(BatchContext([lookup_record("l-1", merchant=merchant)], empty(), refuse_publish))
    assert [one.value for one in outputs if one.topic.endswith(".known")] == [b"unknown"] * learned


@pytest.mark.parametrize("accept", [True, False])
def test_budget_and_known_ids_run_where_a_merchant_accepts_unsigned_forms(accept: bool, tmp_path: Path) -> None:
    merchants = configurations.merchants()
    for one in merchants:
        if one["provider"] == "trustpayments":
            one["accept_unsigned"] = accept
    document = configurations.document("127.0.0.1:1", "", tmp_path, merchants=merchants)
    specs = build_stages(
        load(configurations.write(tmp_path, document)),
        StageSelection(stages=["verify"]),
        Metrics(CollectorRegistry()),
        call_context(),
        cast(ExpectedPayments, None),
        ignore,
    )
    stages = [type(spec.stage) for spec in specs["verify.trustpayments"]]
    assert stages == ([VerifyStage, KnownIdsStage] if accept else [VerifyStage])
