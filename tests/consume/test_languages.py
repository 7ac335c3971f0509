"""The example consumers in Java, Go and TypeScript on a real Kafka, with real results: killed, restarted, rebalanced.

`make consumers` kills each of them ten times.
"""

from __future__ import annotations

import signal
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
from kafka import KafkaAdminClient

from paynotify.sandbox.processes import Child, wait_for
from paynotify.schemas import topics
from tests.consume.fold import done, due
from tests.consume.languages import LANGUAGES, classpath
from tests.consume.results import written
from tests.fakes.configurations import create_topics, remove_topics
from tests.long_form import LONG
from tests.topics_reader import ToWrite, lag, send, whole

pytestmark = pytest.mark.kafka

PARTITIONS: Final = 3
KILLS: Final = 10 if LONG else 1
DEADLINE_SECONDS: Final = 90.0
#: Of a program that was asked to end; the JVM tells of the signal.
ENDED: Final = frozenset({0, 128 + signal.SIGTERM})


class Consumers:
    """Processes of one example that share a group and the folder of their effects."""

    def __init__(self, kafka: str, topic: str, command: Sequence[str], folder: Path) -> None:
        self.kafka, self.topic, self.command, self.folder = kafka, topic, command, folder
        self.effects = folder / "effects"
        self.effects.mkdir()
        self.children: list[Child] = []

    def start(self, instance: str | None = None) -> Child:
        environment = {"KAFKA": self.kafka, "TOPIC": self.topic, "GROUP": self.topic, "EFFECTS": str(self.effects)}
        if instance is not None:
            environment["INSTANCE"] = instance
        name = f"consumer-{len(self.children)}"
        self.children.append(Child(name, self.command, self.folder / f"{name}.log", environment=environment))
        return self.children[-1]

    def until_done(self, count: int) -> None:
        self._until(lambda: sum(1 for _ in self.effects.glob("payments/*/*")) >= count)

    def until_read(self) -> None:
        self._until(lambda: lag(self.kafka, self.topic, self.topic) == 0)

    def _until(self, condition: Callable[[], bool]) -> None:
        """Wait for it; a consumer that ended by itself is told of at once."""

        def fallen() -> Child | None:
            return next((one for one in self.children if one.exit_code not in {None, -signal.SIGKILL, *ENDED}), None)

        met = wait_for(lambda: condition() or fallen(), within_seconds=DEADLINE_SECONDS)
        assert met is True, (fallen() or self.children[-1]).end()

    def until_members(self, count: int) -> None:
        """Until so many processes have partitions."""
        client = KafkaAdminClient(bootstrap_servers=self.kafka)

        def members() -> bool:
            (group,) = client.describe_groups([self.topic]).values()
            assigned = [one["member_assignment"] for one in group["members"]]
            return group["group_state"] == "Stable" and sum(bool(_partitions(one)) for one in assigned) == count

        try:
            self._until(members)
        finally:
            client.close()

    def told(self, about: str) -> set[str]:
        """What they complained of, without what a logger puts before it."""
        lines = [line for child in self.children for line in child.log_path.read_text().splitlines()]
        return {line.partition(about)[2] for line in lines if about in line}


def _partitions(assignment: Any) -> list[int]:
    """Of a group's member; it has no assignment while it joins."""
    assigned = assignment["assigned_partitions"] if assignment else []
    return [number for one in assigned for number in one["partitions"]]


@pytest.fixture(scope="module")
def stories(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Future[Consumers]]]:
    """The story of each language. They happen at the same time: most of it is waiting for heartbeats."""
    prefix = f"test-{uuid.uuid4().hex[:8]}."
    everything = written()

    def story(language: str) -> Consumers:
        command = LANGUAGES[language]()
        consumers = Consumers(kafka, f"{prefix}{language}.{topics.STATUS}", command, tmp_path_factory.mktemp(language))
        try:
            happen(consumers, everything)
        finally:
            for child in consumers.children:
                child.kill()
        return consumers

    create_topics(kafka, *(f"{prefix}{one}.{topics.STATUS}" for one in LANGUAGES), partitions=PARTITIONS)
    with ThreadPoolExecutor(len(LANGUAGES)) as pool:
        yield {language: pool.submit(story, language) for language in LANGUAGES}
    remove_topics(kafka, prefix)


