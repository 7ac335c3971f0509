"""A merchant's account at a provider, as the configuration names it: a section for each provider.

Secrets are references (`schemas.configuration.secrets`). `schemas.configuration.model` checks rules across fields.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta

from schemas.configuration.secrets import SecretRef
from schemas.configuration.sections import MOST_LOOKS, Count, Positive, Section

# not $, which would let a line break at the end pass into keys and headers
MerchantId: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]
Secrets: TypeAlias = Annotated[tuple[SecretRef, ...], Meta(min_length=1)]


class OmniKassaMerchant(Section, frozen=True, tag_field="provider", tag="omnikassa"):
    """A webshop of Rabo OmniKassa (Smart Pay)."""

    id: MerchantId
    poi_id: Count
    base_url: str
    signing_keys: Secrets
    refresh_token: SecretRef | None = None
    results_version: Literal[1, 2] = 2
    url_tokens: tuple[SecretRef, ...] = ()
    expected: Literal["optional", "required"] = "optional"


class TrustPaymentsMerchant(Section, frozen=True, tag_field="provider", tag="trustpayments"):
    """A site of Trust Payments."""

    id: MerchantId
    site_reference: Annotated[str, Meta(min_length=1, max_length=50)]
    notification_passwords: Secrets
    webservices_url: str
    username: str
    password: SecretRef
    extra_fields: tuple[str, ...] = ()
    repeated_fields: tuple[str, ...] = ()
    url_tokens: tuple[SecretRef, ...] = ()
    expected: Literal["optional", "required"] = "optional"

    @property
    def base_url(self) -> str:
        return self.webservices_url


class ChargeLimits(Section, frozen=True):
    """The most that may be charged in one currency, in its minor unit: at once, on one reference payment within 30
    days, and for all of the merchant's customers within a day (UTC)."""

    per_charge: Count
    per_reference: Count
    per_day: Count


class Charges(Section, frozen=True):
    """Lets the shop charge, capture and release by topic. Without this section every such request is refused.

    ``public_url`` is where the gateway reaches the ingress from outside, up to before ``/notifications``. A step whose
    response could not be read is polled at ``poll_schedule_seconds`` after the call, and uncertain until it is known. A
    Close may work at the gateway for up to ``close_settles_seconds`` though its answer was lost (the vendor's own
    client waits ten minutes); only what is still open after that is closed again.
    """

    public_url: str
    limits: Annotated[dict[Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")], ChargeLimits], Meta(min_length=1)]
    call_timeout_seconds: Annotated[float, Meta(gt=0, le=600)] = 30.0
    close_settles_seconds: Annotated[float, Meta(gt=0, le=3600)] = 600.0
    poll_schedule_seconds: tuple[Positive, ...] = (5.0, 30.0, 300.0, 900.0, 3600.0, 6 * 3600.0, 24 * 3600.0)
    expires_seconds: Positive = 24 * 3600.0

    def __post_init__(self) -> None:
        if not 0 < len(self.poll_schedule_seconds) <= MOST_LOOKS or list(self.poll_schedule_seconds) != sorted(
            self.poll_schedule_seconds
        ):
            raise ValueError(f"poll_schedule_seconds must be 1 to {MOST_LOOKS} times, each after the one before")


class NevogateMerchant(Section, frozen=True, tag_field="provider", tag="nevogate"):
    """A store of BIG FISH / Nevogate. ``recover_by_details`` lets overdue payments be asked for without a call."""

    id: MerchantId
    store_name: Annotated[str, Meta(min_length=1)]
    api_key: SecretRef
    base_url: str
    url_tokens: tuple[SecretRef, ...] = ()
    expected: Literal["optional", "required"] = "optional"
    recover_by_details: bool = False
    charges: Charges | None = None


Merchant: TypeAlias = OmniKassaMerchant | TrustPaymentsMerchant | NevogateMerchant


def provider_of(merchant: Merchant) -> str:
    """The provider's word for routes and topics."""
    return str(merchant.__struct_config__.tag)
