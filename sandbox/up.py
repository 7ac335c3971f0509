"""``paynotify up``: runs the sandbox until Ctrl-C and prints commands that make and follow payments."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from pathlib import Path
from typing import Final

from paynotify.sandbox.arguments import non_negative_number, positive_number
from paynotify.sandbox.console import NOT_INSTALLED, ConsoleAccess, RunningConsole, running_console
from paynotify.sandbox.days import SimulatedDays
from paynotify.sandbox.signals import ends_on_signal
from paynotify.sandbox.system import Plan, Sandbox

_CHARGING: Final = "shop-hu"
_DAY_SECONDS: Final = 60.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the subcommand."""
    parser.add_argument(
        "--time-scale", type=positive_number, default=60.0, help="the providers' seconds per real second (default 60)"
    )
    parser.add_argument(
        "--latency-seconds",
        type=non_negative_number,
        default=0.05,
        help="delay of every provider's response (default 0.05)",
    )

    parser.add_argument(
        "--env", type=Path, metavar="FILE", help="write the addresses into this file too, as variables for a shell"
    )


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0: Ctrl-C. 1: a process of the sandbox ended by itself."""
    access = ConsoleAccess.made()
    plan = Plan(
        configuration=access.configuration(),
        simulators={"time_scale": arguments.time_scale, "latency_seconds": arguments.latency_seconds},
        charges={_CHARGING: {}},
        days=SimulatedDays(_DAY_SECONDS),
    )
    with ends_on_signal():
        try:
            print("Starting ...", flush=True)
            with Sandbox(plan) as sandbox, running_console(sandbox, access) as console:
                if arguments.env is not None:
                    arguments.env.parent.mkdir(parents=True, exist_ok=True)
                    arguments.env.write_text(_variables(sandbox, console), "utf-8")
                print(_addresses(sandbox, console), flush=True)
                return _watch(sandbox, console)
        except KeyboardInterrupt:
            print("Everything stopped and removed.")
            return 0


def _watch(sandbox: Sandbox, console: RunningConsole | None) -> int:
    while True:
        for child in (*sandbox.children(), *([console.child] if console is not None else [])):
            if not child.running:
                print(f"{child.name} ended with exit code {child.exit_code}: {child.end()}", file=sys.stderr)
                return 1
        time.sleep(0.5)


def _variables(sandbox: Sandbox, console: RunningConsole | None) -> str:
    """The addresses as a file that a shell reads."""
    values = {
        "PAYNOTIFY_CONFIG": str(sandbox.config_path),
        "KAFKA": sandbox.bootstrap,
        "INGEST": sandbox.ingest_address,
        **{name.upper(): control.address for name, control in sandbox.providers.items()},
        **({"CONSOLE_URL": console.address, "CONSOLE_TOKEN": console.token} if console is not None else {}),
    }
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items())


def _addresses(sandbox: Sandbox, console: RunningConsole | None) -> str:
    lines = [f"console          {console.address if console is not None else NOT_INSTALLED}"]
    lines += [f"Kafka            {sandbox.bootstrap}", f"ingress          {sandbox.ingest_address}"]
    lines += [f"{name:<16} {control.address}" for name, control in sandbox.providers.items()]
    lines += [f"configuration    {sandbox.config_path}", f"logs             {sandbox.logs}"]
    lines += ["", "Make a payment (amounts in minor units; /control/book shows the provider's ledger):"]
    for control in sandbox.providers.values():
        order = json.dumps({"order_id": "ORDER1", "amount": 1050})
        lines.append(f"  curl -s {control.address}/control/payments -d {shlex.quote(order)}")
    lines += [
        "",
        f"Trust Payments settles payments at night, and tells nobody. A day lasts {_DAY_SECONDS:.0f} seconds.",
    ]
    gateway, python = sandbox.providers["nevogate"].address, sys.executable
    config = ["--config", str(sandbox.config_path)]
    customers = [python, "-m", "paynotify.sandbox.billing.subscribers", "--gateway", gateway, "--csv", "customers.csv"]
    lines += ["", f"Bill a month of subscriptions ({_CHARGING} may charge by topic):"]
    lines += [f"  {shlex.join(customers)}"]
    lines += [f"  {shlex.join([python, '-m', 'paynotify.sandbox.billing.biller', '--csv', 'customers.csv', *config])}"]
    follow = [sys.executable, "-m", "paynotify.sandbox.tail", "--bootstrap", sandbox.bootstrap]
    follow += ["--topic", sandbox.topic("payments.status")]
    if console is not None:
        lines += ["", "Ask whether an order has been paid:", f"  {console.question(_CHARGING, 'ORDER1')}"]
    lines += ["", "Follow the results:", f"  {shlex.join(follow)}", "", "Ctrl-C ends everything."]
    return "\n".join(lines)
