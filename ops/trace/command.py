"""``paynotify trace MERCHANT/PAYMENT``: everything known about one payment, in order."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import orjson

from ops.common.times import FORMS, moment
from ops.common.topic_reader import TopicReader
from ops.trace.html import page
from ops.trace.search import PaymentSearch, payments_of_order
from ops.trace.timeline import Timeline, tell
from schemas.configuration.merchants import Merchant, provider_of
from schemas.configuration.model import Configuration, load
from schemas.errors import ConfigurationError

_MOST_PAYMENTS: Final = 20
_LONGEST: Final = 250

_HELP: Final = f"""
Tells every notification, verdict, lookup, retry, provider's answer, observation and status of the payment, and every
transition that was refused, by the time of its record, with topic, partition and offset. A provider's answer is told
by what was understood of it, its size, HTTP status and SHA-256; bodies, tokens, card and personal data are never shown.
Of the payment's order it tells what the shop expected, when that became overdue and was cleared, and how far requests
to charge, capture or release are; --order tells these also of an order without any payment.

It does not read the topics whole: keys lead to one partition each, and the payment's first status event, found from
the end of payments.status backwards, tells from when on to read (an hour before it; a day more for what is told of the
order). --since replaces that time; use it for what happened long before, and to make the search for a payment without
any status short. A notification that was rejected is only told where its record's key names the transaction;
OmniKassa's name a webshop, not a payment, and of a page that answered hundreds of them the last 20 are told. --order
searches all of payments.latest, for orders are no keys. Topics of a million records take a second or two.

Times: {FORMS}.

examples:
  paynotify trace shop-uk/57-9-2204417
  paynotify trace --merchant shop-uk --order ORD-2024-000481 --json
  paynotify trace shop-hu/6a5e3c4fb0d14bd6a7b0f1c2d3e4f506 --html payment.html

exit code: 0 something was found, 1 nothing was, 2 wrong use, 3 no Kafka broker could be used
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of ``paynotify trace``."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _HELP
    parser.add_argument("payment", nargs="?", metavar="MERCHANT/PAYMENT", help="the payment's key on the result topic")
    parser.add_argument("--config", metavar="FILE", help="the configuration (or PAYNOTIFY_CONFIG)")
    parser.add_argument("--merchant", metavar="ID", help="with --order: whose order")
    parser.add_argument("--order", metavar="ID", help="every payment of this order")
    parser.add_argument("--since", metavar="TIME", help="read from then on")
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print one JSON object")
    output.add_argument("--html", metavar="FILE", help="write one HTML page with a timeline")


def run(arguments: argparse.Namespace) -> int:
    """Tell. Exit code 1 if nothing is known.

    Raises:
        ConfigurationError: wrong use, no cluster, a file that can't be written.
    """
    configuration = load(arguments.config)
    merchant, payment = _asked(arguments, configuration)
    since = moment("--since", arguments.since)
    since_seconds = since.timestamp() if since is not None else None
    with TopicReader(configuration) as reader:
        payments = [payment]
        if arguments.order is not None:
            payments = payments_of_order(reader, configuration, merchant.id, arguments.order, since_seconds)
        stories = [
            _story(reader, configuration, merchant, one, since_seconds, arguments.order)
            for one in payments[:_MOST_PAYMENTS] or [""]
        ]
    _show(stories, arguments)
    return 0 if any(one.entries for one in stories) else 1


def _asked(arguments: argparse.Namespace, configuration: Configuration) -> tuple[Merchant, str]:
    """The merchant, and the payment (none with an order)."""
    name, slash, payment = (arguments.payment or "").partition("/")
    if arguments.order is not None:
        if arguments.payment or not arguments.merchant or not arguments.order:
            raise ConfigurationError("--order goes with --merchant, instead of MERCHANT/PAYMENT.")
        name, payment = arguments.merchant, ""
    elif not slash or not name or not payment or arguments.merchant or len(payment) > _LONGEST:
        raise ConfigurationError("Name the payment as MERCHANT/PAYMENT, or give --merchant ID --order ID.")
    for merchant in configuration.merchants:
        if merchant.id == name:
            return merchant, payment
    known = ", ".join(sorted(one.id for one in configuration.merchants))
    raise ConfigurationError(f"The configuration has no merchant {name!r}; it knows {known}.")


def _story(
    reader: TopicReader,
    configuration: Configuration,
    merchant: Merchant,
    payment: str,
    since_seconds: float | None,
    order: str | None,
) -> Timeline:
    """The payment's story; without a payment, that of the order."""
    provider = provider_of(merchant)
    found = PaymentSearch(reader, configuration, provider, merchant.id, payment, since_seconds, order).carry_out()
    return tell(provider, merchant.id, payment, found, expected_required=merchant.expected == "required")


def _show(stories: list[Timeline], arguments: argparse.Namespace) -> None:
    if arguments.html:
        try:
            Path(arguments.html).write_text(page(stories), "utf-8")
        except OSError as error:
            raise ConfigurationError(f"The page {arguments.html} can't be written: {error.strerror}.") from None
        print(f"{sum(len(one.entries) for one in stories)} entries written to {arguments.html}")
    elif arguments.json:
        print(orjson.dumps({"payments": [asdict(one) for one in stories]}).decode())
    else:
        for story in stories:
            _tell(story)
    if not any(one.entries for one in stories):
        print("Nothing is known of it. Check the id, or search an earlier time with --since.", file=sys.stderr)


def _tell(story: Timeline) -> None:
    print(
        f"{_safe(story.name)} at {story.provider}: {story.status or 'no status'}"
        + (f", order {_safe(story.order_id)}" if story.order_id else "")
    )
    if story.searched_from:
        print(f"searched from {story.searched_from}")
    for entry in story.entries:
        place = f"{entry.topic}/{entry.partition}/{entry.offset}"
        print(f"{entry.at}  {entry.kind:<12}  {_safe(entry.what):<52}  {place}  {_more(entry.details)}".rstrip())
    for note in story.notes:
        print(note)
    print()


def _more(details: dict[str, Any]) -> str:
    """What a person looks for first; the rest is in the JSON."""
    shown = {name: details[name] for name in ("attempts", "bytes", "reason", "provider_status") if details.get(name)}
    if details.get("sha256"):
        shown["sha256"] = details["sha256"][:12]
    return _safe(" ".join(f"{name}={value}" for name, value in shown.items()))


def _safe(text: str | None) -> str:
    """Ids come from outside; control characters would speak to the terminal."""
    return "".join(one if one.isprintable() else "?" for one in text or "")
