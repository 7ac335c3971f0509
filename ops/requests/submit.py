"""Shows an operator's request, asks for confirmation, publishes it and follows it to its outcome.

``paynotify charge``, ``capture`` and ``release`` differ only in the request they build; the rest is here.
"""

from __future__ import annotations

import argparse
import sys
from typing import Final

from paynotify.ops.common.action_log import ActionLog, intention, recorded_arguments
from paynotify.ops.common.arguments import number_between
from paynotify.ops.common.operator import Operator, add_operator_options, operator_of
from paynotify.ops.common.terminal import print_table, printable
from paynotify.ops.requests import options
from paynotify.ops.requests.publishing import follow, publish, succeeded
from paynotify.ops.requests.summary import describe, expected_refusals
from paynotify.schemas import topics
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.configuration.load import load
from paynotify.schemas.configuration.merchants import ChargingMerchant
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.errors import ConfigurationError
from paynotify.schemas.messages import (
    Action,
    OperatorAction,
    PaymentRequest,
    RequestedPayment,
    encode,
)
from paynotify.schemas.money import Money
from paynotify.service.tail import Tail

_EPILOG: Final = """\
The command shows the request, asks for confirmation and publishes it on payments.requested. Without a terminal, --yes
is required. The charge stage performs the request within the merchant's limits and reports on payments.requests and
payments.status. A repeated --request-id is performed only once; the first outcome is reported again.

examples:
{examples}
exit codes: 0 published (with --wait: succeeded), 1 not confirmed, or with --wait refused, uncertain, failed or without
an outcome in time, 2 wrong use or configuration (nothing was published), 3 no Kafka broker is usable
"""

#: The customer's id (``--user``) is personal, and is on the request.
_RECORDED: Final = ("order", "reference", "amount", "currency", "capture", "again", "expires")
_MAX_WAIT_SECONDS: Final = 86_400.0


def configure(parser: argparse.ArgumentParser, examples: str) -> None:
    """Add the options that all three commands have."""
    parser.epilog = _EPILOG.format(examples=examples)
    parser.add_argument("--request-id", metavar="ID", help="id of the request (default: a new one)")
    parser.add_argument(
        "--expires",
        metavar="TIME",
        help="do nothing after this RFC 3339 time (default: as configured in the merchant's charges section)",
    )
    parser.add_argument(
        "--wait",
        type=number_between(0, _MAX_WAIT_SECONDS, "seconds"),
        metavar="SECONDS",
        help="follow the request for at most this time, until it is done, refused or uncertain",
    )
    add_operator_options(parser)
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--dry-run", action="store_true", help="only show the request")
    group.add_argument("--yes", action="store_true", help="publish without asking for confirmation")


def run_for_payment(arguments: argparse.Namespace, action: Action, amount: Money | None = None) -> int:
    """Request ``action`` for the authorised payment that the arguments name; see `run`."""
    configuration = load(arguments.config)
    merchant, payment = options.parse_payment(configuration, arguments.payment)
    request = RequestedPayment(
        request_id=options.parse_request_id(arguments.request_id),
        merchant=merchant,
        action=action,
        payment_id=payment,
        amount=amount,
        expires_at=options.parse_expiry(arguments.expires),
    )
    return run(arguments, request, configuration)


def run(arguments: argparse.Namespace, request: RequestedPayment, configuration: Configuration) -> int:
    """Show, confirm, publish and follow the request. The command's help lists the exit codes.

    Raises:
        ConfigurationError: the request cannot be confirmed because there is no terminal.
        ClusterUnavailableError: the cluster is not reachable, or did not acknowledge the request.
    """
    merchant = options.charging_merchant(configuration, request.merchant)
    operator = operator_of(arguments.by, arguments.why)
    warnings = expected_refusals(request, merchant)
    _show(request, merchant, warnings, to_stderr=arguments.json)
    if arguments.dry_run:
        return _report(arguments, request, warnings, published=False, code=0)
    if not arguments.yes and not _confirmed(request):
        print("Nothing was published.", file=sys.stderr)
        return _report(arguments, request, warnings, published=False, code=1)
    with Tail(configuration.kafka, topics.REQUESTS) as tail:
        with ActionLog(configuration.kafka, _intention(arguments, configuration.kafka, operator, request)) as log:
            publish(configuration.kafka, request)
            log.count()
        outcome = follow(tail, request, arguments.wait or 0.0)
    code = 0 if arguments.wait is None or succeeded(outcome) else 1
    return _report(arguments, request, warnings, published=True, outcome=outcome, code=code)


def _show(request: RequestedPayment, merchant: ChargingMerchant, warnings: list[str], *, to_stderr: bool) -> None:
    print_table(describe(request, merchant), stream=sys.stderr if to_stderr else sys.stdout)
    for warning in warnings:
        print(f"warning: {printable(warning)}", file=sys.stderr)


def _confirmed(request: RequestedPayment) -> bool:
    if not sys.stdin.isatty():
        raise ConfigurationError("Confirmation requires a terminal. Pass --yes to publish, or --dry-run to only look.")
    print(f"Publish this {request.action}? Type yes: ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() == "yes"


def _intention(
    arguments: argparse.Namespace, kafka: KafkaSettings, operator: Operator, request: RequestedPayment
) -> OperatorAction:
    return intention(
        request.action,
        operator,
        kafka,
        {"request_id": request.request_id, **recorded_arguments(arguments, _RECORDED)},
        merchant=request.merchant,
        payment_id=request.payment_id,
        planned=1,
    )


def _report(
    arguments: argparse.Namespace,
    request: RequestedPayment,
    warnings: list[str],
    *,
    published: bool,
    outcome: PaymentRequest | None = None,
    code: int,
) -> int:
    if arguments.json:
        report = {"request": request, "published": published, "warnings": warnings, "outcome": outcome}
        print(encode(report).decode())
    elif published:
        print(f"published {request.request_id}")
        if arguments.wait is not None:
            print(_outcome_text(outcome, arguments.wait))
    return code


def _outcome_text(outcome: PaymentRequest | None, wait_seconds: float) -> str:
    if outcome is None:
        return (
            f"no outcome within {wait_seconds:g} s; check that a worker runs the charge stage, or repeat the command "
            "with the same --request-id"
        )
    payment = f", payment {outcome.merchant}/{outcome.payment_id}" if outcome.payment_id else ""
    result = ": ".join(filter(None, (outcome.state, outcome.status, outcome.reason)))
    return printable(f"{result}{payment}")
