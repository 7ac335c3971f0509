"""The simulated gateway's sites, rules and payments."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from sandbox.simulators.base import Settings, SimulatedShop

#: The gateway's own form of a time, GMT.
TIME: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$"

Rule = Literal["STR-8", "STR-9", "STR-10"]


class TrustPaymentsShop(SimulatedShop):
    """A site, its notification password and its web services user."""

    site_reference: str
    notification_password: str
    username: str
    password: str
    rules: tuple[Rule, ...] = ("STR-10",)
    extra_fields: tuple[str, ...] = ()


class TrustPaymentsSettings(Settings):
    """The gateway's rules, in its own seconds. Queries see a record up to ``visible_within_seconds`` late."""

    shops: tuple[TrustPaymentsShop, ...]
    resend_after_seconds: float = 60.0
    resend_until_seconds: float = 48 * 3600.0
    visible_within_seconds: float = 5.0


SettleStatus = Literal["0", "1", "2", "3", "10", "100"]


class TrustPaymentsPayment(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A payment to open, as the control API takes it."""

    merchant: str = ""
    order_id: str
    amount: Annotated[int, Meta(ge=0)]
    currency: str = "GBP"
    errorcode: Annotated[str, Meta(pattern="^[0-9]{1,5}$")] = "0"
    settlestatus: SettleStatus | None = None
    payment_type: str = "VISA"
    notify: bool = True
    copies: Annotated[int, Meta(ge=1, le=20)] = 1
    notify_after_seconds: float = 0.0
    visible_after_seconds: float | None = None
    started_at: Annotated[str, Meta(pattern=TIME)] | None = None


class TrustPaymentsChange(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A new settle status (with the code, after an uncertain response), a refund or a chargeback."""

    settlestatus: SettleStatus | None = None
    errorcode: Annotated[str, Meta(pattern="^[0-9]{1,5}$")] | None = None
    refund: Annotated[int, Meta(ge=1)] | None = None
    refund_settlestatus: SettleStatus = "100"
    chargeback: bool = False
    notify: bool = True
    copies: Annotated[int, Meta(ge=1, le=20)] = 1
    notify_after_seconds: float = 0.0
