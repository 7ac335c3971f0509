"""The configuration file that the sandbox writes for its ingress, workers and commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

#: The ``charges`` section of a merchant that may charge by topic, without its ``public_url``.
CHARGES: Final[Mapping[str, Any]] = {
    "limits": {
        currency: {"per_charge": 50_000_00, "per_reference": 200_000_00, "per_day": 100_000_000_00}
        for currency in ("EUR", "GBP", "HUF")
    },
    "call_timeout_seconds": 5,
    "close_settles_seconds": 5,
    "poll_schedule_seconds": [0.5, 1, 2, 5, 10, 20, 60],
}

#: Seconds instead of the hours that retries take in production.
_WORKER: Final[Mapping[str, Any]] = {
    "retry_delays_seconds": [0.3, 1, 2, 5, 10],
    "session_timeout_seconds": 6,
    "overdue": {"takeover_grace_seconds": 0},
    "settlement": {"gather_seconds": 0.5, "jitter_seconds": 0},
}


def configuration_document(
    *,
    bootstrap: str,
    topic_prefix: str,
    partitions: int,
    replication_factor: int,
    state_directory: str,
    merchants: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """The configuration, into which a plan's own settings are merged."""
    return {
        "sandbox": True,
        "kafka": {"bootstrap_servers": bootstrap, "topic_prefix": topic_prefix},
        "topics": {"partitions": partitions, "replication_factor": replication_factor},
        "state_directory": state_directory,
        # a day of calls comes within a minute
        "ingest": {"rate_per_second": 10_000},
        "worker": dict(_WORKER),
        "merchants": list(merchants),
    }


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """``above`` merged over ``below``, mapping by mapping."""
    result = dict(below)
    for name, value in above.items():
        deeper = isinstance(value, Mapping) and isinstance(result.get(name), Mapping)
        result[name] = merged(result[name], value) if deeper else value
    return result
