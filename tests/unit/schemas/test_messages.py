"""The bytes of messages: what is left out, what never is, and what a reader of topics may rely on."""

from __future__ import annotations

import orjson

from paynotify.processors.resolve.payment_state import PaymentState, encoded
from paynotify.processors.resolve.retention import payment_state
from paynotify.schemas import messages
from paynotify.schemas.messages import Observation, fields_of
from paynotify.schemas.money import Money
from tests.fakes.observations import observation

_LEFT_OUT = {"reason": None, "secured": False, "order_role": "whole", "customer_amount": None}


def test_fields_that_were_written_with_their_defaults_are_left_out() -> None:
    said = messages.encode(observation("p1"))
    earlier = orjson.dumps({**orjson.loads(said), **_LEFT_OUT})
    assert messages.encode(messages.decode(earlier, Observation)) == said


def test_empty_provider_status_is_written() -> None:
    assert orjson.loads(messages.encode(observation("p1")))["provider_status"] == {}


def test_state_that_was_written_whole_is_written_without_defaults() -> None:
    whole = orjson.dumps({"last": None, "refunds": [], "follows": [], "order_role": "whole", "corrected_at": ""})
    assert payment_state(whole) == PaymentState()
    assert encoded(payment_state(whole)) == b"{}"


def test_fields_of_a_message_are_all_there_with_those_of_its_parts() -> None:
    fields = fields_of(observation("p1", amount=Money(5, "GBP")))
    assert fields["amount"] == {"value": 5, "currency": "GBP"}
    assert (fields["secured"], fields["refund"]) == (False, None)
