"""The simulated gateway's stores, rules and payments."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from paynotify.sandbox.simulators.base import Settings, SimulatedShop
from paynotify.sandbox.simulators.nevogate.call_bodies import AlertKind, BodyForm
from paynotify.sandbox.simulators.nevogate.recurring import ChargeScript
from paynotify.sandbox.simulators.nevogate.transaction import Registration, ResultCode, Verification

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
    whether a Close causes a notification. Nor do they show what a notification contains: ``form_share`` and
    ``multipart_share`` of them are no JSON. With ``old_results`` a Result has no amount, as in older documents.
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
    form_share: Share = 0.0
    multipart_share: Share = 0.0
    old_results: bool = False


class NevogatePayment(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """``registration`` lets later charges name the payment as reference; ``outcome`` is then their outcome.

    The gateway is silent about what is not final: only the customer's browser comes back then, at the ResponseUrl.
    ``notify`` of true sends every call all the same, false sends none. ``verification``: only the card is verified, and
    the response has an amount of 0 or none; so it is no payment of the ledger.
    """

    merchant: str = ""
    order_id: str
    amount: Annotated[int, Meta(ge=0)]
    currency: str = "HUF"
    result: ResultCode = "SUCCESSFUL"
    auto_commit: bool = True
    user_id: str = "SANDBOX-USER"
    registration: Registration = "none"
    outcome: ChargeScript | None = None
    verification: Verification = "none"
    form: BodyForm | None = None
    notify: bool | None = None
    response_url: bool = True
    copies: Annotated[int, Meta(ge=1, le=20)] = 1


class NevogateAlert(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A PayAlert about a store, or the message that it is over; it is given in the place of a payment."""

    alert: AlertKind
    over: bool = False
    merchant: str = ""


class NevogateChange(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A new result, an authorisation closed by hand (true captures it, or ``captured`` of it; false voids it), or calls
    that somebody else made.

    What a person does in the gateway's web interface and what the customer withdraws at the bank causes no call; a new
    result does, unless it is not final. ``notify`` says otherwise.
    """

    result: ResultCode | None = None
    close: bool | None = None
    captured: Annotated[int, Meta(ge=1)] | None = None
    registration: Registration | None = None
    outcome: ChargeScript | None = None
    foreign_calls: Annotated[int, Meta(ge=0)] = 0
    notify: bool | None = None
    response_url: bool = True
    copies: Annotated[int, Meta(ge=1, le=20)] = 1

    @property
    def quiet(self) -> bool:
        """Whether nobody is told: only a new result causes a call."""
        about_means = self.registration is not None or self.outcome is not None
        by_hand = self.close is not None and not self.notify
        return self.result is None and (by_hand or (about_means and self.close is None))
