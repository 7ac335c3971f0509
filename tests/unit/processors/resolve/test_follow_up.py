"""What is followed of a payment is looked at once for each due time, until it is settled or given up."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from paynotify.processors.resolve import follow_up
from paynotify.processors.resolve.follow_up import DAY_MILLISECONDS, Follow, looked
from paynotify.processors.resolve.payment_state import PaymentState, encoded
from paynotify.processors.resolve.transitions import advance
from paynotify.processors.state.timer_queue import parse_milliseconds
from paynotify.schemas.messages import Correction, Expectation, FollowUp, Observation, Refund
from paynotify.schemas.money import Money
from paynotify.schemas.status import Status
from tests.fakes.observations import observation
from tests.fakes.payment_histories import run

FIRST, SECOND, LAST = "2026-06-02T08:00:00.000Z", "2026-06-03T08:00:00.000Z", "2026-06-09T08:00:00.000Z"
HOUR = 3600 * 1000


def following(reference: str = "p1", due: str | None = FIRST, until: str = LAST) -> FollowUp:
    return FollowUp(reference=reference, due=due, until=until, settles_by=FIRST)


def seen(status: Status | None, at: str = "2026-06-01T12:00:00.000Z", **fields: Any) -> Observation:
    return observation("p1", status, observed_at=at, **fields)


def authorised(at: str = "2026-06-01T12:00:00.000Z", due: str | None = FIRST, **fields: Any) -> Observation:
    return seen("authorised", at, follow=following(due=due), **fields)


def refunding(at: str, *, settled: bool = False, ended: bool = False, due: str | None = FIRST) -> Observation:
    refund = Refund(refund_id="r1", amount=Money(100, "GBP"), settled=settled, ended=ended)
    return seen(None, at, refund=refund, follow=None if settled or due is None else following("r1", due))


def after(*observations: Observation) -> PaymentState:
    state, _ = run(observations)
    return state


def due(state: PaymentState) -> dict[str, int | None]:
    return {one.reference: one.due_milliseconds for one in state.follows}


def at(text: str) -> int:
    return parse_milliseconds(text)


def test_authorised_payment_is_followed_and_says_when_it_settles() -> None:
    state = after(authorised())
    assert due(state) == {"p1": at(FIRST)}
    assert state.last is not None
    assert state.last.settles_by == FIRST


@pytest.mark.parametrize("status", ["captured", "cancelled", "declined"])
def test_settled_payment_is_not_followed_any_more(status: Status) -> None:
    state = after(authorised(), seen(status, "2026-06-02T08:01:00.000Z"))
    assert due(state) == {}
    assert state.last is not None
    assert state.last.settles_by is None


def test_late_observation_does_not_bring_back_what_a_newer_one_ended() -> None:
    state = after(authorised(), seen("captured", "2026-06-02T08:01:00.000Z"), authorised("2026-06-02T07:00:00.000Z"))
    assert due(state) == {}


def test_refused_and_unchanged_observations_set_the_next_look_too() -> None:
    assert due(after(authorised(), authorised("2026-06-02T08:01:00.000Z", SECOND))) == {"p1": at(SECOND)}
    refused = after(seen("captured"), authorised("2026-06-02T08:01:00.000Z", SECOND))
    assert due(refused) == {"p1": at(SECOND)}, "the provider says that it will change the payment still"
    assert refused.last is not None
    assert (refused.last.status, refused.last.settles_by) == ("captured", None)


@pytest.mark.parametrize(
    "silent",
    [
        seen("captured", SECOND, correction=Correction(by="someone", reason="the dispute was won")),
        seen(None, SECOND, expected=Expectation(order_id="order-p1", amount=Money(1000, "GBP"))),
        seen(None, SECOND, capturing=Money(1000, "GBP")),
    ],
)
def test_correction_and_expectation_leave_what_is_followed(silent: Observation) -> None:
    assert due(after(authorised(), silent)) == {"p1": at(FIRST)}


def test_refund_is_followed_beside_its_payment_until_it_is_settled() -> None:
    state = after(authorised(), refunding("2026-06-01T13:00:00.000Z"))
    assert due(state) == {"p1": at(FIRST), "r1": at(FIRST)}
    settled = refunding("2026-06-02T08:01:00.000Z", settled=True)
    assert due(after(authorised(), refunding("2026-06-01T13:00:00.000Z"), settled)) == {"p1": at(FIRST)}
    assert due(after(authorised(), settled, refunding("2026-06-01T13:00:00.000Z"))) == {"p1": at(FIRST)}


def test_ended_refund_is_not_followed_again_by_an_older_observation() -> None:
    first, ended = refunding("2026-06-01T13:00:00.000Z"), refunding("2026-06-02T08:01:00.000Z", ended=True, due=None)
    for order in ((first, ended), (ended, first), (first, ended, first)):
        state = after(authorised(), *order)
        assert due(state) == {"p1": at(FIRST), "r1": None}
        assert follow_up.next_due(state.follows) == at(FIRST)


def test_look_sets_the_next_one_a_day_later_in_case_no_response_comes() -> None:
    state = after(authorised())
    look = looked(state.follows, at(FIRST) + HOUR)
    assert look.references == ("p1",)
    assert follow_up.next_due(look.follows) == at(SECOND)
    assert looked(look.follows, at(FIRST) + HOUR).references == ()


def test_look_missed_for_two_days_is_made_once() -> None:
    look = looked(after(authorised()).follows, at(FIRST) + 2 * DAY_MILLISECONDS + HOUR)
    assert look.references == ("p1",)
    assert follow_up.next_due(look.follows) == at(FIRST) + 3 * DAY_MILLISECONDS


def test_observation_does_not_make_a_look_due_that_was_made() -> None:
    """Such as one of just before the look, which is read after it."""
    state = after(authorised())
    state = msgspec.structs.replace(state, follows=looked(state.follows, at(FIRST) + HOUR).follows)
    late = advance(state, authorised("2026-06-02T07:59:00.000Z", FIRST)).state
    assert due(late) == {"p1": at(SECOND)}
    earlier = advance(late, authorised("2026-06-02T09:30:00.000Z", "2026-06-02T10:00:00.000Z")).state
    assert due(earlier) == {"p1": at("2026-06-02T10:00:00.000Z")}, "an earlier look that was not made may be set"


def test_payment_is_given_up_a_day_after_its_last_look() -> None:
    follows = after(authorised()).follows
    looks, now = 0, at(FIRST)
    while not any(one.given_up for one in follows):
        before, (follows, references) = follows, looked(follows, now)
        looks += len(references)
        now += DAY_MILLISECONDS
    assert looks == 8, "from the 2nd to the 9th of June, each morning"
    assert now - DAY_MILLISECONDS == at(LAST) + DAY_MILLISECONDS
    assert follow_up.given_up(before, follows) == ("p1",)
    assert follow_up.given_up(follows, follows) == ()
    assert follow_up.next_due(follows) is None


def test_last_look_whose_response_settles_nothing_gives_up_at_once() -> None:
    before = after(authorised())
    state = advance(before, authorised("2026-06-09T08:00:30.000Z", None)).state
    assert follow_up.given_up(before.follows, state.follows) == ("p1",)
    again = advance(state, authorised("2026-06-09T09:00:00.000Z", None)).state
    assert follow_up.given_up(state.follows, again.follows) == (), "it is counted once"
    captured = advance(again, seen("captured", "2026-06-10T09:00:00.000Z")).state
    assert due(captured) == {}


@pytest.mark.parametrize("hours", [-1, 1])
def test_last_look_is_made_though_the_clocks_change_before_it(hours: int) -> None:
    """The next look is set a whole day later; the last one may be an hour less or more away."""
    until = at(FIRST) + DAY_MILLISECONDS + hours * HOUR
    follow = Follow(reference="p1", due_milliseconds=at(FIRST), until_milliseconds=until)
    first = looked((follow,), at(FIRST))
    last = looked(first.follows, at(SECOND))
    assert (first.references, last.references) == (("p1",), ("p1",))
    assert looked(last.follows, at(SECOND) + DAY_MILLISECONDS).follows[0].given_up


def test_state_of_an_earlier_release_follows_nothing() -> None:
    known = msgspec.json.decode(encoded(after(seen("authorised"))))
    assert "follows" not in known
    assert msgspec.json.decode(msgspec.json.encode(known), type=PaymentState).follows == ()


def test_state_with_follow_ups_is_read_as_it_was_written() -> None:
    state = after(authorised(), refunding("2026-06-01T13:00:00.000Z"))
    assert msgspec.json.decode(encoded(state), type=PaymentState) == state


@pytest.mark.parametrize(("status", "followed"), [("authorised", 1), ("suspended", 1), ("captured", 0), (None, 0)])
def test_payment_with_a_timer_alone_is_looked_at_once_if_it_waits(status: Status | None, followed: int) -> None:
    assert len(looked(follow_up.recovered("p1", status, at(FIRST)), at(FIRST)).references) == followed
