"""``paynotify demo``: a scripted day of payments through the whole system while things go wrong, then the proof."""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sandbox.arguments import how_many, positive
from sandbox.billing.bills import Month
from sandbox.observer import Observer, quantile
from sandbox.script import NEEDS, Played, Player
from sandbox.signals import ends_on_signal
from sandbox.system import Plan, Sandbox
from sandbox.verification import Books, ProofResult, applied, judge, missed, settled, statuses
from schemas.providers import provider_names

_SETTLE_SECONDS: Final = 45.0
_PLAIN_EVERY_SECONDS: Final = 3.0
_LOOK_EVERY_SECONDS: Final = 0.5

#: One second here is a minute at the providers; Trust Payments' records come up to one and a half seconds late.
_PLAN: Final = Plan(
    simulators={"time_scale": 60.0, "latency_seconds": 0.02},
    simulator={"trustpayments": {"visible_within_seconds": 90.0}},
    **NEEDS,
)


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of the subcommand."""
    parser.add_argument("--payments", type=how_many, default=360, help="at least how many payments (default 360)")
    parser.add_argument("--seconds", type=positive, default=30.0, help="how long the day lasts (default 30)")
    parser.add_argument("--workers", type=how_many, default=2, help="worker processes; the first is killed (default 2)")
    parser.add_argument("--seed", type=int, default=1, help="of all that is random (default %(default)s)")
    parser.add_argument("--list", action="store_true", help="print every payment: the provider's truth, the result")
    parser.add_argument("--logs", type=Path, metavar="DIR", help="keep every process's log there")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0: every payment ended as the provider knows it. 1: some did not, each is named."""
    console = Console(stderr=arguments.json, highlight=False)
    began = time.monotonic()
    with ends_on_signal():
        console.print(
            "Starting Kafka, three providers, the ingress, the stages, an ERP and a warehouse ...", soft_wrap=True
        )
        with Sandbox(replace(_PLAN, workers=((),) * arguments.workers, logs=arguments.logs)) as sandbox:
            console.print(f"Ready after {time.monotonic() - began:.0f} s. Logs: {sandbox.logs}")
            report = _play(sandbox, console, arguments)
            if arguments.json:
                print(json.dumps(report.as_json()))
            else:
                report.show(console, every_payment=arguments.list)
    console.print(f"Everything stopped and removed after {time.monotonic() - began:.0f} s.")
    return 0 if report.verdict.holds and not report.played.surprises else 1


def _play(sandbox: Sandbox, console: Console, arguments: argparse.Namespace) -> DemoReport:
    witness = Observer(sandbox.bootstrap, sandbox.prefix)
    player = Player(sandbox, seconds=arguments.seconds, payments=arguments.payments, seed=arguments.seed)
    try:
        witness.start()
        player.start()
        display = _Display(console, player.played, witness)
        with display:
            while not player.over:
                witness.read()
                display.update()
            player.finish()
            books = _wait_until_settled(sandbox, witness, player.played, display.update)
        verdict = _judge(sandbox, books, witness)
        verdict.wrong += missed(player.played.overdue, witness)
        verdict.twice += player.subscriptions.differences(books["nevogate"])
        return DemoReport(books, witness, verdict, player.played, player.subscriptions.month)
    finally:
        player.stop()
        witness.close()


def _wait_until_settled(sandbox: Sandbox, witness: Observer, played: Played, update: Callable[[], None]) -> Books:
    deadline = time.monotonic() + _SETTLE_SECONDS
    looked, books = 0.0, {}
    while time.monotonic() < deadline:
        quiet = witness.read() == 0
        update()
        if time.monotonic() - looked > _LOOK_EVERY_SECONDS:
            looked = time.monotonic()
            books = {provider: control.book() for provider, control in sandbox.providers.items()}
            if quiet and settled(books, witness) and not missed(played.overdue, witness):
                break
    return books


def _judge(sandbox: Sandbox, books: Books, witness: Observer) -> ProofResult:
    """The consumers may be a moment behind the topic: wait for them, then judge."""
    databases = [sandbox.database("erp"), sandbox.database("fulfilment")]
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        witness.read()
        events = sum(1 for _ in witness.events())
        if all(applied(database) >= events for database in databases):
            break
    return judge(books, witness, *databases)


class _Display:
    """What the terminal shows meanwhile: a live table, or a plain line now and then where there is no terminal."""

    def __init__(self, console: Console, played: Played, witness: Observer) -> None:
        self._console, self._played, self._witness = console, played, witness
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
        """Show the present state."""
        played = self._played
        if self._live:
            self._live.update(
                Group(ProgressBar(played.planned, played.payments), Text(played.happening), self._table())
            )
        elif time.monotonic() - self._printed > _PLAIN_EVERY_SECONDS:
            self._printed = time.monotonic()
            counts = ", ".join(f"{stage} {count}" for stage, count in self._witness.stage_counts().items())
            self._console.print(
                f"{played.payments}/{played.planned} payments; {counts}; {played.happening}", soft_wrap=True
            )

    def _table(self) -> Table:
        table = Table("stage", "records")
        for stage, count in self._witness.stage_counts().items():
            table.add_row(stage, str(count))
        return table


