"""Captures, voids and charges: one request on ``payments.requested``, as the commands publish it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal, cast

from paynotify.ops.common.action_log import ActionLog, intention, recorded_values
from paynotify.ops.common.amounts import parse_amount
from paynotify.ops.common.newest import newest_event
from paynotify.ops.console.access.identity import Identity, Role
from paynotify.ops.console.actions.action_run import ActionRun
from paynotify.ops.console.actions.console_action import ActionContext, require, stake
from paynotify.ops.console.actions.forms import ActionField, FormValues
from paynotify.ops.console.actions.planned import ActionRefusedError, Performer, PlannedAction
from paynotify.ops.requests import options
from paynotify.ops.requests.publishing import follow, publish
from paynotify.ops.requests.summary import describe, expected_refusals
from paynotify.schemas import topics
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.errors import ClusterUnavailableError
from paynotify.schemas.messages import Action, PaymentRequest, PaymentStatus, RequestedPayment
from paynotify.schemas.money import to_major
from paynotify.service.tail import Tail

#: How long the page shows what became of a request; later events are on the pages of its payment.
_FOLLOW_SECONDS: Final = 20.0

_PAYMENT: Final = ActionField(name="payment", label="Payment", is_required=True, hint="MERCHANT/PAYMENT, authorised")
_CURRENCY: Final = ActionField(name="currency", label="Currency", hint="of the amount, such as EUR")
_CAPTURE: Final = ActionField(name="capture", label="Capture", kind="choice", choices=("later", "now"), default="later")


@dataclass(frozen=True, slots=True)
class _Form:
    """What distinguishes the three: the request's action, the words of its form, and its fields."""

    action: Action
    title: str
    about: str
    fields: tuple[ActionField, ...]


_FORMS: Final[Mapping[str, _Form]] = {
    "capture": _Form(
        "capture",
        "Capture",
        "Takes the money of an authorisation, all of it or a part.",
        (
            _PAYMENT,
            ActionField(name="amount", label="Only this part", hint="in major units; the rest is voided"),
            _CURRENCY,
        ),
    ),
    "void": _Form("release", "Void", "Gives an authorisation back, without taking money.", (_PAYMENT,)),
    "charge": _Form(
        "charge",
        "Charge",
        "Charges a payment method that the customer registered with an earlier payment.",
        (
            ActionField(name="merchant", label="Merchant", kind="merchant", is_required=True),
            ActionField(name="order", label="Order", is_required=True, hint="without personal data"),
            ActionField(name="reference", label="Initial payment", is_required=True, hint="its id at the provider"),
            ActionField(name="amount", label="Amount", is_required=True, hint="in major units, such as 19.90"),
            ActionField(name="currency", label="Currency", is_required=True, hint="that of the initial payment"),
            _CAPTURE,
            ActionField(name="again", label="Even if the order has a charge", kind="check"),
        ),
    ),
}


