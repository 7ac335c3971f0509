"""Decides when a failed delivery is tried again: a pure function of its attempts and the settings."""

from __future__ import annotations

from paynotify.schemas.configuration.deliver import DeliverSettings


def retry_delay_seconds(attempts: int, pause_seconds: float, settings: DeliverSettings) -> float | None:
    """The delay after ``attempts`` calls that failed, the last one included; None if the delivery is dead.

    The delay grows with the attempts up to the longest, which repeats. A longer pause that the subscriber asked for
    counts instead.
    """
    if attempts > settings.retries:
        return None
    delays = settings.retry_delays_seconds
    return max(delays[min(attempts, len(delays)) - 1], pause_seconds)
