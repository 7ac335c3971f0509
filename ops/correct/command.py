"""``paynotify correct``: publishes an operator's correction of a payment's status.

Providers report no dispute that the shop won, and nothing about agreements made outside of them. The correction is an
observation like any other: resolve publishes it with the next sequence, and later responses of the provider continue
from it. So consumers need no second source, and every correction is on the topics with its author and reason.
"""

from __future__ import annotations

import argparse
import sys
from typing import Final, cast, get_args

import orjson

from paynotify.ops.common.action_log import ActionLog, intention, recorded_arguments
from paynotify.ops.common.amounts import money_text
from paynotify.ops.common.operator import MAX_REASON_LENGTH, operator_of, parse_user
from paynotify.ops.common.terminal import print_table
from paynotify.ops.common.topic_reader import TopicReader
from paynotify.ops.correct.current import current_payment
from paynotify.ops.correct.options import parse_amounts, parse_payment
from paynotify.ops.correct.planning import CorrectionPlan, CorrectionWanted, plan_correction
from paynotify.ops.correct.publishing import publish, result_of
from paynotify.schemas.configuration.load import load
from paynotify.schemas.messages import Correction, PaymentStatus, encode
from paynotify.schemas.status import Status
from paynotify.schemas.times import rfc3339

_RECORDED: Final = ("status", "amount", "paid", "currency")

_EPILOG: Final = f"""\
Nothing is sent without --apply. The command shows the payment's newest event and the event that would follow.
docs/operations/correct.md describes when to correct a payment and what it changes.

The reason (at most {MAX_REASON_LENGTH} characters) and the user are part of the event: every consumer reads them.

examples:
  paynotify correct shop-uk/57-9-2204417 --status captured --reason "dispute won, case 4711"           show the event
  paynotify correct shop-uk/57-9-2204417 --status captured --reason "dispute won, case 4711" --apply   publish it

exit codes: 0 published, or shown and possible; 1 the payment is unknown or the correction would change nothing
(nothing was published), 2 wrong use or configuration, 3 no Kafka broker is usable
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``paynotify correct``."""
    parser.epilog = _EPILOG
    parser.add_argument("payment", metavar="MERCHANT/PAYMENT", help="key of the payment")
    parser.add_argument(
        "--status",
        required=True,
        choices=get_args(Status),
        metavar="STATUS",
        help=f"the payment's status: {', '.join(get_args(Status))}",
    )
    parser.add_argument("--reason", "--why", required=True, metavar="TEXT", help="why, without card or personal data")
    parser.add_argument("--by", metavar="USER", help="who corrects it (default: the user of the operating system)")
    parser.add_argument("--amount", metavar="N", help="amount to be paid, in major units (default: as known)")
    parser.add_argument("--paid", metavar="N", help="captured amount, in major units (default: as known)")
    parser.add_argument("--currency", metavar="CODE", help="currency of the amounts, such as EUR")
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--dry-run", action="store_true", help="only show the event that would follow (default)")
    group.add_argument("--apply", action="store_true", help="publish the correction")


def run(arguments: argparse.Namespace) -> int:
    """Show the correction, and with ``--apply`` publish it. The command's help lists the exit codes.

    Raises:
        ConfigurationError: an option is wrong.
        ClusterUnavailableError: the cluster is not reachable, or did not acknowledge the correction.
    """
    configuration = load(arguments.config)
    merchant, key = parse_payment(arguments.payment, configuration)
    operator = operator_of(arguments.by, arguments.reason)
    # consumers read the name: a container's number is none
    correction = Correction(by=parse_user(arguments.by), reason=operator.reason or "")
    amount, paid = parse_amounts(arguments.amount, arguments.paid, arguments.currency)
    with TopicReader(configuration) as reader:
        current = current_payment(reader, configuration.kafka, key)
    wanted = CorrectionWanted(status=cast(Status, arguments.status), correction=correction, amount=amount, paid=paid)
    plan = plan_correction(current, merchant, wanted, rfc3339())
    if plan.newest is None or plan.observed is None or plan.follows is None:
        return _report(arguments, plan)
    if arguments.apply:
        intended = intention(
            "correct",
            operator,
            configuration.kafka,
            recorded_arguments(arguments, _RECORDED),
            merchant=merchant.id,
            payment_id=plan.newest.payment_id,
            planned=1,
        )
        with ActionLog(configuration.kafka, intended) as log:
            publish(configuration.kafka, plan.observed)
            log.count()
            log.result = result_of(plan.follows)
    return _report(arguments, plan)


def _report(arguments: argparse.Namespace, plan: CorrectionPlan) -> int:
    published = bool(arguments.apply and plan.follows is not None)
    if arguments.json:
        report = {
            "payment": arguments.payment,
            "newest": _as_published(plan.newest),
            "follows": _as_published(plan.follows),
            "published": published,
            "problem": plan.problem or None,
        }
        print(orjson.dumps(report).decode())
    else:
        events = [one for one in (plan.newest, plan.follows) if one is not None]
        print_table(map(_row, events), header=("sequence", "status", "fulfilment", "amount", "paid", "order", "source"))
    if plan.problem:
        print(f"paynotify correct: {plan.problem} Nothing was published.", file=sys.stderr)
        return 1
    if not arguments.json:
        print("published" if published else "would be published; --apply publishes it")
    return 0


def _as_published(event: PaymentStatus | None) -> orjson.Fragment | None:
    """The event as its record has it, without the fields that do not apply."""
    return orjson.Fragment(encode(event)) if event is not None else None


def _row(event: PaymentStatus) -> tuple[str, ...]:
    amount, paid = (money_text(one) if one is not None else "unknown" for one in (event.amount, event.paid))
    sequence, order = str(event.sequence), event.order_id or ""
    return sequence, event.status, event.fulfilment, amount, paid, order, event.source
