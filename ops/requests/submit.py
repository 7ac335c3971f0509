"""A request of an operator's own on ``payments.requested``: shown, confirmed, published, followed to its end.

`paynotify charge`, `capture` and `release` differ only in what they ask for; everything else is here.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Final

import orjson

from ops.common.record_sender import RecordSender
from ops.requests.options import merchant_of
from ops.requests.summary import doubts, facts
from schemas import topics
from schemas.cloudevents import cloud_event
from schemas.configuration.merchants import NevogateMerchant
from schemas.configuration.model import Configuration, KafkaSettings
from schemas.errors import ClusterUnavailableError, ConfigurationError, UnreadableError
from schemas.messages import REQUEST_MADE, Action, PaymentRequest, RequestedPayment, decode, encode
from schemas.records import Output
from schemas.times import rfc3339
from schemas.traceparent import new_traceparent
from service.tail import Tail

#: What `ops.requests.charge`, `ops.requests.capture` and `ops.requests.release` tell of themselves at the end.
HELP: Final = """
What will be asked for is shown first. On a terminal it must be confirmed; without one, --yes is needed. Nothing else is
changed by this command: the charge stage of the workers does what was asked, by the merchant's configuration
(charges: limits, off by default), and tells of it on payments.requests and payments.status. A request asked for twice
with the same --request-id is done once and answered with its first outcome.

exit code: 0 published (with --wait: done as asked), 1 not confirmed, or with --wait refused, uncertain, ended otherwise
or not answered in time, 2 wrong use, nothing was published, 3 no Kafka broker could be used
"""

#: What a payment is after each action went as it was meant to.
_AS_ASKED: Final[Mapping[Action, Sequence[str]]] = {
    "charge": ("authorised", "captured"),
    "capture": ("captured",),
    "release": ("cancelled",),
}
_ENDS: Final = ("refused", "done", "uncertain")
_LONGEST_WAIT_SECONDS: Final = 86_400.0
_READ_SECONDS: Final = 0.2


def configure(parser: argparse.ArgumentParser, examples: str) -> None:
    """The options all three commands have."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = f"{HELP}\nexamples:\n{examples}"
    parser.add_argument("--config", metavar="FILE", help="the configuration (or PAYNOTIFY_CONFIG)")
    parser.add_argument("--request-id", metavar="ID", help="the request's id; a new one, if not given")
    parser.add_argument(
        "--expires", metavar="TIME", help="do nothing after this time (RFC 3339); else as the merchant's charges say"
    )
    parser.add_argument(
        "--wait",
        type=float,
        metavar="SECONDS",
        help="follow the request for so long, until it is done, refused or uncertain",
    )
    really = parser.add_mutually_exclusive_group()
    really.add_argument("--dry-run", action="store_true", help="only show what would be asked for")
    really.add_argument("--yes", action="store_true", help="don't ask for confirmation")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace, request: RequestedPayment, configuration: Configuration) -> int:
    """Show, confirm, publish, follow. The exit code is told in `HELP`.

    Raises:
        ConfigurationError: wrong use, or no confirmation possible.
        ClusterUnavailableError: no Kafka broker could be used.
    """
    wait_seconds = arguments.wait or 0.0
    if not 0 <= wait_seconds <= _LONGEST_WAIT_SECONDS:
        raise ConfigurationError(f"--wait {wait_seconds:g} is no time to wait. Give seconds from 0 to 86400.")
    merchant = merchant_of(configuration, request.merchant)
    warnings = list(doubts(request, merchant))
    _show(request, merchant, warnings, to_stderr=arguments.json)
    if arguments.dry_run:
        return _told(arguments, request, warnings, published=False, code=0)
    if not arguments.yes and not _confirmed(request):
        print("Nothing was published.", file=sys.stderr)
        return _told(arguments, request, warnings, published=False, code=1)
    with Tail(configuration.kafka, topics.REQUESTS) as tail:
        _publish(configuration.kafka, request)
        outcome = _follow(tail, request, wait_seconds)
    code = 0 if arguments.wait is None or _as_asked(outcome) else 1
    return _told(arguments, request, warnings, published=True, outcome=outcome, code=code)


def _show(request: RequestedPayment, merchant: NevogateMerchant, warnings: list[str], *, to_stderr: bool) -> None:
    stream = sys.stderr if to_stderr else sys.stdout
    for name, text in facts(request, merchant):
        print(f"{name:<18} {_safe(text)}", file=stream)
    for warning in warnings:
        print(f"warning: {_safe(warning)}", file=sys.stderr)


def _confirmed(request: RequestedPayment) -> bool:
    if not sys.stdin.isatty():
        raise ConfigurationError("There is no terminal to confirm this on. Give --yes, or --dry-run to only look.")
    print(f"Publish this {request.action}? Type yes: ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() == "yes"


def _publish(kafka: KafkaSettings, request: RequestedPayment) -> None:
    headers = cloud_event(
        event_id=request.request_id,
        source=f"/paynotify/{request.action}",
        event_type=REQUEST_MADE,
        event_time=rfc3339(),
        traceparent=new_traceparent(),
    )
    key = f"{request.merchant}/{request.request_id}".encode()
    try:
        with RecordSender(kafka) as sender:
            sender.send(Output(kafka.topic(topics.REQUESTED), key, encode(request), headers))
    except ClusterUnavailableError:
        raise ClusterUnavailableError(
            f"The brokers at {kafka.bootstrap_servers} did not say that they took the request. See that they are well "
            f"and ask for it again with --request-id {request.request_id}: it is then done once."
        ) from None


def _follow(tail: Tail, request: RequestedPayment, wait_seconds: float) -> PaymentRequest | None:
    """How far the request is after at most so long; none where nothing was told of it."""
    newest = None
    deadline = time.monotonic() + wait_seconds
    while time.monotonic() < deadline and (newest is None or newest.state not in _ENDS):
        for record in tail.read(_READ_SECONDS):
            try:
                event = decode(record.value, PaymentRequest)
            except UnreadableError:  # of a later version: nothing that answers ours
                continue
            if (event.merchant, event.request_id) == (request.merchant, request.request_id):
                newest = event
    return newest


def _as_asked(outcome: PaymentRequest | None) -> bool:
    return outcome is not None and outcome.state == "done" and outcome.status in _AS_ASKED[outcome.action]


def _told(
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
        print(orjson.dumps(report).decode())
    elif published:
        print(f"published {request.request_id}")
        if arguments.wait is not None:
            print(_outcome_text(outcome, arguments.wait))
    return code


def _outcome_text(outcome: PaymentRequest | None, wait_seconds: float) -> str:
    if outcome is None:
        return (
            f"not answered within {wait_seconds:g} s; ask again with the same --request-id, or see that a worker "
            "with the stage charge runs"
        )
    payment = f", payment {outcome.merchant}/{outcome.payment_id}" if outcome.payment_id else ""
    said = ": ".join(filter(None, (outcome.state, outcome.status, outcome.reason)))
    return _safe(f"{said}{payment}")


def _safe(text: str) -> str:
    """What came from outside may hold control characters, which would speak to the terminal."""
    return "".join(one if one.isprintable() else "?" for one in text)
