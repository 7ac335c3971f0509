"""What the acceptance tests' ledger takes for an error: a lookup that never ends, not one that has just begun."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest

from paynotify.sandbox.system import Sandbox
from paynotify.schemas import topics
from tests.acceptance.ledger import Observer, assert_right

LOOKUPS = topics.lookups("trustpayments")
RESPONSES = topics.responses("trustpayments")
#: No provider, so nothing but what lies on the topics is judged.
NOBODY = cast(Sandbox, SimpleNamespace(providers={}))


class Readings(Observer):
    """An observer for whom more lies on the topics at each reading; after the last one nothing more comes."""

    def __init__(self, *readings: list[tuple[str, Any]]) -> None:
        super().__init__(cast(Sandbox, SimpleNamespace(prefix="", direct_bootstrap="", configuration=_NO_TOPICS)))
        self._readings = list(readings)

    def read(self) -> None:
        for topic, record in self._readings.pop(0) if self._readings else []:
            self.records[topic].append(record)


_NO_TOPICS = SimpleNamespace(wanted_topics=dict)


def looks(name: str) -> tuple[str, Any]:
    """A worker asks by itself for an order that is overdue."""
    value = {"notification_id": f"overdue/{name}", "arguments": {"recovery": "1"}}
    return LOOKUPS, _record(LOOKUPS, value, ce_id=name)


def answers(*names: str) -> tuple[str, Any]:
    lookups = orjson.dumps([{"lookup_id": name} for name in names]).decode()
    return RESPONSES, _record(RESPONSES, {}, lookups=lookups)


def _record(topic: str, value: Any, **headers: str) -> Any:
    return SimpleNamespace(
        topic=topic, partition=0, offset=0, timestamp=0, key=b"shop-uk", value=orjson.dumps(value),
        headers=[(name, text.encode()) for name, text in headers.items()],
    )  # fmt: skip


def test_lookup_without_an_end_is_an_error_and_its_place_is_told() -> None:
    told = r"1 not right: lookup A at lookups\.trustpayments/0/0, stored .* has no end"
    with pytest.raises(AssertionError, match=told):
        assert_right(NOBODY, Readings([looks("A")]), within_seconds=0)


def test_lookups_that_are_answered_while_they_are_waited_for_are_right() -> None:
    assert_right(NOBODY, Readings([looks("A"), looks("B")], [], [answers("A", "B")]))


def test_lookups_that_begin_when_all_others_have_ended_are_no_error() -> None:
    settled, ended, begun = [looks("A")], [answers("A")], [looks("B"), looks("C")]
    assert_right(NOBODY, Readings(settled, ended, begun))
