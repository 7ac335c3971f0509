"""The simulated bank's webshops, subscriptions and rules."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from paynotify.sandbox.simulators.base import Settings, SimulatedShop

Algorithm = Literal["ES256", "ES384", "ES512", "RS256", "RS384", "RS512"]
EventOrderStatus = Literal["IN_PROGRESS", "COMPLETED", "CANCELLED", "EXPIRED"]

#: What is odd about an event: another shop's, signed with a key that is not published, changed after it was signed, a
#: test, of a type nobody knows, with a status word nobody knows, or told through a second subscription too.
OddKind = Literal["", "foreign", "unpublished", "changed", "test", "unknown_type", "unknown_status", "twice"]

#: What the key set's address answers with: the keys, those from before the last change, or ten megabytes.
KeySetKind = Literal["current", "old", "huge"]


class SmartPayShop(SimulatedShop):
    """A webshop with its subscriptions. One that is ``disabled`` gets no events until it is enabled again."""

    subscription_ids: tuple[str, ...]
    refresh_token: str = ""
    disabled: bool = False


class SmartPaySettings(Settings):
    """The bank's rules, in its own seconds. The wait before each repeat doubles; ``disable_after`` counts answers in a
    row that acknowledge nothing. Without ``order_call`` the order call does not exist, as in the bank's sandbox.
    """

    shops: tuple[SmartPayShop, ...]
    algorithm: Algorithm = "ES256"
    event_delay_seconds: float = 1.0
    repeats: int = 20
    first_repeat_seconds: float = 2.0
    disable_after: Annotated[int, Meta(ge=1)] | None = None
    order_call: bool = True
    keeps_orders_seconds: float = 24 * 3600.0
    token_seconds: float = 3600.0


class NewEventOrder(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An order to open, as the control API takes it. An event that is ``odd`` in a way that says nothing of an order
    is in no ledger."""

    merchant: str = ""
    order_id: str
    amount: Annotated[int, Meta(ge=0)]
    currency: str = "EUR"
    status: EventOrderStatus = "COMPLETED"
    algorithm: Algorithm | None = None
    odd: OddKind = ""


class EventOrderChange(msgspec.Struct, forbid_unknown_fields=True):
    """An order's new status."""

    status: EventOrderStatus


class KeyChange(msgspec.Struct, forbid_unknown_fields=True):
    """A change of the bank's keys: ``rotate`` signs with a new key of that algorithm from now on and keeps the others
    published, ``twin`` publishes another key with the id of the newest one before it, ``retire`` publishes only the
    newest of each algorithm, ``publish`` is what the address answers with."""

    rotate: Algorithm | None = None
    twin: Algorithm | None = None
    retire: bool = False
    publish: KeySetKind | None = None