def odd(like: ToWrite) -> Iterator[ToWrite]:
    """What later releases may send, and what should not be: one payment after another."""
    _, value, headers = like
    event = orjson.loads(value or b"")

    def of(payment: str, sequence: int, **fields: Any) -> ToWrite:
        said = {**event, "payment_id": payment, "order_id": None, "sequence": sequence, **fields}
        said["event_id"] = f"{payment}-{sequence}"
        return f"{event['merchant']}/{payment}".encode(), orjson.dumps(said), {**headers, "ce_id": said["event_id"]}

    yield of("new/words", 1, status="partially_captured", fulfilment="release", colour={"of": ["money", 1.5, None]})
    yield of("new/words", 2, fulfilment="inspect")
    first = of("gap", 1, fulfilment="hold")
    yield from (first, first, of("gap", 3, fulfilment="stop"), first)
    key, value, headers = of("other type", 1)
    yield key, value, {**headers, "ce_type": "payment.forecast.v1"}
    yield of("gone", 1)[0], None, {"ce_type": "payment.forgotten.v1"}


def happen(consumers: Consumers, everything: Sequence[ToWrite]) -> None:
    """Kill a consumer, start it again, give its group another member and take it away again."""
    kafka, topic, half = consumers.kafka, consumers.topic, len(everything) // 2
    # a worker that was killed publishes some once more
    send(kafka, topic, [*everything[:half], *everything[half - 100 : half]])
    left = []
    for number in range(KILLS):
        child = consumers.start(instance="first")
        consumers.until_done((number + 1) * half // (KILLS + 1))
        child.kill()
        left.append(lag(kafka, topic, topic))
    assert any(left), "each was killed too late: nothing was left to be read again"
    first, second = consumers.start(instance="first"), consumers.start()
    consumers.until_members(2)
    send(kafka, topic, everything[half:])
    consumers.until_done(half + (len(everything) - half) // 2)
    assert second.stop() in ENDED
    send(kafka, topic, odd(everything[0]))
    consumers.until_read()
    assert first.stop() in ENDED


@pytest.mark.parametrize("language", LANGUAGES)
def test_consumer_acts_once_on_each_event_through_kills_and_rebalances(
    stories: Mapping[str, Future[Consumers]], language: str
) -> None:
    consumers = stories[language].result()
    found = done(consumers.effects)
    assert found == due(whole(consumers.kafka, consumers.topic), found)
    gaps, others, tombstones = map(consumers.told, ("gap: ", "not for us: ", "forgotten: "))
    assert {line.partition("/")[2] for line in gaps} == {"gap 3 after 1"}
    assert others == {"payment.forecast.v1"}
    assert {line.partition("/")[2] for line in tombstones} == {"gone"}


@pytest.mark.skipif(not LONG, reason="`make consumers` compiles the snippet for Spring")
def test_snippet_for_spring_compiles() -> None:
    classpath("spring")


@pytest.mark.skipif(not LONG, reason="`make consumers` reads payments.latest too")
@pytest.mark.parametrize("language", LANGUAGES)
def test_consumer_of_payments_latest_misses_no_older_events(
    kafka: str, topic_prefix: str, tmp_path: Path, language: str
) -> None:
    newest = {key: (key, value, headers) for key, value, headers in written(topics.LATEST)}
    forgotten = next(iter(newest))
    consumers = Consumers(kafka, f"{topic_prefix}{topics.LATEST}", LANGUAGES[language](), tmp_path)
    create_topics(kafka, consumers.topic, partitions=PARTITIONS)
    send(kafka, consumers.topic, [*newest.values(), (forgotten, None, {})])
    child = consumers.start()
    try:
        consumers.until_read()
        assert child.stop() in ENDED
    finally:
        child.kill()
    assert {effect["event_id"] for effect in done(consumers.effects).values()} == {
        headers["ce_id"] for _, _, headers in newest.values()
    }
    assert consumers.told("gap: ") == set()
    assert consumers.told("forgotten: ") == {(forgotten or b"").decode()}
