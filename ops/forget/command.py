"""``paynotify forget MERCHANT/PAYMENT``: what callers and providers sent about one payment, and deletes it if asked."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from kafka.errors import KafkaError

from paynotify.ops.common.action_log import ActionLog, intention, recorded_arguments
from paynotify.ops.common.committed import committed_offsets, stage_groups
from paynotify.ops.common.merchants import find_merchant
from paynotify.ops.common.newest import newest_event
from paynotify.ops.common.operator import add_operator_options, operator_of
from paynotify.ops.common.terminal import print_table
from paynotify.ops.common.times import TIME_FORMS, parse_time_option
from paynotify.ops.common.topic_reader import TopicPartition, TopicReader
from paynotify.ops.forget.copies import PartitionErasure, RawCopy, erasures, raw_copies
from paynotify.ops.forget.latest import request_tombstone
from paynotify.ops.trace.search import PaymentSearch
from paynotify.schemas import topics
from paynotify.schemas.configuration.load import load
from paynotify.schemas.configuration.merchants import Merchant, provider_of
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.errors import ClusterUnavailableError, ConfigurationError
from paynotify.schemas.ids import MAX_ID_LENGTH
from paynotify.schemas.messages import PaymentStatus
from paynotify.schemas.times import rfc3339
from paynotify.service.cluster import admin

_RECORDED: Final = ("payment", "since")

_EPILOG: Final = f"""\
Finds the notifications and responses of a payment, rejected and dead-lettered ones too, and says when each one's
retention ends. With --yes they are deleted at once. Kafka can't delete single records: in each partition everything
before the newest of them goes too, of other payments as well. The payment's newest event is taken off payments.latest.
Other results, lookups and states hold ids, amounts and times, and stay. docs/operations/personal-data.md says what that
means.

Times: {TIME_FORMS}.

examples:
  paynotify forget shop-uk/57-9-2204417                      what there is, and what deleting it would take with it
  paynotify forget shop-uk/57-9-2204417 --yes --why "request 4711"

