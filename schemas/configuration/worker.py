"""The ``worker`` section of the configuration: how the stages process, retry, poll and persist.

Settings by provider are mappings by the provider's name, merged over the defaults of its contract.
"""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Annotated, Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from paynotify.schemas.configuration.secrets import SecretRef
from paynotify.schemas.configuration.sections import Count, Positive, Section
from paynotify.schemas.providers import provider_contracts
from paynotify.schemas.topics import RETRY_STEPS

_HOST_ENTRY: Final = re.compile(r"\.?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\Z")


class UnsignedBudgetSettings(Section, frozen=True):
    """The limit on lookups that notifications without a signature may cause.

    The first notification about an id costs one lookup. Ids that the provider knew have a token bucket each, so that
    calls about one payment can't use up the budget of others.
    """

    per_second: Positive = 20.0
    """Lookups per second that unsigned notifications about unknown ids may cause each merchant, on average."""
    burst: Count = 2000
    """Lookups that may be caused at once after a quiet time."""
    unknown_cost: Count = 5
    """Number of lookups that an id costs once the provider turns out not to know it."""
    known_per_second: Positive = 0.1
    """Notifications per second about each id that the provider knew, on average."""
    known_burst: Count = 50
    """Notifications about a known id that are accepted at once."""


class CircuitSettings(Section, frozen=True):
    """When a merchant's lookups are held back because every call for it fails.

    A call fails if there is no complete response, or one that can't be the provider's own; a refusal is a response.
    """

    failures: Count = 5
    """Failed calls in a row after which one probe at a time goes out instead of every lookup."""
    within_seconds: Positive = 300.0
    """They count only if they fail within this time: one lookup that always fails, alone, holds nothing back."""
    probe_seconds: Positive = 5.0
    """How long after a failed probe the next one goes out. One that succeeds lets all lookups go."""


class ProviderProxySettings(Section, frozen=True, kw_only=True):
    """The forward proxy through which providers are called, and the public keys of notifications fetched."""

    url: str
    """The proxy, such as `http://proxy.internal:3128`. With https the connection to the proxy is encrypted too."""
    credentials: SecretRef | None = None
    """The proxy's user and password, as one secret: `USER:PASSWORD`."""
    no_proxy: tuple[Annotated[str, Meta(min_length=1, max_length=253)], ...] = ()
    """Hosts that are called directly: names, domains (`.shop.internal`), addresses and networks (`10.0.0.0/8`)."""

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            usable = bool(parts.scheme in ("http", "https") and parts.hostname and parts.port != 0)
        except ValueError:  # a port that is not a number, brackets that hold no IPv6 address
            parts, usable = urlsplit(""), False
        if not usable or parts.path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc:
            raise ValueError("url must be http://HOST:PORT or https://HOST:PORT; user and password go to credentials")
        for one in self.no_proxy:
            if not _is_host_entry(one):
                raise ValueError(
                    "no_proxy holds host names, domains such as .shop.internal, addresses and networks, "
                    "without scheme, port or *"
                )


def _is_host_entry(entry: str) -> bool:
    try:
        ip_network(entry)
    except ValueError:
        return bool(_HOST_ENTRY.match(entry)) and not entry.rpartition(".")[2].isdigit()
    return True


class OverdueSettings(Section, frozen=True):
    """How expected payments are polled that are not final in time."""

    poll_schedule_seconds: dict[str, tuple[Positive, ...]] = msgspec.field(default_factory=dict)
    """Times after `final_by` at which an overdue payment is polled, by provider (default: each provider's own)."""
    lookups_per_hour: Count = 3600
    """Polls per hour and merchant. After an outage overdue payments are polled one after another."""
    takeover_grace_seconds: Annotated[float, Meta(ge=0, le=3600)] = 120.0
    """For so long after a worker took over a partition nothing becomes overdue: it first processes what waits."""

    def poll_schedule(self, provider: str) -> tuple[float, ...]:
        """The provider's poll schedule in seconds after ``final_by``."""
        configured = self.poll_schedule_seconds.get(provider)
        return provider_contracts()[provider].poll_schedule_seconds if configured is None else configured


class SettlementSettings(Section, frozen=True):
    """How payments are looked up that a provider settles without a notification."""

    calls_per_hour: Count = 3600
    """Lookups per hour and merchant for payments whose settlement is due. One asks for as many as a query takes."""
    gather_seconds: Annotated[float, Meta(ge=0, le=3600)] = 60.0
    """How long a payment whose settlement is due waits for others, so that one lookup serves them all."""
    jitter_seconds: Annotated[float, Meta(ge=0, le=3600)] = 600.0
    """Each merchant's lookups of a day begin up to this much later, so that not all merchants' begin at once."""


class SilenceSettings(Section, frozen=True):
    """When a provider is taken to be silent: it reported none of a long run of expected orders.

    Customers who leave before paying cause such runs too, so a run must also be unlikely.
    """

    min_missed: Annotated[int, Meta(ge=2, le=10_000)] = 10
    """Expected orders in a row that a provider did not report before it is taken to be silent."""
    false_alarm_probability: Annotated[float, Meta(gt=0, lt=0.1)] = 1e-6
    """The run must also be less likely than this by the provider's usual share of unreported orders."""
    urgent_within_seconds: Positive = 6 * 3600.0
    """The event is urgent only if the run took no longer than this."""


