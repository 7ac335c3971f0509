"""The ledger of one simulator: every payment's true state, counters, and breaches of the provider's rules."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from paynotify.schemas.status import Status
from paynotify.schemas.times import rfc3339

_KEPT_VIOLATIONS: Final = 1000


@dataclass(slots=True, kw_only=True)
class Truth:
    """One payment as the provider knows it. Amounts are in the currency's minor unit.

    ``refunding`` is what refunds that are not settled will take, ``charged_back`` what chargebacks took. ``steps``
    counts the changes of these amounts that left the status as it was.
    """

    payment_id: str
    merchant: str
    order_id: str
    status: Status
    amount: int
    currency: str
    paid: int = 0
    refunded: int = 0
    refunding: int = 0
    charged_back: int = 0
    steps: int = 0
    history: list[Status] = field(default_factory=list)

    def becomes(self, status: Status) -> None:
        """Change the payment's state; all earlier states are kept."""
        self.status = status
        if not self.history or self.history[-1] != status:
            self.history.append(status)


class Ledger:
    """Payments by id, counters, and breaches of the provider's rules."""

    def __init__(self) -> None:
        self.payments: dict[str, Truth] = {}
        self.counters: Counter[str] = Counter()
        self.violations: deque[dict[str, str]] = deque(maxlen=_KEPT_VIOLATIONS)

    def open(self, truth: Truth) -> Truth:
        """Add a new payment."""
        truth.becomes(truth.status)
        self.payments[truth.payment_id] = truth
        self.counters["payments"] += 1
        return truth

    def violation(self, rule: str, about: str) -> None:
        """Record that a rule of the provider was broken; ``about`` is an id or a word of a closed list."""
        self.counters["violations"] += 1
        self.violations.append({"rule": rule, "about": about, "at": rfc3339()})

    def as_json(self) -> dict[str, Any]:
        """Everything, for ``GET /control/book``."""
        return {
            "payments": {name: asdict(truth) for name, truth in self.payments.items()},
            "counters": dict(self.counters),
            "violations": list(self.violations),
        }
