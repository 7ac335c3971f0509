"""When calls that all fail are held back: a pure state machine, one circuit for each merchant at a provider.

A circuit is closed while calls go out. It opens after ``failures`` failed calls in a row within ``within_seconds``.
Then one call at a time is a probe, at the earliest ``probe_seconds`` after the one before has failed. Any answer closes
it, also one that says no, or one to a call from before. A failure that comes after the opening changes nothing.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from paynotify.schemas.configuration.worker import CircuitSettings

#: What may be done now: a call as usual, the one probe, or none.
Verdict = Literal["call", "probe", "hold"]
#: How a call ended: the provider said something, no call came through, or none was made.
CallResult = Literal["answered", "failed", "not_made"]

_MAX_PAUSE_SECONDS: Final = 3600.0


class Circuit(msgspec.Struct, frozen=True, gc=False):
    """A circuit's state. Times are in seconds of one steady clock.

    ``failures`` in a row began at ``failing_since``. ``opened_at`` is None while it is closed; otherwise the next probe
    goes out from ``probe_at`` on, unless one is out (``probing``). Nothing is offered before ``offer_at``.
    """

    failures: int = 0
    failing_since: float = 0.0
    opened_at: float | None = None
    probe_at: float = 0.0
    probing: bool = False
    offer_at: float = 0.0


CLOSED = Circuit()


def asked(circuit: Circuit, now: float) -> tuple[Circuit, Verdict]:
    """Whether a call may go out now, and the circuit once it does."""
    if circuit.opened_at is None:
        return circuit, "call"
    if circuit.probing or now < circuit.probe_at:
        return circuit, "hold"
    return msgspec.structs.replace(circuit, probing=True), "probe"


def ended(
    circuit: Circuit,
    result: CallResult,
    now: float,
    settings: CircuitSettings,
    *,
    probe_of: float | None = None,
    pause_seconds: float = 0.0,
) -> Circuit:
    """The circuit after a call. ``probe_of`` is the ``opened_at`` of the circuit that the call was a probe of.

    ``pause_seconds`` is what the provider asks for before the next call.
    """
    pause_seconds = max(settings.probe_seconds, min(pause_seconds, _MAX_PAUSE_SECONDS))
    if result == "answered":
        return CLOSED
    if circuit.opened_at is None:
        return _failed(circuit, now, settings, pause_seconds) if result == "failed" else circuit
    if probe_of != circuit.opened_at:
        return circuit
    probe_at = now + pause_seconds if result == "failed" else circuit.probe_at
    return msgspec.structs.replace(circuit, probing=False, probe_at=probe_at)


def _failed(circuit: Circuit, now: float, settings: CircuitSettings, pause_seconds: float) -> Circuit:
    if not circuit.failures or now - circuit.failing_since > settings.within_seconds:
        circuit = Circuit(failing_since=now)
    circuit = msgspec.structs.replace(circuit, failures=circuit.failures + 1)
    if circuit.failures < settings.failures:
        return circuit
    return msgspec.structs.replace(circuit, opened_at=now, probe_at=now + pause_seconds)


def offered(circuit: Circuit, now: float, settings: CircuitSettings) -> tuple[Circuit, bool]:
    """Whether a lookup that waits may come back before its time, and the circuit once it does.

    Each may while the circuit is closed; while it is open one for each probe that is due.
    """
    if circuit.opened_at is None:
        return circuit, True
    if circuit.probing or now < max(circuit.probe_at, circuit.offer_at):
        return circuit, False
    return msgspec.structs.replace(circuit, offer_at=now + settings.probe_seconds), True