exit codes: 0 there is something, and with --yes all of it was deleted; 1 nothing was found, or not all could be
deleted; 2 wrong use or configuration, 3 no Kafka broker is usable
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``paynotify forget``."""
    parser.epilog = _EPILOG
    parser.add_argument("payment", metavar="MERCHANT/PAYMENT", help="payment's key on the result topic")
    parser.add_argument(
        "--since", metavar="TIME", help="start the search here (default: one hour before the payment's first event)"
    )
    add_operator_options(parser)
    parser.add_argument("--yes", action="store_true", help="delete the copies, and every older record beside them")


def run(arguments: argparse.Namespace) -> int:
    """Find the copies, and with ``--yes`` delete them. Exit code 1 if there are none, or one could not be deleted.

    Raises:
        ConfigurationError: an option is wrong, or a value can't be decrypted.
        ClusterUnavailableError: the cluster is not reachable, or refuses to delete.
    """
    configuration = load(arguments.config)
    merchant, payment = _target(arguments.payment, configuration)
    operator = operator_of(arguments.by, arguments.why)
    since = parse_time_option("--since", arguments.since)
    copies, planned, newest = _found(configuration, merchant, payment, since)
    possible = [one for one in planned if not one.unprocessed]
    if arguments.yes and (possible or newest is not None):
        intended = intention(
            "forget",
            operator,
            configuration.kafka,
            recorded_arguments(arguments, _RECORDED),
            merchant=merchant.id,
            payment_id=payment,
            planned=sum(one.copies for one in possible),
        )
        with ActionLog(configuration.kafka, intended) as log:
            if newest is not None:
                request_tombstone(configuration.kafka, newest)
                log.result[topics.LATEST] = f"event {newest.sequence}"
            _delete(configuration, possible)
            log.published = sum(one.copies for one in possible)
            log.result |= {f"{one.partition.topic}/{one.partition.partition}": f"before {one.end}" for one in possible}
    if arguments.json:
        print(orjson.dumps(_report(copies, planned, newest, deleted=arguments.yes)).decode())
    else:
        _print(copies, planned, newest, deleted=arguments.yes)
    if not copies and newest is None:
        print("No copies were found. Check the id, or search from an earlier time with --since.", file=sys.stderr)
    found = bool(copies) or newest is not None
    return 0 if found and not (arguments.yes and len(possible) < len(planned)) else 1


def _target(text: str, configuration: Configuration) -> tuple[Merchant, str]:
    merchant_id, _, payment = text.partition("/")
    if not merchant_id or not payment or len(payment) > MAX_ID_LENGTH:
        raise ConfigurationError("The payment must be named as MERCHANT/PAYMENT.")
    return find_merchant(configuration, merchant_id), payment


def _found(
    configuration: Configuration, merchant: Merchant, payment: str, since: datetime | None
) -> tuple[list[RawCopy], list[PartitionErasure], PaymentStatus | None]:
    kafka, provider = configuration.kafka, provider_of(merchant)
    raw = frozenset(kafka.topic(name) for name in topics.raw_topics())
    kept = {name: topic.retention_seconds for name, (topic, _, _) in configuration.wanted_topics().items()}
    with TopicReader(configuration) as reader:
        # before the topics' ends, so that what is processed meanwhile counts as not processed
        with admin(configuration) as client:
            committed = committed_offsets(client, processed_by(configuration, provider, reader.partitions))
        since_seconds = None if since is None else since.timestamp()
        found = PaymentSearch(reader, configuration, provider, merchant.id, payment, since_seconds).run()
        copies = raw_copies((*found.notifications, *found.rejected, *found.responses, *found.dead), raw, kept)
        held = reader.ranges(sorted({one.partition for one in copies}))
        newest = newest_event(reader, kafka, f"{merchant.id}/{payment}".encode())
    return copies, erasures(copies, held, committed), newest


def processed_by(
    configuration: Configuration, provider: str, partitions: Callable[..., list[TopicPartition]]
) -> dict[str, list[TopicPartition]]:
    """The groups of the stages that read raw topics, each with its partitions.

    ``partitions`` tells the present ones of topics. The cluster may have more than the configuration wants, and a
    partition without a group would count as read by no stage: its records would be deleted unprocessed.
    """
    return stage_groups(configuration.kafka, provider, ("verify", "interpret"), partitions)


def _delete(configuration: Configuration, planned: Sequence[PartitionErasure]) -> None:
    if not planned:
        return
    with admin(configuration) as client:
        try:
            client.delete_records({one.partition: one.end for one in planned})
        except KafkaError as error:
            raise ClusterUnavailableError(
                f"The brokers at {configuration.kafka.bootstrap_servers} did not delete the records "
                f"({type(error).__name__}). Grant DELETE on the raw topics to this user, and start again."
            ) from None


def _report(
    copies: Sequence[RawCopy], planned: Sequence[PartitionErasure], newest: PaymentStatus | None, *, deleted: bool
) -> dict[str, Any]:
    return {
        "copies": [
            {
                "topic": one.partition.topic,
                "partition": one.partition.partition,
                "offset": one.offset,
                "at": rfc3339(one.at),
                "kept_until": None if one.kept_until is None else rfc3339(one.kept_until),
            }
            for one in copies
        ],
        "partitions": [
            {
                "topic": one.partition.topic,
                "partition": one.partition.partition,
                "before": one.end,
                "copies": one.copies,
                "others": one.others,
                "unprocessed": one.unprocessed,
                "deleted": deleted and not one.unprocessed,
            }
            for one in planned
        ],
        "latest": None if newest is None else {"sequence": newest.sequence, "removed": deleted},
        "audit_from": _audit_from(copies, planned),
    }


def _audit_from(copies: Sequence[RawCopy], planned: Sequence[PartitionErasure]) -> str | None:
    """The time from which on an audit finds everything, once the copies are deleted."""
    going = {one.partition for one in planned if not one.unprocessed}
    newest = max((one.at for one in copies if one.partition in going), default=None)
    return None if newest is None else rfc3339(newest + timedelta(seconds=1))


def _print(
    copies: Sequence[RawCopy], planned: Sequence[PartitionErasure], newest: PaymentStatus | None, *, deleted: bool
) -> None:
    rows = [
        (
            f"{one.partition.topic}/{one.partition.partition}/{one.offset}",
            rfc3339(one.at),
            "for ever" if one.kept_until is None else rfc3339(one.kept_until),
        )
        for one in copies
    ]
    print_table(rows, header=("copy", "written", "kept until"))
    for one in planned:
        place = f"{one.partition.topic}/{one.partition.partition}"
        if one.unprocessed:
            print(f"{place}: not deleted, since {one.unprocessed} records before {one.end} are not processed yet")
        else:
            verb = "deleted" if deleted else "--yes deletes"
            print(f"{place}: {verb} {one.copies} of this payment and {one.others} older records of others")
    if newest is not None:
        verb = "the workers remove" if deleted else "--yes removes"
        print(f"{topics.LATEST}: {verb} the newest event of this payment ({newest.status}, event {newest.sequence})")
    audit_from = _audit_from(copies, planned)
    if audit_from is not None:
        print(f"paynotify audit then misses what was deleted; audit with --since {audit_from} or later")
