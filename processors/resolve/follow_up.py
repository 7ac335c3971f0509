"""What of a payment the provider will still change without telling us, and when to look at it again.

Pure functions of the payment's `Follow` values. A look is due once a day, at a nominal time that the provider's policy
sets, until an observation says that nothing more will change or the time is over. Three rules keep a look from being
forgotten or repeated:

* only a newer observation changes what is followed: a late one would bring back what a newer one ended
* the next look is set when a look is made, so that it comes even if the look is never answered
* a due time until which a look was made is never due again, whatever an observation says
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import replace

from paynotify.processors.state.timer_queue import parse_milliseconds
from paynotify.schemas.messages import Observation
from paynotify.schemas.status import Status

DAY_MILLISECONDS: Final = 24 * 3600 * 1000

#: Whole days lead past the nominal time of the last look by so much where the clocks change in between, or less.
_CLOCK_CHANGE_MILLISECONDS: Final = 3 * 3600 * 1000

#: In these a payment waits for its provider.
_UNSETTLED: Final[frozenset[Status]] = frozenset({"authorised", "suspended"})


class Follow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One request that is followed: the payment itself or one of its refunds, by the provider's id.

    ``due_milliseconds`` (Unix time) is the nominal time of the next look, or that of giving up if it is after
    ``until_milliseconds``; None if nobody looks any more. Looks were made until ``looked_milliseconds``. A refund has a
    ``moment`` of its own, that of its newest observation, and stays without a due time after it ended unsettled, so
    that an older response does not bring it back.
    """

    reference: str
    due_milliseconds: int | None = None
    until_milliseconds: int = 0
    settles_by: str | None = None
    looked_milliseconds: int = 0
    given_up: bool = False
    moment: tuple[str, str] = ("", "")


class Look(NamedTuple):
    """What is followed after a timer fired, and the references to look up now."""

    follows: tuple[Follow, ...]
    references: tuple[str, ...]


def observed(
    follows: tuple[Follow, ...],
    observation: Observation,
    *,
    moment: tuple[str, str],
    newer: bool,
    settled_refunds: Collection[str],
) -> tuple[Follow, ...]:
    """What is followed after an observation. ``newer`` says that its status was observed later than all before.

    A settled refund never changes again. An operator's correction, an expectation, and a chargeback say nothing about
    what the provider will change.
    """
    if observation.correction is not None:
        return follows
    if observation.status is not None:
        payment_id = observation.payment_id
        return _with(follows, payment_id, _following(follows, payment_id, observation)) if newer else follows
    if observation.refund is None:
        return follows
    refund_id = observation.refund.refund_id
    if refund_id in settled_refunds:
        return _with(follows, refund_id, None)
    known = _of(follows, refund_id)
    if known is not None and moment <= known.moment:
        return follows
    following = _following(follows, refund_id, observation) or Follow(reference=refund_id)
    return _with(follows, refund_id, replace(following, moment=moment))


def looked(follows: tuple[Follow, ...], now_milliseconds: int) -> Look:
    """Look at everything that is due. After a stop of days each is looked at once, not once for each missed day."""
    after, references = [], []
    for one in follows:
        due = one.due_milliseconds
        if due is None or due > now_milliseconds:
            after.append(one)
        elif due > one.until_milliseconds + _CLOCK_CHANGE_MILLISECONDS:
            after.append(replace(one, due_milliseconds=None, given_up=True))
        else:
            references.append(one.reference)
            next_due = _first_after(due, now_milliseconds)
            after.append(replace(one, due_milliseconds=next_due, looked_milliseconds=now_milliseconds))
    return Look(tuple(after), tuple(references))


def recovered(payment_id: str, status: Status | None, now_milliseconds: int) -> tuple[Follow, ...]:
    """What to follow of a payment that has a timer and no `Follow`: a worker of an earlier release wrote its state and
    dropped what it did not know. One look finds out what is to be followed."""
    if status not in _UNSETTLED:
        return ()
    return (
        Follow(
            reference=payment_id,
            due_milliseconds=now_milliseconds,
            until_milliseconds=now_milliseconds,
        ),
    )


def next_due(follows: tuple[Follow, ...]) -> int | None:
    """When something is due next, in Unix milliseconds; None if never."""
    return min((one.due_milliseconds for one in follows if one.due_milliseconds is not None), default=None)


def settles_by(follows: tuple[Follow, ...], payment_id: str) -> str | None:
    """When the provider is to have settled the payment; None if it is not followed."""
    known = _of(follows, payment_id)
    return known.settles_by if known else None


def given_up(before: tuple[Follow, ...], after: tuple[Follow, ...]) -> tuple[str, ...]:
    """The references that were given up between the two."""
    known = {one.reference for one in before if one.given_up}
    return tuple(one.reference for one in after if one.given_up and one.reference not in known)


def _following(follows: tuple[Follow, ...], reference: str, observation: Observation) -> Follow | None:
    said = observation.follow
    if said is None:
        return None
    known = _of(follows, reference)
    looked_milliseconds = known.looked_milliseconds if known else 0
    due = None if said.due is None else _first_after(parse_milliseconds(said.due), looked_milliseconds)
    return Follow(
        reference=reference,
        due_milliseconds=due,
        until_milliseconds=parse_milliseconds(said.until),
        settles_by=said.settles_by,
        looked_milliseconds=looked_milliseconds,
        given_up=said.due is None,
    )


def _first_after(due: int, looked_milliseconds: int) -> int:
    """The due time itself, or the first one that is whole days later and after the look."""
    if due > looked_milliseconds:
        return due
    return due + ((looked_milliseconds - due) // DAY_MILLISECONDS + 1) * DAY_MILLISECONDS


def _of(follows: tuple[Follow, ...], reference: str) -> Follow | None:
    return next((one for one in follows if one.reference == reference), None)


def _with(follows: tuple[Follow, ...], reference: str, follow: Follow | None) -> tuple[Follow, ...]:
    rest = tuple(one for one in follows if one.reference != reference) if follows else ()
    return rest if follow is None else (*rest, follow)