class RequestAction:
    """``name`` is ``capture``, ``void`` or ``charge``. It moves money, so it is for cashiers alone."""

    role = Role.CASHIER

    def __init__(self, context: ActionContext, name: Literal["capture", "void", "charge"]) -> None:
        form = _FORMS[name]
        self._context = context
        self._action = form.action
        self.name: str = name
        self.title = form.title
        self.about = form.about
        self.fields = form.fields

    def plan(self, form: FormValues, identity: Identity) -> PlannedAction:
        """A dry run: the request, and why the charge stage would refuse it."""
        configuration = self._context.configuration
        if self._action == "charge":
            require(identity, self.role, form.needed("merchant"))
            request = _charge(form, configuration)
        else:
            require(identity, self.role, form.needed("payment").partition("/")[0])
            request = _for_payment(form, configuration, self._action)
        merchant = options.charging_merchant(configuration, request.merchant)
        seen = self._newest(request)
        # of a part that is captured, the rest is given up: all of the payment is at stake
        is_new = self._action == "charge"
        at_stake = request.amount if is_new else stake(seen.amount if seen is not None else None, request.amount)
        warnings = expected_refusals(request, merchant)
        if seen is None:
            warnings.append("The payment has no event on payments.latest: check its id.")

        def perform(performer: Performer, run: ActionRun) -> None:
            self._perform(request, seen, performer, run)

        facts = describe(request, merchant)
        if seen is not None:
            facts.append(("payment now", f"{seen.status}, sequence {seen.sequence}"))
        return PlannedAction(
            title=self.title,
            role=self.role,
            merchants=frozenset({request.merchant}),
            records=1,
            sentence="1 request would be published. It moves money, or gives it up, and can't be taken back.",
            perform=perform,
            facts=facts,
            warnings=warnings,
            amount=at_stake,
            needs_second=self._context.needs_second(at_stake),
            charges=f"{request.merchant}/{request.reference_payment_id}" if is_new else "",
        )

    def _perform(
        self, request: RequestedPayment, seen: PaymentStatus | None, performer: Performer, run: ActionRun
    ) -> None:
        now = self._newest(request)
        if (now.event_id if now is not None else None) != (seen.event_id if seen is not None else None):
            raise ActionRefusedError("The payment has changed since this dry run. Make another dry run.")
        kafka = self._context.configuration.kafka
        intended = intention(
            request.action,
            performer.operator,
            kafka,
            performer.recorded(_recorded(request)),
            merchant=request.merchant,
            payment_id=request.payment_id,
            planned=1,
        )
        with Tail(kafka, topics.REQUESTS) as tail:
            run.begin()
            with ActionLog(kafka, intended) as log:
                publish(kafka, request)
                log.count()
                run.advance()
            run.result = {"request": request.request_id, "state": "published"}
            with suppress(ClusterUnavailableError):  # it is published, whatever can be read of it
                run.result |= _outcome(follow(tail, request, _FOLLOW_SECONDS))

    def _newest(self, request: RequestedPayment) -> PaymentStatus | None:
        """The newest event of the payment that the request names; None if there is none."""
        key = f"{request.merchant}/{request.payment_id or request.reference_payment_id}".encode()
        with self._context.open_reader() as reader:
            return newest_event(reader, self._context.configuration.kafka, key)


def _for_payment(form: FormValues, configuration: Configuration, action: Action) -> RequestedPayment:
    merchant, payment = options.parse_payment(configuration, form.needed("payment"))
    amount = parse_amount(form.text("amount"), form.text("currency")) if action == "capture" else None
    return RequestedPayment(
        request_id=options.parse_request_id(None), merchant=merchant, action=action, payment_id=payment, amount=amount
    )


def _charge(form: FormValues, configuration: Configuration) -> RequestedPayment:
    merchant = options.charging_merchant(configuration, form.needed("merchant"))
    capture = cast(Literal["now", "later"], form.chosen(_CAPTURE))
    return RequestedPayment(
        request_id=options.parse_request_id(None),
        merchant=merchant.id,
        action="charge",
        order_id=options.parse_order_id(form.needed("order")),
        reference_payment_id=options.parse_payment_id("--reference", form.needed("reference"), merchant),
        amount=parse_amount(form.needed("amount"), form.needed("currency")),
        capture=capture,
        again=form.text("again") is not None,
    )


def _recorded(request: RequestedPayment) -> dict[str, str]:
    amount = request.amount
    return recorded_values(
        {
            "request_id": request.request_id,
            "order": request.order_id,
            "reference": request.reference_payment_id,
            "amount": to_major(amount) if amount is not None else None,
            "currency": amount.currency if amount is not None else None,
            "capture": request.capture if request.action == "charge" else None,
            "again": request.again,
        }
    )


def _outcome(found: PaymentRequest | None) -> dict[str, str]:
    """What the charge stage has said of the request so far."""
    if found is None:
        return {"state": f"no outcome within {_FOLLOW_SECONDS:g} s; its payment's page shows it later"}
    return {
        "state": ": ".join(filter(None, (found.state, found.status, found.reason))),
        **({"payment": f"{found.merchant}/{found.payment_id}"} if found.payment_id else {}),
    }
