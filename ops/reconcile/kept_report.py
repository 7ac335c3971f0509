"""Keeps what a run found on the topic ``reconciliations``, where the console and others find it later."""

from __future__ import annotations

import sys
from typing import Final

from paynotify.ops.common.operator import Operator
from paynotify.ops.common.record_sender import RecordSender
from paynotify.ops.common.topic_reader import TopicReader
from paynotify.ops.reconcile.compare import PaymentDifference, PaymentEntry, by_kind
from paynotify.ops.reconcile.report import ReconcileReport
from paynotify.schemas import topics
from paynotify.schemas.cloudevents import EventHeaders
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.configuration.merchants import provider_of
from paynotify.schemas.errors import ClusterUnavailableError
from paynotify.schemas.ids import MAX_ID_LENGTH, time_ordered_id
from paynotify.schemas.messages import (
    MAX_DIFFERENCES,
    RECONCILIATION_ENDED,
    ReconciledDifference,
    ReconciledEntry,
    Reconciliation,
    RepairState,
    encode,
)
from paynotify.schemas.records import Output
from paynotify.schemas.times import rfc3339
from paynotify.schemas.traceparent import new_traceparent

_SOURCE: Final = "/paynotify/reconcile"
_BLOCK_SECONDS: Final = 15.0
_NOT_KEPT: Final = "warning: the report of this run is not kept"


def kept_report(report: ReconcileReport, operator: Operator, kafka_user: str | None) -> Reconciliation:
    """The report as it is kept: bounded, and without texts of the provider or of the export other than ids."""
    plan = report.plan
    repair: RepairState = "none" if plan is None else "listed" if report.sent is None else "queued"
    return Reconciliation(
        event_id=time_ordered_id(),
        merchant=report.merchant.id,
        provider=provider_of(report.merchant),
        start=rfc3339(report.period.start),
        end=rfc3339(report.period.end),
        slack_seconds=round(report.period.slack.total_seconds()),
        source=report.source,
        compared=report.compared,
        differences_total=len(report.differences),
        by=operator.by,
        identity=operator.identity,
        at=rfc3339(),
        too_new=report.too_new,
        unreadable=len(report.unreadable),
        kinds={kind: count for kind, count in by_kind(report.differences).items() if count},
        differences=tuple(map(_difference, report.differences[:MAX_DIFFERENCES])),
        repair=repair,
        lookups=len(plan.lookups) if plan is not None else 0,
        queued=report.sent or 0,
        left_out=dict(sorted(plan.left_out.items())) if plan is not None else {},
        action_id=report.action_id,
        os_user=operator.os_user,
        kafka_user=kafka_user,
        reason=operator.reason,
    )


def keep(kept: Reconciliation, kafka: KafkaSettings, reader: TopicReader) -> bool:
    """Write the report to its topic; whether the brokers acknowledged it. If not, a warning says so.

    The run is over and its result is printed, so a report that can't be kept is no error: whoever may only read still
    compares.
    """
    topic = kafka.topic(topics.RECONCILIATIONS)
    if not reader.partition_count(topic):  # a producer would wait for it
        print(f"{_NOT_KEPT}: this user sees no topic {topic} (paynotify topics apply makes it)", file=sys.stderr)
        return False
    try:
        write_report(kept, kafka)
    except ClusterUnavailableError as error:
        print(f"{_NOT_KEPT}. {error}", file=sys.stderr)
        return False
    return True


def write_report(kept: Reconciliation, kafka: KafkaSettings) -> None:
    """Write the report to its topic.

    Raises:
        ClusterUnavailableError: the brokers did not acknowledge it.
    """
    topic, key = kafka.topic(topics.RECONCILIATIONS), kept.merchant.encode()
    make_headers = EventHeaders(kafka.events, _SOURCE, RECONCILIATION_ENDED)
    headers = make_headers(kept.event_id, kept.at, key, traceparent=new_traceparent())
    with RecordSender(
        kafka,
        client_id="paynotify-reconcile",
        what="the report of this run",
        remedy=f"this user may write to {topic}",
        block_seconds=_BLOCK_SECONDS,
    ) as sender:
        sender.send(Output(topic, key, encode(kept), headers))


def _difference(one: PaymentDifference) -> ReconciledDifference:
    return ReconciledDifference(
        kind=one.kind,
        payment_id=_cut(one.payment_id),
        order_id=_cut(one.order_id),
        here=_entry(one.here),
        there=_entry(one.there),
    )


def _entry(entry: PaymentEntry | None) -> ReconciledEntry | None:
    return None if entry is None else ReconciledEntry(status=entry.status, amount=entry.amount, paid=entry.paid)


def _cut(text: str | None) -> str | None:
    return text if text is None else text[:MAX_ID_LENGTH]
