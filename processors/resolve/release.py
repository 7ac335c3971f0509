"""A merchant's rules for releasing goods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from paynotify.schemas.configuration.merchants import Merchant


@dataclass(frozen=True, slots=True)
class ReleaseRules:
    """``expected_required``: only goods that the shop registered. ``authorised``: also before the capture, where the
    provider's rules allow it."""

    expected_required: bool = False
    authorised: bool = False


#: The rules of a merchant that configured nothing.
CAPTURED_ONLY: Final = ReleaseRules()


def release_rules(merchant: Merchant) -> ReleaseRules:
    """The rules as the merchant configured them."""
    return ReleaseRules(
        expected_required=merchant.expected == "required", authorised=merchant.release_on == "authorised"
    )
