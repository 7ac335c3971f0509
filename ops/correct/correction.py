"""Builds an operator's correction: the observation that says which status a payment has, who says so and why."""

from __future__ import annotations

import getpass
import re
from typing import Final

from schemas import messages, topics
from schemas.cloudevents import cloud_event
from schemas.configuration.kafka import KafkaSettings
from schemas.errors import ConfigurationError
from schemas.ids import time_ordered_id
from schemas.messages import Correction, Observation, PaymentStatus
from schemas.money import Money
from schemas.records import Output
from schemas.status import Status
from schemas.traceparent import new_traceparent

#: The source of an operator's observation and of the event that follows it.
OPERATOR: Final = "OPERATOR"

MAX_REASON_LENGTH: Final = 200

_USER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
#: Card numbers have 13 to 19 digits, often written in groups.
_CARD_LIKE: Final = re.compile(r"(?:\d[ .-]?){13,}")


def parse_reason(text: str) -> str:
    """Why the operator corrects the payment. Every consumer reads it, so it must not contain card or personal data.

    Raises:
        ConfigurationError: the text is empty, too long, not printable, or looks like card or personal data.
    """
    reason = text.strip()
    if not 0 < len(reason) <= MAX_REASON_LENGTH or not reason.isprintable():
        raise ConfigurationError(
            f"--reason must be 1 to {MAX_REASON_LENGTH} printable characters, got {len(reason)} characters."
        )
    # the text itself is not repeated here: errors end up in logs and tickets
    if _CARD_LIKE.search(reason) or "@" in reason:
        raise ConfigurationError(
            "--reason must not contain card or personal data, got 13 or more digits in a row or an e-mail address. "
            "Every consumer of payments.status reads it. Name a ticket or the provider's case instead."
        )
    return reason


def parse_user(text: str | None) -> str:
    """Who corrects the payment: ``--by``, or the user of the operating system.

    Raises:
        ConfigurationError: the user is not a short plain name, or the operating system knows none.
    """
    name = _system_user() if text is None else text
    if not _USER.match(name):
        raise ConfigurationError(
            "--by must be 1 to 64 letters, digits and . _ - (first a letter or digit), such as a user name; "
            f"got {name[:64]!r}."
        )
    return name


def _system_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user often has no name
        return ""


def observation(
    event: PaymentStatus, status: Status, correction: Correction, at: str, *, amount: Money | None, paid: Money | None
) -> Observation:
    """The correction of the payment with this newest event, made at ``at``."""
    return Observation(
        provider=event.provider,
        merchant=event.merchant,
        payment_id=event.payment_id,
        order_id=None,
        status=status,
        amount=amount,
        paid=paid,
        source=OPERATOR,
        observed_at=at,
        correction=correction,
    )


def output(observed: Observation, kafka: KafkaSettings) -> Output:
    """The correction as a record of ``observations``."""
    headers = cloud_event(
        event_id=time_ordered_id(),
        source="/paynotify/correct",
        event_type=messages.PAYMENT_OBSERVED,
        event_time=observed.observed_at,
        traceparent=new_traceparent(),
    )
    key = f"{observed.merchant}/{observed.payment_id}".encode()
    return Output(kafka.topic(topics.OBSERVATIONS), key, messages.encode(observed), headers)
