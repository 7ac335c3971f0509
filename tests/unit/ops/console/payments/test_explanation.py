"""The sentence about a payment: there is one for whatever the topics can say, and it says what and when."""

from __future__ import annotations

import itertools
import string
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, get_args

import pytest

from paynotify.ops.console.payments.explanation import Explanation, PaymentFacts, cause_of, explained
from paynotify.ops.console.payments.sentences import SENTENCES, Cause
from paynotify.schemas.messages import Action, Checks, PaymentStatus
from paynotify.schemas.money import Money
from paynotify.schemas.reasons import DEAD_REASONS, REJECT_REASONS, REQUEST_REASONS
from paynotify.schemas.status import AmountCheck, Fulfilment, OrderCheck, Status
from tests.fakes.console_topics import payment_status

NOW: Final = datetime(2026, 11, 29, 20, 0, tzinfo=UTC)
EARLIER, LATER = "2026-11-29T19:00:00.000Z", "2026-11-30T03:00:00.000Z"
GBP: Final = Money(1050, "GBP")
HALF: Final = Money(525, "GBP")
REASONS: Final = (None, "05", "money_returned", "suspended_after_release", "amount missing")
STATES: Final = ("received", "started", "uncertain", "refused", "done")
POLLS: Final = (60.0, 3600.0 * 6)


def event(status: Status, fulfilment: Fulfilment = "hold", **more: Any) -> PaymentStatus:
    return payment_status("57-9-1", 1, "ORD-1", **{"status": status, "fulfilment": fulfilment, "paid": None, **more})


def events() -> Iterator[PaymentStatus]:
    """Every combination of the closed lists of an event; of held ones also with and without its amounts and times."""
    closed = itertools.product(get_args(Status), get_args(Fulfilment), get_args(AmountCheck), get_args(OrderCheck))
    for status, fulfilment, amount, order in closed:
        paid, refunding, settles = ((None, GBP, HALF), (None, GBP), (None, EARLIER, LATER))
        more = (paid, refunding, settles) if fulfilment == "hold" else ((None,), (None,), (None,))
        for reason, *rest in itertools.product(REASONS, *more):
            values = dict(zip(("paid", "refunding", "settles_by"), rest, strict=True))
            yield event(status, fulfilment, checks=Checks(amount=amount, order=order), reason=reason, **values)
    yield event("authorised", "release", settles_by=LATER)
    yield event("captured", paid=HALF, order_role="part", checks=Checks(amount="mismatch", order="expected"))


def situations() -> Iterator[dict[str, Any]]:
    """What may be known beside the event: one thing at a time, and times that are over or come."""
    yield {}
    for final_by in (None, EARLIER, LATER):
        for polls in ((), POLLS):
            yield {"expected": GBP, "final_by": final_by, "poll_schedule_seconds": polls}
    yield from ({"overdue": one} for one in ("late", "settlement"))
    yield from ({"request": (action, state, None)} for action in get_args(Action) for state in STATES)
    yield from ({"dead": DEAD_REASONS[0]}, {"rejected": REJECT_REASONS[0]})
    yield from ({"retry": ("unavailable", one)} for one in (EARLIER, LATER))
    yield from ({"silent_since": EARLIER}, {"shop_captures": True}, {"announcement_required": True})


def checked(found: Explanation) -> Cause:
    """One sentence without a gap that nothing filled."""
    text = found.sentence
    assert text.endswith("."), text
    assert text.count(". ") == 0, text
    assert "  " not in text, text
    assert "{" not in text, text
    assert " by ," not in text, text
    assert " by;" not in text, text
    assert text.count("; ") == 1, text
    return found.cause


def test_sentence_exists_for_whatever_the_topics_can_say() -> None:
    beside = [PaymentFacts(now=NOW, **one) for one in situations()]
    reached: set[tuple[Cause, str, str]] = {(checked(explained(one)), "", "") for one in beside}
    for newest in events():
        for one in beside:
            facts = replace(one, event=newest)
            kind = (cause_of(facts), newest.status, newest.fulfilment)
            if kind not in reached:
                checked(explained(facts))
                reached.add(kind)
    causes = {cause for cause, _, _ in reached}
    assert causes == set(SENTENCES) == set(get_args(Cause)), "without a sentence, or nothing leads to it"


def test_sentence_has_every_closed_word_that_it_can_be_about() -> None:
    for dead in DEAD_REASONS:
        assert f"({dead})" in explained(PaymentFacts(now=NOW, dead=dead)).sentence
    for rejected in REJECT_REASONS:
        assert f"({rejected})" in explained(PaymentFacts(now=NOW, rejected=rejected)).sentence
    for reason in REQUEST_REASONS:
        assert f"({reason})" in explained(PaymentFacts(now=NOW, request=("charge", "refused", reason))).sentence


