"""``paynotify demo``: runs a scripted day of payments with faults, then verifies the result."""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from paynotify.sandbox.arguments import positive_integer, positive_number
from paynotify.sandbox.billing.bills import Month
from paynotify.sandbox.console import NOT_INSTALLED, ConsoleAccess, running_console
from paynotify.sandbox.mishaps import DayProgress
from paynotify.sandbox.observer import Observer, quantile
from paynotify.sandbox.report_picture import draw
from paynotify.sandbox.script import REQUIRED_PLAN, Player
from paynotify.sandbox.signals import ends_on_signal
from paynotify.sandbox.system import Plan, Sandbox
from paynotify.sandbox.verification import Books, VerificationResult, applied, missed, settled, statuses, verify

_SETTLE_SECONDS: Final = 60.0
_PRINT_SECONDS: Final = 3.0
_POLL_SECONDS: Final = 0.5

#: A minute of the providers takes one second; Trust Payments' records are up to one and a half seconds late.
_PLAN: Final = Plan(
    simulators={"time_scale": 60.0, "latency_seconds": 0.02},
    simulator={"trustpayments": {"visible_within_seconds": 90.0}},
    **REQUIRED_PLAN,
)

_SIGNED_EVENTS: Final = {"smartpay": ("shop-v3",)}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the subcommand."""
    parser.add_argument(
        "--payments", type=positive_integer, default=360, help="minimum number of payments (default 360)"
    )
    parser.add_argument(
        "--seconds", type=positive_number, default=30.0, help="duration of the day in seconds (default 30)"
    )
    parser.add_argument(
        "--workers",
        type=positive_integer,
        default=2,
        help="number of worker processes; the first is killed (default 2)",
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of the random numbers (default %(default)s)")
    parser.add_argument(
        "--list", action="store_true", help="list every payment with its status at the provider and on the topic"
    )
    parser.add_argument(
        "--logs", type=Path, metavar="DIR", help="write the processes' logs to this directory and keep them"
    )
    parser.add_argument(
        "--smartpay", action="store_true", help="also take payments of Rabo Smart Pay, with its signed events"
    )
    parser.add_argument("--console", action="store_true", help="keep serving the console at the end, until Ctrl-C")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw the proof as a picture too")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0: every payment has the status that it has at the provider. 1: some have not, and each is named."""
    console = Console(stderr=arguments.json, highlight=False)
    merchants = {**_PLAN.merchants, **(_SIGNED_EVENTS if arguments.smartpay else {})}
    access = ConsoleAccess.made()
    configuration = access.configuration() if arguments.console else {}
    began = time.monotonic()
    with ends_on_signal():
        console.print(
            f"Starting Kafka, {len(merchants)} providers, the ingress, the stages, an ERP and a warehouse ...",
            soft_wrap=True,
        )
        plan = replace(
            _PLAN,
            merchants=merchants,
            workers=((),) * arguments.workers,
            logs=arguments.logs,
            configuration=configuration,
        )
        with Sandbox(plan) as sandbox:
            console.print(f"Ready after {time.monotonic() - began:.0f} s. Logs: {sandbox.logs}")
            report = _play(sandbox, console, arguments)
            if arguments.json:
                print(json.dumps(report.as_json()))
            else:
                report.show(console, every_payment=arguments.list)
            if arguments.svg is not None:
                draw(arguments.svg, "make demo", report.show_proof)
            if arguments.console:
                _serve(sandbox, access, console)
    console.print(f"Everything stopped and removed after {time.monotonic() - began:.0f} s.")
    return 0 if report.result.holds and not report.progress.surprises else 1


def _serve(sandbox: Sandbox, access: ConsoleAccess, console: Console) -> None:
    """Let a person look at the day until Ctrl-C."""
    with suppress(KeyboardInterrupt), running_console(sandbox, access) as running:
        address = running.address if running is not None else NOT_INSTALLED
        console.print(f"Console: {address}", soft_wrap=True)
        if running is not None:
            console.print("Ctrl-C ends everything.")
            running.child.wait(float("inf"))


