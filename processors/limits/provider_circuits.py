"""The circuits of one provider's merchants in this process, by which calls that all fail are held back.

Each process learns from its own calls only. All partitions of one number, of lookups and of retries, belong to the same
process, so whoever holds a lookup back is also who lets it return.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from time import monotonic
from typing import Final

from prometheus_client import Gauge

from paynotify.processors.limits import circuit
from paynotify.processors.limits.circuit import CLOSED, CallResult, Circuit
from paynotify.schemas.configuration.worker import CircuitSettings

#: Longer than a lookup that was held back waits: by then, a merchant nobody asks for belongs to another process.
_UNUSED_SECONDS: Final = 1800.0


class CallAttempt:
    """One call, if it is not ``held``. Whoever makes it sets ``tried`` once an exchange went out, and says its result.

    ``open_seconds`` is for how long the circuit has been open, ``pause_seconds`` what the provider asks for.
    """

    __slots__ = ("held", "open_seconds", "pause_seconds", "probe", "result", "tried")

    def __init__(self, *, held: bool = False, probe: bool = False, open_seconds: float = 0.0) -> None:
        self.held = held
        self.probe = probe
        self.open_seconds = open_seconds
        self.pause_seconds = 0.0
        self.result: CallResult = "not_made"
        self.tried = False

    def answered(self, yes: bool) -> None:
        """Whether the provider said anything. A refusal without an exchange, as of a used-up quota, says nothing."""
        if not yes:
            self.result = "failed"
        elif self.tried:
            self.result = "answered"


class ProviderCircuits:
    """One circuit for each merchant. ``now`` returns seconds of a steady clock."""

    def __init__(
        self,
        provider: str,
        settings: CircuitSettings,
        opened: Gauge,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._provider = provider
        self._settings = settings
        self._opened = opened
        self._now = now
        self._circuits: dict[str, Circuit] = {}  # as many entries as there are merchants in the configuration
        self._asked_at: dict[str, float] = {}

    @contextmanager
    def attempt(self, merchant: str) -> Iterator[CallAttempt]:
        """Held around a merchant's call, however that ends; nothing may go out if it is ``held``."""
        now = self._now()
        if merchant not in self._circuits:
            self._opened.labels(self._provider, merchant).set_function(partial(self._is_open, merchant))
        self._asked_at[merchant] = now
        known, verdict = circuit.asked(self._circuits.get(merchant, CLOSED), now)
        self._circuits[merchant] = known
        opened_at = known.opened_at
        one = CallAttempt(
            held=verdict == "hold",
            probe=verdict == "probe",
            open_seconds=0.0 if opened_at is None else now - opened_at,
        )
        try:
            yield one
        finally:
            if not one.held:
                self._circuits[merchant] = circuit.ended(
                    self._circuits[merchant],
                    one.result,
                    self._now(),
                    self._settings,
                    probe_of=opened_at if one.probe else None,
                    pause_seconds=one.pause_seconds,
                )

    def open_seconds(self, merchant: str) -> float | None:
        """For how long the merchant's circuit has been open; None while it is closed."""
        opened_at = self._circuits.get(merchant, CLOSED).opened_at
        return None if opened_at is None else self._now() - opened_at

    def may_return(self, merchant: str) -> bool:
        """Whether one of the merchant's lookups that were held back may return before its time."""
        known, may = circuit.offered(self._circuits.get(merchant, CLOSED), self._now(), self._settings)
        if merchant in self._circuits:
            self._circuits[merchant] = known
        return may

    def _is_open(self, merchant: str) -> float:
        used = self._now() - self._asked_at[merchant] < _UNUSED_SECONDS
        return float(used and self._circuits[merchant].opened_at is not None)
