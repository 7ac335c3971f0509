"""The operations of the console's API: one row for each path. The OpenAPI document is generated from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from paynotify.schemas.api.answers import OrderReport, PaymentAnswer
from paynotify.schemas.api.lists import (
    AttentionAnswer,
    DeadAnswer,
    FlowAnswer,
    OverdueAnswer,
    RejectedAnswer,
    SearchAnswer,
)
from paynotify.schemas.api.problems import NOT_FOUND, OF_EVERY_CALL, TOO_MANY_WAITING, ProblemKind
from paynotify.schemas.configuration.console_api import ApiScope
from paynotify.schemas.ids import MAX_ID_LENGTH
from paynotify.schemas.providers import provider_names
from paynotify.schemas.reasons import DEAD_REASONS, REJECT_REASONS

#: Where the API is on the console's port.
PREFIX: Final = "/api/v1"
MAX_ID_CHARACTERS: Final = MAX_ID_LENGTH
LEAST_SEARCH_CHARACTERS: Final = 3
MAX_VALUES: Final = 50
MAX_WAIT_SECONDS: Final = 60
MAX_SEQUENCE: Final = 2**53

_ID: Final = {"type": "string", "minLength": 1, "maxLength": MAX_ID_CHARACTERS}


@dataclass(frozen=True, slots=True)
class ApiParameter:
    """A parameter of an operation, in the path, the query or a header. ``schema`` is its JSON Schema."""

    name: str
    place: str
    meaning: str
    schema: Mapping[str, Any]
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiOperation:
    """What one path answers to GET.

    ``further`` are the statuses of answers without a body, each with its meaning. ``has_tag``: its answers have an
    entity tag.
    """

    name: str
    path: str
    scope: ApiScope
    summary: str
    description: str
    answer: type[msgspec.Struct]
    parameters: tuple[ApiParameter, ...] = ()
    problems: tuple[ProblemKind, ...] = ()
    further: tuple[tuple[int, str], ...] = ()
    has_tag: bool = False

    def all_problems(self) -> tuple[ProblemKind, ...]:
        return (*OF_EVERY_CALL, *self.problems)

    def query_names(self) -> frozenset[str]:
        """The query parameters that it takes."""
        return frozenset(one.name for one in self.parameters if one.place == "query")


def _path(name: str, meaning: str) -> ApiParameter:
    return ApiParameter(name, "path", meaning, _ID, required=True)


def _words(name: str, meaning: str, words: Iterable[str] | None = None) -> ApiParameter:
    """A filter, which may be given several times: any of its values is enough."""
    item = {"enum": sorted(words)} if words is not None else {"maxLength": MAX_ID_CHARACTERS}
    return ApiParameter(
        name, "query", meaning, {"type": "array", "maxItems": MAX_VALUES, "items": {"type": "string", **item}}
    )


_MERCHANT: Final = _path("merchant", "The merchant's id in the configuration.")
_PROVIDER: Final = _words("provider", "Only of these providers.", provider_names())
_TEXT: Final = {"type": "string", "maxLength": MAX_ID_CHARACTERS}
#: Of every list.
_LISTED: Final = (
    _words("merchant", "Only of these merchants."),
    ApiParameter("since", "query", "Only from this time on: RFC 3339, or an age such as `24h`.", _TEXT),
    ApiParameter("until", "query", "Only before this time.", _TEXT),
    ApiParameter("before", "query", "The `next` of the page before this one.", {"type": "string", "maxLength": 2048}),
)
_KEY: Final = _words("key", "Only of these transactions, each `MERCHANT/TRANSACTION`.")

OPERATIONS: Final = (
    ApiOperation(
        name="getOrder",
        path="/orders/{merchant}/{order_id}",
        scope="orders:read",
        summary="Has this order been paid?",
        description="One answer for a shop's back office: paid or not, what its goods may do, the amounts, and every "
        "payment and request. It is made from what the shop registered and the newest event of each payment.",
        answer=OrderReport,
        parameters=(_MERCHANT, _path("order_id", "The shop's id of the order, percent-encoded.")),
        problems=(NOT_FOUND,),
    ),
    ApiOperation(
        name="getPayment",
        path="/payments/{merchant}/{payment_id}",
        scope="payments:read",
        summary="A payment's newest event, or its next one",
        description="With `after_sequence` the call waits for an event that is newer, also for the first event of a "
        "payment that is not known yet, and answers as soon as the index has it.",
        answer=PaymentAnswer,
        parameters=(
            _MERCHANT,
            _path("payment_id", "The provider's id of the payment, percent-encoded."),
            ApiParameter(
                "after_sequence",
                "query",
                "The `sequence` that you have; 0 waits for the first event.",
                {"type": "integer", "minimum": 0, "maximum": MAX_SEQUENCE},
            ),
            ApiParameter(
                "wait_seconds",
                "query",
                "How long to wait, with `after_sequence` only.",
                {"type": "integer", "minimum": 0, "maximum": MAX_WAIT_SECONDS, "default": 0},
            ),
            ApiParameter(
                "If-None-Match",
                "header",
                "The `ETag` of the answer that you have.",
                _TEXT,
            ),
        ),
        problems=(NOT_FOUND, TOO_MANY_WAITING),
        further=(
            (204, "No newer event in that time. Ask again."),
            (304, "The newest event is the one that you have."),
        ),
        has_tag=True,
    ),
    ApiOperation(
        name="search",
        path="/search",
        scope="operations:read",
        summary="Everything with an id that begins with a text",
        description="Orders, payments, requests, notifications and dead letters; payments first.",
        answer=SearchAnswer,
        parameters=(
            ApiParameter(
                "q",
                "query",
                "The beginning of the id.",
                {"type": "string", "minLength": LEAST_SEARCH_CHARACTERS, "maxLength": MAX_ID_CHARACTERS},
                required=True,
            ),
        ),
    ),
    ApiOperation(
        name="getAttention",
        path="/attention",
        scope="operations:read",
        summary="What must be 0 on a good day",
        description="Each with how often it is the case, and since when.",
        answer=AttentionAnswer,
    ),
    ApiOperation(
        name="listRejected",
        path="/rejected",
        scope="operations:read",
        summary="Rejected notifications",
        description="The newest first. The same filters are options of `paynotify replay rejected`.",
        answer=RejectedAnswer,
        parameters=(
            _words("reason", "Only with these reasons.", REJECT_REASONS),
            _PROVIDER,
            _KEY,
            *_LISTED,
        ),
    ),
    ApiOperation(
        name="listDead",
        path="/dead",
        scope="operations:read",
        summary="Dead letters",
        description="The newest first. The same filters are options of `paynotify replay dead`.",
        answer=DeadAnswer,
        parameters=(
            _words("reason", "Only with these reasons.", DEAD_REASONS),
            _PROVIDER,
            _KEY,
            *_LISTED,
        ),
    ),
    ApiOperation(
        name="listOverdue",
        path="/overdue",
        scope="operations:read",
        summary="Overdue orders",
        description="The newest first; by default those that are raised.",
        answer=OverdueAnswer,
        parameters=(
            _words("state", "`raised`, or `cleared` since.", ("raised", "cleared")),
            _PROVIDER,
            _words("reason", "`settlement`: only the bank's money is missing.", ("settlement", "none")),
            *_LISTED,
        ),
    ),
    ApiOperation(
        name="getFlow",
        path="/flow",
        scope="operations:read",
        summary="How records flow through the stages",
        description="Each stage's rate, lag and oldest record, measured every few seconds, and the news of money.",
        answer=FlowAnswer,
    ),
)
