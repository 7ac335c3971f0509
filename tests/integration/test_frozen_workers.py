"""Workers that are frozen for longer than their session, and then go on as if nothing had happened."""

from __future__ import annotations

import signal
from itertools import cycle

import orjson
import pytest

from tests.fakes.observations import LIFE, lives
from tests.integration.conftest import Installation
from tests.topics_reader import lag, payments, send

pytestmark = pytest.mark.kafka

PAYMENTS = 3000
SESSION_SECONDS = 2.0


def test_two_workers_frozen_in_turn_never_contradict_each_other(installation: Installation) -> None:
    installation.configure(worker={"session_timeout_seconds": SESSION_SECONDS, "batch_records": 50})
    source, group = installation.topic("observations"), installation.topic("paynotify.resolve")
    everything = list(lives(PAYMENTS))
    one, two = (installation.worker("resolve", state=name) for name in ("one", "two"))
    for step, (frozen, other) in zip(range(len(LIFE)), cycle([(one, two), (two, one)]), strict=False):
        before = installation.count("payments.status")
        send(installation.kafka, source, everything[step * PAYMENTS : (step + 1) * PAYMENTS])
        installation.until(lambda seen=before: installation.count("payments.status") > seen, frozen)
        frozen.signal(signal.SIGSTOP)
        # the other one takes over and finishes the step before this one goes on in the middle of it
        installation.until(lambda: lag(installation.kafka, group, source) == 0, other)
        frozen.signal(signal.SIGCONT)
    installation.until_read("resolve", "observations", child=one)
    assert [one.stop(), two.stop()] == [0, 0]
    found = payments(installation.records("payments.status"))
    assert len(found) == PAYMENTS
    for key, events in found.items():
        assert [event["sequence"] for event in events] == list(range(1, len(LIFE) + 1)), key
    newest = {record.key: record.value for record in installation.records("payments.latest")}
    assert {orjson.loads(value)["sequence"] for value in newest.values()} == {len(LIFE)}
