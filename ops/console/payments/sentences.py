"""The words for each cause that decides about a payment's goods: why, and what happens next and when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

Cause = Literal[
    "released",
    "released_before_capture",
    "released_before_capture_by_shop",
    "released_before_capture_without_time",
    "ended_without_money",
    "money_went_back",
    "charged_back",
    "withdrawn_after_release",
    "lookup_waits",
    "lookup_dead",
    "notification_rejected",
    "provider_silent",
    "request_under_way",
    "request_uncertain",
    "request_refused",
    "nothing_known",
    "announced",
    "announced_without_time",
    "overdue_polled",
    "overdue_not_polled",
    "pending",
    "pending_without_time",
    "settlement_due",
    "settlement_late",
    "capture_by_shop",
    "capture_by_provider",
    "suspended",
    "not_understood",
    "money_returned",
    "refund_under_way",
    "refund_unclear",
    "other_amount",
    "other_amount_announced_before",
    "announced_again",
    "parts_exceed",
    "other_than_asked",
    "nothing_captured",
    "paid_twice",
    "not_announced",
]

_PUBLISHED: Final = "paynotify publishes the next status as soon as the provider tells it"
_SECURED: Final = "the money is reserved, and the provider's rules for shipping before the capture hold"

#: Why, and what happens next. Both are parts of one sentence, with gaps that `explanation` fills.
SENTENCES: Final[Mapping[Cause, tuple[str, str]]] = {
    "released": (
        "the payment is {status} and its amount is right",
        "nothing more is awaited, and a refund or chargeback is published when the provider tells it",
    ),
    "released_before_capture": (
        _SECURED,
        "the provider captures it by {settles_by}, and paynotify looks until it is captured",
    ),
    "released_before_capture_by_shop": (
        _SECURED,
        "the shop requests the capture once they have left, and paynotify publishes the result at once",
    ),
    "released_before_capture_without_time": (_SECURED, _PUBLISHED),
    "ended_without_money": (
        "the payment is {status}{reason} and took no money",
        "another attempt of the customer is a payment of its own, and a late success is published when it comes",
    ),
    "money_went_back": (
        "the money went back to the customer",
        "nothing more is awaited, and goods that left must come back",
    ),
    "charged_back": (
        "the customer's bank took the money back",
        "a person answers the chargeback, and corrects the status if the dispute is won",
    ),
    "withdrawn_after_release": (
        "they were released, and the payment is now {status}{reason}",
        "goods that left must come back, and a person asks the customer or the provider",
    ),
    "lookup_waits": (
        "the provider's answer is missing ({retry})",
        "paynotify asks again{at_when}, and publishes the status when it has the answer",
    ),
    "lookup_dead": (
        "a lookup about the payment ended without a result ({dead})",
        "an operator removes the cause and replays it, since nothing asks the provider by itself any more",
    ),
    "notification_rejected": (
        "a notification about the payment was rejected ({rejected})",
        "an operator removes the cause and replays it, or the provider's next notification is accepted",
    ),
    "provider_silent": (
        "the provider has reported none of the expected orders since {silent_since}",
        "paynotify asks it again where its rules allow that{next_when}, and publishes the status when it answers",
    ),
    "request_under_way": (
        "a request to {action} is {state}",
        "paynotify carries it out and publishes the result at once",
    ),
    "request_uncertain": (
        "a request to {action} is uncertain{why}, and nobody knows yet whether money moved",
        "paynotify polls the provider until it tells, and nothing may be requested again meanwhile",
    ),
    "request_refused": (
        "the request to {action} was refused{why} and no money moved",
        "the shop removes the cause and requests again under a new id",
    ),
    "nothing_known": (
        "no status is published, and no shop announced the payment",
        "paynotify asks the provider as soon as a notification names the payment",
    ),
    "announced": (
        "the shop expects {expected} and the provider has reported nothing yet",
        "paynotify asks the provider itself if nothing is final by {final_by}",
    ),
    "announced_without_time": (
        "the shop expects {expected} and the provider has reported nothing yet",
        "paynotify publishes the status when the provider reports it, and asks for nothing, as the order has no time",
    ),
    "overdue_polled": (
        "the payment was to be final by {final_by} and is not",
        "paynotify polls the provider again where its rules allow that{next_when}",
    ),
    "overdue_not_polled": (
        "the payment was to be final by {final_by} and is not",
        "the last poll is over, so a person asks the provider, or the shop cancels the order",
    ),
    "pending": (
        "the customer or the bank has not finished the payment",
        "paynotify asks the provider itself if nothing is final by {final_by}",
    ),
    "pending_without_time": ("the customer or the bank has not finished the payment", _PUBLISHED),
    "settlement_due": (
        "the money is reserved and not captured yet",
        "the provider captures it by {settles_by}, and paynotify looks once a day until then",
    ),
    "settlement_late": (
        "the money is reserved, and the provider is late with the capture",
        "paynotify looks once a day, and a person asks the provider if tomorrow's look finds no capture",
    ),
    "capture_by_shop": (
        "the money is reserved and not captured yet",
        "the shop requests the capture or gives the authorisation back, and paynotify publishes the result at once",
    ),
    "capture_by_provider": ("the money is reserved and not captured yet", _PUBLISHED),
    "suspended": (
        "the provider holds the payment back{reason}",
        "the provider decides, and " + _PUBLISHED,
    ),
    "not_understood": (
        "the provider told something that paynotify has no status for{reason}",
        "a person looks at the provider's own pages and corrects the status",
    ),
    "money_returned": (
        "captured money came back without a refund",
        "a person asks the provider, and corrects the status unless the provider explains it first",
    ),
    "refund_under_way": (
        "a refund of {refunding} is under way",
        "they are stopped when the provider settles it, and released again if the refund ends",
    ),
    "refund_unclear": (
        "refunds of the payment can't be added up",
        "a person compares them with the provider's own pages and corrects the status",
    ),
    "other_amount": (
        "the shop expects {expected}, and the payment is of {amount}",
        "a person compares the two, and refunds the payment or announces the order again with the right amount",
    ),
    "other_amount_announced_before": (
        "the payment is of {amount}, which is not what the shop announced",
        "a person compares the two, and refunds the payment or announces the order again with the right amount",
    ),
    "announced_again": (
        "the shop has announced the order again, now with the payment's {amount}",
        "paynotify compares them again and publishes the result at once",
    ),
    "parts_exceed": (
        "the parts of the order are together more than the {expected} that the shop expects",
        "a person compares them, and refunds a part or announces the order again with the right amount",
    ),
    "other_than_asked": (
        "{paid} were captured and {asked} were to be paid",
        "a person compares the two, or the shop announces the order with its amount",
    ),
    "nothing_captured": (
        "the payment is {status} and no money was captured",
        "a person looks at the provider's own pages and corrects the status",
    ),
    "paid_twice": (
        "another payment has paid the order, or this one is for another order",
        "a person refunds one of them",
    ),
    "not_announced": (
        "the shop has not announced the order, which this merchant requires",
        "they are released as soon as the shop announces the order with this amount",
    ),
}
