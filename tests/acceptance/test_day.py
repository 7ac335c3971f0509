"""A short day of payments with everything that goes wrong in it, judged from the topics and the providers' books."""

from __future__ import annotations

import http.client
import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlencode

import orjson
import pytest

from paynotify.ingest.sent_headers import OPTIONAL_HEADERS
from paynotify.sandbox.attacker import Attacker, replayed, resplit
from paynotify.sandbox.configuration import merged
from paynotify.sandbox.script import REQUIRED_PLAN, Player
from paynotify.sandbox.simulators.trustpayments.signature import security_hash
from paynotify.sandbox.system import Plan, Sandbox
from paynotify.schemas import messages, topics
from paynotify.schemas.messages import CAUSE, SETTLEMENT_DUE
from tests.acceptance.cloud_events import (
    JSON_TOPICS,
    as_java_says,
    java_events,
    problems_of,
    sdk_events,
    with_parsed_time,
)
from tests.acceptance.contract import assert_records_fit
from tests.acceptance.knocking import soon
from tests.acceptance.ledger import (
    Observer,
    assert_consumers_applied_once,
    assert_right,
    books_of,
    header,
    settle,
)
from tests.acceptance.shopping import buy

pytestmark = pytest.mark.kafka

DEADLINE_SECONDS: Final = 60.0
DAY_SECONDS: Final = 12.0
PAYMENTS: Final = 54

#: What an installation says of its events.
EVENTS: Final = {"source": "//day.example/acceptance", "schema_base": "https://day.example/schemas/v1/"}

#: Every header a stored notification may have, and no other.
ALLOWED: Final = {
    "ce_specversion",
    "ce_id",
    "ce_source",
    "ce_type",
    "ce_time",
    "content-type",
    "http-method",
    "http-query",
    "traceparent",
    *(name.decode() for name in OPTIONAL_HEADERS),
}


@pytest.fixture(scope="module")
def sandbox(start: Callable[[Plan], Sandbox]) -> Sandbox:
    return start(
        Plan(
            simulators={"time_scale": 60.0, "latency_seconds": 0.01},
            simulator={"trustpayments": {"visible_within_seconds": 60.0}},
            **merged(REQUIRED_PLAN, {"configuration": {"kafka": {"events": EVENTS}}}),
        )
    )


def test_day_in_which_everything_goes_wrong_ends_as_the_providers_know_it(sandbox: Sandbox, observer: Observer) -> None:
    player = Player(sandbox, seconds=DAY_SECONDS, payments=PAYMENTS, seed=7)
    player.start()
    try:
        soon(lambda: player.over, DEADLINE_SECONDS, "the day did not end")
    finally:
        player.stop()
    player.finish()
    assert player.progress.payments == player.progress.planned >= PAYMENTS / 2
    assert player.progress.surprises == []
    assert_right(sandbox, observer)
    assert_consumers_applied_once(sandbox, observer)
    published = Counter(events[-1]["status"] for events in observer.events().values())
    assert published.keys() >= {
        "authorised",
        "captured",
        "declined",
        "cancelled",
        "expired",
        "failed",
        "partially_refunded",
        "refunded",
        "charged_back",
    }
    reasons = Counter(header(record, "reason") for record in observer.records[topics.REJECTED])
    assert reasons.keys() >= {"malformed", "bad_signature", "missing_signature"}
    assert observer.records[topics.DUPLICATES]
    assert observer.all_of(topics.retry("trustpayments", step) for step in range(1, 6)), "no lookup was ever put off"
    assert {"refused", "unknown_merchant"} <= {header(record, "reason") for record in observer.records[topics.DEAD]}
    assert any(event.get("correction") for events in observer.events().values() for event in events)


def test_settlement_and_refund_that_nobody_tells_of_are_found(sandbox: Sandbox, observer: Observer) -> None:
    control = sandbox.providers["trustpayments"]
    numbers = itertools.count(1)

    def paid(**details: str) -> str:
        return control.pay(order_id=f"NIGHT{next(numbers):04d}", amount=1250, **details)

    def played(make: Callable[[], object], shown: Callable[[list[dict[str, Any]]], bool]) -> bool:
        """Make one more: whether it is seen before its night depends on the moment at which it is made."""
        make()
        settle(sandbox, observer)
        return any(map(shown, observer.events().values()))

    def settled_silently(events: list[dict[str, Any]]) -> bool:
        return [event["status"] for event in events] == ["authorised", "captured"]

    def refund_announced(events: list[dict[str, Any]]) -> bool:
        return any(event.get("refunding") for event in events) and events[-1]["status"] == "partially_refunded"

    soon(lambda: played(paid, settled_silently), DEADLINE_SECONDS, "no payment was seen before it was settled")
    lookups = [orjson.loads(record.value) for record in observer.records[topics.lookups("trustpayments")]]
    assert any(one["arguments"].get(CAUSE) == SETTLEMENT_DUE for one in lookups)

    def refunded() -> None:
        control.change(paid(settlestatus="100"), refund=250, refund_settlestatus="0")

    soon(lambda: played(refunded, refund_announced), DEADLINE_SECONDS, "no refund was seen before it was settled")


