"""Days of a simulated provider that last seconds: the simulator settles at the end of each, and the workers know it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from sandbox.simulators.spec import SimulatorSpec
from schemas.configuration.merchants import FollowedMerchant, Merchant
from schemas.times import rfc3339

#: Hour of the short day at which payments that are not settled yet are looked up.
_CHECK_HOUR: Final = 4


@dataclass(frozen=True, slots=True)
class SimulatedDays:
    """Each day lasts ``seconds``; the first began at ``first_day_at`` (Unix time)."""

    seconds: float
    first_day_at: float = field(default_factory=time.time)

    def simulator_settings(self, spec: SimulatorSpec) -> dict[str, Any]:
        """For a simulator that does something at night; nothing for others."""
        if "day_seconds" not in spec.settings.__struct_fields__:
            return {}
        return {"day_seconds": self.seconds, "first_day_at": self.first_day_at}

    def merchant_settings(self, section: type[Merchant]) -> dict[str, Any]:
        """For a merchant whose payments are looked up daily; nothing for others."""
        if not issubclass(section, FollowedMerchant):
            return {}
        starts_at = rfc3339(datetime.fromtimestamp(self.first_day_at, UTC))
        days = {"starts_at": starts_at, "seconds": self.seconds}
        return {"settlement_check_hour": _CHECK_HOUR, "short_days": days}