class DemoReport:
    """What the day came to, from the topics, the providers' books and the consumers' databases."""

    def __init__(self, books: Books, witness: Observer, verdict: ProofResult, played: Played, month: Month) -> None:
        self.books, self.witness, self.verdict, self.played, self.month = books, witness, verdict, played, month

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        verdict = self.verdict
        return {
            "payments": verdict.payments,
            "lost": verdict.lost,
            "wrong": verdict.wrong,
            "applied_twice": verdict.twice,
            "broken_rules": verdict.broken_rules,
            "surprises": self.played.surprises,
            "flow": self.flow(),
            "latency_seconds": {
                name: {f"p{share * 100:g}": round(quantile(values, share), 3) for share in _SHARES}
                for name, values in self._latencies().items()
            },
            "overdue": {name: list(said) for name, said in sorted(self.witness.overdue.items())},
            "subscriptions": self.month.as_json(),
            "booked": dict(verdict.booked),
            "parcels": dict(verdict.parcels),
            "repeated_events": self.witness.repeats,
        }

    def show(self, console: Console, *, every_payment: bool = False) -> None:
        """For people."""
        if every_payment:
            listed = Table("provider", "payment", "provider's truth", "payments.status", title="Every payment")
            for row in statuses(self.books, self.witness):
                listed.add_row(*row)
            console.print(listed)
        flow = Table("", *provider_names(), title="What came in and what was asked")
        for name, counts in self.flow().items():
            flow.add_row(name, *(str(counts[provider]) for provider in provider_names()))
        console.print(flow)
        speed = Table("receive → result, seconds", "results", *(f"p{share * 100:g}" for share in _SHARES))
        for name, values in self._latencies().items():
            speed.add_row(name, str(len(values)), *(f"{quantile(values, share):.3f}" for share in _SHARES))
        console.print(speed)
        self._show_consumers(console)
        self._show_proof(console)

    def flow(self) -> dict[str, dict[str, int]]:
        """What came in and what was asked: each count by provider."""
        witness = self.witness
        rows: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(provider_names(), 0))
        for provider in provider_names():
            rows["received"][provider] = len(witness.received[provider])
            rows["duplicate"][provider] = len(witness.duplicates[provider])
        for (provider, reason), ids in sorted(witness.rejected.items()):
            rows[f"rejected: {reason}"][provider] = len(ids)
        for (provider, reason), count in sorted(witness.dead.items()):
            rows[f"dead: {reason}"][provider] = count
        for provider in provider_names():
            counters = self.books[provider]["counters"]
            rows["lookups"][provider] = len(witness.lookups[provider])
            rows["provider calls"][provider] = counters.get("calls", 0)
            rows["notifications sent by the provider"][provider] = counters.get("webhooks.attempted", 0)
        return dict(rows)

    def _latencies(self) -> dict[str, list[float]]:
        measured = self.witness.measured()
        return {**measured, "all": sorted(value for values in measured.values() for value in values)}

    def _show_consumers(self, console: Console) -> None:
        booked = _listed(dict(self.verdict.booked))
        console.print(f"ERP booked: {booked}. Warehouse: {_listed(dict(self.verdict.parcels))}.", soft_wrap=True)
        verdicts = Counter[str](self.month.verdict(one)[0] for one in self.month.bills)
        console.print(f"Subscriptions billed by topic: {_listed(verdicts)}; money moved at most once for each.")
        overdue = Counter(" and ".join(said) for said in self.witness.overdue.values())
        console.print(f"Orders that were missed on payments.overdue: {_listed(overdue)}.")
        console.print(f"Events on payments.status that came twice, byte for byte: {self.witness.repeats}.")

    def _show_proof(self, console: Console) -> None:
        verdict = self.verdict
        proof = Table("provider", "provider's truth", "payments.status", "payments", title="The proof")
        for (provider, true, published), count in sorted(verdict.pairs.items()):
            style = None if true == published else "bold red"
            proof.add_row(provider, true, published or "nothing", str(count), style=style)
        console.print(proof)
        for difference in (*verdict.lost, *verdict.wrong, *verdict.twice, *verdict.broken_rules):
            console.print(f"  {difference}", style="red", soft_wrap=True)
        for surprise in self.played.surprises:
            console.print(f"  {surprise}", style="red", soft_wrap=True)
        result = (
            f"{verdict.payments} payments, {self.played.attacks} attacks: lost {len(verdict.lost)}, "
            f"wrong {len(verdict.wrong)}, applied twice {len(verdict.twice)}, "
            f"providers' rules broken {len(verdict.broken_rules)}"
        )
        console.print(result, style="bold green" if verdict.holds else "bold red", soft_wrap=True)


_SHARES: Final = (0.5, 0.95, 0.99)


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "0"
