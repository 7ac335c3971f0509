"""What the console's API tells operators: what a search finds, what must be 0 on a good day, and pages of lists."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from paynotify.schemas.times import TimeText

_CURSOR = Meta(description="Give it as `before` to get the next page; null: this is the last one.")
_PAGE = Meta(description="At most 50 items.")
_PARTITION = Meta(description="The record's partition.")
_OFFSET = Meta(description="The record's offset.")
_MERCHANT = Meta(description="The merchant; empty where it is not known.")


class SearchHitItem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing with an id that begins with the text."""

    kind: Annotated[str, Meta(description="What it is: `payments`, `expected`, `requests`, `rejected` and so on.")]
    merchant: Annotated[str, _MERCHANT]
    order_id: Annotated[str | None, Meta(description="The shop's id of the order.")]
    payment_id: Annotated[str | None, Meta(description="The provider's id of the payment or transaction.")]
    other_id: Annotated[str | None, Meta(description="The id of the request, notification or record.")]
    state: Annotated[str | None, Meta(description="Its status, state or reason.")]


class SearchAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What was found: payments first, at most 50 of each kind."""

    items: Annotated[tuple[SearchHitItem, ...], Meta(description="What was found.")]


class AttentionAnswerItem(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is 0 on a good day."""

    title: Annotated[str, Meta(description="What it is.")]
    page: Annotated[str, Meta(description="The console's page that lists it, a path with a query.")]
    count: Annotated[int, Meta(description="How often it is the case.")]
    since: Annotated[str | None, Meta(description="The time of the oldest; null: there is none.")]


class AttentionAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What must be 0 on a good day."""

    good: Annotated[bool, Meta(description="Whether all of it is 0.")]
    items: Annotated[tuple[AttentionAnswerItem, ...], Meta(description="Each of it.")]


class RejectedItem(msgspec.Struct, frozen=True, kw_only=True):
    """A notification that caused no lookup."""

    notification_id: Annotated[str, Meta(description="Its id.")]
    provider: Annotated[str, Meta(description="The provider whose URL was called.")]
    merchant: Annotated[str, _MERCHANT]
    transaction_id: Annotated[str, Meta(description="The transaction that it claims to be of.")]
    reason: Annotated[str, Meta(description="Why it was rejected.")]
    received_at: Annotated[str, Meta(description="When it was received.")]
    at: Annotated[TimeText, Meta(description="When it was rejected.")]
    partition: Annotated[int, _PARTITION]
    offset: Annotated[int, _OFFSET]


class RejectedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the rejected notifications, the newest first."""

    items: Annotated[tuple[RejectedItem, ...], _PAGE]
    next: Annotated[str | None, _CURSOR]


class DeadItem(msgspec.Struct, frozen=True, kw_only=True):
    """A record whose processing ended without a result."""

    record_id: Annotated[str, Meta(description="The id of the record that was given up.")]
    topic: Annotated[str, Meta(description="The topic it was on.")]
    provider: Annotated[str, Meta(description="The provider it is about; `all` for topics that several share.")]
    merchant: Annotated[str, _MERCHANT]
    transaction_id: Annotated[str, Meta(description="The transaction it is about.")]
    reason: Annotated[str, Meta(description="Why it was given up.")]
    attempts: Annotated[int | None, Meta(description="How often it was tried.")]
    first_seen: Annotated[str, Meta(description="When it was tried first, where that is known.")]
    at: Annotated[TimeText, Meta(description="When it was dead-lettered.")]
    partition: Annotated[int, _PARTITION]
    offset: Annotated[int, _OFFSET]


class DeadAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the dead letters, the newest first."""

    items: Annotated[tuple[DeadItem, ...], _PAGE]
    next: Annotated[str | None, _CURSOR]


class OverdueItem(msgspec.Struct, frozen=True, kw_only=True):
    """An order whose payment was not final in time."""

    merchant: Annotated[str, _MERCHANT]
    order_id: Annotated[str, Meta(description="The shop's id of the order.")]
    state: Annotated[str, Meta(description="`raised`, or `cleared` once it is final.")]
    provider: Annotated[str, Meta(description="The provider's name.")]
    payment_id: Annotated[str | None, Meta(description="Its newest payment, if the provider has reported any.")]
    status: Annotated[str | None, Meta(description="That payment's status.")]
    reason: Annotated[str | None, Meta(description="`settlement`: only the bank's money is missing.")]
    final_by: Annotated[str, Meta(description="When it was to be final.")]
    at: Annotated[TimeText, Meta(description="When it became overdue, or when what cleared it was observed.")]


class OverdueAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the overdue orders, the newest first."""

    items: Annotated[tuple[OverdueItem, ...], _PAGE]
    next: Annotated[str | None, _CURSOR]


class FlowStepItem(msgspec.Struct, frozen=True, kw_only=True):
    """One stage of a provider, or of all providers."""

    name: Annotated[str, Meta(description="The step's name, such as `fetch.nevogate`.")]
    stage: Annotated[str, Meta(description="The stage.")]
    provider: Annotated[str, Meta(description="The provider; empty for a stage of all of them.")]
    state: Annotated[str, Meta(description="One word: `idle`, `flowing`, `busy`, `late`, `stands still`, `unknown`.")]
    lag: Annotated[int, Meta(description="Records that are not processed.")]
    waiting: Annotated[int, Meta(description="Records that wait until they are tried again.")]
    oldest_seconds: Annotated[float | None, Meta(description="The age of the oldest record that is not processed.")]
    rate: Annotated[
        float | None,
        Meta(description="Records processed per second; null: not known yet, or the token sees some merchants only."),
    ]


class FlowMoneyItem(msgspec.Struct, frozen=True, kw_only=True):
    """The news of money of one provider."""

    provider: Annotated[str, Meta(description="The provider.")]
    taken_at: Annotated[TimeText | None, Meta(description="When money was last taken.")]
    given_back_at: Annotated[TimeText | None, Meta(description="When money last went back.")]
    silent_since: Annotated[TimeText | None, Meta(description="Since when it reports none of the expected payments.")]


class FlowAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """How records flow through the stages."""

    sampled_at: Annotated[TimeText | None, Meta(description="When it was measured; null: not yet.")]
    problem: Annotated[str, Meta(description="Why it is not measured; empty: it is.")]
    steps: Annotated[tuple[FlowStepItem, ...], Meta(description="The stages that have been measured.")]
    money: Annotated[tuple[FlowMoneyItem, ...], Meta(description="The news of money, by provider.")]
