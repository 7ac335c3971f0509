"""Smart Pay's contract: its merchant section, route, operations and defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal, TypeAlias

from msgspec import Meta

from paynotify.schemas.configuration.merchants import Merchant, MerchantId
from paynotify.schemas.configuration.secrets import SecretRef
from paynotify.schemas.configuration.sections import Count, Positive
from paynotify.schemas.providers import ProviderContract
from paynotify.schemas.routes import Answer, Route

NAME: Final = "smartpay"

ORDER: Final = "order"
EVENT: Final = "event"

SIGNATURE: Final = "x-smartpay-signature"
EVENT_TYPE: Final = "x-smartpay-event-type"
EVENT_ID: Final = "x-smartpay-event-id"

#: How many bytes of each header are stored: the longest signature on the bank's list has less than a kilobyte.
HEADER_BYTES: Final[Mapping[str, int]] = {SIGNATURE: 8192, EVENT_TYPE: 128, EVENT_ID: 128}

#: The provider whose pings tell of the same orders.
PREDECESSOR: Final = "omnikassa"

#: The bank repeats an event for 24.3 days (20 repeats, the wait before each doubles from 2 s), so for so long a copy
#: may come, and an event may be so old.
MAX_AGE_SECONDS: Final = 25 * 24 * 3600.0

#: The bank lists the first six. It names no other, but its own example installs what only EdDSA needs.
Algorithm: TypeAlias = Literal["ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "EdDSA"]


class SmartPayMerchant(Merchant, frozen=True, kw_only=True, tag_field="provider", tag=NAME):
    """A webshop of Rabo Smart Pay that receives signed events (v3 push webhooks) instead of OmniKassa's pings."""

    base_url: str
    """Base URL of the bank's API, as OmniKassa's: the order call and the access token for it."""
    jwks_url: str | None = None
    """URL of the bank's public keys (JWK Set), which a worker fetches beside the verification."""
    jwks_file: str | None = None
    """File with the public keys (JWK Set), instead of `jwks_url`. A changed file is read again."""
    jwks_refresh_seconds: Positive = 3600.0
    """How often the keys are fetched. An event with an unknown key has them fetched sooner, within a limit."""
    algorithms: Annotated[tuple[Algorithm, ...], Meta(min_length=1)] = (
        "ES256",
        "ES384",
        "ES512",
        "RS256",
        "RS384",
        "RS512",
    )
    """Algorithms that signatures may have. `EdDSA` is not on the bank's list."""
    subscription_ids: tuple[Annotated[str, Meta(min_length=1, max_length=128)], ...] = ()
    """Ids of this shop's subscriptions. Events of others are rejected: the bank's keys are the same for all shops."""
    truth: Literal["order", "event"] = "order"
    """What a payment's status comes from: the bank's order call, or the signed event itself."""
    refresh_token: SecretRef | None = None
    """Token for the API. The order call needs it."""
    order_calls_per_hour: Count = 3600
    """Order calls per hour that events may cause. Polls of overdue payments have their own limit."""
    same_as: MerchantId | None = None
    """The OmniKassa merchant whose pings are about the same orders. The results of both have that merchant's id."""

    def __post_init__(self) -> None:
        if (self.jwks_url is None) == (self.jwks_file is None):
            raise ValueError("a merchant of smartpay needs one of jwks_url and jwks_file")
        if self.truth == "order" and self.refresh_token is None:
            raise ValueError("truth: order needs a refresh_token")
        if self.truth == "event" and not self.subscription_ids:
            raise ValueError("truth: event needs subscription_ids: another shop's event would count otherwise")

    def base_urls(self) -> Mapping[str, str]:
        keys = {} if self.jwks_url is None else {"jwks_url": self.jwks_url}
        return {"base_url": self.base_url, **keys}

    def same_payments(self) -> tuple[str, str] | None:
        return None if self.same_as is None else (PREDECESSOR, self.same_as)

    def expiring_tokens(self) -> tuple[SecretRef, ...]:
        return () if self.refresh_token is None else (self.refresh_token,)


CONTRACT: Final = ProviderContract(
    name=NAME,
    merchant=SmartPayMerchant,
    route=Route(
        methods=("POST",),
        transaction=re.compile(rb'"orderId"\s{0,64}:\s{0,64}"([0-9A-Fa-f-]{36})"'),
        stored_headers={name.encode(): limit_bytes for name, limit_bytes in HEADER_BYTES.items()},
        # any other answer with a 200 is a wrongly configured subscription for the bank, and the event is lost
        stored=Answer(b"ack", "text/plain"),
        media_types=("application/rabo-smartpay-webhook-v3+json",),
    ),
    operations=frozenset({ORDER, EVENT}),
    duplicate_window_seconds=MAX_AGE_SECONDS,
    # as OmniKassa's: the same order call, which the bank wants to be rare
    poll_schedule_seconds=(300.0, 3600.0, 6 * 3600.0, 20 * 3600.0),
    # half of the bank's six for each webshop, of which OmniKassa's calls may need the rest
    calls_per_second=3.0,
    simulator="paynotify.sandbox.simulators.smartpay",
    # with the default delays more than four hours: keys may be published after the first event that they sign
    verification_retries=8,
    id_fields=frozenset(("orderId", "merchantOrderId", "id", EVENT_ID)),
)
