"""What an audit found, and how it is printed."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from paynotify.ops.audit.ledger import AuditDifference
from paynotify.ops.common.terminal import printable

MAX_SHOWN: Final = 100


@dataclass(slots=True)
class AuditReport:
    """The sums of one audit. ``total`` counts all differences, of which the first `MAX_SHOWN` are kept."""

    since: str
    until: str
    providers: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    results: dict[str, int] = field(default_factory=dict)
    other_dead: int = 0
    records: int = 0
    seconds: float = 0.0
    total: int = 0
    differences: list[AuditDifference] = field(default_factory=list)

    def add(self, differences: Iterable[AuditDifference]) -> None:
        """Count the differences, and keep them up to the limit."""
        for one in differences:
            self.total += 1
            if len(self.differences) < MAX_SHOWN:
                self.differences.append(one)


def print_report(report: AuditReport) -> None:
    """Print the sums on standard output and the differences on standard error."""
    print(f"received from {report.since} to {report.until or 'now'}")
    for provider, sums in report.providers.items():
        print(f"\n{provider}")
        print(f"  {_equation(sums['notifications'], 'stored')}")
        print(f"  {_equation(sums['lookups'], 'asked')}")
    results = report.results
    print(
        f"\nresults: {results['events']} events of {results['payments']} payments, {results['repeats']} identical "
        f"repeats, {report.other_dead} dead-lettered responses"
    )
    rate = report.records / report.seconds if report.seconds else 0.0
    print(f"{report.records} records read in {report.seconds:.1f} s ({rate:,.0f}/s)")
    if not report.total:
        print("everything is accounted for")
        return
    shown = f", the first {MAX_SHOWN}:" if report.total > MAX_SHOWN else ":"
    print(f"{report.total} differences{shown}", file=sys.stderr)
    for one in report.differences:
        print(f"  {printable(str(one))}", file=sys.stderr)


def _equation(sums: Mapping[str, int], whole: str) -> str:
    parts = " + ".join(f"{count} {name.replace('_', ' ')}" for name, count in sums.items() if name != whole)
    return f"{sums[whole]} {whole} = {parts}"
