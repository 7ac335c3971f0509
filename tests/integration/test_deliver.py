"""`paynotify deliver` on a real Kafka: subscribers that are down, slow or wrong, and the process killed meanwhile."""

from __future__ import annotations

import json
import os
import random
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final

import pytest
from kafka import KafkaAdminClient

from paynotify.sandbox.processes import Child
from paynotify.schemas import topics
from paynotify.schemas.ids import derived_id
from tests import topics_reader
from tests.fakes.subscriber import SECRET, FakeSubscriber, ReceivedCall, Reply
from tests.integration.conftest import Installation

pytestmark = pytest.mark.kafka

#: The long form of the loss test: so many events, and kills of the process.
EVENTS: Final = int(os.environ.get("PAYNOTIFY_DELIVERIES") or 400)
KILLS: Final = max(2, EVENTS // 400)
PAYMENTS: Final = 40
FAST: Final = {
    "private_networks": ["127.0.0.0/8"],
    "session_timeout_seconds": 2,
    "timeout_seconds": 0.5,
    "retry_delays_seconds": [0.1, 0.2, 0.4],
    "retries": 1000,
    "circuit": {"failures": 5, "within_seconds": 5, "probe_seconds": 0.2},
}


def status_events(count: int, payments: int = PAYMENTS, prefix: str = "p") -> list[tuple[bytes, bytes, dict[str, str]]]:
    """Events of several payments, each with its own sequence."""
    records = []
    for number in range(count):
        payment, sequence = f"{prefix}{number % payments}", number // payments + 1
        event = {
            "event_id": derived_id("test of deliver", payment, str(sequence)),
            "sequence": sequence,
            "merchant": "shop-nl",
            "payment_id": payment,
        }
        headers = {"ce_type": "payment.status.changed.v1", "ce_time": "2026-11-29T10:00:00.000Z"}
        records.append((f"shop-nl/{payment}".encode(), json.dumps(event).encode(), headers))
    return records


def sent(installation: Installation, records: Sequence[tuple[bytes, bytes, dict[str, str]]]) -> None:
    topics_reader.send(installation.kafka, installation.topic(topics.STATUS), records)


def subscription(name: str, subscriber: FakeSubscriber, **changes: Any) -> dict[str, Any]:
    return {"id": name, "url": subscriber.url, "secrets": [{"value": SECRET}], "start": "beginning", **changes}


def delivering(installation: Installation, subscriptions: Sequence[dict[str, Any]], **changes: Any) -> Child:
    installation.configure(deliver={**FAST, "subscriptions": list(subscriptions), **changes})
    return installation.run("deliver", "--management", "127.0.0.1:0")


def assert_in_order(calls: Sequence[ReceivedCall]) -> None:
    """Each payment's events came one after the other, and none before the one in front of it was accepted."""
    by_payment: dict[str, list[int]] = defaultdict(list)
    for one in calls:
        by_payment[one.event["payment_id"]].append(one.event["sequence"])
    for payment, sequences in by_payment.items():
        assert sequences == list(range(1, len(sequences) + 1)), payment


@pytest.fixture
def subscriber() -> Iterator[FakeSubscriber]:
    made = FakeSubscriber()
    yield made
    made.down()


@pytest.fixture
def other() -> Iterator[FakeSubscriber]:
    made = FakeSubscriber()
    yield made
    made.down()


def odd_replies(seed: int) -> Any:
    """A subscriber that fails in every way, most often at some payments, and takes everything in the end."""
    chance = random.Random(seed)
    wrong = (
        Reply(500),
        Reply(400),
        Reply(302, headers={"Location": "http://127.0.0.1:9/"}),
        Reply(503),
        Reply(404, body=b"x" * 200_000),
        Reply(0),
        Reply(200, seconds=0.8),
    )

    def reply(event: dict[str, Any], number: int) -> Reply:
        if event["payment_id"] == "p3" and event["sequence"] == 2 and number == 1:
            return Reply(429, headers={"Retry-After": "1"})  # all of the subscriber's deliveries pause for it
        share = 0.6 if event["payment_id"] in ("p1", "p2") else 0.03
        return chance.choice(wrong) if number < 4 and chance.random() < share else Reply()

    return reply


def owner_of(children: Sequence[Child]) -> Child | None:
    """The process that delivers the subscription `erp`; None while none does."""
    for child in children:
        port = child.wait_for_event("management_listening", within_seconds=30)["port"]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                if b'paynotify_subscription_owned{subscription="erp"} 1.0' in answer.read():
                    return child
        except OSError:
            continue
    return None


def test_events_arrive_in_order_whatever_the_subscriber_and_the_process_do(
    installation: Installation, subscriber: FakeSubscriber, other: FakeSubscriber
) -> None:
    subscriber.reply = odd_replies(seed=7)
    records, parts = status_events(EVENTS), KILLS + 1
    children = [delivering(installation, [subscription("erp", subscriber), subscription("wms", other)])]
    for part in range(parts):
        if part < KILLS:  # who stands by takes over
            children.append(installation.run("deliver", "--management", "127.0.0.1:0"))
        sent(installation, records[part * EVENTS // parts : (part + 1) * EVENTS // parts])
        enough = EVENTS * (part + 1) // parts - EVENTS // parts // 2
        installation.until(lambda enough=enough: len(subscriber.accepted()) >= enough, children[-1])
        if part == 0:
            subscriber.down()
            installation.until(lambda: len(other.accepted()) >= EVENTS // parts, children[0])  # not held up by it
            subscriber.up()
        if part < KILLS:
            owner = installation.until(lambda: owner_of(children), children[-1])
            owner.kill()
            children.remove(owner)
    installation.until(lambda: len(subscriber.accepted()) == len(other.accepted()) == EVENTS, children[-1])
    for one in (subscriber, other):
        assert_in_order(one.accepted())
        assert [call.problem for call in one.calls if call.problem] == []
        values = {json.loads(value)["event_id"]: value for _, value, _ in records}
        assert all(b',"data":' + values[call.event_id] + b"}" in call.body for call in one.calls)
    # an answer that came too late is asked for once more
    installation.until(lambda: waiting(installation) == {}, children[-1])
    print(f"{EVENTS} events, {len(subscriber.calls)} calls, {KILLS} kills: lost 0, order kept")
    for child in children:
        assert child.stop() == 0
    group = f"{installation.prefix}paynotify.deliver.erp"
    assert topics_reader.lag(installation.kafka, group, installation.topic(topics.STATUS)) == 0


def waiting(installation: Installation) -> dict[bytes, bytes]:
    """The waiting deliveries on the state topic."""
    newest: dict[bytes, bytes] = {}
    for record in installation.records(topics.DELIVERIES_STATE):
        if b"/" in record.key and not record.key.endswith(b"@positions"):
            newest[record.key] = record.value
    return {key: value for key, value in newest.items() if value is not None}


def test_operator_enables_what_is_gone_and_replays_what_is_dead(
    installation: Installation, subscriber: FakeSubscriber, other: FakeSubscriber
) -> None:
    subscriber.reply = lambda event, number: Reply(410)
    poison = derived_id("test of deliver", "p0", "1")
    other.reply = lambda event, number: Reply(422 if event["event_id"] == poison else 204)
    both = [subscription("erp", subscriber), subscription("wms", other)]
    child = delivering(installation, both, retries=2)
    sent(installation, status_events(6, 2))
    child.wait_for_event("subscription_disabled", within_seconds=30)
    installation.until(lambda: len(other.accepted()) == 5, child)  # its payment went on without what is dead
    assert_disabled(installation, len(subscriber.calls), subscriber)
    subscriber.reply = other.reply = lambda event, number: Reply()
    code, said = installation.finished("subscriptions", "enable", "erp", "--reason", "back, ticket 4711", "--by", "ann")
    assert code == 0, said
    installation.until(lambda: len(subscriber.accepted()) == 6, child)
    assert_in_order(subscriber.accepted())
    calls = len(subscriber.calls)
    (dead,) = installation.records(topics.DELIVERIES_DEAD)
    assert topics_reader.header(dead, "reason") == "refused"
    assert topics_reader.header(dead, "attempts") == "3"
    code, said = installation.finished("replay", "deliveries", "--subscription", "wms", "--yes", "--json")
    assert (code, json.loads(said)["sent"]) == (0, 1)
    installation.until(lambda: len(other.accepted()) == 6, child)
    child.stop()
    assert len(subscriber.calls) == calls  # the replay is the other subscription's alone
    assert installation.count(topics.STATUS) == 6  # and no result was published twice
    assert_continues_without_its_group(installation, subscriber)
    _, said = installation.finished("history", "--command", "subscriptions", "--json")
    (action,) = json.loads(said)["actions"]
    assert (action["ended"]["by"], action["ended"]["state"]) == ("ann", "done")
    assert action["ended"]["arguments"] == {"action": "enable", "subscription": "erp"}


def assert_continues_without_its_group(installation: Installation, subscriber: FakeSubscriber) -> None:
    """The brokers forget a group's offsets a week after its last member has left; the positions of its end are kept."""
    group = f"{installation.prefix}paynotify.deliver.erp"
    client = KafkaAdminClient(bootstrap_servers=installation.kafka)
    assert client.delete_groups([group]) == {group: "OK"}
    client.close()
    calls = len(subscriber.calls)
    sent(installation, status_events(8, 2)[6:])
    child = installation.run("deliver", "--management", "127.0.0.1:0")
    installation.until(lambda: len(subscriber.accepted()) == 8, child)
    assert len(subscriber.calls) == calls + 2
    child.stop()


def assert_disabled(installation: Installation, calls: int, subscriber: FakeSubscriber) -> None:
    """The command shows it, and nobody is called any more."""
    code, said = installation.finished("subscriptions", "list", "--json")
    erp, wms = json.loads(said)["subscriptions"]
    assert (code, erp["state"], erp["by"], erp["unread"]) == (1, "disabled", "subscriber", 6)
    assert (wms["state"], wms["dead"]) == ("enabled", 1)
    assert len(subscriber.calls) == calls
