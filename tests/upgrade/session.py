"""Run with the code of an earlier release, not with this one: some payments, then its topics and its state as files.

Uses nothing but what every release so far has: the sandbox, its plan, and the control of its simulators.
"""

from __future__ import annotations

import base64
import gzip
import json
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from paynotify.sandbox.processes import stop_all
from paynotify.sandbox.system import Plan, Sandbox

_SETTLE_SECONDS = 12.0

_PAYMENTS: dict[str, list[dict[str, Any]]] = {
    "omnikassa": [{}, {"status": "CANCELLED"}, {"status": "IN_PROGRESS"}],
    "trustpayments": [{"settlestatus": "100"}, {"errorcode": "70000"}, {}, {"settlestatus": "2"}],
    "nevogate": [{}, {"result": "CANCELED"}, {"auto_commit": False}],
}
_TIMES = 3


def main(to: Path) -> None:
    plan = Plan(
        partitions=2,
        consumers=False,
        simulators={"time_scale": 60.0},
        simulator={"trustpayments": {"visible_within_seconds": 0.0}},
    )
    with Sandbox(plan) as sandbox:
        for provider, orders in _PAYMENTS.items():
            sandbox.providers[provider].pay_all(
                [
                    {"order_id": f"OLD{number}{turn}", "amount": 1000 + number, **order}
                    for turn in range(_TIMES)
                    for number, order in enumerate(orders)
                ]
            )
        time.sleep(_SETTLE_SECONDS)
        stop_all(sandbox.workers)
        with tarfile.open(to / "state.tar.gz", "w:gz") as files:
            files.add(sandbox.directory / "state-0", arcname="state", filter=_data_alone)
        _dump(sandbox, to / "topics.jsonl.gz")


def _data_alone(file: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """RocksDB's own log and options name places of the machine, and are not needed."""
    file.uname = file.gname = ""
    return None if Path(file.name).name.startswith(("LOG", "OPTIONS")) else file


def _dump(sandbox: Sandbox, path: Path) -> None:
    consumer = KafkaConsumer(
        bootstrap_servers=sandbox.bootstrap, auto_offset_reset="earliest", enable_auto_commit=False
    )
    names = [name for name in consumer.topics() if not name.startswith("__")]
    places = [TopicPartition(name, number) for name in names for number in range(2)]
    consumer.assign(places)
    records = []
    ends = consumer.end_offsets(places)
    while any(consumer.position(place) < end for place, end in ends.items()):
        for found in consumer.poll(timeout_ms=500).values():
            records += [_as_json(one) for one in found]
    consumer.close()
    records.sort(key=lambda one: (one["topic"], one["partition"], one["offset"]))
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(one) + "\n" for one in records)


def _as_json(record: Any) -> dict[str, Any]:
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "key": _text(record.key),
        "value": _text(record.value),
        "headers": [[name, _text(value)] for name, value in record.headers],
    }


def _text(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
