"""The ``worker`` section of the configuration: how the stages process, retry, poll and persist.

Settings by provider are mappings by the provider's name, merged over the defaults of its contract.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from schemas.configuration.sections import Count, Positive, Section
from schemas.providers import provider_contracts
from schemas.topics import RETRY_STEPS


class UnsignedBudgetSettings(Section, frozen=True):
    """What calls that carry no signature may cost a merchant, in lookups.

    A first call about an id costs one, and an id the provider turns out not to know ``unknown_cost`` in all. ``burst``
    is what a quiet merchant has saved up. Each id the provider knew has an account of its own for the calls about it.
    """

    per_second: Positive = 20.0
    burst: Count = 2000
    unknown_cost: Count = 5
    known_per_second: Positive = 0.1
    known_burst: Count = 50


class OverdueSettings(Section, frozen=True):
    """How expected payments are polled that are not final in time.

    ``poll_schedule_seconds`` are the times after ``final_by`` at which they are polled, by provider: the first poll,
    the spacing, the last poll. Where a provider is left out its own schedule counts. ``lookups_per_hour`` is per
    merchant: payments that an outage made overdue are polled one after another, not all at once. Nothing is overdue in
    the first ``takeover_grace_seconds`` after a worker took over, so that it processes waiting notifications first.
    """

    poll_schedule_seconds: dict[str, tuple[Positive, ...]] = msgspec.field(default_factory=dict)
    lookups_per_hour: Count = 3600
    takeover_grace_seconds: Annotated[float, Meta(ge=0, le=3600)] = 120.0

    def poll_schedule(self, provider: str) -> tuple[float, ...]:
        """The provider's poll schedule in seconds after ``final_by``."""
        configured = self.poll_schedule_seconds.get(provider)
        return provider_contracts()[provider].poll_schedule_seconds if configured is None else configured


class SilenceSettings(Section, frozen=True):
    """When a provider is taken to be silent: after so many expected orders in a row of which it told nothing.

    Customers who leave before paying make such runs too, so the run must also be less likely than
    ``false_alarm_probability`` by the provider's usual share. It is urgent only within ``urgent_within_seconds``.
    """

    min_missed: Annotated[int, Meta(ge=2, le=10_000)] = 10
    false_alarm_probability: Annotated[float, Meta(gt=0, lt=0.1)] = 1e-6
    urgent_within_seconds: Positive = 6 * 3600.0


class RetentionSettings(Section, frozen=True):
    """How long a payment's state is kept after its last news: in full, then closed (compressed, a seventh of the room),
    then not at all. Whatever tells of a forgotten payment is taken for a new one; ``null`` forgets none. What may still
    be played again, such as dead lookups, is kept on its topic for 90 days: no payment is forgotten sooner."""

    compress_after_days: Positive = 400.0
    delete_after_days: Annotated[float, Meta(ge=100, le=1e9)] | None = 3650.0

    def __post_init__(self) -> None:
        if self.delete_after_days is not None and self.delete_after_days <= self.compress_after_days:
            raise ValueError("delete_after_days must be longer than compress_after_days")


class DeadLetterLimit(Section, frozen=True):
    """How many records of a partition may raise an unexpected exception before it halts.

    At most ``consecutive_records`` in a row are dead-lettered, and at most ``share`` of the last ``window_records``.
    Expected reasons, such as an unreadable record or a payment that the provider does not know, do not count.
    """

    consecutive_records: Annotated[int, Meta(ge=1, le=1_000_000)] = 50
    share: Annotated[float, Meta(gt=0, le=1)] = 0.1
    window_records: Annotated[int, Meta(ge=1, le=1_000_000)] = 1000

    def __post_init__(self) -> None:
        if self.share * self.window_records < 1:
            raise ValueError("share of window_records must be at least one record, or no record may be dead-lettered")


class WorkerSettings(Section, frozen=True):
    """How the stages work. ``retry_delays_seconds`` are the waits of the retry topics, shortest first."""

    batch_records: Count = 500
    batch_wait_seconds: Positive = 0.01
    retry_delays_seconds: tuple[Positive, ...] = (5.0, 30.0, 120.0, 600.0, 3600.0)
    provider_timeout_seconds: Positive = 15.0
    provider_calls_in_flight: Count = 64
    # with all that is known of it an answer must fit into `schemas.topics.RESPONSE_BYTES`
    provider_response_bytes: Annotated[int, Meta(ge=1, le=1_500_000)] = 1024 * 1024
    transactions_per_query: Annotated[int, Meta(ge=1, le=100)] = 100
    # of each merchant, by provider; where one is left out its own rate limit counts
    calls_per_second: dict[str, Positive] = msgspec.field(default_factory=dict)
    # of each merchant, at providers that allow recovery lookups only rarely
    recovery_calls_per_hour: Count = 60
    # how long a notification is remembered, by provider; where one is left out its own window counts
    duplicate_window_seconds: dict[str, Positive] = msgspec.field(default_factory=dict)
    unsigned_budget: UnsignedBudgetSettings = UnsignedBudgetSettings()
    overdue: OverdueSettings = OverdueSettings()
    silence: SilenceSettings = SilenceSettings()
    retention: RetentionSettings = RetentionSettings()
    dead_letter_limit: DeadLetterLimit = DeadLetterLimit()
    session_timeout_seconds: Positive = 10.0
    # a partition that has records and shows no progress for so long makes the worker unhealthy
    stall_seconds: Positive = 120.0
    group_instance_id: str | None = None

    def __post_init__(self) -> None:
        if len(self.retry_delays_seconds) != RETRY_STEPS:
            raise ValueError(f"retry_delays_seconds needs exactly {RETRY_STEPS} delays, one for each retry topic")
        if list(self.retry_delays_seconds) != sorted(self.retry_delays_seconds):
            raise ValueError("retry_delays_seconds must not get shorter from step to step")
        if self.stall_seconds <= self.provider_timeout_seconds:
            raise ValueError("stall_seconds must be longer than provider_timeout_seconds: waiting is no standstill")

    def duplicate_window(self, provider: str) -> float:
        """How long a notification of the provider is remembered, in seconds; 0 where none may be a duplicate."""
        default = provider_contracts()[provider].duplicate_window_seconds
        return self.duplicate_window_seconds.get(provider, default or 0.0)

    def call_rate(self, provider: str) -> float | None:
        """The provider's rate limit for each merchant in calls per second; None where it has none."""
        return self.calls_per_second.get(provider, provider_contracts()[provider].calls_per_second)
