"""The configuration that every run has: two merchants of each provider, short waits."""

from __future__ import annotations

from typing import Any, Final

import yaml
from msgspec.structs import replace

from paynotify.schemas.configuration import load
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.providers import provider_names
from tests.simulation.gateways import DAY_SECONDS, FIRST_DAY, SIGNING_KEY
from tests.simulation.plan import MERCHANTS
from tests.simulation.smartpay import SUBSCRIPTION, TRUTHS
from tests.simulation.trustpayments import PASSWORD

PARTITIONS: Final = 3

#: When overdue payments are looked for, after they should have been final.
LOOKS_SECONDS: Final = (5.0, 20.0, 60.0, 150.0, 300.0)


#: When payments that are not settled are looked up, after each night.
CHECK_HOUR: Final = 2

NIGHTS: Final = {
    "settlement_check_hour": CHECK_HOUR,
    "short_days": {"starts_at": FIRST_DAY, "seconds": DAY_SECONDS},
}

CHARGE_LIMIT: Final = 15_000
REFERENCE_LIMIT: Final = 50_000
CHARGES: Final = {
    "public_url": "https://shop.example",
    "limits": {"EUR": {"per_charge": CHARGE_LIMIT, "per_reference": REFERENCE_LIMIT, "per_day": 10_000_000}},
    "call_timeout_seconds": 8.0,
    "close_settles_seconds": 8.0,
    "poll_schedule_seconds": [1.0, 3.0, 10.0, 30.0, 60.0],
}


def installed(delete_after_seconds: float | None = None) -> Configuration:
    """The worker's configuration. Payments are closed while they are still talked of, and as a rule never forgotten."""
    merchants: list[dict[str, Any]] = [
        *(
            {
                "id": merchant,
                "provider": "omnikassa",
                "poi_id": poi_id,
                "signing_keys": [{"value": SIGNING_KEY}],
                "base_url": "https://omnikassa.example/omnikassa-api",
                "refresh_token": {"value": "refresh-token"},
            }
            for merchant, poi_id in zip(MERCHANTS["omnikassa"], (2004, 2005), strict=True)
        ),
        *(
            {
                "id": merchant,
                "provider": "trustpayments",
                "site_reference": f"site-{merchant}",
                "username": "ws",
                "notification_passwords": [{"value": PASSWORD}],
                "password": {"value": "p"},
                "webservices_url": "https://trustpayments.example/json/",
                **NIGHTS,
            }
            for merchant in MERCHANTS["trustpayments"]
        ),
        *(
            {
                "id": merchant,
                "provider": "nevogate",
                "store_name": f"store-{merchant}",
                "api_key": {"value": "k"},
                "base_url": "https://nevogate.example",
                "recover_by_details": True,
                **NIGHTS,
                "charges": CHARGES,
            }
            for merchant in MERCHANTS["nevogate"]
        ),
        *(
            {
                "id": merchant,
                "provider": "smartpay",
                "base_url": "https://smartpay.example/omnikassa-api",
                "jwks_url": "https://smartpay.example/.well-known/jwks.json",
                "jwks_refresh_seconds": 120.0,
                "refresh_token": {"value": f"refresh-{merchant}"},
                "truth": TRUTHS[merchant],
                # without them only the order call tells another shop's event
                "subscription_ids": [f"{SUBSCRIPTION}{merchant}"] if TRUTHS[merchant] == "event" else [],
                "order_calls_per_hour": 360_000,
            }
            for merchant in MERCHANTS["smartpay"]
        ),
    ]
    plenty = {"per_second": 1e6, "burst": 10**6, "known_burst": 10**6}
    document = {
        "sandbox": True,
        "topics": {"partitions": PARTITIONS, "replication_factor": 1},
        "merchants": merchants,
        "worker": {
            "retry_delays_seconds": [1.0, 3.0, 10.0, 30.0, 60.0],
            "recovery_calls_per_hour": 36_000,
            "calls_per_second": {"omnikassa": 50.0, "smartpay": 50.0},
            "unsigned_budget": plenty,
            "retention": {"compress_after_days": 20 / 86400, "delete_after_days": None},
            # gathered for longer than a clock is fast: in days of a minute the next look would be a real day later
            "settlement": {"calls_per_hour": 36_000, "gather_seconds": 4.0, "jitter_seconds": 4.0},
            "overdue": {
                "poll_schedule_seconds": {provider: list(LOOKS_SECONDS) for provider in provider_names()},
                "lookups_per_hour": 360_000,
                "takeover_grace_seconds": 0,
            },
        },
    }
    parsed = load.parse(yaml.safe_dump(document), "simulation")
    if delete_after_seconds is None:
        return parsed
    # sooner than any configuration may say
    retention = replace(parsed.worker.retention, delete_after_days=delete_after_seconds / 86400)
    return replace(parsed, worker=replace(parsed.worker, retention=retention))
