"""What a seed makes happen outside: payments and how they go, the calls about them, what shops announce, garbage.

Everything is decided before the run, item by item, so that a run over some of the items is a run over the same ones.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, Literal, get_args

ProviderName = Literal["omnikassa", "trustpayments", "nevogate"]

DUPLICATE_SHARE: Final = 0.3
LATE_SHARE: Final = 0.2
_GARBAGE_SHARE: Final = 0.03
_UNPAID_SHARE: Final = 0.03
_MISMATCH_SHARE: Final = 0.1

MERCHANTS: Final[Mapping[ProviderName, tuple[str, ...]]] = {
    "omnikassa": ("shop-nl", "shop-be"),
    "trustpayments": ("shop-uk", "shop-ie"),
    "nevogate": ("shop-hu", "shop-ro"),
}

#: How payments go, as canonical words of their provider; each line is one way.
_WAYS: Final[Mapping[ProviderName, tuple[tuple[str, ...], ...]]] = {
    "omnikassa": (("captured",), ("captured",), ("captured",), ("cancelled",), ("expired",)),
    "trustpayments": (
        ("authorised", "captured"), ("authorised", "captured"), ("declined",), ("authorised", "cancelled"),
        ("authorised", "suspended", "authorised", "captured"), ("captured", "refunded"),
        ("authorised", "captured", "partially_refunded"), ("captured", "charged_back"),
    ),
    "nevogate": (
        ("captured",), ("pending", "captured"), ("authorised", "captured"), ("pending", "authorised", "cancelled"),
        ("cancelled",), ("pending", "expired"), ("failed",),
    ),
}  # fmt: skip

#: Calls per second of the whole load, and how fast payments go on beside their usual pace: slow ones make small
#: batches, fast ones large ones.
PACES: Final = ((50.0, 1.0), (200.0, 0.5), (1000.0, 0.2), (4000.0, 0.05))


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
    def refunded(self) -> int:
        """What has gone back in the end."""
        return {"refunded": self.amount, "partially_refunded": self.amount // 2}.get(self.last_word or "", 0)


GarbageKind = Literal["bytes", "other_shape", "nobody", "forged", "alert", "unsigned"]
GARBAGE_KINDS: Final[tuple[GarbageKind, ...]] = get_args(GarbageKind)


@dataclass(frozen=True, slots=True)
class Garbage:
    """A call that is about no payment."""

    number: int
    at: float
    provider: ProviderName
    merchant: str
    kind: GarbageKind


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole load. ``until`` is when its last item is over."""

    rate: float
    payments: tuple[Payment, ...]
    garbage: tuple[Garbage, ...]
    until: float

    def only(self, numbers: Sequence[int]) -> Plan:
        """The same with some of the payments, and no garbage; everything as it was before."""
        wanted = frozenset(numbers)
        return Plan(self.rate, tuple(one for one in self.payments if one.number in wanted),
                    tuple(one for one in self.garbage if -one.number in wanted), self.until)  # fmt: skip

    def numbers(self) -> tuple[int, ...]:
        """What `only` chooses from: payments by their number, garbage by its negative."""
        return tuple(one.number for one in self.payments) + tuple(-one.number for one in self.garbage)


def plan_of(seed: int, notifications: int) -> Plan:
    """The load of a seed, with at least so many calls."""
    chance = Random(f"{seed}/load")
    rate, pace = chance.choice(PACES)
    span_seconds = notifications / rate
    payments: list[Payment] = []
    garbage: list[Garbage] = []
    calls = 0
    while calls < notifications:
        number = len(payments) + len(garbage) + 1
        provider: ProviderName = chance.choice(("omnikassa", "trustpayments", "trustpayments", "nevogate"))
        at = 1.0 + chance.random() * span_seconds
        if chance.random() < _GARBAGE_SHARE:
            garbage.append(
                Garbage(number, at, provider, chance.choice(MERCHANTS[provider]), chance.choice(GARBAGE_KINDS))
            )
            calls += 1
            continue
        payments.append(_payment(chance, number, provider, at, pace))
        calls += len(payments[-1].calls)
    ends = [call.at for one in payments for call in one.calls] + [one.at for one in garbage]
    due = [one.announcement.final_by or 0.0 for one in payments if one.announcement]
    return Plan(rate, tuple(payments), tuple(garbage), max(ends + due))


def _payment(chance: Random, number: int, provider: ProviderName, at: float, pace: float) -> Payment:
    unpaid = chance.random() < _UNPAID_SHARE
    changes: list[tuple[float, str]] = []
    moment = at
    for word in chance.choice(_WAYS[provider]):
        changes.append((moment, word))
        moment += pace * (2.0 + chance.random() * 30.0)
    made = () if unpaid else tuple(changes)
    # by the bank's rule a lost page is only found again for an order that the shop has announced by the bank's id
    announced = unpaid or provider == "omnikassa" or chance.random() < 0.3
    announcement = None
    if announced:
        final_by = changes[-1][0] + 20.0 + chance.random() * 60.0
        announcement = Announcement(
            max(0.5, at + chance.uniform(-2.0, 1.0)),
            final_by,
            chance.random() >= _MISMATCH_SHARE,
            provider == "omnikassa" or chance.random() < 0.5,
        )
    return Payment(
        number, provider, chance.choice(MERCHANTS[provider]), _ids(chance, provider, number), f"ORD-{number}",
        100 + chance.randrange(10_000) * 2, made, at + chance.choices((0.0, 3.0, 15.0), (8, 1, 1))[0],
        _calls(chance, provider, made, pace), announcement,
    )  # fmt: skip


def _calls(
    chance: Random, provider: ProviderName, changes: Sequence[tuple[float, str]], pace: float
) -> tuple[Call, ...]:
    calls: list[Call] = []
    for change, (at, _) in enumerate(changes):
        for style in ("POST", "GET") if provider == "nevogate" and chance.random() < 0.3 else ("POST",):
            first = at + pace * chance.random() * 0.5
            if chance.random() < LATE_SHARE:
                first += pace * (1.0 + chance.random() * 40.0)
            calls.append(Call(first, change, 0, style))
            if chance.random() < DUPLICATE_SHARE:
                calls.append(Call(first + 0.05 + pace * chance.random() * 20.0, change, 1, style))
    return tuple(calls)


def _ids(chance: Random, provider: ProviderName, number: int) -> str:
    if provider == "trustpayments":
        return f"57-9-{number * 10}"
    text = chance.randbytes(16).hex()
    if provider == "nevogate":
        return text
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
