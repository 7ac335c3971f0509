"""What an earlier release left behind is read by this one, and carried on without a gap."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
import orjson
import pytest
from kafka import KafkaProducer

from paynotify.processors.resolve.payment_state import PaymentState
from paynotify.sandbox.processes import Child, stop_all, wait_for
from paynotify.sandbox.system import Plan, Sandbox
from paynotify.schemas import messages, topics
from paynotify.schemas.messages import Answered, Lookup, Observation, PaymentStatus
from paynotify.schemas.providers import provider_names
from tests.acceptance.ledger import Observer
from tests.upgrade.dump import Kept, records, unpack_state
from tests.upgrade.earlier import EARLIER

PARTITIONS: Final = 2
DEADLINE_SECONDS: Final = 90.0
CHANGELOG: Final = topics.changelog("resolve")

#: The type of each topic's values, as this release has it.
KINDS: Final[dict[str, type[Any]]] = {
    topics.OBSERVATIONS: Observation,
    topics.STATUS: PaymentStatus,
    topics.LATEST: PaymentStatus,
    CHANGELOG: PaymentState,
    **dict.fromkeys(map(topics.lookups, ("nevogate", "omnikassa", "trustpayments")), Lookup),
}


@pytest.fixture(scope="module")
def recorded() -> dict[str, list[Kept]]:
    """The earlier release's records by topic."""
    found: dict[str, list[Kept]] = defaultdict(list)
    for record in records(EARLIER):
        found[record.topic].append(record)
    return found


@pytest.mark.parametrize("topic", sorted(KINDS))
def test_recorded_value_is_read_and_keeps_all_it_says(recorded: dict[str, list[Kept]], topic: str) -> None:
    values = [record.value for record in recorded[topic] if record.value and not (record.key or b"").startswith(b"\0")]
    assert values
    for value in values:
        # with every field: messages leave out those that have their default
        fields = messages.fields_of(messages.decode(value, KINDS[topic]))
        said = orjson.loads(orjson.dumps(msgspec.to_builtins(fields)))
        assert _says(said, orjson.loads(value)), "a member is left out or says something else"


def _says(after: Any, before: Any) -> bool:
    """Whether all of ``before`` is in ``after``: a later release adds members, at any depth."""
    if isinstance(before, dict):
        return before.keys() <= after.keys() and all(_says(after[name], one) for name, one in before.items())
    if isinstance(before, list):
        return len(after) == len(before) and all(map(_says, after, before))
    return bool(after == before)


def test_recorded_answer_names_the_lookups_it_answers(recorded: dict[str, list[Kept]]) -> None:
    answers = [record for provider in provider_names() for record in recorded[topics.responses(provider)]]
    assert answers
    for record in answers:
        for one in orjson.loads(dict(record.headers)["lookups"]):
            assert Answered(**one).lookup_id


@dataclass
class Carried:
    """A sandbox on whose topics the recorded records lie, at their offsets."""

    sandbox: Sandbox
    observer: Observer
    producer: KafkaProducer

    def put(self, record: Kept) -> None:
        self.producer.send(
            self.sandbox.topic(record.topic),
            record.value,
            record.key,
            list(record.headers),
            record.partition,
            record.timestamp,
        )

    def events(self) -> dict[str, list[dict[str, Any]]]:
        self.observer.read()
        return self.observer.events()


@pytest.fixture
def carried(recorded: dict[str, list[Kept]], monkeypatch: pytest.MonkeyPatch) -> Iterator[Carried]:
    monkeypatch.delenv("KAFKA", raising=False)
    with Sandbox(Plan(workers=(), consumers=False, ingest=False, partitions=PARTITIONS)) as sandbox:
        producer = KafkaProducer(bootstrap_servers=sandbox.bootstrap, acks="all", linger_ms=20)
        one = Carried(sandbox, Observer(sandbox), producer)
        ends: dict[tuple[str, int], int] = defaultdict(int)
        for topic in (CHANGELOG, topics.OBSERVATIONS, topics.STATUS, topics.LATEST):
            for record in recorded[topic]:
                # marks of who took a changelog hold offsets that no record has
                for _ in range(record.offset - ends[topic, record.partition] if topic == CHANGELOG else 0):
                    one.put(replace(record, key=b"\0held", value=b"", headers=()))
                one.put(record)
                ends[topic, record.partition] = record.offset + 1
        producer.flush()
        yield one
        producer.close()
        one.observer.close()


def resolver(sandbox: Sandbox) -> Child:
    """A worker that only resolves: the recorded payments are unknown to the sandbox's providers."""
    number = len(sandbox.workers)
    sandbox.plan = replace(sandbox.plan, workers=(*sandbox.plan.workers, ("--stage", "resolve")))
    child = sandbox.add_worker()
    assert child.name == f"worker-{number}"
    sandbox.wait_ready(child)
    return child


def caught_up(child: Child) -> int:
    """How many records of its changelog a worker has read."""
    return sum(one["records"] for one in child.log_lines() if one.get("event") == "state_restored")


def news_of(carried: Carried, payments: dict[str, PaymentStatus], status: str) -> None:
    for key, last in payments.items():
        observation = Observation(
            provider=last.provider,
            merchant=last.merchant,
            payment_id=last.payment_id,
            order_id=last.order_id,
            status=status,  # type: ignore[arg-type]  # a parameter's plain text
            amount=last.amount,
            paid=last.amount if status == "captured" else None,
            source="TEST",
            provider_time="2099-01-01T00:00:00.000Z",
            observed_at="2099-01-01T00:00:00.000Z",
        )
        carried.producer.send(carried.sandbox.topic(topics.OBSERVATIONS), messages.encode(observation), key.encode())
    carried.producer.flush()


def until_published(carried: Carried, wanted: dict[str, tuple[int, str]]) -> None:
    def right() -> bool:
        last = {key: (told[-1]["sequence"], told[-1]["status"]) for key, told in carried.events().items()}
        return all(last.get(key) == one for key, one in wanted.items())

    assert wait_for(right, within_seconds=DEADLINE_SECONDS, every=0.2), carried.sandbox.workers[-1].end()


@pytest.mark.kafka
def test_recorded_state_and_its_topics_are_carried_on_without_a_gap(
    recorded: dict[str, list[Kept]], carried: Carried
) -> None:
    sandbox = carried.sandbox
    before = carried.events()
    last = {key: messages.decode(orjson.dumps(told[-1]), PaymentStatus) for key, told in before.items()}
    waiting = {key: one for key, one in last.items() if one.status in ("pending", "authorised", "suspended")}
    assert len(waiting) > 3
    first, second = dict(list(waiting.items())[::2]), dict(list(waiting.items())[1::2])

    unpack_state(EARLIER, sandbox.state_directory(0))
    child = resolver(sandbox)
    news_of(carried, first, "captured")
    until_published(carried, {key: (one.sequence + 1, "captured") for key, one in first.items()})
    assert caught_up(child) == 0, "the recorded files were not taken for what they are"
    stop_all([child])

    child = resolver(sandbox)  # with an empty disk
    news_of(carried, second, "captured")
    until_published(carried, {key: (one.sequence + 1, "captured") for key, one in second.items()})
    assert caught_up(child) >= len(last)

    after = carried.events()
    for key, told in before.items():
        more = [("captured", last[key].status)] if key in waiting else []
        assert after[key][: len(told)] == told
        assert [(one["status"], one["previous_status"]) for one in after[key][len(told) :]] == more, key
    assert carried.observer.records[topics.DEAD] == []
