"""The protocol between the stages and a provider.

A stage never asks which provider it works for. It calls, in the order of the flow:

1. ``parse``      a notification's bytes, without secrets
2. ``verify``     the parsed notification's authenticity, without network
3. ``plan``       the lookup that the notification causes
4. ``calls``      how waiting lookups are grouped into provider calls
5. ``fetch``      one provider call; every raw response is stored before anything else happens with it
6. ``interpret``  a stored response into observations

Everything that is a number or a table (windows, schedules, reasons) is in the contract and in ``policy``. What is made
for each notification is a `msgspec.Struct`: a frozen dataclass takes several times as long to make.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol, TypeVar

import httpx
import msgspec

from paynotify.processors.providers.account import Account
from paynotify.processors.providers.outcomes import LookupOutcome
from paynotify.processors.transport.brokers_clock import BrokersClock
from paynotify.schemas.configuration.merchants import Merchant
from paynotify.schemas.messages import Answered as AnsweredLookup
from paynotify.schemas.messages import Lookup, Observation
from paynotify.schemas.reasons import AlertKind, DeadReason, NotificationWarning, ResponseWarning

T = TypeVar("T")

Authenticity = Literal["authentic", "unsigned"]


class Notification(msgspec.Struct, frozen=True, gc=False):
    """One webhook call as stored: raw body, the facts of the request, and when it was received.

    ``received_at`` is by the clock of the ingress, ``stored_at`` by the brokers', when they first stored it; None where
    no broker has. ``headers`` are those of the request that the provider's route stores, with names in lower case.
    """

    notification_id: str
    provider: str
    merchant: str
    method: str
    query: str
    content_type: str
    body: bytes
    received_at: datetime
    traceparent: str = ""
    stored_at: datetime | None = None
    headers: Mapping[str, str] = {}

    @property
    def came_at(self) -> datetime:
        """When it came, by the clock that all processes share, or else by the one that received it."""
        return self.stored_at or self.received_at


#: Whether what an alert is about has begun or is over.
AlertState = Literal["raised", "over"]


class ProviderAlert(msgspec.Struct, frozen=True, gc=False):
    """A message about the service rather than a payment: its name at the provider, its kind, and its state."""

    name: str
    kind: AlertKind = "other"
    state: AlertState = "raised"


class ParsedNotification(msgspec.Struct, frozen=True, gc=False):
    """What a notification says, parsed but not verified.

    ``duplicate_key`` is equal for copies of one delivery, None where every call must cause a lookup. ``alert`` is set
    for a message about the service rather than a payment. ``detail`` is only for the provider itself. ``warnings`` are
    what is odd about it and no reason to reject it.
    """

    reference: str | None
    duplicate_key: bytes | None
    detail: Any
    alert: ProviderAlert | None = None
    warnings: tuple[NotificationWarning, ...] = ()


class WaitingLookup(msgspec.Struct, frozen=True, gc=False):
    """A lookup as it lies on the topic: with its id, its trace, its past attempts, and when it was first seen.

    ``known``: verify knew already that the provider knows the id.
    """

    lookup_id: str
    lookup: Lookup
    traceparent: str
    attempts: int
    first_seen: datetime
    known: bool = False

    def as_answered(self) -> AnsweredLookup:
        """How a response names this lookup."""
        return AnsweredLookup(
            lookup_id=self.lookup_id,
            reference=self.lookup.reference,
            received_at=self.lookup.received_at,
            traceparent=self.traceparent,
        )


class Call(msgspec.Struct, frozen=True, gc=False):
    """Lookups that one provider call serves. Calls of one queue run one after the other, queues side by side.

    ``asks`` is False where the provider is not asked, since the notification itself holds the response.
    """

    queue: str
    lookups: tuple[WaitingLookup, ...]
    asks: bool = True

    def all_end_as(self, outcome: T) -> dict[str, T]:
        """The same outcome for each of its lookups, by lookup id."""
        return dict.fromkeys((one.lookup_id for one in self.lookups), outcome)


class ProviderResponse(msgspec.Struct, frozen=True, gc=False):
    """A provider's complete response: as received, as stored, and as ``interpret`` gets it.

    ``body`` is decoded from its content encoding; where it could not be, it is as received and ``content_encoding``
    names its encoding. ``complete`` is False where only a beginning was received. ``reference`` is the provider's id of
    what the response is about, None where it serves many. ``facts`` are what only the provider itself understands; they
    are stored as headers.
    What the response says was true at some moment from ``asked_at`` to ``received_at``. They are by the brokers'
    clock, which all workers share, if ``by_brokers`` is set, or else by that of the worker that asked. Of a stored
    response ``received_at`` is by the brokers' clock; ``clock_offset`` is how far the other times are behind it (ahead,
    if negative).
    """

    body: bytes
    content_type: str
    http_status: int
    received_at: datetime
    asked_at: datetime | None = None
    by_brokers: bool = False
    reference: str | None = None
    facts: Mapping[str, str] = {}
    clock_offset: timedelta = timedelta(0)
    content_encoding: str = ""
    complete: bool = True


class OddElement(msgspec.Struct, frozen=True, gc=False):
    """An element of a response that could not be read: its place, such as ``orderResults/3``, why, and in words.

    Neither ``place`` nor ``detail`` quotes anything the provider sent.
    """

    place: str
    reason: DeadReason = "unreadable_answer"
    detail: str = ""


class Interpretation(msgspec.Struct, frozen=True, gc=False):
    """What a response says, payment by payment.

    Where some payments of the response could not be read, they are ``odd``, or ``unreadable`` is the reason and
    ``detail`` says what; the observations are those of the payments about which everything could be read.
    ``warnings`` are counted.
    """

    observations: tuple[Observation, ...]
    unreadable: DeadReason | None = None
    detail: str = ""
    odd: tuple[OddElement, ...] = ()
    warnings: tuple[ResponseWarning, ...] = ()


#: Stores a raw response with the lookups it answers; returns once the brokers have acknowledged it.
Store = Callable[[ProviderResponse, tuple[WaitingLookup, ...]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Policy:
    """How the stages treat the provider. ``retries`` is how many retries follow the first attempt, by reason.

    ``remembers_answered``: a lookup that was answered must never be made again. ``unsigned``: notifications carry no
    signature. ``recovers_rarely``: lookups without a notification are allowed only rarely.
    """

    retries: Mapping[DeadReason, int]
    remembers_answered: bool = False
    unsigned: bool = False
    recovers_rarely: bool = False
    answered_window_seconds: float = 3600.0


def accepts_unsigned(provider: Provider, merchant: Merchant) -> bool:
    """Whether the merchant's notifications may be unsigned, so that a budget limits the lookups they cause."""
    return provider.policy.unsigned or merchant.accepts_unsigned()


