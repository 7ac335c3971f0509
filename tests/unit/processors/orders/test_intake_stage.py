"""The intake stage writes each expected payment to its order, and dead-letters what it cannot read."""

from __future__ import annotations

import pytest

from paynotify.processors.orders.intake_stage import OrderIntakeStage
from paynotify.processors.runtime.stage import BatchContext
from paynotify.schemas import messages
from paynotify.schemas.messages import ExpectedPayment
from paynotify.schemas.records import Output
from tests.fakes.expected_payments import WRONG, written
from tests.fakes.stages import KAFKA, counted, empty, header, metrics, record, refuse_publish


async def registered(value: bytes | None) -> list[Output]:
    stage = OrderIntakeStage({"shop": "trustpayments", "store": "nevogate"}, ["store"], KAFKA, metrics())
    return list(await stage.process(BatchContext([record(value, topic="payments.expected")], empty(), refuse_publish)))


async def test_expected_payment_goes_to_its_order_with_times_in_utc() -> None:
    (output,) = await registered(written())
    assert (output.topic, output.key) == ("payments.orders", b"shop/o1")
    assert header(output, "ce_type") == messages.PAYMENT_EXPECTED
    expected = messages.decode(output.value, ExpectedPayment)
    assert (expected.created_at, expected.final_by) == ("2026-06-01T12:00:00.000Z", "2026-06-01T13:00:00.000Z")


async def test_order_for_several_payments_is_written_as_one() -> None:
    for several in (True, False):
        (output,) = await registered(written(several=several))
        assert messages.decode(output.value, ExpectedPayment).several == several


async def test_registered_id_of_an_unsigned_merchant_is_a_known_id() -> None:
    _, known = await registered(written(merchant="store", payment_id="a" * 32))
    assert (known.topic, known.key, known.value) == ("lookups.nevogate.known", b"store/" + b"a" * 32, b"known")
    assert len(await registered(written(payment_id="1-2-3"))) == 1, "signed calls have no budget"


@pytest.mark.parametrize("value", [None, b"", b"\xff", b"[]", *(written(**change) for change in WRONG)])
async def test_unreadable_value_is_dead_lettered_with_its_reason(value: bytes | None) -> None:
    (output,) = await registered(value)
    assert (output.topic, output.value) == ("lookups.dead", value)
    assert header(output, "reason") == "unreadable_expectation"
    assert header(output, "original-topic") == "payments.expected"


async def test_order_of_an_unknown_merchant_is_dead_lettered() -> None:
    (output,) = await registered(written(merchant="gone"))
    assert (output.topic, header(output, "reason")) == ("lookups.dead", "unknown_merchant")


def test_dead_letter_is_counted() -> None:
    numbers = metrics()
    OrderIntakeStage({}, [], KAFKA, numbers).dead_letter(record(b"x"))
    assert counted(numbers.dead_letters, provider="all", stage="announce", reason="internal_error") == 1
