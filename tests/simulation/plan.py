"""What a seed makes happen outside: payments and how they go, the calls about them, what shops announce, garbage.

Everything is decided before the run, item by item, so that a run over some of the items is a run over the same ones.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import md5
from random import Random
from typing import Final, Literal, get_args

ProviderName = Literal["omnikassa", "trustpayments", "nevogate", "smartpay"]

_PROVIDERS: Final[tuple[ProviderName, ...]] = get_args(ProviderName)
_WEIGHTS: Final = (2, 4, 2, 1)

DUPLICATE_SHARE: Final = 0.3
LATE_SHARE: Final = 0.2
_GARBAGE_SHARE: Final = 0.04
_UNPAID_SHARE: Final = 0.03
_MISMATCH_SHARE: Final = 0.1
_CHARGE_SHARE: Final = 0.3
_CALLS_OF_A_CHARGE: Final = 2

#: So many means of payment are registered of each kind and merchant.
REFERENCES: Final = 5

#: An event waits for its key for almost five minutes here, also while the bank can't be reached.
_LATE_KEY_SECONDS: Final = 35.0

MERCHANTS: Final[Mapping[ProviderName, tuple[str, ...]]] = {
    "omnikassa": ("shop-nl", "shop-be"),
    "trustpayments": ("shop-uk", "shop-ie"),
    "nevogate": ("shop-hu", "shop-ro"),
    "smartpay": ("shop-nl-v3", "shop-be-v3"),
}

#: How payments go, as words of their provider; each line is one way. Most are canonical, others follow in `STATUSES`.
_WAYS: Final[Mapping[ProviderName, tuple[tuple[str, ...], ...]]] = {
    "omnikassa": (("captured",), ("captured",), ("captured",), ("cancelled",), ("expired",)),
    "trustpayments": (
        ("authorised", "captured"),
        ("authorised", "captured"),
        ("declined",),
        ("authorised", "cancelled"),
        ("authorised", "suspended", "authorised", "captured"),
        ("captured", "refund accepted", "refunded"),
        ("authorised", "captured", "part refund accepted", "partially_refunded"),
        ("captured", "part refund accepted", "part refund cancelled"),
        ("captured", "charged_back"),
        ("authorised", "captured", "paid out"),
    ),
    "nevogate": (
        ("captured",),
        ("pending", "captured"),
        ("authorised", "captured"),
        ("pending", "authorised", "cancelled"),
        ("cancelled",),
        ("pending", "expired"),
        ("failed",),
    ),
    "smartpay": (("captured",), ("captured",), ("cancelled",), ("expired",)),
}


#: What the words stand for that are no statuses: such refunds and payouts leave the payment as it is.
STATUSES: Final[Mapping[str, str]] = {
    "refund accepted": "captured",
    "part refund accepted": "captured",
    "part refund cancelled": "captured",
    "paid out": "captured",
}
#: What Trust Payments tells of beside the payment's own request. Whatever it settles, suspends or cancels is silent.
_TOLD: Final = frozenset({"refund accepted", "part refund accepted", "charged_back", "paid out"})

#: Calls per second of a load, and how fast payments go on beside their usual pace: slow ones make small batches, fast
#: ones large ones.
PACES: Final = ((50.0, 1.0), (200.0, 0.5), (1000.0, 0.2), (4000.0, 0.05))

#: So many calls come at the seed's own pace. What is more comes beside them in rushes, as when a sale begins: hundreds
#: of payments in each partition's queue at once, and again few of them before and after.
_CALLS_AT_PACE: Final = 600
_CALLS_OF_A_RUSH: Final = 5_000
_RUSH_SECONDS: Final = 0.5
_RUSH_PACE: Final = 0.05


@dataclass(frozen=True, slots=True)
class Call:
    """One webhook call, when it arrives. ``change`` is which change of the payment made the provider call."""

    at: float
    change: int
    copy: int
    style: Literal["POST", "GET"] = "POST"


@dataclass(frozen=True, slots=True)
class Announcement:
    """What the shop wrote of the order."""

    at: float
    final_by: float | None
    matches: bool
    names_payment: bool


@dataclass(frozen=True, slots=True)
class Payment:
    """One payment as it goes at its provider; without changes it never came to one."""

    number: int
    provider: ProviderName
    merchant: str
    payment_id: str
    order_id: str
    amount: int
    changes: tuple[tuple[float, str], ...]
    visible_from: float
    calls: tuple[Call, ...]
    announcement: Announcement | None

    def word_at(self, now: float) -> str | None:
        """Its state by the provider's books."""
        place = bisect_right(self.changes, (now, "~"))
        return self.changes[place - 1][1] if place else None

    @property
    def last_word(self) -> str | None:
        return self.changes[-1][1] if self.changes else None

    @property
    def last_status(self) -> str | None:
        """The status that it has in the end."""
        return STATUSES.get(self.last_word or "", self.last_word)

    @property
    def refunded(self) -> int:
        """What has gone back in the end."""
        return {"refunded": self.amount, "partially_refunded": self.amount // 2}.get(self.last_word or "", 0)


@dataclass(frozen=True, slots=True)
class Charge:
    """What a shop wants charged to a means of payment that its customer registered with an earlier payment.

    ``asked_at`` are the times it writes the request, more than one where its program was started anew. ``rival_at`` is
    when another request for the same order comes, if one does; ``expires_at`` when the request is not begun any more.
    ``end`` is what the payment becomes, ``pending_seconds`` later. With ``closing`` the shop closes the hold so many
    seconds after it has heard of it.
    """

    number: int
    merchant: str
    reference: Reference
    amount: int
    asked_at: tuple[float, ...]
    rival_at: float | None
    expires_at: float | None
    capture: Literal["now", "later"]
    end: Literal["authorised", "failed"]
    pending_seconds: float
    closing: Literal["", "whole", "part", "release"]
    closing_seconds: float

    @property
    def order_id(self) -> str:
        return f"SUB-{self.number}"


ReferenceKind = Literal["good", "failed", "unknown"]
_KINDS: Final[tuple[ReferenceKind, ...]] = get_args(ReferenceKind)


@dataclass(frozen=True, slots=True)
class Reference:
    """The payment with which a means of payment was registered; of two kinds that can't be charged."""

    payment_id: str
    kind: ReferenceKind


GarbageKind = Literal[
    "bytes",
    "other_shape",
    "nobody",
    "forged",
    "alert",
    "unsigned",
    "request",
    "refused",
    "foreign",
    "unpublished",
    "changed",
    "test",
]
GARBAGE_KINDS: Final[tuple[GarbageKind, ...]] = get_args(GarbageKind)

#: Kinds that one provider alone has.
_KINDS_OF: Final[Mapping[GarbageKind, ProviderName]] = {
    "refused": "trustpayments",
    "foreign": "smartpay",
    "unpublished": "smartpay",
    "changed": "smartpay",
    "test": "smartpay",
}


@dataclass(frozen=True, slots=True)
class Garbage:
    """A call that is about no payment. A ``refused`` one is genuine, and names a transaction for which the gateway
    refuses every query. Four are events: of a ``foreign`` shop, under an ``unpublished`` key, ``changed`` on the way,
    and a ``test``."""

    number: int
    at: float
    provider: ProviderName
    merchant: str
    kind: GarbageKind


@dataclass(frozen=True, slots=True)
class Rotation:
    """When the bank signs its events with another key, and when it has published that."""

    signs_from: float
    published_at: float


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole load. ``until`` is when its last item is over."""

    rate: float
    payments: tuple[Payment, ...]
    charges: tuple[Charge, ...]
    garbage: tuple[Garbage, ...]
    rotations: tuple[Rotation, ...]
    until: float

    def only(self, numbers: Sequence[int]) -> Plan:
        """The same with some of the items; everything as it was before."""
        wanted = frozenset(numbers)
        return replace(
            self,
            payments=tuple(one for one in self.payments if one.number in wanted),
            charges=tuple(one for one in self.charges if one.number in wanted),
            garbage=tuple(one for one in self.garbage if one.number in wanted),
        )

    def numbers(self) -> tuple[int, ...]:
        """What `only` chooses from."""
        return tuple(one.number for some in (self.payments, self.charges, self.garbage) for one in some)


def plan_of(seed: int, notifications: int) -> Plan:
    """The load of a seed, with at least so many calls."""
    chance = Random(f"{seed}/load")
    rate, pace = chance.choice(PACES)
    usual_seconds = min(notifications, _CALLS_AT_PACE) / rate
    items = _Items(chance)
    items.add(min(notifications, _CALLS_AT_PACE), 1.0, usual_seconds, pace)
    while items.calls < notifications:
        most = min(notifications, items.calls + _CALLS_OF_A_RUSH)
        items.add(most, 1.0 + chance.random() * usual_seconds, _RUSH_SECONDS, min(pace, _RUSH_PACE))
    return items.plan(rate)


class _Items:
    """What happens in a load, as it is drawn."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._payments: list[Payment] = []
        self._charges: list[Charge] = []
        self._garbage: list[Garbage] = []
        self.calls = 0

    def add(self, calls: int, begins_at: float, span_seconds: float, pace: float) -> None:
        """Draw more until there are so many calls."""
        while self.calls < calls:
            self._draw(begins_at, span_seconds, pace)

    def _draw(self, begins_at: float, span_seconds: float, pace: float) -> None:
        chance = self._chance
        number = len(self._payments) + len(self._charges) + len(self._garbage) + 1
        provider: ProviderName = chance.choices(_PROVIDERS, _WEIGHTS)[0]
        at = begins_at + chance.random() * span_seconds
        if chance.random() < _GARBAGE_SHARE:
            kind = chance.choice(GARBAGE_KINDS)
            provider = _KINDS_OF.get(kind, provider)
            merchant = chance.choice(MERCHANTS[provider])
            self._garbage.append(Garbage(number, at, provider, merchant, kind))
            self.calls += 1
        elif provider == "nevogate" and chance.random() < _CHARGE_SHARE:
            self._charges.append(_charge(chance, number, at, pace))
            self.calls += _CALLS_OF_A_CHARGE
        else:
            self._payments.append(_payment(chance, number, provider, at, pace))
            self.calls += len(self._payments[-1].calls)

    def plan(self, rate: float) -> Plan:
        """All of it."""
        payments, charges, garbage = tuple(self._payments), tuple(self._charges), tuple(self._garbage)
        ends = [call.at for one in payments for call in one.calls] + [one.at for one in garbage]
        ends += [one.changes[-1][0] for one in payments if one.changes]
        due = [one.announcement.final_by or 0.0 for one in payments if one.announcement]
        asked = [max(*one.asked_at, one.rival_at or 0.0) for one in charges]
        made = sorted(one.changes[0][0] for one in payments if one.provider == "smartpay" and one.changes)
        rotations = _rotations(self._chance, made)
        return Plan(rate, payments, charges, garbage, rotations, max(ends + due + asked))


def _rotations(chance: Random, made: Sequence[float]) -> tuple[Rotation, ...]:
    """Two, while events are made: one key is published when it begins to sign, the next one late."""
    if not made:
        return ()
    first, second = made[len(made) // 4], made[len(made) // 2]
    return Rotation(first, first), Rotation(second, second + 5.0 + chance.random() * _LATE_KEY_SECONDS)


def _charge(chance: Random, number: int, at: float, pace: float) -> Charge:
    merchant = chance.choice(MERCHANTS["nevogate"])
    kind = chance.choices(_KINDS, (20, 1, 1))[0]
    later = chance.random() < 0.6
    return Charge(
        number,
        merchant,
        reference_of(merchant, kind, chance.randrange(REFERENCES)),
        100 + chance.randrange(8_000) * 2,
        (at, at + pace * chance.random() * 10.0) if chance.random() < DUPLICATE_SHARE else (at,),
        at + pace * chance.random() * 20.0 if chance.random() < 0.1 else None,
        at + chance.random() * 10.0 if chance.random() < 0.1 else None,
        "later" if later else "now",
        chance.choices(("authorised", "failed"), (6, 1))[0],
        chance.choices((0.0, 2.0, 15.0), (6, 1, 1))[0],
        chance.choice(("", "whole", "part", "release")) if later else "",
        pace * chance.random() * 20.0,
    )


def reference_of(merchant: str, kind: ReferenceKind, number: int) -> Reference:
    """A merchant's registered means of payment."""
    return Reference(md5(f"{merchant} {kind} {number}".encode(), usedforsecurity=False).hexdigest(), kind)


def _payment(chance: Random, number: int, provider: ProviderName, at: float, pace: float) -> Payment:
    unpaid = chance.random() < _UNPAID_SHARE
    changes: list[tuple[float, str]] = []
    moment = at
    for word in chance.choice(_WAYS[provider]):
        changes.append((moment, word))
        moment += pace * (2.0 + chance.random() * 30.0)
    made = () if unpaid else tuple(changes)
    # by the bank's rule a lost page is only found again for an order that the shop has announced by the bank's id
    by_bank_id = provider in ("omnikassa", "smartpay")
    announced = unpaid or provider == "omnikassa" or chance.random() < 0.3
    announcement = None
    if announced:
        final_by = changes[-1][0] + 20.0 + chance.random() * 60.0
        announcement = Announcement(
            max(0.5, at + chance.uniform(-2.0, 1.0)),
            final_by,
            chance.random() >= _MISMATCH_SHARE,
            by_bank_id or chance.random() < 0.5,
        )
    return Payment(
        number,
        provider,
        chance.choice(MERCHANTS[provider]),
        _ids(chance, provider, number),
        f"ORD-{number}",
        100 + chance.randrange(10_000) * 2,
        made,
        at + chance.choices((0.0, 3.0, 15.0), (8, 1, 1))[0],
        _calls(chance, provider, made, pace),
        announcement,
    )


def _calls(
    chance: Random, provider: ProviderName, changes: Sequence[tuple[float, str]], pace: float
) -> tuple[Call, ...]:
    calls: list[Call] = []
    words = [word for _, word in changes]
    for change, (at, _) in enumerate(changes):
        if change > 0 and _is_silent(provider, words[change - 1], words[change]):
            continue
        for style in ("POST", "GET") if provider == "nevogate" and chance.random() < 0.3 else ("POST",):
            first = at + pace * chance.random() * 0.5
            if chance.random() < LATE_SHARE:
                first += pace * (1.0 + chance.random() * 40.0)
            calls.append(Call(first, change, 0, style))
            if chance.random() < DUPLICATE_SHARE:
                calls.append(Call(first + 0.05 + pace * chance.random() * 20.0, change, 1, style))
    return tuple(calls)


def _is_silent(provider: ProviderName, before: str, word: str) -> bool:
    """Whether nobody is told of the change: what settles at night, and a hold that a person closes by hand."""
    return (provider == "trustpayments" and word not in _TOLD) or (provider == "nevogate" and before == "authorised")


def _ids(chance: Random, provider: ProviderName, number: int) -> str:
    if provider == "trustpayments":
        return f"57-9-{number * 10}"
    text = chance.randbytes(16).hex()
    if provider == "nevogate":
        return text
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
