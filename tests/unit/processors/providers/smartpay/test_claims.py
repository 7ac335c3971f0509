"""What an event's word for a status and its amounts mean together: money only where all of it is named."""

from __future__ import annotations

import pytest

from paynotify.processors.providers.smartpay.event import Claim
from paynotify.schemas.status import Status


@pytest.mark.parametrize(
    ("word", "total", "paid", "status"),
    [
        ("completed", "1050", "1050", "captured"),
        ("COMPLETED", "1050", "1050", "captured"),
        ("completed", "1050", "400", "unknown"),
        ("completed", "1050", "", "unknown"),
        ("completed", "", "", "unknown"),
        ("completed", "0", "0", "unknown"),
        ("cancelled", "1050", "0", "cancelled"),
        ("cancelled", "1050", "", "cancelled"),
        ("cancelled", "1050", "1050", "unknown"),
        ("expired", "", "", "expired"),
        ("refused", "1050", "0", "unknown"),
        ("", "", "", "unknown"),
    ],
)
def test_status_needs_amounts_that_agree_with_it(word: str, total: str, paid: str, status: Status) -> None:
    assert Claim(word, total, paid).as_status() == status