def unlimited(merchant: str) -> AbstractAsyncContextManager[None]:
    """No rate limit: every call may be made at once."""
    return nullcontext()


def unwatched() -> None:
    """Nobody wants to know of each exchange."""


def no_recovery(merchant: str) -> float:
    """No quota at all: every recovery call must wait."""
    return 3600.0


@dataclass(frozen=True, slots=True)
class CallContext:
    """What a provider call may use: the HTTP transport, the limits, and the clock.

    ``pace`` is held around a merchant's call. ``recovery_wait`` takes a call from the merchant's quota of recovery
    calls; it returns how many seconds the call must wait, and takes nothing unless that is zero. ``progress`` is called
    after each exchange, however it ended: a call of many exchanges must not look like a stall. Responses are ordered by
    the time of ``brokers_clock``, which all workers share.
    """

    http: httpx.AsyncBaseTransport
    now: Callable[[], datetime]
    max_response_bytes: int
    timeout_seconds: float
    transactions_per_query: int
    pace: Callable[[str], AbstractAsyncContextManager[None]] = unlimited
    recovery_wait: Callable[[str], float] = no_recovery
    progress: Callable[[], None] = unwatched
    brokers_clock: BrokersClock = field(default_factory=BrokersClock)


class Provider(Protocol):
    """One payment service provider."""

    name: str
    policy: Policy

    def parse(self, notification: Notification, account: Account[Any]) -> ParsedNotification:
        """Parse the notification. Uses the account's settings, never its secrets.

        Raises:
            RejectedNotificationError: the notification is malformed, has an unexpected field, names an unknown event,
                or has no signature.
        """

    def verify(self, parsed: ParsedNotification, notification: Notification, account: Account[Any]) -> Authenticity:
        """Verify the notification with every secret that is valid now, in constant time.

        Raises:
            RejectedNotificationError: the signature is wrong, the token has expired, or a signed value is malformed.
            UndecidedNotificationError: it can't be judged yet, as its key is not known.
        """

    def plan(self, parsed: ParsedNotification, notification: Notification) -> Lookup:
        """The lookup this notification causes. Of the notification's content only ids needed to ask go into it."""

    def calls(self, lookups: Sequence[WaitingLookup], context: CallContext) -> Iterable[Call]:
        """Group one merchant's waiting lookups into calls."""

    async def fetch(
        self, call: Call, account: Account[Any], context: CallContext, store: Store
    ) -> Mapping[str, LookupOutcome]:
        """Make one call; the outcome of each of its lookups by lookup id.

        Raises:
            RetryableError: all lookups of the call may succeed later.
            PermanentError: all lookups of the call fail until a person changes something.
        """

    def interpret(self, response: ProviderResponse, account: Account[Any]) -> Interpretation:
        """What the response says, payment by payment.

        Raises:
            UnreadableError: the response as a whole can't be parsed or trusted.
        """
