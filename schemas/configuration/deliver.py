"""The ``deliver`` section of the configuration: who is called with which events, and within which limits."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta

from paynotify.schemas.configuration.merchants import MerchantId
from paynotify.schemas.configuration.secrets import SecretRef
from paynotify.schemas.configuration.sections import Count, Network, Positive, Section
from paynotify.schemas.configuration.worker import CircuitSettings, ProviderProxySettings
from paynotify.schemas.messages.event_types import DeliveredType

# not $, which would let a line break at the end pass into keys and headers
SubscriptionId: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]

_MAX_DELAYS = 20


class Subscription(Section, frozen=True, kw_only=True):
    """One subscriber's URL, and the events it is called with."""

    id: SubscriptionId
    """The subscription's name in topics, groups and metrics. With another name it begins anew."""
    url: str
    """The subscriber's URL."""
    secrets: Annotated[tuple[SecretRef, ...], Meta(min_length=1, max_length=5)]
    """The secrets that calls are signed with, each `whsec_` and base64. Each call has a signature of every one, so that
    the subscriber may change to a new one at any time while both are listed."""
    merchants: tuple[MerchantId, ...] = ()
    """Only events of these merchants (default: of all)."""
    events: Annotated[tuple[DeliveredType, ...], Meta(min_length=1)] = ("payment.status.changed.v1",)
    """Only events of these types."""
    start: Literal["now", "beginning"] = "now"
    """Where a new subscription begins: with the events from now on, or with all that the topics hold."""
    calls_in_flight: Annotated[int, Meta(ge=1, le=256)] = 8
    """Calls to this subscriber in progress at once, each for another payment."""


class SubscriberCircuitSettings(CircuitSettings, frozen=True):
    """When a subscriber's deliveries are held back because every call fails.

    A call fails if there is no complete answer in time, or a redirect, 408, 425, 429 or 5xx. A refusal of one event
    (another 4xx) is an answer.
    """

    failures: Count = 5
    """Failed calls in a row after which one probe at a time goes out instead of every delivery."""
    within_seconds: Positive = 300.0
    """They count only if they fail within this time: one delivery that always fails, alone, holds nothing back."""
    probe_seconds: Positive = 5.0
    """How long after a failed probe the next one goes out. One that succeeds lets all deliveries go."""


class SubscriberProxySettings(ProviderProxySettings, frozen=True, kw_only=True):
    """The forward proxy through which subscribers are called."""


class DeliverSettings(Section, frozen=True):
    """How subscribers are called by `paynotify deliver`."""

    subscriptions: Annotated[tuple[Subscription, ...], Meta(max_length=100)] = ()
    """The subscribers."""
    retry_delays_seconds: Annotated[tuple[Positive, ...], Meta(min_length=1)] = (5.0, 30.0, 120.0, 600.0, 3600.0)
    """Delays before a delivery is tried again, shortest first; the last one repeats."""
    retries: Count = 72
    """How often a delivery is tried again before it is dead-lettered: by default for three days."""
    circuit: SubscriberCircuitSettings = SubscriberCircuitSettings()
    """When a subscriber's deliveries are held back because every call fails. A held delivery makes no attempt and is
    never dead-lettered."""
    timeout_seconds: Annotated[float, Meta(gt=0, le=120)] = 15.0
    """Timeout of one call. A subscriber should answer before it works on the event."""
    max_answer_bytes: Annotated[int, Meta(ge=0, le=1_048_576)] = 65_536
    """A longer answer is not read to its end. Only its status counts."""
    max_pause_seconds: Annotated[float, Meta(gt=0, le=86_400)] = 3600.0
    """The longest pause that a subscriber may ask for by `Retry-After`."""
    waiting_deliveries: Annotated[int, Meta(ge=1, le=100_000)] = 1000
    """Deliveries of a subscription that may wait to be tried again. With more it reads no further events meanwhile."""
    window_events: Annotated[int, Meta(ge=1, le=100_000)] = 1000
    """Events of a subscription that are in memory and not delivered. With more it reads no further events meanwhile."""
    private_networks: tuple[Network, ...] = ()
    """Networks (CIDR) that are not public and may be called all the same. By default no private, loopback, link-local
    or other special address is."""
    proxy: SubscriberProxySettings | None = None
    """The forward proxy for calls to subscribers (default: none; the environment's is not used). It looks names up
    itself, so that it has to refuse addresses that must not be called."""
    ca: SecretRef | None = None
    """PEM certificates of authorities that subscribers and the proxy are trusted by, beside the system's."""
    session_timeout_seconds: Positive = 10.0
    """Another process takes a subscription over when its owner has sent no heartbeat for so long."""
    drain_seconds: Positive = 20.0
    """How long calls in progress may take after SIGTERM."""

    def __post_init__(self) -> None:
        delays = list(self.retry_delays_seconds)
        if delays != sorted(delays) or len(delays) > _MAX_DELAYS:
            raise ValueError(f"retry_delays_seconds must be 1 to {_MAX_DELAYS} delays that do not get shorter")
