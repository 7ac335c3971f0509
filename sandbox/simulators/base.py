"""What the simulators have in common: settings, requests and responses, and the class that each extends."""

from __future__ import annotations

import base64
import binascii
import json
import random
import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Meta

from paynotify.sandbox.simulators.faults import Fault
from paynotify.sandbox.simulators.ledger import Ledger
from paynotify.sandbox.simulators.webhooks import DeliveryLog, Unrest, Webhooks


class Settings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The settings of every simulator. Times of the provider's own rules are divided by ``time_scale``."""

    time_scale: Annotated[float, Meta(gt=0)] = 1.0
    latency_seconds: Annotated[float, Meta(ge=0)] = 0.0
    seed: int = 1
    target: str = ""
    webhook_concurrency: Annotated[int, Meta(ge=1)] = 64
    webhook_limit: Annotated[int, Meta(ge=1)] = 200_000
    #: The shares of notifications delivered twice, or late and so after newer ones, within so many real seconds.
    copied_share: Annotated[float, Meta(ge=0, le=1)] = 0.0
    late_share: Annotated[float, Meta(ge=0, le=1)] = 0.0
    unrest_seconds: Annotated[float, Meta(gt=0)] = 1.0
    #: A file that gets a line for each delivery attempt; empty for no file.
    delivery_log: str = ""
    #: Undocumented members added to every notification and response, as providers add some; and request headers.
    planted: dict[str, str] = {}
    planted_headers: dict[str, str] = {}
    #: Faults that are on from the start.
    faults: tuple[Fault, ...] = ()


class SimulatedShop(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A merchant's account; ``merchant`` is its id at the ingress, ``url_token`` the end of its URL, if it has one."""

    merchant: str
    url_token: str = ""


@dataclass(frozen=True, slots=True)
class SimulatorRequest:
    """One HTTP request, read whole. Header names are lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    def bearer(self) -> str:
        """The bearer token, or nothing."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    def basic(self) -> tuple[str, str] | None:
        """User name and password of HTTP Basic authentication."""
        scheme, _, encoded = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            name, colon, password = base64.b64decode(encoded, validate=True).decode("latin-1").partition(":")
        except (binascii.Error, ValueError):
            return None
        return (name, password) if colon else None


@dataclass(frozen=True, slots=True)
class SimulatorResponse:
    """One HTTP response."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


def json_reply(status: int, value: Any, **headers: str) -> SimulatorResponse:
    """A response with a JSON body."""
    body = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    return SimulatorResponse(status, body, headers={name.replace("_", "-"): text for name, text in headers.items()})


S = TypeVar("S", bound=Settings)


class Simulator(ABC, Generic[S]):
    """One provider. `api` is its own API; `create` and `change` are what the control API does."""

    provider: str
    #: How long the provider waits for the acknowledgement of a notification.
    acknowledge_within_seconds: float = 8.0

    def __init__(self, settings: S) -> None:
        self.settings = settings
        shops: Sequence[SimulatedShop] = getattr(settings, "shops")  # noqa: B009 - each provider's settings have its own shops
        self.chance = random.Random(settings.seed)
        self.book = Ledger()
        self.webhooks = Webhooks(
            self.provider,
            self.book.counters,
            timeout_seconds=max(1.0, self.acknowledge_within_seconds / settings.time_scale),
            concurrency=settings.webhook_concurrency,
            limit=settings.webhook_limit,
            headers=settings.planted_headers,
            url_tokens={shop.merchant: shop.url_token for shop in shops if shop.url_token},
            unrest=Unrest(
                copied=settings.copied_share, late=settings.late_share, within_seconds=settings.unrest_seconds
            ),
            chance=random.Random(settings.seed),
            log=DeliveryLog(self.provider, Path(settings.delivery_log)) if settings.delivery_log else None,
        )
        self.webhooks.target = settings.target

    def scaled(self, seconds: float) -> float:
        """The provider's seconds as real seconds."""
        return seconds / self.settings.time_scale

    def new_uuid(self) -> uuid.UUID:
        """A random UUID, the same in each run with the same seed."""
        return uuid.UUID(int=self.chance.getrandbits(128), version=4)

    @abstractmethod
    def api(self, request: SimulatorRequest) -> SimulatorResponse:
        """The response to a call of the provider's own API."""

    def arrived(self, request: SimulatorRequest) -> str:
        """Called when a call arrives, whatever its outcome; returns the path that faults match."""
        return request.path

    def refuse(self, code: str) -> SimulatorResponse:
        """The provider's response with an error code; nothing else is done."""
        return json_reply(400, {"errorCode": code})

    @abstractmethod
    def create(self, order: dict[str, Any]) -> dict[str, Any]:
        """Open a payment.

        Raises:
            msgspec.ValidationError: the order is not valid.
            ProviderRefusedError: there is no such shop.
        """

    @abstractmethod
    def change(self, payment_id: str, change: dict[str, Any]) -> dict[str, Any]:
        """Change a payment.

        Raises:
            msgspec.ValidationError: the change is not valid.
            ProviderRefusedError: there is no such payment.
        """

    def night(self, details: dict[str, Any]) -> dict[str, Any]:
        """Let a night pass, in which some providers settle payments without telling anybody.

        Raises:
            msgspec.ValidationError: the details are not valid.
        """
        return {}

    def summary(self) -> dict[str, Any]:
        """What the provider adds to its ledger as reported by the control API."""
        return {}

    def start(self) -> None:
        """Start background tasks; called once the event loop runs."""
        return
