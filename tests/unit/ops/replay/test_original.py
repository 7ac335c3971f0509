"""A replayed record is the original, marked with its position, and goes only to certain topics."""

from __future__ import annotations

import pytest

from paynotify.ops.replay.original import money_moving_topics, original, replay_targets
from paynotify.ops.replay.plan import ReplaySelection
from paynotify.processors.dead_letters import dead_lettered
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.records import Record

HEADERS = (("ce_id", b"n-1"), ("ce_source", b"/notifications/nevogate/shop-hu"), ("http-query", b"a=b"))


def _rejected() -> Record:
    source = Record("p.notifications.nevogate", 2, 7, b"shop-hu/ab", b"\x00raw", HEADERS, 1.0)
    output = dead_lettered(source, "p.notifications.rejected", "bad_signature", attempts=3)
    return Record(output.topic, 1, 5, output.key, output.value, output.headers, 2.0)


def test_original_is_restored_and_marked_with_its_position() -> None:
    again = original(_rejected())
    assert (again.topic, again.key, again.value) == ("p.notifications.nevogate", b"shop-hu/ab", b"\x00raw")
    assert again.headers == (*HEADERS, ("replayed-from", b"p.notifications.rejected/1/5"))


def test_record_replayed_twice_has_only_the_last_mark() -> None:
    once = original(_rejected())
    source = Record(once.topic, 2, 9, once.key, once.value, once.headers, 3.0)
    output = dead_lettered(source, "p.notifications.rejected", "bad_signature")
    twice = original(Record(output.topic, 1, 6, output.key, output.value, output.headers, 4.0))
    assert twice.headers == (*HEADERS, ("replayed-from", b"p.notifications.rejected/1/6"))


def test_replay_targets_exclude_results() -> None:
    known = replay_targets(KafkaSettings(topic_prefix="p."))
    assert known["p.lookups.nevogate.retry.5"] == "nevogate"
    assert not {"p.payments.status", "p.payments.latest", "p.notifications.rejected", "notifications.nevogate"} & set(
        known
    )


def test_replay_targets_include_expected_payments_but_nothing_that_moves_money() -> None:
    kafka = KafkaSettings(topic_prefix="p.")
    targets, money_moving = replay_targets(kafka), money_moving_topics(kafka)
    assert targets["p.payments.expected"] == targets["p.payments.orders"] == targets["p.observations"] == "all"
    assert money_moving == {"p.payments.requested", "p.payments.charges"}
    assert not money_moving & set(targets)


@pytest.mark.parametrize(
    ("selection", "matches"),
    [
        (ReplaySelection(), True),
        (ReplaySelection(reasons=["bad_signature"], merchants=["shop-hu"], providers=["nevogate"]), True),
        (ReplaySelection(keys=[b"shop-hu/ab"]), True),
        (ReplaySelection(reasons=["malformed"]), False),
        (ReplaySelection(merchants=["shop-h"]), False),
        (ReplaySelection(providers=["omnikassa"]), False),
        (ReplaySelection(keys=[b"shop-hu"]), False),
    ],
)
def test_selection_matches_all_of_its_fields(selection: ReplaySelection, matches: bool) -> None:
    assert selection.matches(_rejected(), "nevogate") is matches
