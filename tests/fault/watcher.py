"""``python -m tests.fault.watcher``: how long each partition stalled: had records to be read and made no progress.

Samples what the groups have committed against the ends of the partitions until SIGTERM. A partition whose records
must wait for their time (a retry topic) is left out. While the brokers can't be asked nothing moves, so that counts.
"""

from __future__ import annotations

import argparse
import json
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from kafka.errors import KafkaError

from tests.fault.evidence import Groups

_EVERY_SECONDS: Final = 0.25
_CONNECT_SECONDS: Final = 2.0

Place = tuple[str, str, int]


@dataclass(slots=True)
class Stalls:
    """The longest time without progress of each place. Pure: told what was committed when."""

    longest: dict[Place, tuple[float, float]] = field(default_factory=dict)
    _last: dict[Place, tuple[int, int, float]] = field(default_factory=dict)

    def look(self, places: Mapping[Place, tuple[int, int]], now: float) -> None:
        """Note what each place has committed, and its end, at the time ``now`` (seconds)."""
        for place, (committed, end) in places.items():
            before, end_before, since = self._last.get(place, (end, end, now))
            waited = before < end_before
            # the stretch that ends with this look counts, whether or not it brought progress
            if waited and now - since > self.longest.get(place, (0.0, 0.0))[0]:
                self.longest[place] = (now - since, since)
            self._last[place] = (committed, end, since if waited and committed == before else now)


def _watched(places: Mapping[Place, tuple[int, int]]) -> dict[Place, tuple[int, int]]:
    return {place: offsets for place, offsets in places.items() if ".retry." not in place[1]}


def _reachable(bootstrap: str) -> bool:
    """Whether some broker takes connections: kafka-python leaves a socket open for each refused one."""
    for address in bootstrap.split(","):
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()
        except OSError:
            continue
        return True
    return False


def watch(bootstrap: str, prefix: str, over: threading.Event) -> Stalls:
    """Sample until told to end."""
    stalls = Stalls()
    while not over.is_set():
        if not _reachable(bootstrap):
            over.wait(_EVERY_SECONDS)
            continue
        try:
            with closing(Groups(bootstrap, prefix)) as groups:
                while not over.wait(_EVERY_SECONDS):
                    stalls.look(_watched(groups.places()), time.time())
        except KafkaError:
            over.wait(_EVERY_SECONDS)
    return stalls


def told(stalls: Stalls, faults: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """By place: the longest time, and which fault was there when it began (or had been last)."""
    found = {}
    for (group, topic, number), (seconds, since) in stalls.longest.items():
        before = [one["fault"] for one in faults if one["began_at"] <= since + seconds]
        found[f"{group} {topic}/{number}"] = {
            "seconds": round(seconds, 2),
            "during": before[-1] if before else "no fault",
        }
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Watch until SIGTERM, then write what was seen."""
    parser = argparse.ArgumentParser(prog="python -m tests.fault.watcher", description=__doc__)
    parser.add_argument("--bootstrap", required=True, metavar="HOST:PORT", help="the brokers, separated by commas")
    parser.add_argument("--prefix", default="", help="of the topics' names")
    parser.add_argument("--faults", type=Path, metavar="FILE", help="the run's log of its faults")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="where to write what was seen")
    arguments = parser.parse_args(argv)
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: over.set())
    stalls = watch(arguments.bootstrap, arguments.prefix, over)
    lines = arguments.faults.read_text("utf-8").splitlines() if arguments.faults else []
    arguments.out.write_text(json.dumps(told(stalls, [json.loads(line) for line in lines])), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
