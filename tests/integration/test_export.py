"""`paynotify export` from a real topic: everything of the window once, in a file that is complete or not there."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
import pytest

from paynotify.schemas import topics
from paynotify.schemas.generate.examples import recorded_examples
from paynotify.schemas.messages import PaymentStatus, encode
from paynotify.schemas.times import rfc3339
from tests import topics_reader
from tests.integration.conftest import Installation

pytestmark = pytest.mark.kafka

EXAMPLE: Final = msgspec.convert(recorded_examples()["PaymentStatusChanged"].payload, PaymentStatus)
NOW: Final = datetime.now(UTC)


def event(payment: str, sequence: int, age: timedelta, merchant: str = "shop-uk") -> PaymentStatus:
    return msgspec.structs.replace(
        EXAMPLE,
        event_id=f"{payment}-{sequence}",
        merchant=merchant,
        payment_id=payment,
        sequence=sequence,
        observed_at=rfc3339(NOW - age),
    )


def read(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def write(installation: Installation, *events: PaymentStatus) -> None:
    records: topics_reader.Records = [(f"{one.merchant}/{one.payment_id}".encode(), encode(one), {}) for one in events]
    topics_reader.send(installation.kafka, installation.topic(topics.STATUS), records)


def test_window_is_exported_once_for_each_change_and_for_each_payment(installation: Installation) -> None:
    day = timedelta(days=1)
    batch = [event("a", 1, 3 * day), event("a", 2, 2 * day), event("b", 1, 2 * day), event("c", 1, day, "shop-nl")]
    # a batch that was repeated after a crash, and an event stored long after it was observed
    write(installation, *batch, *batch, event("a", 3, timedelta(hours=1)), event("b", 2, 2 * day))
    file = installation.directory / "export.csv"
    window = ("--since", "60h", "--until", "12h", "--output", str(file))
    code, said = installation.finished("export", *window, "--json")
    assert (code, json.loads(said)) == (0, {"lines": 4, "repeats": 3, "output": str(file)})
    rows = read(file)
    assert sorted((one["payment_id"], one["sequence"]) for one in rows) == [
        ("a", "2"),
        ("b", "1"),
        ("b", "2"),
        ("c", "1"),
    ]
    code, said = installation.finished("export", *window, "--merchant", "shop-uk", "--per", "payment")
    assert (code, said) == (0, "2 lines, 2 repeated events left out\n")
    rows = read(file)
    assert [(one["payment_id"], one["sequence"]) for one in rows] == [("a", "2"), ("b", "2")]
    code, said = installation.finished("export", "--format", "jsonl")
    assert (code, len(said.splitlines())) == (0, 6)
    assert all(json.loads(line)["amount"]["decimal"] for line in said.splitlines())


def test_export_of_nothing_or_of_an_unreadable_event_has_its_exit_code(installation: Installation) -> None:
    file = installation.directory / "export.csv"
    assert installation.finished("export", "--output", str(file))[0] == 1
    file.unlink()
    topics_reader.send(installation.kafka, installation.topic(topics.STATUS), [(b"shop-uk/a", b"{}", {})])
    code, said = installation.finished("export", "--output", str(file))
    assert code == 2
    assert "is no status event" in said
    assert not [one for one in Path(installation.directory).iterdir() if one.name.startswith("export.csv")]
