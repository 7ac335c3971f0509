"""Real results in two seconds: of the stages themselves, on simulated time and with faults."""

from __future__ import annotations

from functools import cache
from typing import Final
from unittest.mock import patch

from paynotify.schemas import topics
from tests.simulation import judge, simulation
from tests.simulation.broker import Stored
from tests.topics_reader import ToWrite

#: With every status that a provider can tell, refunds, chargebacks and an order that is paid twice.
_SEED: Final = 42
_NOTIFICATIONS: Final = 600


def written(topic: str = topics.STATUS) -> list[ToWrite]:
    """All records of a result topic, partition after partition."""
    return [(one.key, one.value, {name: text.decode() for name, text in one.headers}) for one in _all()[topic]]


@cache
def _all() -> dict[str, tuple[Stored, ...]]:
    found: dict[str, tuple[Stored, ...]] = {}
    judged = judge.problems

    def keep(evidence: judge.Evidence) -> list[str]:
        found.update({topic: tuple(evidence.whole(topic)) for topic in (topics.STATUS, topics.LATEST)})
        return judged(evidence)

    with patch.object(judge, "problems", keep):
        outcome = simulation.run(simulation.schedule_of(_SEED, _NOTIFICATIONS))
    assert outcome.problems == ()
    return found