def _play(sandbox: Sandbox, console: Console, arguments: argparse.Namespace) -> DemoReport:
    observer = Observer(sandbox.bootstrap, sandbox.prefix)
    player = Player(sandbox, seconds=arguments.seconds, payments=arguments.payments, seed=arguments.seed)
    try:
        observer.start()
        player.start()
        display = _Display(console, player.progress, observer)
        with display:
            while not player.over:
                observer.read()
                display.update()
            player.finish()
            books = _wait_until_settled(sandbox, observer, player.progress, display.update)
        result = _verify(sandbox, books, observer)
        result.wrong += missed(player.progress.overdue, observer)
        result.twice += player.subscriptions.differences(books["nevogate"])
        return DemoReport(books, observer, result, player.progress, player.subscriptions.month)
    finally:
        player.stop()
        observer.close()


def _wait_until_settled(
    sandbox: Sandbox, observer: Observer, progress: DayProgress, update: Callable[[], None]
) -> Books:
    deadline = time.monotonic() + _SETTLE_SECONDS
    polled, books = 0.0, {}
    while time.monotonic() < deadline:
        quiet = observer.read() == 0
        update()
        if time.monotonic() - polled > _POLL_SECONDS:
            polled = time.monotonic()
            books = {provider: control.book() for provider, control in sandbox.providers.items()}
            if quiet and settled(books, observer) and not missed(progress.overdue, observer):
                break
    return books


def _verify(sandbox: Sandbox, books: Books, observer: Observer) -> VerificationResult:
    """Wait for the example consumers, which may be behind the topic, then verify."""
    databases = [sandbox.database("erp"), sandbox.database("fulfilment")]
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        observer.read()
        events = sum(1 for _ in observer.events())
        if all(applied(database) >= events for database in databases):
            break
    return verify(books, observer, *databases)


class _Display:
    """Shows progress: a live table on a terminal, otherwise a line every few seconds."""

    def __init__(self, console: Console, progress: DayProgress, observer: Observer) -> None:
        self._console, self._played, self._observer = console, progress, observer
        self._live = Live(console=console, transient=True, refresh_per_second=5) if console.is_terminal else None
        self._printed = 0.0

    def __enter__(self) -> _Display:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live:
            self._live.stop()

    def update(self) -> None:
        """Show the current state."""
        progress = self._played
        if self._live:
            self._live.update(
                Group(ProgressBar(progress.planned, progress.payments), Text(progress.happening), self._table())
            )
        elif time.monotonic() - self._printed > _PRINT_SECONDS:
            self._printed = time.monotonic()
            counts = ", ".join(f"{stage} {count}" for stage, count in self._observer.stage_counts().items())
            self._console.print(
                f"{progress.payments}/{progress.planned} payments; {counts}; {progress.happening}", soft_wrap=True
            )

    def _table(self) -> Table:
        table = Table("stage", "records")
        for stage, count in self._observer.stage_counts().items():
            table.add_row(stage, str(count))
        return table


