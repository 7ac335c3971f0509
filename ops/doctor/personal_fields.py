"""What ``paynotify doctor`` says of personal data that a merchant's section asks for."""

from __future__ import annotations

from collections.abc import Iterator

from paynotify.ops.doctor.finding import Finding
from paynotify.schemas.configuration.merchants import Merchant


def check_fields(merchant: Merchant) -> Iterator[Finding]:
    """A warning if the merchant's notifications have fields with personal data, which lie on raw topics for weeks."""
    fields = merchant.personal_fields()
    if fields:
        yield Finding(
            f"personal data of {merchant.id}",
            "warning",
            f"extra_fields has {', '.join(fields)}: they are stored with each call, and nothing needs them",
            "Take them out of the site's notifications, then out of extra_fields.",
        )
