"""Reads the expected payments that shops write: one parser and one order of versions for every reader of the topic."""

from __future__ import annotations

from msgspec.structs import replace

from paynotify.schemas import messages
from paynotify.schemas.errors import UnreadableError
from paynotify.schemas.ids import MAX_ID_LENGTH
from paynotify.schemas.messages import ExpectedPayment
from paynotify.schemas.money import is_currency
from paynotify.schemas.times import parse_time, rfc3339


def parse_expected(value: bytes | None) -> ExpectedPayment:
    """The expected payment in a record's value, with its times in UTC.

    Raises:
        UnreadableError: the value is not an expected payment; the text names the field that is wrong.
    """
    expected = messages.decode(value, ExpectedPayment)
    for name, text in (("order_id", expected.order_id), ("payment_id", expected.payment_id)):
        if text is not None and not 0 < len(text) <= MAX_ID_LENGTH:
            raise UnreadableError(f"{name} must have 1 to {MAX_ID_LENGTH} characters", "unreadable_expectation")
    if expected.amount.value <= 0:
        raise UnreadableError("the amount must be more than 0", "unreadable_expectation")
    if not is_currency(expected.amount.currency):
        # accepted as it is, "gbp" would be a mismatch and put every payment on hold
        raise UnreadableError("the amount's currency must be three capital letters", "unreadable_expectation")
    final_by = None if expected.final_by is None else _utc(expected.final_by, "final_by")
    return replace(expected, created_at=_utc(expected.created_at, "created_at"), final_by=final_by)


def version_of(expected: ExpectedPayment, timestamp_milliseconds: int, partition: int, offset: int) -> str:
    """The version of an order's expectation: of two, the one with the greater text is newer.

    It goes by ``created_at``, and by the record where that is the same. So every reader of the topic agrees on the
    newest one, whichever records it reads first or twice.
    """
    return f"{expected.created_at}/{max(0, timestamp_milliseconds):015d}/{offset:019d}/{partition:06d}"


def _utc(text: str, name: str) -> str:
    moment = parse_time(text)
    if moment is None:
        raise UnreadableError(
            f"{name} must be a time with an offset, such as 2026-11-23T09:00:00Z", "unreadable_expectation"
        )
    return rfc3339(moment)
