"""Days of a simulated provider that last seconds: the simulator settles at the end of each, and the workers know it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

from paynotify.sandbox.simulators.spec import SimulatorSpec
from paynotify.schemas.configuration.merchants import FollowedMerchant, Merchant
from paynotify.schemas.times import rfc3339_of


@dataclass(frozen=True, slots=True)
class SimulatedDays:
    """Each day lasts ``seconds``; the first, which began at ``first_day_at`` (Unix time), ends ``first_night_seconds``
    after the sandbox has started, by default after a whole day. Payments that are not settled are looked up at
    ``check_hour`` of the next.
    """

    seconds: float
    first_night_seconds: float | None = None
    check_hour: int = 4
    first_day_at: float = 0.0

    def starting_now(self) -> SimulatedDays:
        """The same, with the time at which the first day begins."""
        first = self.seconds if self.first_night_seconds is None else self.first_night_seconds
        return replace(self, first_day_at=time.time() + first - self.seconds)

    def simulator_settings(self, spec: SimulatorSpec) -> dict[str, Any]:
        """For a simulator that does something at night; nothing for others."""
        if "day_seconds" not in spec.settings.__struct_fields__:
            return {}
        return {"day_seconds": self.seconds, "first_day_at": self.first_day_at}

    def merchant_settings(self, section: type[Merchant]) -> dict[str, Any]:
        """For a merchant whose payments are looked up daily; nothing for others."""
        if not issubclass(section, FollowedMerchant):
            return {}
        starts_at = rfc3339_of(self.first_day_at)
        days = {"starts_at": starts_at, "seconds": self.seconds}
        return {"settlement_check_hour": self.check_hour, "short_days": days}
