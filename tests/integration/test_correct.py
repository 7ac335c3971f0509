"""An operator's correction on a real Kafka: the payment's next event, from which the provider's responses continue."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from paynotify.schemas import messages, topics
from paynotify.schemas.messages import Chargeback, Refund
from paynotify.schemas.money import Money
from tests import topics_reader
from tests.fakes.observations import observation
from tests.integration.conftest import Installation

pytestmark = pytest.mark.kafka

KEY: Final = "shop-uk/p1"
CORRECT: Final = ("correct", KEY, "--status", "captured", "--reason", "case 4711", "--by", "anna")


def _observe(installation: Installation, *, second: int, **fields: Any) -> None:
    time = f"2026-06-01T12:00:{second:02}.000Z"
    one = observation("p1", provider_time=time, observed_at=time, **fields)
    record = (KEY.encode(), messages.encode(one), {"ce_id": f"o-{second}"})
    topics_reader.send(installation.kafka, installation.topic(topics.OBSERVATIONS), [record])


def _events(installation: Installation) -> list[dict[str, Any]]:
    return topics_reader.payments(installation.records(topics.STATUS)).get(KEY, [])


def test_correction_is_the_next_event_and_the_provider_continues_from_it(installation: Installation) -> None:
    worker = installation.worker("resolve")
    assert installation.finished(*CORRECT)[0] == 1, "an unknown payment was corrected"
    _observe(installation, second=1, status="captured")
    dispute = {"status": None, "amount": None, "chargeback": Chargeback(chargeback_id="c1", amount=None)}
    _observe(installation, second=2, **dispute)
    installation.until(lambda: len(_events(installation)) == 2, worker)
    installation.until_read("resolve", topics.OBSERVATIONS, child=worker)

    code, said = installation.finished(*CORRECT)
    assert code == 0, said
    assert "would be published" in said
    assert installation.count(topics.OBSERVATIONS) == 2

    assert installation.count(topics.OPERATORS) == 0, "what was only shown was recorded"

    code, said = installation.finished(*CORRECT, "--apply", "--json")
    assert code == 0, said
    follows = json.loads(said)["follows"]
    corrected = installation.until(lambda: _events(installation)[2:], worker)[0]
    assert corrected == follows, "the shown event is not the one that followed"
    assert (corrected["sequence"], corrected["status"], corrected["previous_status"]) == (3, "captured", "charged_back")
    assert (corrected["source"], corrected["correction"]) == ("OPERATOR", {"by": "anna", "reason": "case 4711"})
    assert corrected["fulfilment"] == "release"

    intended, ended = installation.records(topics.OPERATORS)
    written = max(installation.records(topics.OBSERVATIONS), key=lambda one: int(one.timestamp))
    assert intended.timestamp <= written.timestamp <= ended.timestamp
    code, said = installation.finished("history", "--payment", KEY, "--by", "anna", "--since", "1h", "--json")
    assert code == 0, said
    (action,) = json.loads(said)["actions"]
    assert (action["intended"]["reason"], action["intended"]["arguments"]) == ("case 4711", {"status": "captured"})
    assert (action["ended"]["state"], action["ended"]["published"]) == ("done", 1)
    assert action["ended"]["result"]["event_id"] == corrected["event_id"]
    assert installation.finished("history", "--command", "replay")[0] == 1
    installation.until(lambda: installation.count(topics.OPERATIONS), worker)
    code, said = installation.finished("trace", KEY, "--json")
    told = {(one["kind"], one["what"]) for one in json.loads(said)["payments"][0]["entries"]}
    assert {("case", "corrected"), ("action", "correct by anna, done: case 4711")} <= told

    installation.until_read("resolve", topics.OBSERVATIONS, child=worker)
    assert installation.finished(*CORRECT, "--apply")[0] == 1, "the same status was published again"
    _observe(installation, second=2, **dispute)
    refund = Refund(refund_id="r1", amount=Money(400, "GBP"), settled=True)
    _observe(installation, second=3, status=None, refund=refund)
    later = installation.until(lambda: _events(installation)[3:], worker)[0]
    assert (later["sequence"], later["status"], later["source"]) == (4, "partially_refunded", "TRANSACTIONQUERY")
