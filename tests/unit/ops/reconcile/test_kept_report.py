"""The report that a run keeps: bounded, without texts from outside other than ids, and no error if it can't be kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

import pytest

from paynotify.ops.common.operator import Operator
from paynotify.ops.common.topic_reader import TopicReader
from paynotify.ops.reconcile import kept_report as module
from paynotify.ops.reconcile.compare import PaymentDifference, PaymentEntry, Period
from paynotify.ops.reconcile.kept_report import keep, kept_report
from paynotify.ops.reconcile.repair import RepairPlan
from paynotify.ops.reconcile.report import ReconcileReport
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.errors import ClusterUnavailableError
from paynotify.schemas.messages import MAX_DIFFERENCES, Reconciliation, decode, encode
from paynotify.schemas.money import Money
from paynotify.schemas.records import Output
from tests.fakes.accounts import account
from tests.fakes.brokers import RecordingBrokers

START: Final = datetime(2026, 11, 22, tzinfo=UTC)
JO: Final = Operator(by="jo", identity="named", os_user="root", reason="CASE-7")
KAFKA: Final = KafkaSettings(topic_prefix="p.")
BROKER_BYTES: Final = 1_000_000


def difference(payment_id: str, order_id: str = "O1") -> PaymentDifference:
    there = PaymentEntry(
        payment_id=payment_id, order_id=order_id, status="captured", amount=Money(1050, "GBP"), where="line 7"
    )
    return PaymentDifference(kind="missing_here", payment_id=payment_id, order_id=order_id, here=None, there=there)


def report(differences: Sequence[PaymentDifference] = (), **more: Any) -> ReconcileReport:
    return ReconcileReport(
        merchant=account("trustpayments").merchant,
        period=Period(start=START, end=START + timedelta(days=1), slack=timedelta(minutes=15), now=START),
        source="export",
        compared=5,
        too_new=1,
        differences=differences,
        unreadable=["1-1-2: Jane Roe's refund names no payment"],
        **more,
    )


def kept(one: ReconcileReport) -> Reconciliation:
    return kept_report(one, JO, "tools")


def test_report_says_what_was_compared_and_who_did_it() -> None:
    found = kept(report([difference("57-9-1")]))
    assert (found.merchant, found.provider, found.source) == ("shop", "trustpayments", "export")
    assert (found.start, found.slack_seconds) == ("2026-11-22T00:00:00.000Z", 900)
    assert (found.compared, found.too_new, found.unreadable, found.kinds) == (5, 1, 1, {"missing_here": 1})
    assert (found.by, found.identity, found.os_user, found.kafka_user, found.reason) == (
        *("jo", "named", "root", "tools", "CASE-7"),
    )
    (one,) = found.differences
    assert (one.payment_id, one.here, one.there and one.there.amount) == ("57-9-1", None, Money(1050, "GBP"))


def test_texts_from_outside_are_counted_and_not_kept() -> None:
    text = encode(kept(report([difference("57-9-1")])))
    assert b"Jane" not in text
    assert b"line 7" not in text


def test_report_fits_into_a_record_however_much_differs() -> None:
    found = kept(report([difference("\U0001f600" * 900, "\U0001f600" * 900)] * 5000))
    assert (len(found.differences), found.differences_total) == (MAX_DIFFERENCES, 5000)
    assert len(encode(found)) < BROKER_BYTES


@pytest.mark.parametrize(("sent", "state"), [(None, "listed"), (0, "queued"), (1, "queued")])
def test_repair_is_listed_until_its_lookups_are_queued(sent: int | None, state: str) -> None:
    found = kept(report(plan=RepairPlan(left_out=Counter({"already queued today": 2})), sent=sent))
    assert (found.repair, found.queued, found.left_out) == (state, sent or 0, {"already queued today": 2})
    assert kept(report()).repair == "none"


class _Topics:
    """Stands for the reader: it knows which topics this user sees."""

    def __init__(self, *names: str) -> None:
        self._names = names

    def partition_count(self, topic: str) -> int:
        return int(topic in self._names)


class _Refusing(RecordingBrokers):
    def send(self, output: Output) -> None:
        raise ClusterUnavailableError("The brokers did not acknowledge the report of this run.")


def _keep(monkeypatch: pytest.MonkeyPatch, brokers: RecordingBrokers, *names: str) -> bool:
    monkeypatch.setattr(module, "RecordSender", brokers)
    return keep(kept(report()), KAFKA, cast(TopicReader, _Topics(*names)))


def test_report_is_written_to_its_topic_by_merchant(monkeypatch: pytest.MonkeyPatch) -> None:
    brokers = RecordingBrokers()
    assert _keep(monkeypatch, brokers, "p.reconciliations")
    (sent,) = brokers.sent
    assert (sent.topic, sent.key) == ("p.reconciliations", b"shop")
    assert dict(sent.headers)["ce_type"] == b"payment.reconciliation.ended.v1"
    assert decode(sent.value, Reconciliation).merchant == "shop"


def test_missing_topic_is_warned_of_and_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    brokers = RecordingBrokers()
    assert not _keep(monkeypatch, brokers)
    assert brokers.sent == []
    assert "topics apply" in capsys.readouterr().err


def test_refused_report_is_warned_of_and_no_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not _keep(monkeypatch, _Refusing(), "p.reconciliations")
    assert "the report of this run is not kept" in capsys.readouterr().err
