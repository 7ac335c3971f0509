"""OmniKassa's contract: its merchant section, route, operations and defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from paynotify.schemas.configuration.merchants import Merchant, Secrets
from paynotify.schemas.configuration.secrets import SecretRef
from paynotify.schemas.configuration.sections import Count
from paynotify.schemas.providers import ProviderContract
from paynotify.schemas.routes import Route

NAME: Final = "omnikassa"

PULL: Final = "pull"
ORDER: Final = "order"

#: The header of the successor's events (Rabo Smart Pay webhooks v3), which carry the status and are pulled by nobody.
#: The bank repeats a refused event for days and takes a 200 without the word "ack" as a wrong configuration.
EVENT_SIGNATURE: Final = b"x-smartpay-signature"


class OmniKassaMerchant(Merchant, frozen=True, kw_only=True, tag_field="provider", tag=NAME):
    """A webshop of Rabo OmniKassa (Smart Pay)."""

    poi_id: Count
    """The webshop's number at the bank."""
    base_url: str
    """Base URL of the bank's API."""
    signing_keys: Secrets
    """Keys that notifications and responses are signed with. During a rotation list the old and the new one."""
    refresh_token: SecretRef | None = None
    """Token for the API. Without it single orders can't be polled."""
    results_version: Literal[1, 2] = 2
    """Version of the API's order results."""

    def base_urls(self) -> Mapping[str, str]:
        return {"base_url": self.base_url}

    def signature_secrets(self) -> tuple[SecretRef, ...]:
        return self.signing_keys

    def expiring_tokens(self) -> tuple[SecretRef, ...]:
        return () if self.refresh_token is None else (self.refresh_token,)


CONTRACT: Final = ProviderContract(
    name=NAME,
    merchant=OmniKassaMerchant,
    # one queue: a ping names no payment, and a webshop's pulls must not overlap
    route=Route(
        methods=("POST",),
        transaction=None,
        refused_headers=frozenset({EVENT_SIGNATURE}),
        media_types=("application/json",),
    ),
    operations=frozenset({PULL, ORDER}),
    # the bank repeats its ping every minute until somebody pulls, and each repeat must be able to cause a pull: the
    # window only catches copies of one delivery
    duplicate_window_seconds=45.0,
    # the bank keeps an order for at least a day after its final status, and wants few such calls
    poll_schedule_seconds=(300.0, 3600.0, 6 * 3600.0, 20 * 3600.0),
    calls_per_second=6.0,
    simulator="paynotify.sandbox.simulators.omnikassa",
    id_fields=frozenset(("merchantOrderId", "omnikassaOrderId", "id")),
)
