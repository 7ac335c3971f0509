"""Fills the topics that the console reads with as many payments as a large shop has, each known by its number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from kafka import KafkaProducer

from paynotify.sandbox.system import Sandbox
from paynotify.schemas import topics
from paynotify.schemas.messages import Checks, ExpectedPayment, PaymentStatus, encode
from paynotify.schemas.money import Money
from paynotify.schemas.status import Fulfilment, Status

MERCHANT: Final = "shop-hu"
_TEMPLATE: Final = 987_654_321
_AT: Final = "2026-11-29T10:00:00.000Z"
#: One in so many payments is authorised, one of an unknown status, expected, rejected or dead-lettered.
_AUTHORISED, _UNKNOWN, _EXPECTED, _REJECTED, _DEAD = 50, 2_000, 10, 50, 500

Written = tuple[str, bytes, bytes, list[tuple[str, bytes]]]


def payment_of(number: int) -> str:
    """The payment's id."""
    return f"57-9-{number:09}"


def order_of(number: int) -> str:
    return f"ORD-{number:09}"


def status_of(number: int) -> tuple[Status, Fulfilment]:
    """What the payment's newest event says."""
    if number % _UNKNOWN == 1:
        return "unknown", "hold"
    return ("authorised", "hold") if number % _AUTHORISED == 0 else ("captured", "release")


def records_of(payments: int) -> int:
    """How many records `fill` writes."""
    return sum(1 for number in range(payments) for _ in _places(number))


def fill(sandbox: Sandbox, numbers: range, sequence: int = 2) -> None:
    """Write what the stages and shops would have written of the payments of these numbers."""
    producer: Any = KafkaProducer(bootstrap_servers=sandbox.bootstrap, acks=1, linger_ms=50, batch_size=512 * 1024)
    for topic, key, value, headers in _records(numbers, sequence):
        producer.send(sandbox.topic(topic), value, key, headers)
    producer.flush()
    producer.close()


def _places(number: int) -> Iterator[str]:
    yield topics.LATEST
    for topic, one_in in ((topics.EXPECTED, _EXPECTED), (topics.REJECTED, _REJECTED), (topics.DEAD, _DEAD)):
        if number % one_in == 0:
            yield topic


def _records(numbers: range, sequence: int) -> Iterator[Written]:
    """Only what differs from payment to payment is made for each."""
    events = {status: encode(_event(*status, sequence)) for status in {status_of(one) for one in range(2_001)}}
    expected = encode(
        ExpectedPayment(merchant=MERCHANT, order_id=order_of(_TEMPLATE), amount=Money(1050, "HUF"), created_at=_AT)
    )
    refused = {
        topics.REJECTED: [("reason", b"bad_signature"), ("original-topic", b"notifications.nevogate")],
        topics.DEAD: [("reason", b"not_found"), ("original-topic", b"lookups.nevogate")],
    }
    template = b"%09d" % _TEMPLATE
    for number in numbers:
        digits = b"%09d" % number
        key = f"{MERCHANT}/{payment_of(number)}".encode()
        for topic in _places(number):
            if topic == topics.LATEST:
                yield topic, key, events[status_of(number)].replace(template, digits), []
            elif topic == topics.EXPECTED:
                yield topic, key, expected.replace(template, digits), []
            else:
                yield topic, key, b"body", [*refused[topic], ("ce_id", b"note-" + digits)]


def _event(status: Status, fulfilment: Fulfilment, sequence: int) -> PaymentStatus:
    amount = Money(1050, "HUF")
    return PaymentStatus(
        event_id=f"event-{_TEMPLATE:09}",
        sequence=sequence,
        provider="nevogate",
        merchant=MERCHANT,
        payment_id=payment_of(_TEMPLATE),
        order_id=order_of(_TEMPLATE),
        status=status,
        previous_status=None,
        final=status == "captured",
        fulfilment=fulfilment,
        amount=amount,
        paid=amount if status == "captured" else None,
        refunded=None,
        reason=None,
        provider_status={"ResultCode": "SUCCESSFUL"},
        checks=Checks(amount="unknown", order="unexpected"),
        source="Result",
        provider_time=None,
        observed_at=_AT,
    )
