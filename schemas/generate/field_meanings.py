"""What each field of a public message means, for the contract documents and the reference page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_MERCHANT: Final = "The shop's account at the provider, by its id in the configuration."
_PROVIDER: Final = "The provider's name."
_EVENT_ID: Final = "Derived from the content: apply each one once."
_PAYMENT_ID: Final = "The provider's id of the payment."
_ORDER_ID: Final = "The shop's id of the order."

#: By the type's name, then the field's.
FIELD_MEANINGS: Final[Mapping[str, Mapping[str, str]]] = {
    "Money": {
        "value": "Integer in the currency's minor unit: 1050 GBP is 10.50 pounds, 100 JPY is 100 yen.",
        "currency": "ISO 4217 code.",
    },
    "Checks": {
        "amount": "The amount compared with the registered one; `unknown` where none is registered.",
        "order": "Whether the payment belongs to a registered order.",
    },
    "Correction": {
        "by": "Who corrected the status.",
        "reason": "Why.",
    },
    "PaymentStatus": {
        "event_id": _EVENT_ID,
        "sequence": "Counts the payment's events from 1 without gaps.",
        "provider": _PROVIDER,
        "merchant": _MERCHANT,
        "payment_id": _PAYMENT_ID,
        "order_id": f"{_ORDER_ID} Null if the provider names none.",
        "status": "The payment's status.",
        "previous_status": "The status before; null at the first event.",
        "final": "No later change is expected, although a refund or a late success may follow.",
        "fulfilment": "What a warehouse may do with the goods.",
        "amount": "What is to be paid.",
        "paid": "What was captured.",
        "refunded": "The sum of the settled refunds.",
        "refunding": "The sum of the refunds that were accepted and are under way.",
        "charged_back": "What chargebacks took; absent although the status is `charged_back`: all that was left.",
        "customer_amount": "The amount in the customer's currency, where it was converted.",
        "reason": "Why, as the provider names it or as a word of paynotify's.",
        "provider_status": "The provider's own fields behind the status, for people.",
        "checks": "How the payment compares with what the shop registered.",
        "source": "The provider's operation that the event comes from.",
        "provider_time": "When the payment reached the state, by the provider's clock.",
        "observed_at": "When paynotify received the provider's response.",
        "settles_by": "When an authorised payment is to be captured, where that is known.",
        "correction": "An operator's correction, while the corrected status stands.",
        "order_role": "What the payment is to its order: all of it, a part, or a later payment of a subscription.",
    },
    "OverduePayment": {
        "event_id": _EVENT_ID,
        "state": "Whether the order became overdue or is not overdue any more.",
        "provider": _PROVIDER,
        "merchant": _MERCHANT,
        "order_id": _ORDER_ID,
        "payment_id": "The provider's id of the order's newest payment; null if none was reported.",
        "status": "That payment's status.",
        "amount": "What the shop expects.",
        "created_at": "When the shop sold it.",
        "final_by": "When the payment was to be final.",
        "at": "When it became overdue, or when what ends that was observed.",
        "reason": "`settlement`: the payment is authorised and its settlement is late.",
    },
    "ProviderSilent": {
        "event_id": _EVENT_ID,
        "state": "Whether the provider is silent or reports again.",
        "provider": _PROVIDER,
        "unheard": "How many orders in a row it has not reported.",
        "since": "Since when.",
        "at": "When that was noticed.",
        "urgent": "A person should be paged.",
        "merchant": "Set if it reports other merchants' orders and none of this one's.",
    },
    "OperationsEvent": {
        "event_id": _EVENT_ID,
        "kind": "What happened.",
        "provider": _PROVIDER,
        "merchant": _MERCHANT,
        "cause": "Id of what the case was noticed at.",
        "at": "When it was noticed.",
        "payment_id": _PAYMENT_ID,
        "status": "What is published of the payment.",
        "previous_status": "The status before.",
        "refused": "What the provider says instead of `status`.",
        "captured": "What was captured.",
        "refunded": "What went back.",
        "elements": "The first odd elements.",
        "elements_total": "How many odd elements there are.",
    },
    "NamedElement": {
        "place": "The element's place in the response.",
        "reason": "Why it could not be read.",
    },
    "ExpectedPayment": {
        "merchant": _MERCHANT,
        "order_id": _ORDER_ID,
        "amount": "What is to be paid.",
        "created_at": "When the shop sold it. Of two records of one order the newer one counts.",
        "payment_id": "The provider's id of the payment, if the shop has it already.",
        "final_by": "After this time the order is overdue; without it, never.",
        "several": "More than one payment may pay for the order in full, as through a payment link.",
    },
    "RequestedPayment": {
        "request_id": "Derive it from what the charge is for. A repeated one moves no money.",
        "merchant": _MERCHANT,
        "action": "What to do; `release` voids an authorisation.",
        "order_id": _ORDER_ID,
        "payment_id": "The payment to capture or release.",
        "reference_payment_id": "The initial payment, which registered the payment method.",
        "user_id": "The customer's id at the shop, as it was registered.",
        "amount": "What to charge or capture. Of a capture without it: all that is authorised.",
        "capture": "Whether a charge takes the money or authorises it.",
        "again": "Allows a further charge of an order that has one.",
        "expires_at": "It is not started after this time.",
    },
    "PaymentRequest": {
        "event_id": _EVENT_ID,
        "request_id": "The shop's id of the request.",
        "merchant": _MERCHANT,
        "provider": _PROVIDER,
        "action": "What was requested.",
        "state": "How far it is; `refused` and `done` are its end.",
        "reason": "Why it was refused or is uncertain. Show one that you don't know to a person.",
        "order_id": _ORDER_ID,
        "payment_id": _PAYMENT_ID,
        "amount": "What was requested, or what is authorised.",
        "status": "The payment's status.",
        "at": "When this became so.",
    },
}
