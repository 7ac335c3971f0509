"""Whatever the gateway says of an amount, goods leave only for the announced one: from its response to the event."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from paynotify.processors.providers.registry import provider_specs
from paynotify.processors.resolve.payment_state import PaymentState
from paynotify.processors.resolve.release import CAPTURED_ONLY, ReleaseRules
from paynotify.processors.resolve.transitions import advance
from paynotify.schemas.messages import Expectation, PaymentStatus
from paynotify.schemas.money import Money
from tests.fakes.accounts import TRANSACTION, account, response

NEVOGATE: Final = provider_specs()["nevogate"].provider
SHOPS: Final = {allowed: account("nevogate", recover_by_details=allowed) for allowed in (False, True)}
ANNOUNCED: Final = Expectation(order_id="ORD-1", amount=Money(10000, "HUF"), said="1")

amounts: st.SearchStrategy[Any] = st.sampled_from(
    (None, "", "0", 0, "0.00", "0.001", "100.001", "100.0000001", "1e2", "99", "-100", [], {}, True)
)
words = st.fixed_dictionaries(
    {},
    optional={
        "Amount": amounts,
        "Currency": st.sampled_from(("HUF", "EUR", "", None)),
        "AutoCommit": st.sampled_from(("true", "false", True, False, None)),
        "CommitState": st.sampled_from(("APPROVED", "PENDING", "DECLINED", "OTHER", "", None)),
        "ResultCode": st.sampled_from(("SUCCESSFUL", "PENDING", "ERROR")),
    },
)


def told(
    answers: list[tuple[dict[str, Any], bool]],
    *,
    allowed: bool,
    announced: bool,
    rules: ReleaseRules = CAPTURED_ONLY,
) -> list[PaymentStatus]:
    """The events after these Results and Details."""
    state, events = PaymentState(), []
    for number, (fields, details) in enumerate(answers):
        data = {"TransactionId": TRANSACTION, "ResultCode": "SUCCESSFUL", "OrderId": "ORD-1", **fields}
        body = response(json.dumps({"CommonData": data} if details else data))
        for one in NEVOGATE.interpret(body, SHOPS[allowed]).observations:
            at = f"2026-06-01T12:00:{number:02}.000Z"
            step = advance(state, replace(one, observed_at=at, expected=ANNOUNCED if announced else None), rules)
            state = step.state
            events += [step.event] if step.event is not None else []
    return events


rules = st.builds(ReleaseRules, expected_required=st.booleans(), authorised=st.booleans())


@given(st.lists(st.tuples(words, st.booleans()), max_size=6), st.booleans(), rules)
def test_payment_without_the_announced_amount_never_releases(
    answers: list[tuple[dict[str, Any], bool]], allowed: bool, rules: ReleaseRules
) -> None:
    events = told(answers, allowed=allowed, announced=True, rules=rules)
    assert all(one.fulfilment != "release" for one in events)


unpaid = words.filter(lambda one: one.get("Amount") != "99")


@given(st.lists(st.tuples(unpaid, st.booleans()), max_size=6), st.booleans(), rules)
def test_payment_without_any_amount_never_releases(
    answers: list[tuple[dict[str, Any], bool]], allowed: bool, rules: ReleaseRules
) -> None:
    events = told(answers, allowed=allowed, announced=False, rules=rules)
    assert all(one.fulfilment != "release" and one.paid is None for one in events)


HOLD: Final = {
    "AutoCommit": "false",
    "CommitState": "PENDING",
    "Amount": "100",
    "Currency": "HUF",
    "Created": "2026-06-01 10:00:00",
}


def test_hold_in_the_right_amount_releases_only_where_the_merchant_says_so() -> None:
    early = ReleaseRules(authorised=True)
    (event,) = told([(HOLD, False)], allowed=False, announced=True, rules=early)
    assert (event.status, event.fulfilment) == ("authorised", "release")
    (event,) = told([(HOLD, False)], allowed=False, announced=True)
    assert (event.status, event.fulfilment) == ("authorised", "hold")
    for wrong in ({"Amount": "99"}, {"Amount": "100.001"}, {"Amount": "0"}, {"Amount": ""}, {"CommitState": "OTHER"}):
        (event,) = told([({**HOLD, **wrong}, False)], allowed=False, announced=True, rules=early)
        assert event.fulfilment == "hold", wrong


@pytest.mark.parametrize(("state", "status"), [("APPROVED", "captured"), ("DECLINED", "cancelled")])
def test_hold_closed_by_hand_is_told_by_the_next_details(state: str, status: str) -> None:
    closed = [(HOLD, False), (HOLD, True), ({**HOLD, "CommitState": state}, True)]
    first, last = told(closed, allowed=True, announced=True)
    assert (first.status, last.status, last.source) == ("authorised", status, "Details")


def test_verification_makes_no_event_unless_it_was_announced() -> None:
    verified = [({"AutoCommit": "true", "Amount": "0", "Currency": "HUF"}, False)]
    assert told(verified, allowed=False, announced=False) == []
    (event,) = told(verified, allowed=False, announced=True)
    assert (event.status, event.fulfilment, event.checks.amount) == ("unknown", "hold", "mismatch")


def test_older_result_without_amount_is_resolved_by_its_details() -> None:
    """The same words end as a payment or as a verification, by what Details say of the amount."""
    result: dict[str, Any] = {"AutoCommit": "true"}
    paid = {**result, "Amount": "100", "Currency": "HUF"}
    assert [one.status for one in told([(result, False), (paid, True)], allowed=True, announced=True)] == ["captured"]
    assert told([(result, False), (result, True)], allowed=True, announced=False) == []
    repeated = told([(result, False), (paid, True), (result, False), (paid, True)], allowed=True, announced=True)
    assert [one.fulfilment for one in repeated] == ["release"], "a second call withdraws nothing"
