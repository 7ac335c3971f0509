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
from paynotify.ops.common.amounts import money_text, parse_amount
from paynotify.ops.common.merchants import find_merchant
from paynotify.ops.common.operator import MAX_REASON_LENGTH, operator_of, parse_user
from paynotify.ops.common.record_sender import RecordSender
from paynotify.ops.common.terminal import print_table
from paynotify.ops.common.topic_reader import TopicReader
from paynotify.ops.correct.correction import observation, output
from paynotify.ops.correct.current import CurrentPayment, current_payment
from paynotify.processors.resolve.payment_state import PaymentState
from paynotify.processors.resolve.release import release_rules
from paynotify.processors.resolve.transitions import advance
from paynotify.schemas.configuration.load import load
from paynotify.schemas.configuration.merchants import Merchant
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.errors import ConfigurationError
from paynotify.schemas.ids import MAX_ID_LENGTH
from paynotify.schemas.messages import Correction, Observation, PaymentStatus, encode
from paynotify.schemas.money import Money
from paynotify.schemas.records import Output
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
    merchant, key = _target(arguments.payment, configuration)
    operator = operator_of(arguments.by, arguments.reason)
    # consumers read the name: a container's number is none
    correction = Correction(by=parse_user(arguments.by), reason=operator.reason or "")
    amount, paid = _amounts(arguments)
    with TopicReader(configuration) as reader:
        current = current_payment(reader, configuration.kafka, key)
    problem = _problem(current, arguments.status, changes_amounts=bool(amount or paid))
    if problem or current.event is None or current.state is None:
        return _report(arguments, current.event, None, problem)
    status = cast(Status, arguments.status)
    observed = observation(current.event, status, correction, rfc3339(), amount=amount, paid=paid)
    follows = following(current.state, observed, merchant)
    if follows is None:
        return _report(arguments, current.event, None, "The correction would change nothing.")
    if arguments.apply:
        intended = intention(
            "correct",
            operator,
            configuration.kafka,
            recorded_arguments(arguments, _RECORDED),
            merchant=merchant.id,
            payment_id=current.event.payment_id,
            planned=1,
        )
        with ActionLog(configuration.kafka, intended) as log:
            _publish(configuration, output(observed, configuration.kafka))
            log.count()
            log.result = {"sequence": str(follows.sequence), "status": follows.status, "event_id": follows.event_id}
    return _report(arguments, current.event, follows, "")


def following(state: PaymentState, observed: Observation, merchant: Merchant) -> PaymentStatus | None:
    """The event that resolve would publish for the observation; None if it would publish none."""
    return advance(state, observed, release_rules(merchant)).event


def _target(text: str, configuration: Configuration) -> tuple[Merchant, bytes]:
    merchant_id, slash, payment = text.partition("/")
    if not merchant_id or not slash or not 0 < len(payment) <= MAX_ID_LENGTH:
        raise ConfigurationError(f"The payment must be MERCHANT/PAYMENT, got {text[:MAX_ID_LENGTH]!r}.")
    return find_merchant(configuration, merchant_id), text.encode()


def _amounts(arguments: argparse.Namespace) -> tuple[Money | None, Money | None]:
    if arguments.currency is not None and arguments.amount is None and arguments.paid is None:
        raise ConfigurationError("--currency must be given with --amount or --paid.")
    amount, paid = (
        parse_amount(text, arguments.currency, option) if text is not None else None
        for option, text in (("--amount", arguments.amount), ("--paid", arguments.paid))
    )
    return amount, paid


def _problem(current: CurrentPayment, status: str, *, changes_amounts: bool) -> str:
    """Why the payment cannot be corrected; empty if it can."""
    if current.event is None:
        return "The payment is unknown: it has no event on payments.latest. Check the id with `paynotify trace`."
    if current.state is None:
        # resolve would take the correction for a new payment, begin at sequence 1, and every consumer would ignore it
        return "The payment's state is no longer kept (worker.retention), so its sequence cannot be continued."
    if current.event.status == status and not changes_amounts:
        return f"The payment's status is {status} already."
    return ""


def _publish(configuration: Configuration, record: Output) -> None:
    remedy = "look at the payment again before you repeat it: the correction may have arrived"
    with RecordSender(
        configuration.kafka, client_id="paynotify-correct", what="the correction", remedy=remedy
    ) as sender:
        sender.send(record)


def _report(
    arguments: argparse.Namespace, event: PaymentStatus | None, follows: PaymentStatus | None, problem: str
) -> int:
    published = bool(arguments.apply and follows is not None)
    if arguments.json:
        report = {
            "payment": arguments.payment,
            "newest": _as_published(event),
            "follows": _as_published(follows),
            "published": published,
            "problem": problem or None,
        }
        print(orjson.dumps(report).decode())
    else:
        events = [one for one in (event, follows) if one is not None]
        print_table(map(_row, events), header=("sequence", "status", "fulfilment", "amount", "paid", "order", "source"))
    if problem:
        print(f"paynotify correct: {problem} Nothing was published.", file=sys.stderr)
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