class DemoReport:
    """The results of the day, from the topics, the providers' ledgers and the consumers' databases."""

    def __init__(
        self, books: Books, observer: Observer, result: VerificationResult, progress: DayProgress, month: Month
    ) -> None:
        self.books, self.observer, self.result, self.progress, self.month = books, observer, result, progress, month

    def as_json(self) -> dict[str, Any]:
        """The report for programs."""
        result = self.result
        return {
            "payments": result.payments,
            "lost": result.lost,
            "wrong": result.wrong,
            "applied_twice": result.twice,
            "broken_rules": result.broken_rules,
            "surprises": self.progress.surprises,
            "flow": self.flow(),
            "latency_seconds": {
                name: {f"p{share * 100:g}": round(quantile(values, share), 3) for share in _SHARES}
                for name, values in self._latencies().items()
            },
            "overdue": {name: list(states) for name, states in sorted(self.observer.overdue.items())},
            "subscriptions": self.month.as_json(),
            "booked": dict(result.booked),
            "parcels": dict(result.parcels),
            "repeated_events": self.observer.repeats,
        }

    def show(self, console: Console, *, every_payment: bool = False) -> None:
        """Print the report for people."""
        if every_payment:
            listed = Table("provider", "payment", "at the provider", "payments.status", title="Every payment")
            for row in statuses(self.books, self.observer):
                listed.add_row(*row)
            console.print(listed)
        flow = Table("", *self.books, title="Notifications and provider calls")
        for name, counts in self.flow().items():
            flow.add_row(name, *(str(counts[provider]) for provider in self.books))
        console.print(flow)
        speed = Table("receive → result, seconds", "results", *(f"p{share * 100:g}" for share in _SHARES))
        for name, values in self._latencies().items():
            speed.add_row(name, str(len(values)), *(f"{quantile(values, share):.3f}" for share in _SHARES))
        console.print(speed)
        self._show_consumers(console)
        self.show_proof(console)

    def flow(self) -> dict[str, dict[str, int]]:
        """Counts of notifications, lookups and provider calls, each by provider."""
        observer = self.observer
        rows: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(self.books, 0))
        for provider in self.books:
            rows["received"][provider] = len(observer.received[provider])
            rows["duplicate"][provider] = len(observer.duplicates[provider])
        for (provider, reason), ids in sorted(observer.rejected.items()):
            rows[f"rejected: {reason}"][provider] = len(ids)
        for (provider, reason), count in sorted(observer.dead.items()):
            rows[f"dead-lettered: {reason}"][provider] = count
        for provider in self.books:
            counters = self.books[provider]["counters"]
            rows["lookups"][provider] = len(observer.lookups[provider])
            rows["lookups because a settlement was due"][provider] = len(observer.settlement_lookups[provider])
            rows["provider calls"][provider] = counters.get("calls", 0)
            rows["notifications sent by the provider"][provider] = counters.get("webhooks.attempted", 0)
        return dict(rows)

    def _latencies(self) -> dict[str, list[float]]:
        measured = self.observer.measured()
        return {**measured, "all": sorted(value for values in measured.values() for value in values)}

    def _show_consumers(self, console: Console) -> None:
        booked = _listed(dict(self.result.booked))
        console.print(f"ERP booked: {booked}. Warehouse: {_listed(dict(self.result.parcels))}.", soft_wrap=True)
        verdicts = Counter[str](self.month.verdict(one)[0] for one in self.month.bills)
        console.print(f"Subscriptions billed by topic: {_listed(verdicts)}. Each moved money at most once.")
        overdue = Counter(" and ".join(states) for states in self.observer.overdue.values())
        console.print(f"Orders on payments.overdue: {_listed(overdue)}.")
        console.print(f"Events published twice on payments.status, with the same bytes: {self.observer.repeats}.")

    def show_proof(self, console: Console) -> None:
        """Print what the providers know beside what was published, and every difference."""
        result = self.result
        table = Table("provider", "at the provider", "payments.status", "payments", title="The proof")
        for (provider, true, published), count in sorted(result.pairs.items()):
            style = None if true == published else "bold red"
            table.add_row(provider, true, published or "nothing", str(count), style=style)
        console.print(table)
        for difference in (*result.lost, *result.wrong, *result.twice, *result.broken_rules):
            console.print(f"  {difference}", style="red", soft_wrap=True)
        for surprise in self.progress.surprises:
            console.print(f"  {surprise}", style="red", soft_wrap=True)
        summary = (
            f"{result.payments} payments, {self.progress.attacks} attacks: lost {len(result.lost)}, "
            f"wrong {len(result.wrong)}, applied twice {len(result.twice)}, "
            f"providers' rules broken {len(result.broken_rules)}"
        )
        console.print(summary, style="bold green" if result.holds else "bold red", soft_wrap=True)


_SHARES: Final = (0.5, 0.95, 0.99)


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "0"
