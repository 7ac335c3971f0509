"""``python -m tests.fault.verifier``: was every acknowledged notification turned into the right result, exactly once?

A program of its own that believes no counter, log or judgement of the product: it reads the topics with another
client, the providers' books over HTTP, and the log of what was acknowledged with 200 from whoever sent it. It waits
until all is caught up, at most ``--within`` seconds, and says what is wrong then. Exit code 0 only if nothing is.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from kafka.errors import KafkaError

from tests.fault.evidence import Evidence, Groups, Topics, books_of, deliveries_of
from tests.fault.judgement import (
    CATCHING_UP,
    RULES,
    Pages,
    accepted,
    events,
    over_the_pace,
    pages,
    truths,
)

_LOOK_SECONDS: Final = 0.5
_LISTED: Final = 10
#: Looks in a row at which nothing may be left: between two of them a record may be on its way.
_QUIET_LOOKS: Final = 3


@dataclass(slots=True)
class Verdict:
    """What was found in the end. ``seconds`` is the time until all was caught up; none if it never was."""

    accepted: int
    payments: int
    events: int
    repeats: int
    found: Mapping[str, list[str]]
    behind: Mapping[str, int]
    window: Pages
    over_the_pace: int
    seconds: float | None
    stalls: Mapping[str, Any]
    run: dict[str, Any] = field(default_factory=dict)

    @property
    def right(self) -> bool:
        """Whether every figure that must be 0 is 0, and all was caught up."""
        return not any(self.found.values()) and self.seconds is not None

    def as_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        window = self.window
        return {
            **self.run,
            "right": self.right,
            "accepted": self.accepted,
            "payments": self.payments,
            "events": self.events,
            "repeated_records": self.repeats,
            "must_be_zero": {name: len(cases) for name, cases in self.found.items()},
            "cases": {name: cases[:_LISTED] for name, cases in self.found.items() if cases},
            "behind": dict(self.behind),
            "omnikassa_window": {
                "pages": window.handed_out,
                "not_stored": len(window.not_stored),
                "orders_on_them": window.orders_on_them,
                "open_seconds_median": _share(window.seconds, 0.5),
                "open_seconds_99": _share(window.seconds, 0.99),
                "open_seconds_longest": _share(window.seconds, 1.0),
            },
            "omnikassa_calls_over_the_pace": self.over_the_pace,
            "longest_seconds_without_progress": self.stalls,
            "seconds_from_heal_to_caught_up": self.seconds,
        }


def _share(values: Sequence[float], share: float) -> float | None:
    return round(values[min(len(values) - 1, int(len(values) * share))], 4) if values else None


class Verifier:
    """Looks again and again until nothing is left to wait for."""

    def __init__(
        self, bootstrap: str, prefix: str, providers: Mapping[str, str], logs: Sequence[Path], stalls: Path | None
    ) -> None:
        self._providers = providers
        self._logs = logs
        self._stalls = stalls
        self._topics = Topics(bootstrap, prefix)
        self._groups = Groups(bootstrap, prefix)
        self._evidence = Evidence()

    def close(self) -> None:
        self._topics.close()
        self._groups.close()

    def verdict(self, within_seconds: float, healed_at: float | None = None) -> Verdict:
        """Wait until all is caught up, at most so long, and judge. ``healed_at`` (Unix time) is when waiting began."""
        began = time.time() if healed_at is None else healed_at
        deadline = time.monotonic() + within_seconds
        quiet, first = 0, 0.0
        behind: dict[str, int] = {}
        while quiet < _QUIET_LOOKS and time.monotonic() < deadline:
            behind = self._look()
            waits = behind or any(RULES[name](self._evidence) for name in CATCHING_UP)
            if waits:
                quiet = 0
            else:
                first = time.time() if quiet == 0 else first
                quiet += 1
            time.sleep(_LOOK_SECONDS)
        return self._judged(first - began if quiet >= _QUIET_LOOKS else None, behind)

    def _look(self) -> dict[str, int]:
        """Read all there is; the groups with records left to read. The books come first: topics may only be newer."""
        evidence = self._evidence
        evidence.books = books_of(self._providers)
        evidence.deliveries = deliveries_of(self._logs)
        try:
            behind = self._behind()
            self._topics.read(evidence)
        except KafkaError as error:  # brokers that have just come back may not know yet who leads what
            return {f"the brokers can't be asked: {type(error).__name__}": 1}
        return behind

    def _behind(self) -> dict[str, int]:
        left = self._groups.behind()
        return {f"{group} {topic}/{number}": count for (group, topic, number), count in left.items()}

    def _judged(self, seconds: float | None, behind: Mapping[str, int]) -> Verdict:
        evidence = self._evidence
        told = events(evidence)
        distinct = sum(map(len, told.values()))
        return Verdict(
            accepted=accepted(evidence),
            payments=len(truths(evidence.books)),
            events=distinct,
            repeats=len(evidence.records["payments.status"]) - distinct,
            found={name: rule(evidence) for name, rule in RULES.items()},
            behind=behind,
            window=pages(evidence),
            over_the_pace=over_the_pace(evidence),
            seconds=None if seconds is None else round(seconds, 1),
            stalls=json.loads(self._stalls.read_text("utf-8")) if self._stalls else {},
        )


def text(verdict: Verdict) -> str:
    """The report for people."""
    window = verdict.as_json()["omnikassa_window"]
    lines = [
        ", ".join(f"{name} {value}" for name, value in verdict.run.items()),
        f"{verdict.accepted} accepted, {verdict.payments} payments, {verdict.events} events, "
        f"{verdict.repeats} repeated records",
    ]
    for name, cases in verdict.found.items():
        lines.append(f"{len(cases):8}  {name.replace('_', ' ')}")
        lines += [f"{'':10}{case}" for case in cases[:_LISTED]]
    lines.append(
        f"OmniKassa window: {window['not_stored']} of {window['pages']} pages not stored, "
        f"{window['orders_on_them']} orders on them; open for {window['open_seconds_median']} s (median), "
        f"{window['open_seconds_99']} s (99 %), {window['open_seconds_longest']} s (longest)"
    )
    lines.append(f"{verdict.over_the_pace} calls refused by the bank as too many in a second")
    longest = sorted(verdict.stalls.items(), key=lambda item: -item[1]["seconds"])[:_LISTED]
    lines += [f"without progress {one['seconds']:.1f} s: {name} (at {one['during']})" for name, one in longest]
    if verdict.seconds is None:
        lines.append(f"NOT caught up in time; behind: {dict(verdict.behind) or 'nothing'}")
    else:
        lines.append(f"caught up {verdict.seconds} s after the last fault was healed")
    lines.append("RIGHT" if verdict.right else "WRONG")
    return "\n".join(lines)


def machine() -> dict[str, Any]:
    """What a figure is worth nothing without."""
    pages_of_memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "version": _version(),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_gib": round(pages_of_memory / 2**30, 1),
        "load": round(os.getloadavg()[0], 1),
    }


def _version() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        described = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout.strip()
    except OSError:
        described = ""
    try:
        return described or version("paynotify")
    except PackageNotFoundError:
        return "unknown"


def main(argv: Sequence[str] | None = None) -> int:
    """Judge. Exit code 0: right; 1: something is wrong, or not caught up; 2: wrong use, or nothing could be read."""
    parser = argparse.ArgumentParser(prog="python -m tests.fault.verifier", description=__doc__)
    parser.add_argument("--bootstrap", required=True, metavar="HOST:PORT", help="the brokers, separated by commas")
    parser.add_argument("--prefix", default="", help="of the topics' names")
    parser.add_argument("--provider", action="append", default=[], metavar="NAME=URL", help="a provider's book")
    parser.add_argument("--deliveries", action="append", default=[], type=Path, metavar="FILE", help="log of attempts")
    parser.add_argument("--stalls", type=Path, metavar="FILE", help="what the watcher has written")
    parser.add_argument("--within", type=float, default=120.0, metavar="SECONDS", help="to catch up (%(default)g)")
    parser.add_argument("--healed-at", type=float, metavar="TIME", help="Unix time of the last heal; now, if not given")
    parser.add_argument("--run", action="append", default=[], metavar="NAME=VALUE", help="what belongs to the figures")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there too")
    arguments = parser.parse_args(argv)
    providers = dict(one.split("=", 1) for one in arguments.provider)
    try:
        verifier = Verifier(arguments.bootstrap, arguments.prefix, providers, arguments.deliveries, arguments.stalls)
        verdict = verifier.verdict(arguments.within, arguments.healed_at)
        verifier.close()
    except (KafkaError, OSError, ValueError) as error:
        print(f"verifier: nothing to judge, {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    verdict.run = {**dict(one.split("=", 1) for one in arguments.run), **machine()}
    print(text(verdict))
    if arguments.json:
        arguments.json.write_text(json.dumps(verdict.as_json(), indent=1) + "\n", "utf-8")
    return 0 if verdict.right else 1


if __name__ == "__main__":
    sys.exit(main())
