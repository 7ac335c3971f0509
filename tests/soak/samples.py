"""What each process and each topic takes, again and again, as rows of a CSV; and how fast it grows."""

from __future__ import annotations

import csv
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Final

from tests.bench import procfs

#: What is sampled of each process; a topic has nothing but its bytes on the broker's disk.
MEASURES: Final = ("rss_bytes", "open_files", "threads", "disk_bytes")


@dataclass(frozen=True, slots=True)
class Sample:
    """One subject at one moment. ``subject`` is a process's name, or ``topic`` and its name.

    ``disk_bytes`` is a worker's RocksDB, the broker's data, a topic's log; 0 for who has none.
    """

    seconds: float
    subject: str
    rss_bytes: int
    open_files: int
    threads: int
    disk_bytes: int
    cpu_seconds: float


class Sampler:
    """Samples in a thread of its own. ``processes`` and ``directories`` are by subject; ``data`` is the broker's."""

    def __init__(
        self,
        processes: Callable[[], Mapping[str, int]],
        directories: Mapping[str, Path],
        data: Path,
        *,
        every_seconds: float,
    ) -> None:
        self._processes = processes
        self._directories = directories
        self._data = data
        self._every_seconds = every_seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.samples: list[Sample] = []

    def start(self) -> None:
        self._began = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self.samples += self._look(time.monotonic() - self._began)
            if self._stopped.wait(self._every_seconds):
                return

    def _look(self, seconds: float) -> Iterator[Sample]:
        topics = topic_bytes(self._data)
        for subject, pid in self._processes().items():
            directory = self._directories.get(subject)
            disk = sum(topics.values()) if subject == "kafka" else directory_bytes(directory) if directory else 0
            yield Sample(
                round(seconds, 1),
                subject,
                procfs.rss_bytes(pid),
                procfs.open_files(pid),
                procfs.threads(pid),
                disk,
                procfs.cpu_seconds(pid),
            )
        for name, size in sorted(topics.items()):
            yield Sample(round(seconds, 1), f"topic {name}", 0, 0, 0, size, 0.0)


def directory_bytes(directory: Path) -> int:
    """All files below it; those that go away meanwhile count nothing."""
    return sum(_size(path) for path in directory.rglob("*"))


def topic_bytes(data: Path) -> dict[str, int]:
    """The log segments of each topic in a broker's data directory; index files are allocated ahead and say nothing."""
    found: dict[str, int] = defaultdict(int)
    for path in data.glob("*/*.log"):
        found[path.parent.name.rpartition("-")[0]] += _size(path)
    return dict(found)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0


def write(samples: Sequence[Sample], path: Path, *, at_least_seconds: float = 0.0) -> None:
    """As CSV, of each subject at most one row in so many seconds."""
    last: dict[str, float] = {}
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow([field.name for field in fields(Sample)])
        for one in samples:
            if one.seconds - last.get(one.subject, -at_least_seconds) >= at_least_seconds:
                last[one.subject] = one.seconds
                rows.writerow(astuple(one))


@dataclass(frozen=True, slots=True)
class Growth:
    """One measure of one subject after the warm-up: its first and last tenth's mean, and the slope of the line."""

    subject: str
    measure: str
    first: float
    last: float
    slope_per_hour: float


def growths(samples: Sequence[Sample], warm_up_seconds: float) -> list[Growth]:
    """How each measure that is not always 0 changes, by the line of least squares."""
    series: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for one in samples:
        if one.seconds >= warm_up_seconds:
            for measure in MEASURES:
                series[one.subject, measure].append((one.seconds, getattr(one, measure)))
    return [
        _growth(subject, measure, points)
        for (subject, measure), points in series.items()
        if len(points) > 1 and any(value for _, value in points)
    ]


def _growth(subject: str, measure: str, points: Sequence[tuple[float, float]]) -> Growth:
    tenth = max(1, len(points) // 10)
    return Growth(
        subject,
        measure,
        first=sum(value for _, value in points[:tenth]) / tenth,
        last=sum(value for _, value in points[-tenth:]) / tenth,
        slope_per_hour=_slope(points) * 3600,
    )


def _slope(points: Sequence[tuple[float, float]]) -> float:
    middle = sum(x for x, _ in points) / len(points)
    mean = sum(y for _, y in points) / len(points)
    spread = sum((x - middle) ** 2 for x, _ in points)
    return sum((x - middle) * (y - mean) for x, y in points) / spread
