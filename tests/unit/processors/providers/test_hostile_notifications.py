"""What a notification claims goes nowhere (G3): into the lookup only the ids asked about, into the results nothing.

The stages are the real ones, without Kafka; the notifications are arbitrary, genuine ones with lies added, and lies
with a right signature, as a shop's own form rules or a re-split hash can make them.
"""

from __future__ import annotations

import json
from typing import Any, Final

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from paynotify.processors.providers.base import Notification
from paynotify.processors.providers.registry import provider_specs
from paynotify.processors.runtime.stage import BatchContext
from paynotify.processors.state.overlay import Overlay
from paynotify.processors.verify.stage import lookup_output
from paynotify.schemas import topics
from paynotify.schemas.errors import RejectedNotificationError
from paynotify.schemas.messages import Lookup
from paynotify.schemas.records import Output
from tests.fakes.accounts import TRANSACTION, notification
from tests.fakes.cloud_events import lookup_headers
from tests.fuzz import genuine
from tests.fuzz.answering import Headers, Line, Script, no_publish, run, taken, to_this_query
from tests.fuzz.genuine import ACCOUNTS, notification_record
from tests.fuzz.hostile import form_bytes, json_bytes, pairs, texts, values

EACH: Final = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), database=None)
#: In every lie; nothing genuine has it.
MARK: Final = "L1E"
OTHER: Final = {"omnikassa": "99999999-2589-439b-9562-c50aa19f9caf", "trustpayments": "99-9-9", "nevogate": "f" * 32}

lies: Final = st.builds(f"{MARK}{{}}".format, st.text("ABC0123456789.-", max_size=12))


def planned(call: Notification) -> Lookup:
    """The lookup a notification causes.

    Raises:
        RejectedNotificationError: it causes none.
    """
    shop, module = ACCOUNTS[call.provider], provider_specs()[call.provider].provider
    claim = module.parse(call, shop)
    module.verify(claim, call, shop)
    if claim.alert is not None:
        raise RejectedNotificationError("malformed", "an alert")
    return module.plan(claim, call)


def try_planned(call: Notification) -> Lookup | None:
    try:
        return planned(call)
    except RejectedNotificationError:
        return None


def bare(call: Notification, **asked: Any) -> Lookup:
    """The lookup that knows nothing of the notification but its receipt and what is asked about."""
    operation = {"omnikassa": "pull", "trustpayments": "transaction", "nevogate": "result"}[call.provider]
    return Lookup(
        provider=call.provider,
        merchant="shop",
        operation=operation,
        notification_id="n-1",
        received_at="2026-06-01T12:00:00.000Z",
        **{"reference": None, **asked},
    )


def written(call: Notification, lookup: Lookup) -> Output:
    return lookup_output("lookups", lookup, call, lookup_headers(lookup.provider))


def is_json(value: Any) -> bool:
    """Half a surrogate pair makes a body no JSON for all that is strict; such a body is rejected as a whole."""
    try:
        return orjson.loads(json.dumps(value)) is not None
    except orjson.JSONDecodeError:
        return False


members: Final = st.dictionaries(
    st.sampled_from(("amount", "Amount", "currency", "status", "orderStatus", "merchantOrderId", "orderResults", "x")),
    lies | values,
    max_size=4,
).filter(is_json)


@EACH
@given(members, st.sampled_from((123, "123", "00123", 123.0)))
def test_omnikassa_ping_gives_event_token_and_expiry_to_the_lookup_and_nothing_else(
    lie: dict[str, Any], poi: object
) -> None:
    ping = {**lie, **genuine.signed_ping(genuine.PING), "poiId": poi}
    call = notification("omnikassa", json.dumps(ping))
    asked = {"event": ping["eventName"], "token": ping["authentication"], "expires": ping["expiry"]}
    lookup = planned(call)
    assert lookup == bare(call, arguments=asked)
    assert written(call, lookup) == written(call, bare(call, arguments=asked))


