"""Charges of the same initial payment count together: in parts, no amount passes one pair of eyes that needs two.

What was charged is known since the console was started, as the dry runs are.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from paynotify.ops.console.actions.planned import PlannedAction
from paynotify.schemas.money import Money

COUNTED_SECONDS: Final = 24 * 3600.0
#: One action is done at a time, so that even in a day there are fewer.
_MAX_PARTS: Final = 10_000


class SplitAmounts:
    """``needs_second`` tells whether a second person must confirm an amount; ``clock`` tells seconds."""

    def __init__(
        self, needs_second: Callable[[Money | None], bool], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._needs_second = needs_second
        self._clock = clock
        self._parts: deque[tuple[float, str, Money]] = deque(maxlen=_MAX_PARTS)

    def judged(self, action: PlannedAction) -> PlannedAction:
        """The action, which a second person must confirm if it does too much with what was charged before."""
        if action.needs_second or not action.charges or action.amount is None:
            return action
        before = sum(self._charged(action.charges, action.amount.currency))
        whole = Money(before + action.amount.value, action.amount.currency)
        return replace(action, needs_second=self._needs_second(whole))

    def count(self, action: PlannedAction) -> None:
        """The action is executed, or may be."""
        if action.charges and action.amount is not None:
            self._parts.append((self._clock(), action.charges, action.amount))

    def _charged(self, charges: str, currency: str) -> list[int]:
        while self._parts and self._parts[0][0] + COUNTED_SECONDS <= self._clock():
            self._parts.popleft()
        return [one.value for _, of, one in self._parts if (of, one.currency) == (charges, currency)]
