"""The payments of the demo's day as tables: how each begins, and what happens to it later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

#: Seconds from the payment to a change.
_SOON, _LATER, _LAST = 1.5, 3.0, 4.5


@dataclass(frozen=True, slots=True)
class Share:
    """A share of the payment's amount. The last of several shares that make one is the rest, without a rounding."""

    value: float


Change = tuple[float, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """``count`` payments of one kind, with `Share` for amounts.

    The shop registers each as expected; ``late_after_seconds`` is when the payment is overdue. A request that ``pays``
    nothing is not registered and not in the provider's ledger. ``dispute_won``: the chargeback among the changes is
    reversed, of which only an operator learns.
    """

    count: int
    provider: str
    order: Mapping[str, Any] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()
    late_after_seconds: float = 3600.0
    pays: bool = True
    dispute_won: bool = False


_OMNIKASSA: Final = (
    Scenario(70, "omnikassa"),
    Scenario(12, "omnikassa", {"brand": "VISA", "failed_attempts": 1}),
    Scenario(18, "omnikassa", {"status": "CANCELLED"}),
    Scenario(10, "omnikassa", {"status": "EXPIRED", "brand": "MASTERCARD"}),
    Scenario(10, "omnikassa", {"status": "IN_PROGRESS"}, ((_LATER, {"status": "COMPLETED"}),)),
    # another shop's order, and one without an amount, on the pages of the others
    Scenario(2, "omnikassa", {"odd": "foreign"}, pays=False),
    Scenario(1, "omnikassa", {"odd": "no_amount"}, pays=False),
)

_SETTLED: Final = {"settlestatus": "100"}
_BANK: Final = {"settlestatus": "10", "payment_type": "TRUSTLY"}

#: Cards settle at night, and nobody is told. Of a bank's confirmation, refunds and chargebacks the gateway tells.
_TRUST_PAYMENTS: Final = (
    Scenario(48, "trustpayments"),
    Scenario(8, "trustpayments", {"copies": 3}),
    # the notification comes after the night in which the payment was settled
    Scenario(8, "trustpayments", {"notify_after_seconds": 4.0}),
    Scenario(4, "trustpayments", {"settles_in_days": 1}),
    Scenario(4, "trustpayments", {"payment_type": "PAYPAL", "settlestatus": "10"}),
    Scenario(6, "trustpayments", _BANK, ((_LATER, _SETTLED),)),
    # of this method the gateway does not tell
    Scenario(2, "trustpayments", {**_BANK, "payment_type": "SOFORT"}, ((_LATER, _SETTLED),)),
    Scenario(22, "trustpayments", {"errorcode": "70000"}),
    Scenario(4, "trustpayments", {"errorcode": "60022"}),
    # what is settled can't be cancelled, so that these are not to settle in the next night
    Scenario(8, "trustpayments", {"settles_in_days": 1}, ((_SOON, {"settlestatus": "3"}),)),
    Scenario(6, "trustpayments", {"settlestatus": "2"}, ((_SOON, {"settlestatus": "0"}),)),
    # the refund is accepted in the evening and settled at night; one comes before the payment is settled itself
    Scenario(10, "trustpayments", _SETTLED, ((_LATER, {"refund": Share(0.3)}),)),
    Scenario(5, "trustpayments", _SETTLED, ((_SOON, {"refund": Share(0.4)}), (_LATER, {"refund": Share(0.6)}))),
    Scenario(5, "trustpayments", _SETTLED, ((_LATER, {"refund": Share(1.0)}),)),
    Scenario(2, "trustpayments", {}, ((_SOON, {"refund": Share(0.5)}),)),
    Scenario(2, "trustpayments", _SETTLED, ((_LATER, {"chargeback": True}),)),
    Scenario(2, "trustpayments", _SETTLED, ((_LATER, {"chargeback": Share(0.4)}),)),
    Scenario(1, "trustpayments", _SETTLED, ((_LATER, {"chargeback": True}),), dispute_won=True),
    Scenario(2, "trustpayments", {"shipments": 2, "settles": Share(0.6)}, ((_LATER, {"shipment": Share(0.4)}),)),
    Scenario(3, "trustpayments", {"subscription": True}, ((_LAST, {"repeat": Share(1.0)}),)),
    Scenario(2, "trustpayments", {"conversion": {"currency": "EUR", "amount": Share(1.17)}}),
    Scenario(2, "trustpayments", _SETTLED, ((_SOON, {"payout": Share(2.0)}),)),
    Scenario(2, "trustpayments", {"request": "CFT"}, pays=False),
    Scenario(2, "trustpayments", {"request": "ACCOUNTCHECK"}, pays=False),
    # every query that names it fails, whatever else it asks for
    Scenario(1, "trustpayments", {"refused": True}, pays=False),
    Scenario(4, "trustpayments", {"errorcode": "60010"}, ((_LAST, {"errorcode": "0", **_SETTLED}),)),
    # paid, but the webhook never arrives: the payment is overdue, polled and found
    Scenario(6, "trustpayments", {**_SETTLED, "notify": False}, late_after_seconds=2.0),
)

_NEVOGATE: Final = (
    Scenario(58, "nevogate"),
    # captured or voided by a person in the gateway's web interface, which calls nobody
    Scenario(18, "nevogate", {"auto_commit": False}, ((_LATER, {"close": True}),)),
    Scenario(4, "nevogate", {"auto_commit": False}, ((_LATER, {"close": False}),)),
    Scenario(6, "nevogate", {"auto_commit": False}),
    Scenario(12, "nevogate", {"result": "CANCELED"}),
    Scenario(8, "nevogate", {"result": "TIMEOUT"}),
    Scenario(4, "nevogate", {"result": "ERROR"}),
    Scenario(8, "nevogate", {"result": "PENDING"}, ((_SOON, {"result": "SUCCESSFUL"}),)),
    # a failure that becomes a success
    Scenario(2, "nevogate", {"result": "ERROR"}, ((_LATER, {"result": "SUCCESSFUL"}),)),
    Scenario(4, "nevogate", {"copies": 3}),
)

#: Signed events, of which a person sees the order at the bank in the end; only where the day has such a merchant.
_SMARTPAY: Final = (
    Scenario(20, "smartpay"),
    *(Scenario(6, "smartpay", {"algorithm": one}) for one in ("ES384", "ES512", "RS256", "RS384", "RS512")),
    Scenario(8, "smartpay", {"status": "CANCELLED"}),
    Scenario(6, "smartpay", {"status": "EXPIRED"}),
    Scenario(8, "smartpay", {"status": "IN_PROGRESS"}, ((_LATER, {"status": "COMPLETED"}),)),
    # through two subscriptions; with a status word that nobody knows; another shop's; changed on its way
    Scenario(4, "smartpay", {"odd": "twice"}),
    Scenario(2, "smartpay", {"odd": "unknown_status"}),
    Scenario(2, "smartpay", {"odd": "foreign"}, pays=False),
    Scenario(2, "smartpay", {"odd": "changed"}, pays=False),
)

SCENARIOS: Final = (*_OMNIKASSA, *_TRUST_PAYMENTS, *_NEVOGATE, *_SMARTPAY)


class PaymentAmounts:
    """The amounts of one payment: what its scenario's shares of it are."""

    def __init__(self, amount: int) -> None:
        self._amount = amount
        self._taken: dict[str, int] = {}

    def of(self, details: Mapping[str, Any]) -> dict[str, Any]:
        """The details with an amount in the place of each share."""
        return {name: self._value(name, value) for name, value in details.items()}

    def _value(self, name: str, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {inner: self._value(f"{name}.{inner}", one) for inner, one in value.items()}
        if not isinstance(value, Share):
            return value
        part = round(self._amount * value.value)
        taken = self._taken.get(name, 0)
        if value.value <= 1:
            part = min(part, self._amount - taken)
        self._taken[name] = taken + part
        return part