@EACH
@given(st.dictionaries(st.sampled_from(sorted(genuine.FORM)), lies | texts, max_size=5), st.booleans())
def test_form_gives_transaction_or_order_to_the_lookup_and_nothing_else(lie: dict[str, str], names: bool) -> None:
    claimed = {**genuine.FORM, **lie}
    if names:
        claimed["transactionreference"] = genuine.REFERENCE
    else:
        claimed.pop("transactionreference")
    call = notification("trustpayments", form_bytes(genuine.signed_pairs(list(claimed.items()))))
    lookup = try_planned(call)
    if lookup is None:
        return
    wanted = (
        bare(call, reference=genuine.REFERENCE)
        if names
        else bare(call, arguments={"orderreference": claimed["orderreference"]})
    )
    assert lookup == wanted
    assert written(call, lookup) == written(call, wanted)


@EACH
@given(members, st.sampled_from(("commonData", "CommonData", "query", "top")), members)
def test_nevogate_call_gives_the_transaction_to_the_lookup_and_nothing_else(
    lie: dict[str, Any], place: str, inner: dict[str, Any]
) -> None:
    body = {
        "commonData": {**lie, "commonData": {**inner, "transactionId": TRANSACTION}},
        "CommonData": {**lie, "CommonData": {**inner, "TransactionId": TRANSACTION}},
        "top": {**lie, "transactionId": TRANSACTION},
    }.get(place)
    query = f"TransactionId={TRANSACTION}&Amount={MARK}" if body is None else f"status={MARK}"
    call = notification("nevogate", json.dumps(body) if body else "", query=query)
    lookup = planned(call)
    assert lookup == bare(call, reference=TRANSACTION)
    assert written(call, lookup) == written(call, bare(call, reference=TRANSACTION))


@pytest.mark.parametrize("provider", sorted(ACCOUNTS))
def test_whatever_is_accepted_asks_only_for_ids(provider: str) -> None:
    bodies = {
        "omnikassa": json_bytes(genuine.signed_ping(genuine.PING)),
        "trustpayments": pairs(genuine.FORM).map(genuine.signed_pairs).map(form_bytes),
        "nevogate": json_bytes(genuine.CALL),
    }[provider]
    accepted = 0

    @EACH
    @given(bodies | st.binary(max_size=100))
    def each(body: bytes) -> None:
        nonlocal accepted
        call = notification(provider, body)
        lookup = try_planned(call)
        if lookup is None:
            return
        accepted += 1
        asked = {"reference": lookup.reference, "arguments": lookup.arguments}
        assert lookup == bare(call, **asked)
        names = {"omnikassa": {"event", "token", "expires"}, "trustpayments": {"orderreference"}, "nevogate": set()}
        assert lookup.arguments.keys() <= names[provider]
        assert lookup.reference is None or lookup.arguments == {}

    each()
    assert accepted > 10, "too few hostile notifications were accepted to prove anything"


# --- to the results ----------------------------------------------------------------------------------------


def _lying_ping(lie: str) -> bytes:
    claims = {"orderResults": [{**genuine.ORDER, "merchantOrderId": lie, "orderStatus": "COMPLETED"}], "amount": lie}
    return json.dumps({**claims, **genuine.signed_ping(genuine.PING)}).encode()


def _lying_form(lie: str) -> bytes:
    claims = {
        **genuine.FORM,
        "orderreference": lie,
        "paymenttypedescription": lie,
        "requestreference": lie,
        "baseamount": "99999999",
        "currencyiso3a": "JPY",
        "settlestatus": "100",
        "errorcode": "0",
    }
    return form_bytes(genuine.signed_pairs(list(claims.items())))


def _lying_call(lie: str) -> bytes:
    claims = {**genuine.RESULT, "OrderId": lie, "Amount": "99999999", "Currency": "JPY"}
    return json.dumps({**claims, "commonData": {**claims, "transactionId": TRANSACTION}}).encode()