class RetentionSettings(Section, frozen=True):
    """How long a payment's state is retained after its last event.

    Records that may be replayed, such as dead-lettered lookups, are retained on their topic for 90 days: no payment is
    deleted sooner.
    """

    compress_after_days: Positive = 400.0
    """A payment without events for so long is compressed to about a seventh of its size."""
    delete_after_days: Annotated[float, Meta(ge=100, le=1e9)] | None = 3650.0
    """A payment without events for so long is deleted; `null` never deletes. Later events start a new payment."""

    def __post_init__(self) -> None:
        if self.delete_after_days is not None and self.delete_after_days <= self.compress_after_days:
            raise ValueError("delete_after_days must be longer than compress_after_days")


class DeadLetterLimit(Section, frozen=True):
    """How many records of a partition may raise an unexpected exception before it halts.

    Expected reasons, such as an unreadable record or a payment that the provider does not know, do not count.
    """

    consecutive_records: Annotated[int, Meta(ge=1, le=1_000_000)] = 50
    """Records in a row that may be dead-lettered."""
    share: Annotated[float, Meta(gt=0, le=1)] = 0.1
    """Share of the last `window_records` that may be dead-lettered."""
    window_records: Annotated[int, Meta(ge=1, le=1_000_000)] = 1000
    """Number of records that `share` is measured over."""

    def __post_init__(self) -> None:
        if self.share * self.window_records < 1:
            raise ValueError("share of window_records must be at least one record, or no record may be dead-lettered")


class WorkerSettings(Section, frozen=True):
    """How the stages process, retry, poll and persist."""

    batch_records: Count = 500
    """Records that a stage processes together."""
    batch_wait_seconds: Positive = 0.01
    """How long a stage waits for a batch to fill while many records come. While the process has little CPU to spare, a
    batch of few records waits up to five times as long."""
    retry_delays_seconds: tuple[Positive, ...] = (5.0, 30.0, 120.0, 600.0, 3600.0)
    """Delays of the retry topics, shortest first: one for each of them."""
    provider_timeout_seconds: Positive = 15.0
    """Timeout of one provider call."""
    provider_calls_in_flight: Count = 64
    """Lookups in progress at once, for each provider."""
    charge_calls_in_flight: Count = 128
    """Calls in progress at once for charges, captures and voids, for each partition of the charge stage. All of a
    merchant are in one."""
    # with its headers a response must fit into `schemas.topics.RESPONSE_BYTES`
    provider_response_bytes: Annotated[int, Meta(ge=1, le=1_500_000)] = 1024 * 1024
    """Longer responses of a provider are not read."""
    provider_proxy: ProviderProxySettings | None = None
    """The forward proxy for calls to providers (default: none; the environment's is not used)."""
    provider_ca: SecretRef | None = None
    """PEM certificates of authorities that providers and the proxy are trusted by, beside the system's."""
    circuit: CircuitSettings = CircuitSettings()
    """When lookups are held back because every call fails."""
    transactions_per_query: Annotated[int, Meta(ge=1, le=100)] = 100
    """Transactions that one query asks for, at providers that allow several."""
    calls_per_second: dict[str, Positive] = msgspec.field(default_factory=dict)
    """Calls per second for each merchant, by provider (default: each provider's own rate limit)."""
    recovery_calls_per_hour: Count = 60
    """Polls per hour and merchant at providers that allow few of them."""
    duplicate_window_seconds: dict[str, Positive] = msgspec.field(default_factory=dict)
    """How long a repeated notification counts as a duplicate, by provider (default: each provider's own). At most the
    retention of the verify stage's changelog: three days, or the provider's own if that is longer."""
    unsigned_budget: UnsignedBudgetSettings = UnsignedBudgetSettings()
    """The limit on lookups that notifications without a signature may cause."""
    overdue: OverdueSettings = OverdueSettings()
    """How overdue payments are polled."""
    settlement: SettlementSettings = SettlementSettings()
    """How payments are looked up that a provider settles without a notification."""
    silence: SilenceSettings = SilenceSettings()
    """When a provider is taken to be silent."""
    retention: RetentionSettings = RetentionSettings()
    """How long the state of payments is retained."""
    dead_letter_limit: DeadLetterLimit = DeadLetterLimit()
    """When a partition halts instead of dead-lettering further records."""
    session_timeout_seconds: Positive = 10.0
    """A worker without a heartbeat for so long loses its partitions."""
    stall_seconds: Positive = 120.0
    """A partition that has records and makes no progress for so long makes the worker unhealthy."""
    group_instance_id: str | None = None
    """A stable name of this worker (static membership): a restart within the session timeout moves no partition."""

    def __post_init__(self) -> None:
        if len(self.retry_delays_seconds) != RETRY_STEPS:
            raise ValueError(f"retry_delays_seconds needs exactly {RETRY_STEPS} delays, one for each retry topic")
        if list(self.retry_delays_seconds) != sorted(self.retry_delays_seconds):
            raise ValueError("retry_delays_seconds must not get shorter from step to step")
        if self.stall_seconds <= self.provider_timeout_seconds:
            raise ValueError(
                "stall_seconds must be longer than provider_timeout_seconds: a call in progress is no stall"
            )

    def duplicate_window(self, provider: str) -> float:
        """How long a repeated notification counts as a duplicate, in seconds; 0 if none may."""
        default = provider_contracts()[provider].duplicate_window_seconds
        return self.duplicate_window_seconds.get(provider, default or 0.0)

    def call_rate(self, provider: str) -> float | None:
        """The provider's rate limit for each merchant in calls per second; None if it has none."""
        return self.calls_per_second.get(provider, provider_contracts()[provider].calls_per_second)
