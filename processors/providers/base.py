"""What a provider's module offers to the stages, and nothing more.

A stage never asks which provider it works for. It calls, in the order of the flow:

1. ``parse``      a notification's bytes into a claim, without secrets
2. ``verify``     the claim's authenticity, without network
3. ``plan``       the lookup the claim causes
4. ``calls``      how waiting lookups are gathered into provider calls
5. ``fetch``      one provider call; every raw answer is stored before anything else happens with it
6. ``interpret``  a stored answer into observations

Everything that is a number or a table (windows, ladders, reasons) is in ``policy``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal, Protocol

import httpx

from schemas.configuration.merchants import Merchant
from schemas.configuration.secrets import Secret
from schemas.messages import Answered as AnsweredLookup
from schemas.messages import Lookup, Observation
from schemas.reasons import DeadReason

Authenticity = Literal["authentic", "unsigned"]


@dataclass(frozen=True, slots=True)
class Notification:
    """One webhook call as stored: raw body, the facts of the request, and when it was received."""

    notification_id: str
    provider: str
    merchant: str
    method: str
    query: str
    content_type: str
    body: bytes
    received_at: datetime
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class ParsedNotification:
    """What a notification says, parsed but not believed.

    ``duplicate_key`` is equal for copies of one delivery, or none where every call must be answered.
    ``alert`` names a message about the service rather than a payment. ``detail`` is the provider module's own.
    """

    reference: str | None
    duplicate_key: bytes | None
    detail: Any
    alert: str | None = None


@dataclass(frozen=True, slots=True)
class WaitingLookup:
    """A lookup as it lies on the topic: with its id, its trace and what has been tried."""

    lookup_id: str
    lookup: Lookup
    traceparent: str
    attempts: int
    first_seen: datetime

    def as_answered(self) -> AnsweredLookup:
        """How a response names this lookup."""
        return AnsweredLookup(
            lookup_id=self.lookup_id,
            reference=self.lookup.reference,
            received_at=self.lookup.received_at,
            traceparent=self.traceparent,
        )


@dataclass(frozen=True, slots=True)
class Call:
    """Lookups that one provider call serves. Calls of one lane run one after the other, lanes side by side."""

    lane: str
    lookups: tuple[WaitingLookup, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """A raw answer as received. ``reference`` is none where it serves many transactions."""

    body: bytes
    content_type: str
    http_status: int
    received_at: datetime
    reference: str | None
    answers: tuple[WaitingLookup, ...]
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Response:
    """A stored answer, as ``interpret`` gets it. ``facts`` are the record's headers the module wrote itself.

    ``received_at`` is by the brokers' clock, which all workers share; ``behind`` is how far the clock of the worker
    that asked was behind it (ahead, if negative).
    """

    merchant: str
    body: bytes
    content_type: str
    http_status: int
    received_at: datetime
    reference: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    behind: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The lookup is answered by a stored response.

    ``again`` asks for the same lookup once more later (the answer was not conclusive), ``follow_ups`` for further
    references to be looked up, such as a refund's parent.
    """

    again: DeadReason | None = None
    follow_ups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RetryLater:
    """Not answered; try again after the delay the retry policy chooses."""

    reason: DeadReason
    detail: str
    retry_after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """Not answered, and trying again would not help."""

    reason: DeadReason
    detail: str


LookupOutcome = Succeeded | RetryLater | Failed

#: Stores a raw answer; returns once the brokers have it.
Store = Callable[[Answer], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Policy:
    """The provider's numbers. ``retries`` says for each reason how many tries follow the first.

    ``recovers_rarely`` for one that wants to be asked without a notification as rarely as can be.
    """

    retries: Mapping[DeadReason, int]
    remembers_answered: bool = False
    unsigned: bool = False
    recovers_rarely: bool = False
    answered_window_seconds: float = 3600.0


class MerchantSecrets(Protocol):
    """The secrets of one merchant by the configuration's key, e.g. ``signing_keys``."""

    def __getitem__(self, name: str) -> tuple[Secret, ...]: ...


@dataclass(frozen=True, slots=True)
class Account:
    """One merchant with its secrets at hand."""

    merchant: Merchant
    secrets: MerchantSecrets


def no_recovery(merchant: str) -> float:
    """No budget at all: every recovery call must wait."""
    return 3600.0


@dataclass(frozen=True, slots=True)
class CallContext:
    """What a fetch may use: the HTTP client, the limits, and the clock.

    ``recovery`` charges a merchant's budget of calls that the provider only wants to see rarely; it returns how many
    seconds such a call must wait, and charges nothing unless that is zero. ``pace`` is held around a merchant's call.
    """

    http: httpx.AsyncClient
    now: Callable[[], datetime]
    answer_bytes: int
    timeout_seconds: float
    transactions_per_query: int
    pace: Callable[[str], AbstractAsyncContextManager[None]]
    recovery: Callable[[str], float] = no_recovery


class Provider(Protocol):
    """One payment service provider."""

    name: str
    policy: Policy

    def parse(self, notification: Notification, account: Account) -> ParsedNotification:
        """The notification's claim. Uses the account's settings, never its secrets.

        Raises:
            RejectedNotificationError: malformed, unexpected_field, unknown_event, missing_signature.
        """

    def verify(self, claim: ParsedNotification, notification: Notification, account: Account) -> Authenticity:
        """Judge the claim with every secret that is valid now, in constant time.

        Raises:
            RejectedNotificationError: bad_signature, expired_token, malformed.
        """

    def plan(self, claim: ParsedNotification, notification: Notification) -> Lookup:
        """The lookup this claim causes. Only ids needed to ask go into it (G3)."""

    def calls(self, lookups: Sequence[WaitingLookup], outside: CallContext) -> Iterable[Call]:
        """Gather one merchant's waiting lookups into calls."""

    async def fetch(
        self, call: Call, account: Account, outside: CallContext, store: Store
    ) -> Mapping[str, LookupOutcome]:
        """Make one call; the outcome of each of its lookups by lookup id.

        Raises:
            RetryableError: for all lookups of the call.
            PermanentError: for all lookups of the call.
        """

    def interpret(self, response: Response, account: Account) -> tuple[Observation, ...]:
        """What the answer says, payment by payment.

        Raises:
            UnreadableError: the answer can't be understood or trusted.
        """


SECRET_FIELDS: Final = (
    "signing_keys",
    "refresh_token",
    "notification_passwords",
    "password",
    "api_key",
    "url_tokens",
)


def account_of(merchant: Merchant, needed: Collection[str] = SECRET_FIELDS) -> Account:
    """A merchant's account. Its secrets are read now, so that a wrong path is found at the start, and again later.

    Where only those of the keys ``needed`` are used, the others need not be there.

    Raises:
        SecretError: one of them can't be read.
    """
    opened: dict[str, tuple[Secret, ...]] = {}
    for name in SECRET_FIELDS:
        reference = getattr(merchant, name, None)
        if reference is not None:
            references = reference if isinstance(reference, tuple) else (reference,)
            opened[name] = tuple(Secret(one) for one in references)
            for secret in opened[name] if name in needed else ():
                secret.reveal()
    return Account(merchant, opened)
