"""A worker killed with -9 at every numbered step of the loop loses nothing and contradicts nothing."""

from __future__ import annotations

import shutil
import signal
from collections import Counter
from collections.abc import Iterator

import orjson
import pytest

from paynotify.schemas import messages
from paynotify.schemas.messages import Correction, Refund
from paynotify.schemas.money import Money
from tests.fakes.observations import LIFE, lives, notification_headers, observation, trustpayments_form
from tests.integration.conftest import DEADLINE_SECONDS, Installation
from tests.long_form import LONG
from tests.topics_reader import Record, header, payments, send

pytestmark = pytest.mark.kafka

STEPS = (1, 2, 3, 4, 5, 6) if LONG else (3, 4)
PAYMENTS = 500
NOTIFICATIONS = 1500
CASES = 100


def assert_whole_lives(records: list[Record], count: int) -> None:
    """Every payment's five events are there, gapless and in order, whatever was repeated."""
    found = payments(records)
    assert len(found) == count
    expected = [(number, status) for number, (_, _, status) in enumerate(LIFE, start=1)]
    for key, events in found.items():
        told = [(event["sequence"], event["status"]) for event in events]
        assert told == expected, key
        previous = [event["previous_status"] for event in events]
        assert previous == [None, *(status for _, status in expected[:-1])], key


def cases(count: int) -> Iterator[tuple[bytes, bytes, dict[str, str]]]:
    """Payments of each of which a person has to know: captured, then taken back, refunded too far, and corrected."""
    for number in range(count):
        payment = f"case-{number}"
        later = {"observed_at": "2026-06-01T12:30:00.000Z", "provider_time": "2026-06-01T12:30:00.000Z"}
        refund = Refund(refund_id="r", amount=Money(2000, "GBP"), settled=True)
        said = Correction(by="anna", reason="case 4711")
        for step, one in enumerate(
            (
                observation(payment),
                observation(payment, "cancelled", **later),
                observation(payment, None, refund=refund, **later),
                observation(payment, "captured", correction=said, observed_at="2026-06-01T12:31:00.000Z"),
            )
        ):
            yield f"shop-uk/{payment}".encode(), messages.encode(one), {"ce_id": f"{payment}-{step}"}


def without_cases(records: list[Record]) -> list[Record]:
    return [one for one in records if not one.key.startswith(b"shop-uk/case-")]


def assert_each_case_is_one_event(records: list[Record]) -> None:
    """By its id, however often it was published, and with the same content each time."""
    contents: dict[str, bytes] = {}
    for one in records:
        assert contents.setdefault(header(one, "ce_id"), one.value) == one.value
    found = Counter((event["payment_id"], event["kind"]) for event in map(orjson.loads, contents.values()))
    kinds = ("money_taken_back", "over_refunded", "corrected")
    assert found == {(f"case-{number}", kind): 1 for number in range(CASES) for kind in kinds}


def killed(installation: Installation, stage: str, step: int, batch: int) -> None:
    """Run the stage until it dies at the step."""
    worker = installation.worker(stage.partition(".")[0], kill_at=f"{stage}/{step}/{batch}", ready=False)
    assert worker.wait(DEADLINE_SECONDS), worker.end()
    assert worker.exit_code == -signal.SIGKILL, worker.end()


@pytest.mark.parametrize("step", STEPS)
def test_payments_survive_a_crash_after_any_step(installation: Installation, step: int) -> None:
    send(installation.kafka, installation.topic("observations"), [*cases(CASES), *lives(PAYMENTS)])
    killed(installation, "resolve.all", step, 4)
    worker = installation.worker("resolve")
    installation.until_read("resolve", "observations", child=worker)
    assert worker.stop() == 0
    status = without_cases(installation.records("payments.status"))
    assert_whole_lives(status, PAYMENTS)
    assert_whole_lives(without_cases(installation.records("payments.latest")), PAYMENTS)
    assert_each_case_is_one_event(installation.records("operations"))
    assert len(status) <= PAYMENTS * len(LIFE) + 4 * 100, "more was repeated than the uncommitted batches"


@pytest.mark.parametrize("step", STEPS)
def test_notification_ends_as_exactly_one_thing(installation: Installation, step: int) -> None:
    records = []
    wanted = {}
    for number in range(NOTIFICATIONS):
        kind = ("lookup", "duplicate", "rejected")[number % 3]
        reference = f"57-9-{number // 3}"
        body = trustpayments_form(reference, f"n{number // 3}", "wrong" if kind == "rejected" else "hunter2-URLnotify")
        headers = notification_headers("trustpayments", "shop-uk", f"id-{number}")
        records.append((f"shop-uk/{reference}".encode(), body, headers))
        wanted[f"id-{number}"] = kind
    send(installation.kafka, installation.topic("notifications.trustpayments"), records)
    killed(installation, "verify.trustpayments", step, 3)
    worker = installation.worker("verify")
    installation.until_read("verify.trustpayments", "notifications.trustpayments", child=worker)
    assert worker.stop() == 0
    assert ends(installation) == wanted


def ends(installation: Installation) -> dict[str, str]:
    """What each notification has become, by its id; asserts that it is one thing only."""
    found: dict[str, str] = {}
    values: dict[str, bytes] = {}
    for record in installation.records("lookups.trustpayments"):
        assert values.setdefault(header(record, "ce_id"), record.value) == record.value
        found[orjson.loads(record.value)["notification_id"]] = "lookup"
    for kind, topic in (("duplicate", "notifications.duplicates"), ("rejected", "notifications.rejected")):
        for record in installation.records(topic):
            name = header(record, "ce_id")
            assert found.setdefault(name, kind) == kind, f"{name} is {found[name]} and {kind}"
    assert len(values) == Counter(found.values())["lookup"]
    return found


def test_state_is_restored_from_the_changelog_if_the_disk_is_lost(installation: Installation) -> None:
    everything = list(lives(PAYMENTS))
    half = len(everything) // 2
    topic = installation.topic("observations")
    send(installation.kafka, topic, everything[:half])
    worker = installation.worker("resolve")
    installation.until_read("resolve", "observations", child=worker)
    worker.kill()
    shutil.rmtree(installation.state_directory)
    send(installation.kafka, topic, everything[half:])
    worker = installation.worker("resolve")
    installation.until_read("resolve", "observations", child=worker)
    assert worker.stop() == 0
    assert_whole_lives(installation.records("payments.status"), PAYMENTS)


def test_stop_under_load_loses_nothing_and_repeats_little(installation: Installation) -> None:
    send(installation.kafka, installation.topic("observations"), lives(4 * PAYMENTS))
    first = installation.worker("resolve", ready=False)
    installation.until(lambda: installation.count("payments.status") > 0, first)
    assert first.stop() == 0, first.end()
    assert 0 < installation.count("payments.status") < 4 * PAYMENTS * len(LIFE), "stopped too late to show anything"
    second = installation.worker("resolve")
    installation.until_read("resolve", "observations", child=second)
    assert second.stop() == 0, second.end()
    records = installation.records("payments.status")
    assert_whole_lives(records, 4 * PAYMENTS)
    assert len(records) - 4 * PAYMENTS * len(LIFE) <= 3 * 100, "at most the batches at work may be repeated"