LYING: Final = {"omnikassa": _lying_ping, "trustpayments": _lying_form, "nevogate": _lying_call}
RESULTS: Final = (topics.OBSERVATIONS, topics.STATUS, topics.LATEST)


def _answer(provider: str, payment: str, status: str) -> Script:
    """The provider's genuine answer about a payment, whatever was asked."""
    if provider == "omnikassa":
        page = genuine.signed_page(
            {**genuine.PAGE, "orderResults": [{**genuine.ORDER, "omnikassaOrderId": payment, "orderStatus": status}]}
        )
        return _fixed(json.dumps(page).encode())
    if provider == "nevogate":
        return _fixed(json.dumps({**genuine.RESULT, "TransactionId": payment, "ResultCode": status}).encode())
    record = {**genuine.RECORD, "transactionreference": payment, "settlestatus": status}
    query = {**genuine.QUERY, "response": [{**genuine.QUERY["response"][0], "records": [record]}]}
    return to_this_query(json.dumps(query).encode())


def _fixed(body: bytes) -> Script:
    def script(question: bytes) -> tuple[int, Headers, bytes]:
        return 200, (), body

    return script


DECLINED: Final = {"omnikassa": "CANCELLED", "trustpayments": "3", "nevogate": "CANCELED"}
PAYMENT: Final = {
    "omnikassa": genuine.ORDER["omnikassaOrderId"],
    "trustpayments": genuine.REFERENCE,
    "nevogate": TRANSACTION,
}


@pytest.mark.parametrize("provider", sorted(ACCOUNTS))
@EACH
@given(lie=lies)
def test_result_is_what_the_provider_answered_and_not_what_was_claimed(provider: str, lie: str) -> None:
    outputs = run(
        Line(provider, ACCOUNTS[provider]).all_of(
            notification_record(provider, LYING[provider](lie)),
            _answer(provider, PAYMENT[provider], DECLINED[provider]),
        )
    )
    published = [one for one in outputs if one.topic in RESULTS]
    assert len(published) == 3
    assert not [one for one in published if MARK.encode() in repr(one).encode()]
    event = orjson.loads(published[-1].value or b"")
    assert (event["status"], event["order_id"], event["payment_id"]) == ("cancelled", "ORD-7", PAYMENT[provider])
    assert event["amount"]["value"] == 1050


@pytest.mark.parametrize("provider", sorted(ACCOUNTS))
@EACH
@given(lie=lies, other=st.booleans())
def test_answer_about_another_payment_says_nothing_of_the_one_claimed(provider: str, lie: str, other: bool) -> None:
    """A page may be about any payment of the shop; a question about one payment has no other answer."""
    payment = OTHER[provider] if other else PAYMENT[provider]
    line = Line(provider, ACCOUNTS[provider])
    outputs = run(
        line.all_of(notification_record(provider, LYING[provider](lie)), _answer(provider, payment, DECLINED[provider]))
    )
    published = [one for one in outputs if one.topic in RESULTS]
    about = {(one.key or b"").decode().partition("/")[2] for one in published}
    assert about == ({payment} if not other or provider == "omnikassa" else set())
    assert MARK.encode() not in repr(published).encode()


def test_stored_answer_about_another_payment_than_asked_for_is_dead() -> None:
    """Even where somebody wrote to the responses' topic: Nevogate's answers are about the transaction asked for."""
    line = Line("nevogate", ACCOUNTS["nevogate"])
    outputs = run(
        line.all_of(notification_record("nevogate", _lying_call("x")), _answer("nevogate", TRANSACTION, "CANCELED"))
    )
    (stored,) = [one for one in outputs if one.topic == topics.responses("nevogate")]
    forged = replace(stored, value=(stored.value or b"").replace(TRANSACTION.encode(), b"f" * 32))
    (dead,) = run(line.interpret.process(BatchContext(taken([forged], forged.topic), Overlay(None), no_publish)))
    assert (dead.topic, dict(dead.headers)["reason"]) == (topics.DEAD, b"unreadable_answer")
