"""Reasons why a record was rejected, dead-lettered or refused, as closed lists.

They become metric labels and record headers, so they never hold text from outside.
"""

from __future__ import annotations

from typing import Literal, get_args

RejectReason = Literal[
    "malformed",
    "unknown_merchant",
    "bad_signature",
    "missing_signature",
    "unknown_event",
    "expired_token",
    "unexpected_field",
    "over_budget",
    "too_old",
    "algorithm",
    "unknown_key",
    "mismatch",
    "stale",
]
REJECT_REASONS: tuple[RejectReason, ...] = get_args(RejectReason)

#: What is odd about a notification that causes a lookup all the same.
NotificationWarning = Literal["unexpected_field", "clock_ahead"]

#: What is odd about a response beside its unreadable parts. ``amount_decimals``: the same amount in major and in minor
#: units differs.
ResponseWarning = Literal["amount_decimals"]

DeadReason = Literal[
    "not_found",
    "unavailable",
    "rate_limited",
    "uncertain",
    "refused",
    "credentials",
    "expired_token",
    "unknown_merchant",
    "unreadable_lookup",
    "unreadable_expectation",
    "unreadable_request",
    "unreadable_answer",
    "unverified_answer",
    "internal_error",
]
DEAD_REASONS: tuple[DeadReason, ...] = get_args(DeadReason)


#: Why a request of a shop was refused, is uncertain, or ended otherwise than asked for.
RequestReason = Literal[
    "bad_request",
    "unknown_merchant",
    "not_enabled",
    "expired",
    "order_already_charged",
    "wrong_currency",
    "no_limit",
    "over_charge_limit",
    "over_reference_limit",
    "over_day_limit",
    "unknown_reference",
    "reference_not_usable",
    "unknown_payment",
    "not_authorised",
    "already_closing",
    "over_authorised",
    "configuration",
    "inactive_store",
    "unknown_store",
    "inactive_provider",
    "unknown_provider",
    "provider_settings",
    "parameters",
    "credentials",
    "address",
    "provider_code",
    "wrong_state",
    "unavailable",
    "no_answer",
]
REQUEST_REASONS: tuple[RequestReason, ...] = get_args(RequestReason)

#: What a provider's alert about its service is about (header ``alert-kind``).
AlertKind = Literal[
    "critical_error", "no_success", "unanswerable", "unsuccessful", "other", "test_event", "unsupported_type"
]
ALERT_KINDS: tuple[AlertKind, ...] = get_args(AlertKind)

#: Kinds of alerts that are about no trouble: the provider sends more than this product needs.
HARMLESS_ALERTS: frozenset[AlertKind] = frozenset({"test_event", "unsupported_type"})

#: Why a call to a subscriber did not deliver its event.
DeliveryReason = Literal[
    "unreachable",
    "forbidden_address",
    "no_answer",
    "redirected",
    "refused",
    "failing",
    "busy",
    "gone",
    "no_secret",
]
DELIVERY_REASONS: tuple[DeliveryReason, ...] = get_args(DeliveryReason)
