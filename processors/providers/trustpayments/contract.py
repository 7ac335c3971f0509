"""Trust Payments' contract: its merchant section, route, operation and defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final, TypeAlias

from msgspec import Meta, field

from paynotify.schemas.configuration.merchants import FollowedMerchant, Secrets
from paynotify.schemas.configuration.secrets import SecretRef
from paynotify.schemas.providers import ProviderContract
from paynotify.schemas.routes import Route

NAME: Final = "trustpayments"

TRANSACTION: Final = "transaction"

#: Whose data a field has; the names of its fields begin so.
_PERSONS: Final = ("billing", "customer", "delivery")

#: What follows. The country and the county are no more personal than a currency.
_PERSONAL_WORDS: Final = (
    "prefixname",
    "firstname",
    "middlename",
    "lastname",
    "suffixname",
    "name",
    "premise",
    "street",
    "town",
    "postcode",
    "email",
    "telephone",
    "telephonetype",
    "dob",
    "ip",
    "forwardedip",
)

#: Fields that hold personal data: nothing of paynotify needs them in a notification.
PERSONAL_FIELDS: Final = frozenset(
    (*(whose + what for whose in _PERSONS for what in _PERSONAL_WORDS), "maskedpan", "pan", "expirydate", "iban")
)

#: No currency has more digits after its point.
Decimals: TypeAlias = Annotated[int, Meta(ge=0, le=4)]


class TrustPaymentsMerchant(FollowedMerchant, frozen=True, kw_only=True, tag_field="provider", tag=NAME):
    """A site of Trust Payments."""

    site_reference: Annotated[str, Meta(min_length=1, max_length=50)]
    """The site reference."""
    notification_passwords: Secrets
    """Passwords of the notification's hash. During a rotation list the old and the new one."""
    webservices_url: str
    """URL of the JSON web services."""
    username: str
    """User of the web services."""
    password: SecretRef
    """The user's password."""
    extra_fields: tuple[str, ...] = ()
    """Further fields of the site's notifications. A notification with others is looked up too, and counted."""
    repeated_fields: tuple[str, ...] = ()
    """Fields that a notification may have more than once."""
    accept_unsigned: bool = False
    """Accepts notifications without a hash, of a site without site security, within `worker.unsigned_budget`."""
    currency_decimals: dict[Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")], Decimals] = field(default_factory=dict)
    """Digits after the decimal point that the gateway gives a currency, where they are not those of ISO 4217."""

    def accepts_unsigned(self) -> bool:
        return self.accept_unsigned

    def personal_fields(self) -> tuple[str, ...]:
        return tuple(one for one in self.extra_fields if one.lower() in PERSONAL_FIELDS)

    def base_urls(self) -> Mapping[str, str]:
        return {"webservices_url": self.webservices_url}

    def signature_secrets(self) -> tuple[SecretRef, ...]:
        return self.notification_passwords


CONTRACT: Final = ProviderContract(
    name=NAME,
    merchant=TrustPaymentsMerchant,
    route=Route(
        methods=("POST",),
        transaction=re.compile(rb"(?:\A|&)transactionreference=([0-9-]{1,64})(?:&|\Z)"),
        media_types=("application/x-www-form-urlencoded",),
    ),
    operations=frozenset({TRANSACTION}),
    # the gateway re-sends a notification for about 48 hours
    duplicate_window_seconds=50 * 3600.0,
    # a query only reads and costs nothing but itself
    poll_schedule_seconds=(60.0, 600.0, 3600.0, 6 * 3600.0, 24 * 3600.0),
    simulator="paynotify.sandbox.simulators.trustpayments",
    id_fields=frozenset(
        (
            "orderreference",
            "transactionreference",
            "parenttransactionreference",
            "requestreference",
            "notificationreference",
            "merchantnumber",
            "tid",
        )
    ),
)
