"""The simulated bank's webshops and rules."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from paynotify.sandbox.simulators.base import Settings, SimulatedShop

OrderStatus = Literal["IN_PROGRESS", "COMPLETED", "CANCELLED", "EXPIRED"]


#: What is odd about a result: it is another shop's, or a field can't be used.
OddKind = Literal["", "foreign", "no_id", "no_amount", "surrogate", "huge_amount"]


class OmniKassaShop(SimulatedShop):
    """A webshop with the keys that are active at the bank; several mean one ping per key."""

    poi_id: int
    signing_keys: tuple[str, ...]
    refresh_token: str = ""


class OmniKassaSettings(Settings):
    """The bank's rules, in its own seconds; ``after_refusal`` is when pings follow a response other than 200.

    The documents disagree: every minute, or only when another order is processed.
    """

    shops: tuple[OmniKassaShop, ...]
    token_seconds: float = 600.0
    ping_delay_seconds: float = 5.0
    ping_every_seconds: float = 60.0
    ping_until_seconds: float = 24 * 3600.0
    calls_per_second: int = 6
    after_refusal: Literal["repeat", "pause"] = "repeat"


class NewOrder(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An order to open, as the control API takes it.

    An ``odd`` one is put on a page of results and into no ledger: nobody can be told of it.
    """

    merchant: str = ""
    order_id: str
    amount: Annotated[int, Meta(ge=0)]
    currency: str = "EUR"
    status: OrderStatus = "COMPLETED"
    brand: str = "IDEAL"
    failed_attempts: Annotated[int, Meta(ge=0, le=5)] = 0
    odd: OddKind = ""


class OrderChange(msgspec.Struct, forbid_unknown_fields=True):
    """An order's new status."""

    status: OrderStatus
