"""Where the calls of each configured path go."""

from __future__ import annotations

from dataclasses import dataclass

from paynotify.ingest.limits import TokenBucket
from paynotify.ingest.networks import Networks
from paynotify.ingest.notification import Origin, origin
from paynotify.schemas.configuration.merchants import provider_of
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.providers import provider_contracts
from paynotify.schemas.routes import Route
from paynotify.schemas.topics import notifications


@dataclass(frozen=True, slots=True)
class Destination:
    """One configured path: its merchant, the topic of its records, its rate limit, and who may call it."""

    origin: Origin
    route: Route
    topic: str
    bucket: TokenBucket
    has_token: bool = False
    callers: Networks | None = None


def destinations(configuration: Configuration) -> dict[str, Destination]:
    """Every merchant's destination by its path."""
    limits = configuration.ingest
    return {
        f"/notifications/{provider}/{merchant.id}": Destination(
            origin(provider, merchant.id, configuration.kafka.events.source),
            provider_contracts()[provider].route,
            configuration.kafka.topic(notifications(provider)),
            TokenBucket(limits.rate_per_second, limits.burst),
            bool(merchant.url_tokens),
            Networks(merchant.callers) if merchant.callers else None,
        )
        for merchant in configuration.merchants
        for provider in (provider_of(merchant),)
    }
