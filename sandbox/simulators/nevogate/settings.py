"""The simulated gateway's stores, rules and payments."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from sandbox.simulators.base import Settings, SimulatedShop
from sandbox.simulators.nevogate.recurring import ChargeScript
from sandbox.simulators.nevogate.transaction import Registration, ResultCode

Share = Annotated[float, Meta(ge=0, le=1)]


class NevogateShop(SimulatedShop):
    """A store and its API key."""

    store_name: str
    api_key: str


class NevogateSettings(Settings):
    """The gateway's rules, in its own seconds. How often it re-sends is not documented; here it is ten times.

    A charge that is not started within ``start_within_seconds`` ends as TIMEOUT; a pending one ends after
    ``pending_seconds``. ``outcomes`` has the share of started charges for each outcome (the rest is SUCCESSFUL), unless
    the initial payment has an outcome of its own. ``doubled_share`` of the notifications are sent twice.
    The documents do not say whether a withdrawn registration is noticed by InitRP or by StartRP (the default), nor
    whether a Close causes a notification.
    """

    shops: tuple[NevogateShop, ...]
    resend_after_seconds: float = 30.0
    signals_within_seconds: float = 2.0
    start_within_seconds: float = 3600.0
    pending_seconds: float = 60.0
    outcomes: dict[ChargeScript, Share] = msgspec.field(default_factory=dict)
    doubled_share: Share = 0.0
    checks_reference_at_init: bool = False
    signals_close: bool = False


class NevogatePayment(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """``registration`` lets later charges name the payment as reference; ``outcome`` is then their outcome."""

    merchant: str = ""
    order_id: str
    amount: Annotated[int, Meta(ge=0)]
    currency: str = "HUF"
    result: ResultCode = "SUCCESSFUL"
    auto_commit: bool = True
    user_id: str = "SANDBOX-USER"
    registration: Registration = "none"
    outcome: ChargeScript | None = None
    notify: bool = True
    response_url: bool = True
    copies: Annotated[int, Meta(ge=1, le=20)] = 1


class NevogateChange(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A new result, a closed authorisation (true captures it, false voids it), or calls that somebody else made.

    A change of the registered payment method alone causes no notification: the customer withdraws it at the bank.
    """

    result: ResultCode | None = None
    close: bool | None = None
    registration: Registration | None = None
    outcome: ChargeScript | None = None
    foreign_calls: Annotated[int, Meta(ge=0)] = 0
    notify: bool = True
    response_url: bool = True
    copies: Annotated[int, Meta(ge=1, le=20)] = 1

    @property
    def quiet(self) -> bool:
        """Whether only the registered payment method changes."""
        about_means = self.registration is not None or self.outcome is not None
        return about_means and self.result is None and self.close is None
