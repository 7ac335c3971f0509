"""The ``paynotify`` command: dispatches to a subcommand and reports expected errors in one paragraph.

A subcommand's module is imported only when it is used. ``paynotify ingest`` therefore starts without the workers'
libraries, and ``paynotify worker`` without those of the ingress.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from paynotify.ops.common.arguments import CONFIG, JSON
from paynotify.schemas.text import is_text
from paynotify.service.exit_codes import WRONG_USE, exit_code

_DESCRIPTION: Final = "Turns payment providers' webhooks into one ordered stream of payment statuses on Apache Kafka."
_EPILOG: Final = """\
exit codes: 0 success, 1 a negative result (see the command's own help), 2 wrong use or configuration,
3 no Kafka broker is usable (unreachable, authentication refused, or a request not acknowledged), 130 interrupted

`ingest` and `worker` wait for brokers and topics instead of exiting.
"""


@dataclass(frozen=True, slots=True)
class Subcommand:
    """A word after ``paynotify``: the module that implements it, its purpose and its shared options."""

    name: str
    module: str
    purpose: str
    parents: tuple[argparse.ArgumentParser, ...] = (CONFIG,)


SUBCOMMANDS: Final = (
    Subcommand(
        "demo", "paynotify.sandbox.demo", "run a scripted day of payments through the whole system, with proof", ()
    ),
    Subcommand("up", "paynotify.sandbox.up", "run the sandbox until Ctrl-C", ()),
    Subcommand("ingest", "paynotify.ops.ingest", "run the HTTP ingress"),
    Subcommand("worker", "paynotify.ops.worker", "run stages (all by default)"),
    Subcommand("deliver", "paynotify.ops.deliver", "call subscribers with results (outbound webhooks)"),
    Subcommand(
        "topics", "paynotify.ops.topics", "create the topics, or compare them with the configuration", (CONFIG, JSON)
    ),
    Subcommand(
        "schemas",
        "paynotify.ops.schemas.command",
        "register the JSON Schemas of the topics in a schema registry",
        (CONFIG, JSON),
    ),
    Subcommand(
        "export",
        "paynotify.ops.export.command",
        "write the status changes of payments as CSV or JSON Lines, for accountants",
        (CONFIG, JSON),
    ),
    Subcommand(
        "charge",
        "paynotify.ops.requests.charge",
        "request a merchant-initiated charge of a payment method",
        (CONFIG, JSON),
    ),
    Subcommand(
        "capture", "paynotify.ops.requests.capture", "capture an authorisation, in full or in part", (CONFIG, JSON)
    ),
    Subcommand("release", "paynotify.ops.requests.release", "void an authorisation", (CONFIG, JSON)),
    Subcommand("inspect", "paynotify.ops.inspect", "verify captured calls offline, with the code of the stages"),
    Subcommand("trace", "paynotify.ops.trace.command", "show everything known about one payment, in order"),
    Subcommand(
        "replay",
        "paynotify.ops.replay.command",
        "re-publish rejected or dead-lettered records (dry run by default; --yes to send)",
        (CONFIG, JSON),
    ),
    Subcommand(
        "correct",
        "paynotify.ops.correct.command",
        "correct the status of one payment (dry run by default; --apply to publish)",
        (CONFIG, JSON),
    ),
    Subcommand(
        "reconcile",
        "paynotify.ops.reconcile.command",
        "compare a period's payments with the provider's list or a shop's export",
    ),
    Subcommand(
        "forget",
        "paynotify.ops.forget.command",
        "find, and delete as far as Kafka can, what was sent about a payment",
        (CONFIG, JSON),
    ),
    Subcommand(
        "subscriptions",
        "paynotify.ops.subscriptions.command",
        "show the subscriptions of outbound webhooks, and enable or disable one",
        (CONFIG, JSON),
    ),
    Subcommand("console", "paynotify.ops.console.command", "serve pages that answer where a payment is"),
    Subcommand("history", "paynotify.ops.history.command", "show what operators did, when and why", (CONFIG, JSON)),
    Subcommand(
        "audit",
        "paynotify.ops.audit.command",
        "verify from the topics that every notification, lookup and result is accounted for",
        (CONFIG, JSON),
    ),
    Subcommand(
        "doctor",
        "paynotify.ops.doctor.command",
        "diagnose configuration, brokers, topics and providers",
        (CONFIG, JSON),
    ),
    Subcommand("completion", "paynotify.ops.completion", "print the completion of the command for a shell", ()),
)


class _Version(argparse.Action):
    """Prints the version and ends. It is read only then: reading it costs every start some milliseconds."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"paynotify {version('paynotify')}")
        except PackageNotFoundError:
            print("paynotify is run from files that are not installed, so it has no version.")
        parser.exit()


def installed() -> tuple[Subcommand, ...]:
    """The subcommands that can be used: those of the sandbox only where it is installed."""
    return tuple(one for one in SUBCOMMANDS if not _not_installed(one))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand. Returns its exit code; `_EPILOG` lists those that all commands share."""
    words = list(sys.argv[1:] if argv is None else argv)
    chosen = next((one for one in SUBCOMMANDS if words and one.name == words[0]), None)
    if chosen is not None and _not_installed(chosen):
        print(
            f"paynotify {chosen.name}: The sandbox is not installed. Install it with "
            "`pip install 'paynotify[sandbox]'`, or with `pip install ./sandbox` from a checkout of paynotify.",
            file=sys.stderr,
        )
        return WRONG_USE
    parser, _ = build_parsers(() if chosen is None else (chosen,))
    arguments = parser.parse_args(words)
    assert chosen is not None
    if not all(is_text(word) for word in words):
        # a shell passes any bytes, but ids, keys and printed paths are text
        print(
            f"paynotify {chosen.name}: Arguments must be UTF-8 text. Correct the argument, or rename the file.",
            file=sys.stderr,
        )
        return WRONG_USE
    module = chosen.module
    return exit_code(f"paynotify {chosen.name}", lambda: int(importlib.import_module(module).run(arguments)))


def build_parsers(
    configured: Collection[Subcommand],
) -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """The command's parser, and each subcommand's by name.

    Only the ``configured`` subcommands' modules are imported and asked for their options.
    """
    parser = argparse.ArgumentParser(
        prog="paynotify",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version of paynotify, and end")
    choices: Any = parser.add_subparsers(dest="subcommand", metavar="COMMAND", required=True)
    children = {}
    for one in SUBCOMMANDS:
        child = choices.add_parser(
            one.name,
            help=one.purpose,
            description=f"{one.purpose[0].upper()}{one.purpose[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            parents=one.parents,
        )
        if one in configured:
            importlib.import_module(one.module).configure(child)
        children[one.name] = child
    return parser, children


def _not_installed(chosen: Subcommand) -> bool:
    """Whether the subcommand belongs to the sandbox, a distribution of its own, and this is missing."""
    return chosen.module.startswith("paynotify.sandbox.") and importlib.util.find_spec("paynotify.sandbox") is None


if __name__ == "__main__":
    sys.exit(main())
