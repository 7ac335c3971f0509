"""The ``paynotify`` command: finds the subcommand's module and turns expected errors into one paragraph.

A subcommand's module is only imported when it is used, so that ``paynotify ingest`` starts without the workers'
libraries and the other way round.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from schemas.errors import ClusterUnavailableError, ConfigurationError


@dataclass(frozen=True, slots=True)
class Subcommand:
    """One word after ``paynotify``: the module that serves it and what it is for."""

    name: str
    module: str
    purpose: str


SUBCOMMANDS: Final = (
    Subcommand("demo", "sandbox.demo", "play a scripted day of payments through the whole system and prove the result"),
    Subcommand("up", "sandbox.up", "keep the same sandbox running until Ctrl-C"),
    Subcommand("ingest", "ops.ingest", "run the HTTP ingress"),
    Subcommand("worker", "ops.worker", "run the stages (all, or those chosen)"),
    Subcommand("topics", "ops.topics", "create the topics, or compare them with the configuration"),
    Subcommand("charge", "ops.requests.charge", "ask for one charge of a registered means of payment"),
    Subcommand("capture", "ops.requests.capture", "ask for a hold to be charged, whole or in part"),
    Subcommand("release", "ops.requests.release", "ask for a hold to be given back"),
    Subcommand("inspect", "ops.inspect", "judge captured calls offline, through the code the stages run"),
    Subcommand("trace", "ops.trace.command", "tell everything known about one payment, in order"),
    Subcommand("replay", "ops.replay", "send rejected notifications and dead lookups back to where they came from"),
    Subcommand(
        "reconcile", "ops.reconcile.command", "compare a period's payments with the provider's list or a shop's export"
    ),
    Subcommand(
        "audit", "ops.audit.command", "account for every notification, lookup and result from the topics themselves"
    ),
    Subcommand("doctor", "ops.doctor.command", "look for what is wrong around paynotify, and say what to do"),
)


_EXIT_CODES: Final = """\
exit code: 0 success, 1 a negative result (each command's help says which), 2 wrong use or configuration,
3 no Kafka broker could be used: none answered, let this user in or took a request, 130 interrupted

`ingest` and `worker` wait for brokers and topics instead of exiting.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand. Returns its exit code; `_EXIT_CODES` lists those that all commands share."""
    words = list(sys.argv[1:] if argv is None else argv)
    chosen = next((one for one in SUBCOMMANDS if words and one.name == words[0]), None)
    parser = argparse.ArgumentParser(
        prog="paynotify",
        description="Turns payment providers' webhooks into one trustworthy stream of statuses.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    choices = parser.add_subparsers(dest="subcommand", metavar="COMMAND", required=True)
    for one in SUBCOMMANDS:
        described = one.purpose[0].upper() + one.purpose[1:] + "."
        child = choices.add_parser(one.name, help=one.purpose, description=described)
        if one is chosen:
            importlib.import_module(one.module).configure(child)
    arguments = parser.parse_args(words)
    assert chosen is not None
    if not all(_is_text(word) for word in words):
        # a shell passes any bytes; ids, keys and what is printed are text
        print(
            f"paynotify {chosen.name}: An argument is not UTF-8 text. Write it anew, or rename the file.",
            file=sys.stderr,
        )
        return 2
    try:
        return int(importlib.import_module(chosen.module).run(arguments))
    except ConfigurationError as error:
        print(f"paynotify {chosen.name}: {error}", file=sys.stderr)
        return 2
    except ClusterUnavailableError as error:
        print(f"paynotify {chosen.name}: {error}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        return 130


def _is_text(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
