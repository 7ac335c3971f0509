"""The tables for Flink SQL and ksqlDB are those of the types; Flink reads real results with them (`make consumers`)."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from paynotify.schemas import topics
from paynotify.schemas.generate import stream_tables
from tests.consume.languages import EXAMPLES, classpath, run
from tests.consume.results import written
from tests.fakes.configurations import create_topics
from tests.long_form import LONG
from tests.topics_reader import send

STREAMS: Final = EXAMPLES / "streams"

#: Flink's planner reads private parts of the JDK.
_OPENED: Final = [f"--add-opens=java.base/java.{name}=ALL-UNNAMED" for name in ("lang", "util", "time")]


@pytest.mark.parametrize("name", sorted(stream_tables.documents()))
def test_stream_tables_are_those_of_the_types(name: str) -> None:
    assert (STREAMS / name).read_text() == stream_tables.documents()[name], "run `make schemas`"


@pytest.mark.kafka
@pytest.mark.skipif(not LONG, reason="Flink takes 130 MB of jars and half a minute: `make consumers` runs it")
def test_flink_reads_the_results_as_a_fold_over_the_topics_does(kafka: str, topic_prefix: str, tmp_path: Path) -> None:
    status, latest = written(topics.STATUS), written(topics.LATEST)
    names = {topic: f"{topic_prefix}{topic}" for topic in (topics.STATUS, topics.LATEST)}
    create_topics(kafka, *names.values(), partitions=3)
    forgotten = latest[0][0]
    send(kafka, names[topics.STATUS], [*status, *status[-50:]])
    send(kafka, names[topics.LATEST], [*latest, (forgotten, None, {})])

    events, newest_rows, takings, gaps = flink(
        kafka,
        names,
        tmp_path,
        "SELECT `message_key`, `sequence`, `event_id` FROM payment_events",
        "SELECT `order_id`, `payment_id`, `fulfilment`, `observed_at` FROM payments_latest",
        "SELECT `merchant`, `currency`, `paid` FROM takings",
        "SELECT * FROM gaps",
    )
    once = {(key, event["sequence"]): event["event_id"] for key, event in map(_read, status)}
    assert events == Counter((key, str(sequence), event_id) for (key, sequence), event_id in once.items())

    newest = {key: event for key, event in map(_read, latest) if key.encode() != forgotten}
    assert {row[:3] for row in newest_rows} == {
        (str(one["order_id"] or "null"), one["payment_id"], one["fulfilment"]) for one in newest.values()
    }
    assert {row[3][:19] for row in newest_rows} == {one["observed_at"][:19] for one in newest.values()}

    paid = Counter[tuple[str, str]]()
    for one in newest.values():
        if one["paid"]:
            paid[one["merchant"], one["paid"]["currency"]] += one["paid"]["value"]
    assert takings == Counter((*place, str(value)) for place, value in paid.items())
    assert gaps == Counter()


def _read(record: Any) -> tuple[str, dict[str, Any]]:
    return record[0].decode(), orjson.loads(record[1])


def flink(kafka: str, names: dict[str, str], folder: Path, *selects: str) -> list[Counter[tuple[str, ...]]]:
    """The rows of each query when all that lies on the topics now is read."""
    options = {"properties.bootstrap.servers": kafka, "scan.bounded.mode": "latest-offset"}
    statements = []
    for topic, name in names.items():
        pairs = ", ".join(f"'{key}' = '{value}'" for key, value in {"topic": name, **options}.items())
        statements.append(f"ALTER TABLE {topic.replace('.', '_')} SET ({pairs})")
    (folder / "query.sql").write_text(";\n".join((*statements, *selects)))
    files = [str(STREAMS / "flink.sql"), str(STREAMS / "views.sql"), str(folder / "query.sql")]
    quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"
    printed = run(("java", *_OPENED, quiet, "-cp", classpath("streams"), "RunSql", *files), folder)
    return [_rows(part) for part in printed.split("--\n")[: len(selects)]]


def _rows(changes: str) -> Counter[tuple[str, ...]]:
    """What is left after all changes of a table: rows come, are replaced and go."""
    rows = Counter[tuple[str, ...]]()
    for change, row in re.findall(r"^([+-][IUD])\[(.*)\]$", changes, re.MULTILINE):
        rows[tuple(row.split(", "))] += 1 if change[0] == "+" else -1
    return +rows