def test_resplit_hash_of_a_decline_never_publishes_a_payment(sandbox: Sandbox, observer: Observer) -> None:
    _, declined = buy(sandbox, "trustpayments")
    settle(sandbox, observer)
    genuine = next(one for one in sandbox.providers["trustpayments"].sent() if one["about"] == declined)
    attacker = Attacker(sandbox.ingest_address)
    attacks = [*resplit(genuine), replayed(genuine)]
    assert [attacker.send(one) for one in attacks] == [200] * 3
    attacker.close()
    assert_right(sandbox, observer)
    (events,) = (events for name, events in observer.events().items() if name.endswith(declined))
    assert [event["status"] for event in events] == ["declined"]


@pytest.mark.parametrize("provider", ["nevogate", "trustpayments"])
def test_callers_trace_reaches_the_result_and_his_secrets_are_left_behind(
    sandbox: Sandbox, observer: Observer, provider: str
) -> None:
    control, shop = sandbox.providers[provider], sandbox.plan.merchants[provider][0]
    payment = control.pay(order_id=f"TRACE-{provider}", amount=700, notify=False)
    trace = f"{payment.encode().hex():0>32}"[-32:]
    sent = {
        "traceparent": f"00-{trace}-00f067aa0ba902b7-01",
        "Authorization": "Basic aHVzaDpodXNo",
        "Cookie": "session=aHVzaA",
        "X-Forwarded-For": "198.51.100.7",
        "X-Request-Id": "r-1",
        "User-Agent": "psp/1",
    }
    query, body = "", b""
    if provider == "nevogate":
        control.change(payment, foreign_calls=1)
        query = f"?TransactionId={payment}"
    else:
        body = _signed_form(sandbox, payment)
        sent["Content-Type"] = "application/x-www-form-urlencoded"
    connection = http.client.HTTPConnection(sandbox.ingest_address.removeprefix("http://"), timeout=DEADLINE_SECONDS)
    connection.request("POST", f"/notifications/{provider}/{shop}{query}", body, sent)
    assert connection.getresponse().status == 200
    connection.close()
    settle(sandbox, observer)
    # the first one: a night may have passed since, and the look that found the settlement has another cause
    result = next(record for record in observer.records[topics.STATUS] if record.key.decode() == f"{shop}/{payment}")
    assert header(result, "traceparent")[3:35] == trace
    (stored,) = (
        record
        for record in observer.records[topics.notifications(provider)]
        if header(record, "x-request-id") == "r-1" and trace in header(record, "traceparent")
    )
    assert {name for name, _ in stored.headers} <= ALLOWED
    assert header(stored, "user-agent") == "psp/1"
    leaked = [
        record.topic
        for record in observer.all_of(list(observer.records))
        if any(
            secret in b" ".join([record.value or b"", *(value for _, value in record.headers)])
            for secret in (b"aHVzaDpodXNo", b"session=aHVzaA", b"198.51.100.7")
        )
    ]
    assert leaked == []


def _signed_form(sandbox: Sandbox, payment: str) -> bytes:
    """What Trust Payments would have sent for the payment."""
    (shop,) = (one.shop for one in sandbox.accounts if one.provider == "trustpayments")
    fields = {
        "errorcode": "0",
        "settlestatus": "0",
        "transactionreference": payment,
        "orderreference": "TRACE",
        "sitereference": shop["site_reference"],
        "requestreference": "A1",
        "paymenttypedescription": "VISA",
        "notificationreference": "57-FFFFFF",
    }
    fields["responsesitesecurity"] = security_hash(fields, shop["notification_password"])
    return urlencode(sorted(fields.items())).encode()


def test_provider_was_asked_and_none_of_its_rules_was_broken(sandbox: Sandbox, observer: Observer) -> None:
    for provider in sandbox.providers:
        buy(sandbox, provider)
    assert_right(sandbox, observer)
    for provider, book in books_of(sandbox).items():
        assert book["counters"]["calls"] > 0, provider
        assert book["violations"] == []


def test_records_are_as_the_contract_documents_say(observer: Observer) -> None:
    observer.read()
    assert assert_records_fit(observer.records) >= {
        "PaymentStatusChanged",
        "NotificationReceived",
        "LookupWaiting",
        "RecordDead",
        "NotificationRepeated",
    }


def test_records_are_cloud_events_to_the_sdks(sandbox: Sandbox, observer: Observer) -> None:
    observer.read()
    # of both SDKs the same: what is written meanwhile is not compared
    java = java_events(sandbox.direct_bootstrap, map(sandbox.topic, JSON_TOPICS))
    problems: list[str] = []
    types: set[str] = set()
    for topic, record, event in sdk_events(observer.records):
        problems += [f"{topic}: {one}" for one in problems_of(event, record, **EVENTS)]
        types.add(event.get_type())
        told = java[record.topic, record.partition, record.offset]
        if with_parsed_time(told) != as_java_says(event, record.value):
            problems.append(f"{topic}: {told} in Java, {as_java_says(event, record.value)} in Python")
    assert not problems, "\n".join(problems[:10])
    assert types >= {messages.STATUS_CHANGED, messages.PAYMENT_OBSERVED, messages.LOOKUP_REQUESTED}
    assert types >= {messages.PAYMENT_SEEN, messages.PAYMENT_EXPECTED}
    records = [(topic, one) for topic, found in observer.records.items() for one in found]
    assert [(topic, name) for topic, one in records for name, value in one.headers if not value] == []
