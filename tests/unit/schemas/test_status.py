"""What a warehouse may do; topics and reasons as tables."""

from __future__ import annotations

import inspect
from typing import get_args

import pytest

from paynotify.schemas import errors, reasons
from paynotify.schemas.status import FINAL, HOLD, Fulfilment, Status, fulfilment
from paynotify.schemas.topics import all_topics

STATUSES: tuple[Status, ...] = get_args(Status)


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("amounts_match", [True, False])
def test_captured_money_in_the_right_amount_releases_goods_and_none_else(status: Status, amounts_match: bool) -> None:
    allowed = fulfilment(status, amounts_match=amounts_match)
    assert allowed in get_args(Fulfilment)
    assert (allowed == "release") == (status in {"captured", "partially_refunded"} and amounts_match)
    assert (allowed == "stop") == (status in FINAL - {"captured", "partially_refunded"})


@pytest.mark.parametrize("status", STATUSES)
def test_secured_money_releases_goods_only_while_it_is_authorised(status: Status) -> None:
    allowed = fulfilment(status, amounts_match=False, secured=True)
    assert (allowed == "release") == (status == "authorised")


@pytest.mark.parametrize("status", STATUSES)
def test_full_refund_under_way_releases_nothing(status: Status) -> None:
    assert fulfilment(status, amounts_match=True, secured=True, refunding_all=True) != "release"


@pytest.mark.parametrize("status", STATUSES)
def test_withdrawn_payment_stops_goods_that_were_released(status: Status) -> None:
    before = fulfilment(status, amounts_match=True)
    after = fulfilment(status, amounts_match=True, withdrawn=True)
    assert (after == before) or (status in {"suspended", "unknown"} and (before, after) == ("hold", "stop"))
    assert (after == "stop") >= (status in {"suspended", "unknown", "declined", "cancelled", "expired", "failed"})


def test_status_waits_or_is_final() -> None:
    assert set(STATUSES) == FINAL | HOLD
    assert not FINAL & HOLD


def test_topics_are_named_once_and_follow_topics_that_exist() -> None:
    names = [topic.name for topic in all_topics()]
    assert len(set(names)) == len(names)
    assert {topic.follows for topic in all_topics()} - {None} <= set(names)


def test_topics_that_must_never_lose_a_record_are_retained_for_ever() -> None:
    kept = {topic.name for topic in all_topics() if topic.retention_seconds is None}
    results = {"payments.status", "payments.latest", "payments.requests"}
    assert kept == {*results, "paynotify.resolve-state-changelog", "deliveries.state"}
    policies = {topic.name: topic.kafka_settings()["cleanup.policy"] for topic in all_topics()}
    assert policies["payments.status"] == "delete"
    assert policies["payments.latest"] == "compact"
    assert policies["paynotify.verify.trustpayments-state-changelog"] == "compact,delete"


def test_rejected_records_fit_into_the_topics_they_go_to() -> None:
    # a record with its added headers that is too large for the topic would be sent again for ever
    sizes = {topic.name: int(topic.kafka_settings().get("max.message.bytes", 1_048_588)) for topic in all_topics()}
    for provider in ("omnikassa", "trustpayments", "nevogate"):
        assert sizes["notifications.rejected"] > sizes[f"notifications.{provider}"]
        assert sizes["notifications.alerts"] > sizes[f"notifications.{provider}"]
        assert sizes["lookups.dead"] >= sizes[f"responses.{provider}"]


def test_error_is_in_the_tree() -> None:
    kinds = [one for _, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, Exception)]
    assert all(issubclass(one, errors.PaynotifyError) for one in kinds)
    assert issubclass(errors.SecretError, errors.ConfigurationError)
    assert issubclass(errors.ClusterError, errors.ConfigurationError)
    assert not issubclass(errors.ClusterUnavailableError, errors.ConfigurationError)


def test_reasons_are_words() -> None:
    for reason in reasons.REJECT_REASONS + reasons.DEAD_REASONS:
        assert reason.replace("_", "").isalpha()
