"""What the console's API tells operators: what a search finds, and what must be 0 on a good day."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

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
