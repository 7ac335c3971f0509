"""Detects a silent provider from the orders it reported and missed: a pure state per provider or merchant.

The state counts orders and not time, so that a shop with two orders a day raises no alarm between them. A run of missed
orders counts as silence when it is long, and unlikely by the share of orders that the provider usually reports.

Customers who leave before they pay make short runs all day. Their orders become overdue long after those of customers
who paid were observed, by the hundred where a shop stops selling for the night or gives midnight as the deadline of the
whole day. So a missed order extends the run only if the provider reported nothing since it was sold.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec.structs import replace

from paynotify.schemas.configuration.worker import SilenceSettings
from paynotify.schemas.times import parse_time

#: The share assumed until enough orders of the provider were counted.
_INITIAL_SHARE: Final = 0.3
_MIN_COUNTED: Final = 50
#: Beyond this many orders both counts are halved, so that older orders weigh less.
_MAX_COUNTED: Final = 1_000


class SilenceState(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The counts of one provider, or of one merchant of it, as encoded in the changelog.

    ``heard`` of ``told`` orders were observed in time, not counting the current run of ``unheard`` missed ones, which
    began at ``since``. ``silent`` says that the run counts as silence. ``last`` is when an order was last observed.
    """

    heard: int = 0
    told: int = 0
    unheard: int = 0
    since: str = ""
    silent: bool = False
    last: str = ""

    @property
    def share(self) -> float:
        """The share of orders that the provider usually reports in time."""
        return self.heard / self.told if self.told >= _MIN_COUNTED else _INITIAL_SHARE


def observed(state: SilenceState, at: str) -> SilenceState:
    """Count an order that was observed in time: the run ends and becomes part of the usual share."""
    told = state.told + state.unheard + 1
    if state.silent:
        told = state.told + 1  # a run during an outage says nothing about the share that the provider usually reports
    return _bounded(SilenceState(heard=state.heard + 1, told=told, last=max(state.last, at)))


def missed(state: SilenceState, at: str, sold_at: str, settings: SilenceSettings) -> SilenceState:
    """Count an order that was not observed in time. If others were observed since it was sold, its customer left."""
    if sold_at <= state.last:
        return _bounded(replace(state, told=state.told + 1))
    after = replace(state, unheard=state.unheard + 1, since=state.since or at)
    unlikely = (1 - after.share) ** after.unheard < settings.false_alarm_probability
    return replace(after, silent=state.silent or (after.unheard >= settings.min_missed and unlikely))


def urgent(state: SilenceState, at: str, settings: SilenceSettings) -> bool:
    """Whether the run is so short in time that somebody should be woken."""
    since, now = parse_time(state.since), parse_time(at)
    return since is not None and now is not None and (now - since).total_seconds() <= settings.urgent_within_seconds


def _bounded(state: SilenceState) -> SilenceState:
    while state.told > _MAX_COUNTED:
        state = replace(state, heard=state.heard // 2, told=state.told // 2)
    return state
