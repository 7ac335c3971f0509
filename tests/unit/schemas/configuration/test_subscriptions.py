"""The section `deliver`: what is refused, with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from paynotify.schemas.configuration.load import parse
from paynotify.schemas.errors import ConfigurationError
from tests.fakes import configurations

SUBSCRIPTION = {"id": "erp", "url": "https://erp.shop.example/hooks", "secrets": [{"env": "ERP_SECRET"}]}


def text(*subscriptions: dict[str, Any], **settings: Any) -> str:
    deliver = {"subscriptions": list(subscriptions), **settings}
    return yaml.safe_dump(configurations.document("kafka:9092", "", Path("/tmp"), sandbox=True, deliver=deliver))


def refused(*subscriptions: dict[str, Any], sandbox: bool = True, **settings: Any) -> str:
    written = text(*subscriptions, **settings)
    if not sandbox:
        written = written.replace("sandbox: true", "sandbox: false")
    with pytest.raises(ConfigurationError) as caught:
        parse(written, "paynotify.yaml")
    return str(caught.value)


def test_subscription_has_defaults_for_all_but_its_address_and_secrets() -> None:
    (found,) = parse(text(SUBSCRIPTION), "paynotify.yaml").deliver.subscriptions
    assert (found.start, found.merchants, found.events) == ("now", (), ("payment.status.changed.v1",))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"merchants": ["shop-xx"]}, "is not a merchant's id"),
        ({"events": []}, "events"),
        ({"events": ["payment.observed.v1"]}, "events"),
        ({"url": "ftp://erp.shop.example"}, "https"),
        ({"url": "https://user:password@erp.shop.example"}, "base URL"),
        ({"url": "https://erp.shop.example/?token=1"}, "base URL"),
        ({"secrets": []}, "secrets"),
        ({"id": "erp/1"}, "id"),
        ({"id": "@positions"}, "id"),
        ({"calls_in_flight": 0}, "calls_in_flight"),
        ({"secret": "x"}, "secret"),
    ],
)
def test_mistake_is_refused_with_its_place(change: dict[str, Any], said: str) -> None:
    found = refused({**SUBSCRIPTION, **change})
    assert said in found
    assert "line" in found
    assert "password" not in found


def test_http_and_open_secrets_are_for_sandboxes() -> None:
    assert "https" in refused({**SUBSCRIPTION, "url": "http://erp.shop.example"}, sandbox=False)


def test_two_subscriptions_of_one_name_are_refused() -> None:
    assert "another subscription's id" in refused(SUBSCRIPTION, SUBSCRIPTION)


def test_delays_must_not_get_shorter_and_networks_must_be_networks() -> None:
    assert "shorter" in refused(SUBSCRIPTION, retry_delays_seconds=[30, 5])
    assert "network" in refused(SUBSCRIPTION, private_networks=["10.0.0.1/8"])
