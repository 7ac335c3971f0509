"""Compares the two sides of a period and plans the lookups that repair what differs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from paynotify.ops.common.topic_reader import TopicReader
from paynotify.ops.reconcile.compare import (
    AFTER_CAPTURE,
    OwnPayments,
    PaymentDifference,
    PaymentEntry,
    Period,
    compare,
    count_too_new,
)
from paynotify.ops.reconcile.repair import RepairPlan, leave_out_queued, plan_repair
from paynotify.ops.reconcile.sources import ProviderList, read_own_payments
from paynotify.processors.providers.account import open_account
from paynotify.processors.providers.payment_list import PaymentLister, PaymentReference
from paynotify.processors.providers.registry import provider_specs
from paynotify.schemas.configuration.merchants import Merchant, provider_of
from paynotify.schemas.configuration.model import Configuration


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What differs between our payments and theirs. ``is_listed`` is whether theirs are the provider's own list."""

    merchant: Merchant
    period: Period
    is_listed: bool
    compared: int
    too_new: int
    differences: Sequence[PaymentDifference]
    unreadable: Sequence[str] = ()


def lister_of(merchant: Merchant) -> PaymentLister | None:
    """What reads the list of the merchant's provider; None if it has no list."""
    return provider_specs()[provider_of(merchant)].lister


def compared(
    reader: TopicReader,
    configuration: Configuration,
    merchant: Merchant,
    period: Period,
    exported: list[PaymentEntry] | None,
    per_second: float,
) -> Comparison:
    """The comparison with the shop's export, or with the provider's list if there is none.

    Raises:
        ConfigurationError: the provider's list cannot be read.
        ClusterUnavailableError: the topics cannot be read.
    """
    if exported is None:
        there, here, unreadable = _listed(reader, configuration, merchant, period, per_second)
    else:
        there, here = exported, read_own_payments(reader, configuration, merchant.id, period)
        unreadable = []
    return Comparison(
        merchant=merchant,
        period=period,
        is_listed=exported is None,
        compared=sum(period.contains(one.at) for one in there),
        too_new=count_too_new(there, here, period),
        differences=compare(there, here, period),
        unreadable=unreadable,
    )


def repair_of(found: Comparison, reader: TopicReader, configuration: Configuration) -> RepairPlan:
    """The lookups that repair the differences, without those that were queued today or exceed the hour's quota."""
    plan = plan_repair(found.merchant, found.differences, found.period.now, listed=found.is_listed)
    leave_out_queued(plan, reader, configuration, found.merchant, found.period.now)
    return plan


def _listed(
    reader: TopicReader, configuration: Configuration, merchant: Merchant, period: Period, per_second: float
) -> tuple[list[PaymentEntry], OwnPayments, Sequence[str]]:
    """The provider's payments and ours. Payments on which the list is inconclusive are queried one by one."""
    lister = lister_of(merchant)
    assert lister is not None
    provider_list = ProviderList(configuration, open_account(merchant), lister, per_second)
    provider_list.read(period)
    here = read_own_payments(reader, configuration, merchant.id, period)
    provider_list.query(
        [
            PaymentReference(one.payment_id, one.order_id)
            for one in compare(provider_list.entries(), here, period)
            if one.payment_id is not None and _is_inconclusive(one)
        ]
    )
    return provider_list.entries(), here, provider_list.unreadable


def _is_inconclusive(difference: PaymentDifference) -> bool:
    """Whether a list that ends with the period may cause the difference."""
    here = difference.here
    if difference.kind == "missing_there":
        return True  # the payment may have started before the period and been reported late
    refunded = here is not None and here.status in AFTER_CAPTURE
    return difference.kind == "other_status" and refunded  # the refund may be later than the period
