"""OmniKassa's return URL: the signed parameters that the customer's browser brings back.

They are only a hint. Nothing is published from them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from paynotify.processors.providers.account import Account
from paynotify.processors.providers.form import fields
from paynotify.processors.providers.json_body import json_object
from paynotify.processors.providers.omnikassa.contract import OmniKassaMerchant
from paynotify.processors.providers.omnikassa.signature import signed
from paynotify.schemas.errors import RejectedNotificationError

_ORDER: Final = re.compile(r"[0-9A-Za-z]{1,24}\Z")
_STATUS: Final = re.compile(r"[A-Z_]{1,20}\Z")
_SIGNED_PARAMETERS: Final = frozenset({b"order_id", b"status", b"signature"})


def check_return_url(query: bytes, account: Account[OmniKassaMerchant], received_at: datetime) -> None:
    """Verify the URL's query, which may also be given as a JSON object of its parameters.

    Raises:
        RejectedNotificationError: a parameter is malformed or given twice, or the signature is missing or wrong.
    """
    check_return(_parameters(query), account)


def check_return(parameters: Mapping[str, str], account: Account[OmniKassaMerchant]) -> None:
    """Verify the decoded parameters.

    Raises:
        RejectedNotificationError: a parameter is malformed, or the signature is missing or wrong.
    """
    order_id, status = parameters.get("order_id", ""), parameters.get("status", "")
    if not _ORDER.match(order_id) or not _STATUS.match(status):
        raise RejectedNotificationError("malformed", "order_id or status is missing or not of its documented form")
    if not parameters.get("signature"):
        raise RejectedNotificationError("missing_signature", "the parameters have no signature")
    if not signed(f"{order_id},{status}", parameters["signature"], account):
        raise RejectedNotificationError("bad_signature", "no active signing key made the signature")


def _parameters(query: bytes) -> dict[str, str]:
    if query[:1] == b"{":
        parameters = json_object(
            query, lambda problem: RejectedNotificationError("malformed", f"the parameters {problem}")
        )
        return {name: value for name, value in parameters.items() if isinstance(value, str)}
    # the shop's own parameters may stand beside these, and as often as it likes
    named = [(name.decode("utf-8", "replace"), value) for name, value in fields(query) if name in _SIGNED_PARAMETERS]
    if len({name for name, _ in named}) != len(named):
        raise RejectedNotificationError("malformed", "a parameter is given twice")
    return {name: value.decode("utf-8", "replace") for name, value in named}
