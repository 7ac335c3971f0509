"""The audit on a real Kafka: a clean flow is accounted for, and every missing or extra record is found."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

import pytest
from kafka import KafkaAdminClient, TopicPartition
from kafka.structs import OffsetAndMetadata
from msgspec.structs import replace

from paynotify.ops.audit.command import audit
from paynotify.ops.audit.report import AuditReport
from paynotify.processors.dead_letters import dead_lettered
from paynotify.processors.providers.base import Notification
from paynotify.processors.resolve.payment_state import PaymentState
from paynotify.processors.resolve.transitions import advance
from paynotify.processors.verify.stage import lookup_output
from paynotify.schemas import messages, topics
from paynotify.schemas.cloudevents import with_headers
from paynotify.schemas.configuration.load import load
from paynotify.schemas.ids import derived_id
from paynotify.schemas.messages import Answered, Lookup
from paynotify.schemas.records import Output, Record
from paynotify.schemas.status import Status
from paynotify.schemas.times import rfc3339
from tests import topics_reader
from tests.fakes.cloud_events import cloud_event, lookup_headers
from tests.fakes.observations import observation
from tests.integration.conftest import Installation

pytestmark = pytest.mark.kafka

PROVIDER: Final = "trustpayments"
SOURCE: Final = topics.notifications(PROVIDER)
LOOKUPS: Final = topics.lookups(PROVIDER)
RESPONSES: Final = topics.responses(PROVIDER)
NOW: Final = rfc3339()
STATUSES: Final[tuple[Status, ...]] = ("pending", "captured")

Change: TypeAlias = Callable[[Installation], None]


def _stored(number: int) -> Record:
    headers = cloud_event(
        event_id=derived_id("test", str(number)),
        source=f"/notifications/{PROVIDER}/shop-uk",
        event_type=messages.NOTIFICATION_RECEIVED,
        event_time=NOW,
    )
    return Record(SOURCE, 0, number, f"shop-uk/{number}".encode(), b"body", headers, 0.0)


def _lookup(number: int) -> Output:
    notification = Notification(
        _stored(number).header("ce_id"), PROVIDER, "shop-uk", "POST", "", "", b"", datetime.now(UTC)
    )
    asked = Lookup(
        provider=PROVIDER,
        merchant="shop-uk",
        operation="transaction",
        reference=str(number),
        notification_id=notification.notification_id,
        received_at=NOW,
    )
    return lookup_output(
        LOOKUPS,
        asked,
        notification,
        lookup_headers(asked.provider),
    )


def _response(numbers: Iterable[int]) -> Output:
    answered = [
        Answered(lookup_id=_id(_lookup(one)), reference=str(one), received_at=NOW, traceparent="") for one in numbers
    ]
    headers = cloud_event(
        event_id=derived_id("response"),
        source="",
        event_type="",
        event_time=NOW,
        lookups=messages.encode(answered).decode(),
    )
    return Output(RESPONSES, b"shop-uk", b"{}", headers)


def _id(output: Output) -> str:
    return Record("", 0, 0, None, None, output.headers, 0.0).header("ce_id")


def _record(output: Output) -> Record:
    return Record(output.topic, 0, 0, output.key, output.value, output.headers, 0.0)


def _events(payment: str = "p1") -> list[Output]:
    state, events = PaymentState(), []
    for status in STATUSES:
        after = advance(state, observation(payment, status))
        assert after.event is not None
        state = after.state
        headers = cloud_event(event_id=after.event.event_id, source="", event_type="", event_time=NOW)
        value = messages.encode(after.event)
        events += [
            Output(name, f"shop-uk/{payment}".encode(), value, headers) for name in (topics.STATUS, topics.LATEST)
        ]
    return events


def _clean() -> list[Output]:
    """Five notifications: two answered lookups, a dead one, one that waits, a rejected one; and a payment."""
    stored = [_stored(number) for number in range(5)]
    waits = _lookup(3)
    return [
        *(Output(SOURCE, one.key, one.value, one.headers) for one in stored),
        *(_lookup(number) for number in range(4)),
        _response([0, 1]),
        dead_lettered(_record(_lookup(2)), topics.DEAD, "not_found"),
        Output(topics.retry(PROVIDER, 1), waits.key, waits.value, with_headers(waits.headers, {"attempts": "1"})),
        dead_lettered(stored[4], topics.REJECTED, "bad_signature"),
        *_events(),
    ]


def _write(installation: Installation, outputs: Iterable[Output]) -> None:
    for one in outputs:
        headers = {name: value.decode() for name, value in one.headers}
        if "original-topic" in headers:
            headers["original-topic"] = installation.topic(headers["original-topic"])
        topics_reader.send(installation.kafka, installation.topic(one.topic), [(one.key, one.value, headers)])


def _commit(installation: Installation) -> None:
    """As if verify and fetch had read their topics to the end; the retry topic still waits."""
    client = KafkaAdminClient(bootstrap_servers=installation.kafka)
    try:
        for stage, name in (("verify", SOURCE), ("fetch", LOOKUPS)):
            places = [TopicPartition(installation.topic(name), number) for number in range(3)]
            ends = client.list_partition_offsets(dict.fromkeys(places, -1))
            offsets = {place: OffsetAndMetadata(ends[place].offset, "", -1) for place in places}
            client.alter_group_offsets(f"{installation.prefix}paynotify.{stage}.{PROVIDER}", offsets)
    finally:
        client.close()


def _delete(name: str) -> Change:
    """Delete every record of the topic."""

    def change(installation: Installation) -> None:
        client = KafkaAdminClient(bootstrap_servers=installation.kafka)
        try:
            places = [TopicPartition(installation.topic(name), number) for number in range(3)]
            ends: Any = client.list_partition_offsets(dict.fromkeys(places, -1))
            client.delete_records({place: one.offset for place, one in ends.items() if one.offset})
        finally:
            client.close()

    return change


def _add(*outputs: Output) -> Change:
    return lambda installation: _write(installation, outputs)


def _audit(installation: Installation) -> AuditReport:
    return audit(load(installation.file), datetime.now(UTC) - timedelta(hours=1))


def _differences(report: AuditReport) -> str:
    return "\n".join(map(str, report.differences))


@pytest.fixture
def flow(installation: Installation) -> Installation:
    """A clean flow, all of it worked off."""
    _write(installation, _clean())
    _commit(installation)
    return installation


def test_clean_flow_is_accounted_for(flow: Installation) -> None:
    report = _audit(flow)
    assert _differences(report) == ""
    sums = report.providers[PROVIDER]
    assert sums["notifications"] == {
        "stored": 5,
        "lookup": 4,
        "duplicate": 0,
        "rejected": 1,
        "alert": 0,
        "in_work": 0,
        "lost": 0,
    }
    assert sums["lookups"] == {"asked": 4, "answered": 2, "dead": 1, "waiting": 1, "in_work": 0, "lost": 0}
    assert report.results == {"events": 2, "payments": 1, "repeats": 0}


def test_uncommitted_records_are_in_work(flow: Installation) -> None:
    new = _stored(9)
    _write(flow, [Output(SOURCE, new.key, new.value, new.headers)])
    report = _audit(flow)
    assert _differences(report) == ""
    assert report.providers[PROVIDER]["notifications"]["in_work"] == 1


def test_recovery_lookup_needs_a_response_but_no_notification(flow: Installation) -> None:
    asked = _lookup(50)
    lookup = replace(messages.decode(asked.value, Lookup), notification_id="reconcile", arguments={"recovery": "1"})
    _write(flow, [replace(asked, value=messages.encode(lookup))])
    _commit(flow)
    assert "has neither response nor dead letter" in _differences(_audit(flow))
    _write(flow, [_response([50])])
    assert _differences(_audit(flow)) == ""


def test_repeats_after_a_crash_are_not_differences(flow: Installation) -> None:
    _write(flow, [_lookup(0), _response([0, 1]), *_events()])
    report = _audit(flow)
    assert _differences(report) == ""
    assert report.results["repeats"] == 2


def test_earlier_window_is_empty(flow: Installation) -> None:
    now = datetime.now(UTC)
    report = audit(load(flow.file), now - timedelta(hours=2), now - timedelta(hours=1))
    assert report.providers[PROVIDER]["notifications"]["stored"] == 0
    assert _differences(report) == ""


MISSING: Final = (
    (_delete(RESPONSES), "has neither response nor dead letter"),
    (_delete(topics.REJECTED), "was stored and verified but has no outcome"),
    (_delete(LOOKUPS), "has a response or dead letter but was never published"),
    (_delete(SOURCE), "is lookup but was never stored"),
)
EXTRA: Final = (
    (_add(_lookup(77)), "is lookup but was never stored"),
    (
        _add(dead_lettered(_stored(0), topics.REJECTED, "malformed")),
        "is lookup and rejected, but must have one outcome only",
    ),
    (_add(_events()[1]), "payment shop-uk/p1 has another event on payments.latest than its last one"),
    (_add(_events("p2")[0]), "payment shop-uk/p2 is not on payments.latest"),
    (_add(*_events("p3")[2:]), "payment shop-uk/p3 has sequence 2 after 0"),
)


@pytest.mark.parametrize("changes", [MISSING, EXTRA], ids=["missing", "extra"])
def test_missing_or_extra_record_is_a_difference(flow: Installation, changes: tuple[tuple[Change, str], ...]) -> None:
    for change, expected in changes:
        assert expected not in _differences(_audit(flow))
        change(flow)
        report = _audit(flow)
        assert report.total
        assert expected in _differences(report)


def test_command_prints_differences_and_exits_with_1(flow: Installation) -> None:
    assert flow.finished("audit", "--since", "1h")[0] == 0
    _write(flow, [_lookup(77)])
    code, said = flow.finished("audit", "--since", "1h")
    assert code == 1
    assert "1 differences" in said
    assert "is lookup but was never stored" in said
