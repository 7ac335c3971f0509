"""The simulated gateway's sites, rules and payments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from paynotify.sandbox.simulators.base import Settings, SimulatedShop

#: The gateway's own form of a time, GMT.
TIME: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$"

#: The system rules, and two custom ones: ``UDR-1`` tells of refunds, chargebacks and account checks, ``UDR-2`` of
#: whatever is settled, suspended or cancelled.
Rule = Literal["STR-8", "STR-9", "STR-10", "UDR-1", "UDR-2"]

SettleStatus = Literal["0", "1", "2", "3", "10", "100"]
_Code = Annotated[str, Meta(pattern="^[0-9]{1,5}$")]
_Amount = Annotated[int, Meta(ge=0)]
_Positive = Annotated[int, Meta(ge=1)]
_Copies = Annotated[int, Meta(ge=1, le=20)]


class TrustPaymentsShop(SimulatedShop):
    """A site, its notification password and its web services user.

    Without ``site_security`` its notifications have no hash. ``custom_fields`` are the shop's own, which its page adds
    to each notification.
    """

    site_reference: str
    notification_password: str
    username: str
    password: str
    rules: tuple[Rule, ...] = ("STR-10",)
    extra_fields: tuple[str, ...] = ()
    site_security: bool = True
    custom_fields: Mapping[str, str] = {}


class TrustPaymentsSettings(Settings):
    """The gateway's rules, in its own seconds. Queries see a record up to ``visible_within_seconds`` late.

    The gateway's date is today's, and each night that the control API asks for moves it by a day. With ``day_seconds``
    a day of the gateway lasts so many real seconds from ``first_day_at`` on (seconds since the epoch; by default the
    start of the simulator), and ends with a night.
    """

    shops: tuple[TrustPaymentsShop, ...]
    resend_after_seconds: float = 60.0
    resend_until_seconds: float = 48 * 3600.0
    visible_within_seconds: float = 5.0
    day_seconds: Annotated[float, Meta(gt=0)] | None = None
    first_day_at: float | None = None


class DynamicConversion(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The customer's currency and amount of a payment that is converted for the merchant."""

    currency: str
    amount: _Positive


class TrustPaymentsPayment(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A payment to open, as the control API takes it.

    ``request`` ACCOUNTCHECK checks a card without a payment, CFT pays money out without one. ``settles_in_days`` defers
    the settlement. ``shipments`` is how many parts it is settled in. A ``refused`` one is no payment: it is told of,
    and every query that names it fails as a whole.
    """

    merchant: str = ""
    order_id: str
    amount: _Amount
    currency: str = "GBP"
    errorcode: _Code = "0"
    settlestatus: SettleStatus | None = None
    payment_type: str = "VISA"
    request: Literal["AUTH", "ACCOUNTCHECK", "CFT"] = "AUTH"
    settles_in_days: Annotated[int, Meta(ge=0, le=31)] = 0
    pre_authorised: bool = False
    shipments: Annotated[int, Meta(ge=1, le=99)] = 1
    settles: _Positive | None = None
    subscription: bool = False
    conversion: DynamicConversion | None = None
    refused: bool = False
    notify: bool | None = None
    copies: _Copies = 1
    notify_after_seconds: float = 0.0
    visible_after_seconds: float | None = None
    started_at: Annotated[str, Meta(pattern=TIME)] | None = None


class TrustPaymentsChange(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A new settle status (with the code, after an uncertain response), or a child of the request.

    ``refund``, ``payout`` (CFT), ``shipment`` (a further part of a split shipment) and ``repeat`` (the next payment of
    a subscription) are amounts. ``chargeback`` is an amount, or true for all that is left. ``reversed``: the acquirer
    gives a chargeback's money back, of which the gateway has no record.

    Nobody is told unless a rule of the site says so; ``notify`` true or false decides it for this change alone.
    """

    settlestatus: SettleStatus | None = None
    settles: _Positive | None = None
    errorcode: _Code | None = None
    refund: _Positive | None = None
    refund_settlestatus: SettleStatus = "0"
    payout: _Positive | None = None
    shipment: _Positive | None = None
    repeat: _Positive | None = None
    installment: bool = False
    chargeback: bool | _Positive = False
    reversed: bool = False
    notify: bool | None = None
    copies: _Copies = 1
    notify_after_seconds: float = 0.0


class Night(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Nights to let pass."""

    days: Annotated[int, Meta(ge=1, le=60)] = 1