def test_gaps_of_the_sentences_are_words_that_exist() -> None:
    for why, then in SENTENCES.values():
        for _, name, _, _ in string.Formatter().parse(why + then):
            assert name is None or name.isidentifier()


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (
            {"event": event("authorised", settles_by=LATER)},
            "The goods wait: the money is reserved and not captured yet; the provider captures it by "
            "2026-11-30 03:00 UTC, and paynotify looks once a day until then.",
        ),
        (
            {"event": event("pending"), "expected": GBP, "final_by": EARLIER, "poll_schedule_seconds": POLLS},
            "The goods wait: the payment was to be final by 2026-11-29 19:00 UTC and is not; paynotify polls the "
            "provider again where its rules allow that, next at 2026-11-30 01:00 UTC.",
        ),
        (
            {"event": event("captured", paid=GBP, checks=Checks(amount="mismatch", order="expected")),
             "expected": Money(2000, "GBP")},
            "The goods wait: the shop expects 20.00 GBP, and the payment is of 10.50 GBP; a person compares the two, "
            "and refunds the payment or announces the order again with the right amount.",
        ),
        (
            {"event": event("captured", paid=HALF, order_role="part",
                            checks=Checks(amount="mismatch", order="expected")), "expected": GBP},
            "The goods wait: the parts of the order are together more than the 10.50 GBP that the shop expects; a "
            "person compares them, and refunds a part or announces the order again with the right amount.",
        ),
        (
            {"event": event("captured", paid=GBP, checks=Checks(amount="mismatch", order="expected")),
             "expected": GBP},
            "The goods wait: the shop has announced the order again, now with the payment's 10.50 GBP; paynotify "
            "compares them again and publishes the result at once.",
        ),
        (
            {"event": event("captured", paid=GBP, refunded=Money(5, "EUR"),
                            checks=Checks(amount="unknown", order="unexpected"))},
            "The goods wait: refunds of the payment can't be added up; a person compares them with the provider's own "
            "pages and corrects the status.",
        ),
        (
            {"event": event("authorised", "release"), "shop_captures": True},
            "The goods may leave: the money is reserved, and the provider's rules for shipping before the capture "
            "hold; the shop requests the capture once they have left, and paynotify publishes the result at once.",
        ),
        (
            {"event": event("authorised"), "request": ("release", "started", None)},
            "The goods wait: a request to void the authorisation is started; paynotify carries it out and publishes "
            "the result at once.",
        ),
        (
            {"event": event("captured", "release", paid=GBP)},
            "The goods may leave: the payment is captured and its amount is right; nothing more is awaited, and a "
            "refund or chargeback is published when the provider tells it.",
        ),
        (
            {"event": event("declined", "stop", reason="05")},
            "No goods leave: the payment is declined (05) and took no money; another attempt of the customer is a "
            "payment of its own, and a late success is published when it comes.",
        ),
        (
            {"event": event("pending"), "retry": ("unavailable", LATER)},
            "The goods wait: the provider's answer is missing (unavailable); paynotify asks again at "
            "2026-11-30 03:00 UTC, and publishes the status when it has the answer.",
        ),
        (
            {"dead": "credentials"},
            "The goods wait: a lookup about the payment ended without a result (credentials); an operator removes the "
            "cause and replays it, since nothing asks the provider by itself any more.",
        ),
    ],
)  # fmt: skip
def test_sentence_says_why_what_next_and_when(facts: dict[str, Any], expected: str) -> None:
    assert explained(PaymentFacts(now=NOW, **facts)).sentence == expected


def test_next_moment_is_told_to_programs() -> None:
    due = explained(PaymentFacts(now=NOW, event=event("authorised", settles_by=LATER)))
    assert (due.cause, due.when) == ("settlement_due", LATER)
    polled = PaymentFacts(now=NOW, expected=GBP, final_by=EARLIER, poll_schedule_seconds=POLLS)
    assert explained(polled).when == "2026-11-30T01:00:00.000Z"
    assert explained(replace(polled, poll_schedule_seconds=POLLS[:1])).cause == "overdue_not_polled"


def test_standing_outage_is_no_cause_of_a_payment_that_has_ended() -> None:
    for status in ("captured", "declined", "refunded"):
        facts = PaymentFacts(now=NOW, event=event(status, paid=GBP), dead="unavailable", rejected="bad_signature")
        assert cause_of(facts) not in ("lookup_dead", "notification_rejected")
