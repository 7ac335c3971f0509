"""When goods may leave: at the capture, or before it where the merchant and the provider's rules allow it."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import orjson
import pytest

from paynotify.processors.resolve.payment_state import PaymentState
from paynotify.processors.resolve.release import CAPTURED_ONLY, ReleaseRules
from paynotify.schemas import messages
from paynotify.schemas.status import Status
from tests.fakes.payment_histories import EARLY, correction, events, expected, pounds, refund, run, seen


@pytest.mark.parametrize(
    ("rules", "fields", "fulfilment"),
    [
        (CAPTURED_ONLY, {"secured": True}, "hold"),
        (EARLY, {"secured": False}, "hold"),
        (EARLY, {"secured": True}, "release"),
        (EARLY, {"secured": True, "amount": None}, "hold"),
        (EARLY, {"secured": True, "amount": pounds(0)}, "hold"),
        (EARLY, {"secured": True, "expected": expected()}, "release"),
        (EARLY, {"secured": True, "expected": expected(999)}, "hold"),
        (EARLY, {"secured": True, "expected": expected(order_id="another")}, "hold"),
        (EARLY, {"secured": True, "expected": expected(paid_by="p0")}, "hold"),
        (EARLY, {"secured": True, "expected": expected(paid_by="p0", several=True)}, "release"),
        (EARLY, {"secured": True, "expected": expected(paid_by="p0"), "order_role": "repeat"}, "release"),
        (ReleaseRules(authorised=True, expected_required=True), {"secured": True}, "hold"),
        (ReleaseRules(authorised=True, expected_required=True), {"secured": True, "expected": expected()}, "release"),
    ],
)
def test_authorised_payment_releases_only_where_every_condition_holds(
    rules: ReleaseRules, fields: dict[str, Any], fulfilment: str
) -> None:
    (event,) = events([seen("authorised", **fields)], rules=rules)
    assert (event.status, event.fulfilment) == ("authorised", fulfilment)


def test_newest_authorised_observation_decides_about_security() -> None:
    said = events([seen("authorised", 1), seen("authorised", 3, secured=True), seen("authorised", 2)], rules=EARLY)
    assert [event.fulfilment for event in said] == ["hold", "release"]
    said = events([seen("authorised", 1, secured=True), seen("authorised", 2)], rules=EARLY)
    assert [event.fulfilment for event in said] == ["release", "hold"]


@pytest.mark.parametrize("status", ["pending", "suspended", "unknown", "declined"])
def test_other_statuses_release_nothing_however_secure(status: Status) -> None:
    (event,) = events([seen(status, secured=True)], rules=EARLY)
    assert event.fulfilment != "release"


WITHDRAWALS: Final[tuple[Status, ...]] = ("suspended", "cancelled", "declined", "failed", "expired", "unknown")


@pytest.mark.parametrize("status", WITHDRAWALS)
@pytest.mark.parametrize("reason", [None, "60500"])
def test_payment_withdrawn_after_a_release_stops_the_goods(status: Status, reason: str | None) -> None:
    said = events([seen("authorised", 1, secured=True), seen(status, 2, reason=reason)], rules=EARLY)
    assert [event.fulfilment for event in said] == ["release", "stop"]
    assert said[1].reason == (reason or f"{status}_after_release")


@pytest.mark.parametrize("status", ["suspended", "unknown"])
def test_payment_that_was_never_released_waits(status: Status) -> None:
    said = events([seen("authorised", 1), seen(status, 2)], rules=EARLY)
    assert [(event.fulfilment, event.reason) for event in said] == [("hold", None), ("hold", None)]


def test_later_good_status_releases_again() -> None:
    steps = [seen("authorised", 1, secured=True), seen("suspended", 2), seen("authorised", 3, secured=True)]
    said = events([*steps, seen("captured", 4)], rules=EARLY)
    assert [event.fulfilment for event in said] == ["release", "stop", "release", "release"]
    assert [event.reason for event in said] == [None, "suspended_after_release", None, None]


def test_reason_of_ours_ends_with_what_it_explains() -> None:
    steps = [seen("authorised", 1, secured=True), seen("suspended", 2), seen("charged_back", 3)]
    assert [event.reason for event in events(steps, rules=EARLY)][1:] == ["suspended_after_release", None]


def test_full_refund_of_an_authorised_payment_holds_the_goods() -> None:
    steps = [seen("authorised", 1, secured=True), refund("r1", 1000, 2), refund("r1", 1000, 3, ended=True)]
    said = events(steps, rules=EARLY)
    assert [event.fulfilment for event in said] == ["release", "hold", "release"]


def test_release_is_remembered_over_a_hold() -> None:
    steps = [seen("authorised", 1, secured=True), refund("r1", 1000, 2), seen("suspended", 3)]
    assert [event.fulfilment for event in events(steps, rules=EARLY)] == ["release", "hold", "stop"]
    captured = [seen("captured", 1), refund("r1", 1000, 2), correction("suspended", 3)]
    assert [event.fulfilment for event in events(captured)] == ["release", "hold", "stop"]


def test_correction_to_authorised_releases_nothing_by_itself() -> None:
    steps = [seen("authorised", 1, secured=True), seen("suspended", 2), correction("authorised", 3)]
    assert [event.fulfilment for event in events(steps, rules=EARLY)] == ["release", "stop", "hold"]


def test_release_of_an_earlier_programs_state_is_known() -> None:
    """Earlier releases stored only the newest event."""
    state, _ = run([seen("authorised", 1, secured=True)], rules=EARLY)
    assert state.last is not None
    stored = orjson.dumps({"last": orjson.Fragment(messages.encode(state.last)), "newest": state.newest})
    old = msgspec.json.decode(stored, type=PaymentState)
    (event,) = events([seen("suspended", 2)], old, EARLY)
    assert (event.fulfilment, event.reason) == ("stop", "suspended_after_release")
