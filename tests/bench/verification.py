"""What it costs to judge a notification: parsing and signature, by the code the stage runs, without Kafka."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

import orjson

from paynotify.processors.providers.base import Notification
from paynotify.processors.providers.registry import provider_specs
from paynotify.processors.verify.stage import authenticate, notification_of
from tests.fakes.accounts import account
from tests.fakes.observations import trustpayments_form
from tests.fuzz import genuine

_JUDGEMENTS: Final = 40_000
_DISTINCT: Final = 500
_ACCOUNTS: Final = {**genuine.ACCOUNTS, "trustpayments": account("trustpayments", site_reference="test_site1")}


@dataclass(frozen=True, slots=True)
class Verification:
    """CPU for each judgement of an authentic notification."""

    provider: str
    body_bytes: int
    microseconds: float


def measure(scale: float) -> list[Verification]:
    """Each signed provider's notifications, the mean of a few rounds of many."""
    return [
        _measure("omnikassa", [orjson.dumps(_ping(number)) for number in range(_DISTINCT)], scale),
        _measure(
            "trustpayments", [trustpayments_form(f"57-9-{number}", f"n{number}") for number in range(_DISTINCT)], scale
        ),
    ]


def _ping(number: int) -> dict[str, object]:
    return genuine.signed_ping({**genuine.PING, "authentication": f"{genuine.PING['authentication']}{number}"})


def _measure(provider: str, bodies: list[bytes], scale: float) -> Verification:
    notifications: list[Notification] = [
        notification_of(genuine.notification_record(provider, body)) for body in bodies
    ]
    module, shop = provider_specs()[provider].provider, _ACCOUNTS[provider]
    rounds = max(1, round(_JUDGEMENTS * scale) // _DISTINCT)
    for one in notifications:
        authenticate(module, shop, one)
    began = time.process_time()
    for _ in range(rounds):
        for one in notifications:
            authenticate(module, shop, one)
    seconds = time.process_time() - began
    return Verification(provider, len(bodies[0]), seconds / (rounds * _DISTINCT) * 1e6)
