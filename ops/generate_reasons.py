"""Writes ``docs/reference/reasons.md``: every reason of the closed lists, with its meaning and what to do.

Run it with ``python -m paynotify.ops.generate_reasons``; a unit test compares the page with the lists.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, get_args

from paynotify.schemas.generate import markdown
from paynotify.schemas.reasons import (
    AlertKind,
    DeadReason,
    DeliveryReason,
    NotificationWarning,
    RejectReason,
    RequestReason,
    ResponseWarning,
)

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "reference" / "reasons.md"

_INTRODUCTION: Final = """\
# Reasons

<!-- Generated from the closed lists by `python -m paynotify.ops.generate_reasons`. Do not edit. -->

A reason is one word of a closed list: a record's header, a field, or a metric's label. It never quotes what came from
outside. The reasons on `payments.status` are with the [payment events](events.md#reasons).
"""

_REJECTED: Final[Mapping[RejectReason, tuple[str, str]]] = {
    "malformed": ("The bytes are not what the provider sends.", "Ask who sent it; genuine calls are never malformed."),
    "unknown_merchant": ("No such merchant is configured.", "Add the merchant, then replay."),
    "bad_signature": (
        "The signature was made with none of the merchant's secrets.",
        "Compare the secrets, then replay.",
    ),
    "missing_signature": ("The signature is absent.", "Switch the signature on at the provider."),
    "unknown_event": ("The provider sends no such event.", "Report it: the provider has changed its protocol."),
    "expired_token": ("The notification's token is no longer valid.", "Nothing: the next notification has a new one."),
    "unexpected_field": (
        "A known field is repeated, or a field is not in the merchant's list and the form names no transaction.",
        "Add the field to `extra_fields` if your site sends it.",
    ),
    "over_budget": ("Unsigned calls exceeded their budget.", "Nothing in a flood; else raise the budget, then replay."),
    "too_old": ("Not used any more.", ""),
    "algorithm": ("The signature's algorithm is not allowed.", "Ask who sent it."),
    "unknown_key": ("No published key made the signature.", "See PaynotifyKeySetOld; replay once the key is there."),
    "mismatch": ("The event is another subscription's, or contradicts itself.", "Compare the subscription's settings."),
    "stale": ("The event is older than 25 days.", "Nothing: `paynotify reconcile` finds the payment."),
}
_DEAD: Final[Mapping[DeadReason, tuple[str, str]]] = {
    "not_found": ("The provider did not know the payment after all retries.", "Look for it at the provider."),
    "unavailable": ("The provider could not be reached, or failed, after all retries.", "Replay once it is back."),
    "rate_limited": ("The provider refused too many calls, after all retries.", "Lower the call rate, then replay."),
    "uncertain": ("The provider gave no conclusive response after all retries.", "Replay."),
    "refused": ("The provider refused the lookup.", "See the log, correct the configuration, then replay."),
    "credentials": ("The provider refused the credentials.", "Correct them, then replay."),
    "expired_token": ("The lookup's token is no longer valid.", "Nothing: the next notification has a new one."),
    "unknown_merchant": (
        "No such merchant is configured any more, or an element of the response is another shop's.",
        "Add the merchant, then replay.",
    ),
    "unreadable_lookup": ("The lookup is not valid.", "Find who wrote it."),
    "unreadable_expectation": ("The expected payment is not valid.", "The shop corrects it and writes it again."),
    "unreadable_request": ("The request is not valid.", "The shop corrects it and requests again."),
    "unreadable_answer": ("The response can't be read, in all or in part.", "Report it, then replay with the fix."),
    "unverified_answer": ("The response's signature is wrong.", "Compare the signing keys, then replay."),
    "internal_error": ("An unexpected exception; the log has it.", "Report it, then replay with the fix."),
}
_REQUEST: Final[Mapping[RequestReason, tuple[str, str]]] = {
    "bad_request": ("The request is not valid.", "Correct it and request again under a new id."),
    "unknown_merchant": ("No such merchant is configured.", "Correct the request or the configuration."),
    "not_enabled": ("The merchant has no `charges`.", "Give it the section."),
    "expired": ("The request was not carried out before it expired.", "Request again under a new id."),
    "order_already_charged": ("The order has a charge.", "Set `again` if a second charge is intended."),
    "wrong_currency": ("The payment has another currency.", "Look at the payment with `paynotify trace`."),
    "no_limit": ("The currency has no limits.", "Give it limits in the configuration."),
    "over_charge_limit": ("One charge would be over its limit.", "Raise the limit, or charge less."),
    "over_reference_limit": ("The payment method's charges would be over their limit.", "Raise the limit, or wait."),
    "over_day_limit": ("The day's charges would be over their limit.", "Raise the limit, or wait."),
    "unknown_reference": ("The payment method is not known.", "The customer registers one again."),
    "reference_not_usable": ("The payment method can't be charged.", "The customer registers one again."),
    "unknown_payment": ("The payment is not known.", "Look at the payment with `paynotify trace`."),
    "not_authorised": ("The payment is not authorised.", "Look at the payment with `paynotify trace`."),
    "already_closing": ("Another request is closing the payment.", "Wait for that one."),
    "over_authorised": ("More than is authorised.", "Capture no more than is authorised."),
    "configuration": ("The gateway refused the merchant's settings.", "Fix what the alert names, then request again."),
    "inactive_store": ("The gateway says that the store is inactive.", "Ask the gateway's support."),
    "unknown_store": ("The gateway does not know the store.", "Ask the gateway's support."),
    "inactive_provider": ("The gateway says that the payment provider is inactive.", "Ask the gateway's support."),
    "unknown_provider": ("The gateway does not know the payment provider.", "Ask the gateway's support."),
    "provider_settings": ("The gateway says that the provider's settings are wrong.", "Ask the gateway's support."),
    "parameters": ("The gateway refused the parameters.", "Correct the request or the configuration."),
    "credentials": ("The gateway refused the credentials until the request expired.", "Correct them; request again."),
    "address": ("The gateway refused our address until the request expired.", "Have it admitted; request again."),
    "provider_code": ("The gateway returned a code that is not documented.", "Ask the gateway's support."),
    "wrong_state": ("The gateway says that the payment is in another state.", "Ask the gateway's support."),
    "unavailable": ("The gateway could not be reached until the request expired.", "Request again under a new id."),
    "no_answer": ("The gateway's response was lost or can't be read.", "Refused: request again. Uncertain: wait."),
}
_DELIVERY: Final[Mapping[DeliveryReason, tuple[str, str]]] = {
    "unreachable": ("No connection.", "Check the name, the port, TLS and the proxy."),
    "forbidden_address": (
        "The name leads to an address that must not be called.",
        "Allow it by `deliver.private_networks`, if it is yours.",
    ),
    "no_answer": ("No status in time, or the connection broke.", "The subscriber answers first and works afterwards."),
    "redirected": ("An answer 3xx.", "Put the right URL into the configuration."),
    "refused": ("An answer 4xx.", "The subscriber's log says why."),
    "failing": ("An answer 5xx.", "The subscriber's log says why."),
    "busy": ("An answer 429 or 503: calls pause.", "Nothing, if it ends."),
    "gone": ("An answer 410: the subscription is disabled.", "`paynotify subscriptions enable`, if that was wrong."),
    "no_secret": ("A secret or the proxy's credentials can't be read.", "Correct the file."),
}
_ALERTS: Final[Mapping[AlertKind, str]] = {
    "critical_error": "A critical error of a terminal.",
    "no_success": "No successful transaction for some time.",
    "unanswerable": "A high share of transactions whose result nobody fetched.",
    "unsuccessful": "A high share of unsuccessful transactions.",
    "other": "Anything else.",
    "test_event": "A test call of the provider's dashboard. No trouble.",
    "unsupported_type": "An event of a type that is not needed. No trouble.",
}
_WARNINGS: Final[Mapping[NotificationWarning | ResponseWarning, str]] = {
    "unexpected_field": "The notification has a field that is not in the merchant's list.",
    "clock_ahead": "The notification's time is ahead of the brokers' clock.",
    "amount_decimals": "The same amount differs in major and minor units: `currency_decimals` is wrong.",
}


def page() -> str:
    """The Markdown page."""
    parts = [_INTRODUCTION]
    parts += _section("Rejected notifications", "Header `reason` on `notifications.rejected`.", _REJECTED)
    parts += _section("Dead letters", "Header `reason` on `lookups.dead`.", _DEAD)
    parts += _section("Requests of shops", "Field `reason` on `payments.requests`.", _REQUEST)
    parts += _section("Deliveries to subscribers", "Header `reason` on `deliveries.dead`.", _DELIVERY)
    parts += _list("Alerts of providers", "Header `alert-kind` on `notifications.alerts`.", _ALERTS)
    parts += _list("Odd, but processed", "Label of the warnings' metrics; the record goes on.", _WARNINGS)
    return "\n".join(parts).rstrip() + "\n"


def described() -> Mapping[str, tuple[frozenset[str], tuple[str, ...]]]:
    """By list: the reasons with a meaning, and the reasons there are."""
    return {
        "rejected": (frozenset(_REJECTED), get_args(RejectReason)),
        "dead": (frozenset(_DEAD), get_args(DeadReason)),
        "request": (frozenset(_REQUEST), get_args(RequestReason)),
        "delivery": (frozenset(_DELIVERY), get_args(DeliveryReason)),
        "alert": (frozenset(_ALERTS), get_args(AlertKind)),
        "warning": (frozenset(_WARNINGS), (*get_args(NotificationWarning), *get_args(ResponseWarning))),
    }


def _section(title: str, where: str, reasons: Mapping[Any, tuple[str, str]]) -> Iterator[str]:
    yield f"## {title}\n\n{where}\n"
    rows = ((f"`{reason}`", *texts) for reason, texts in reasons.items())
    yield from markdown.table(("reason", "meaning", "what to do"), rows)
    yield ""


def _list(title: str, where: str, reasons: Mapping[Any, str]) -> Iterator[str]:
    yield f"## {title}\n\n{where}\n"
    yield from markdown.table(("word", "meaning"), ((f"`{word}`", meaning) for word, meaning in reasons.items()))
    yield ""


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
