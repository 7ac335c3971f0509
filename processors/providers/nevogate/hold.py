"""How a hold is looked at: money that is reserved (AutoCommit false, CommitState PENDING) until somebody closes it.

The gateway tells nobody when a person captures or releases it in its web interface, nor when the hold lapses; only
``CommitState`` in Details changes. Sources: the vendor's pages on Details and Close, and its knowledge base.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, Final

from paynotify.processors.providers.daily_looks import daily_looks
from paynotify.processors.providers.nevogate.contract import NevogateMerchant
from paynotify.schemas.messages import FollowUp

_CREATED: Final = re.compile(r"(\d{4}-\d{2}-\d{2}) \d{2}:\d{2}:\d{2}\Z", re.ASCII)
_DAY: Final = timedelta(days=1)


def hold_follow_up(
    data: Mapping[str, Any], transaction: str, merchant: NevogateMerchant, observed_at: datetime, method: str
) -> FollowUp | None:
    """Daily looks from the morning after the hold began; None where the merchant allows no Details.

    The days are counted from ``Created``: counted from each response they would never end. A Result without it is
    followed until the first Details, which have it; Details without it are not followed.
    """
    if not merchant.recover_by_details:
        return None
    looks = daily_looks(merchant)
    today = looks.date_of(observed_at)
    begun = _created(data, today)
    if begun is not None:
        first, last = begun + _DAY, begun + merchant.hold_days * _DAY
    elif method == "Details":
        first = last = today - _DAY
    else:
        first = last = today + _DAY
    return looks.follow(transaction, first=first, last=last, observed_at=observed_at)


def _created(data: Mapping[str, Any], today: date) -> date | None:
    """The day on which the transaction was made; its time zone is unknown, so it may be tomorrow."""
    created = data.get("Created")
    found = _CREATED.match(created) if isinstance(created, str) else None
    try:
        day = date.fromisoformat(found[1]) if found else None
    except ValueError:
        return None
    # of a year near the calendar's end no days could be counted
    return day if day is not None and date(2000, 1, 1) <= day <= today + _DAY else None
