"""Configuration keys that were renamed. A file with an old key is refused with the new name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

#: The new name below the same section, by the old key's place without list indexes.
RENAMED_KEYS: Final = {
    "worker.provider_answer_bytes": "provider_response_bytes",
    "worker.pulls_per_second": "calls_per_second.omnikassa",
    "worker.standstill_seconds": "stall_seconds",
    "worker.unverified_budget": "unsigned_budget",
    "worker.overdue.looks_seconds": "poll_schedule_seconds",
    "worker.overdue.settle_seconds": "takeover_grace_seconds",
    "worker.silence.least_unheard": "min_missed",
    "worker.silence.odds": "false_alarm_probability",
    "worker.retention.closed_after_days": "compress_after_days",
    "worker.retention.forgotten_after_days": "delete_after_days",
    "merchants.charges.looks_seconds": "poll_schedule_seconds",
}


def renamed(place: Sequence[str | int | None]) -> str | None:
    """The new name of the key at that place; None if it was never renamed."""
    return RENAMED_KEYS.get(".".join(step for step in place if isinstance(step, str)))
