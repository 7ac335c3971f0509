"""The description of a request, and the refusals that the configuration makes predictable."""

from __future__ import annotations

from typing import Any

import pytest

from paynotify.ops.requests.summary import describe, expected_refusals
from paynotify.processors.providers.nevogate.contract import NevogateMerchant
from paynotify.schemas.configuration.merchants import ChargeLimits, Charges
from paynotify.schemas.configuration.secrets import SecretRef
from paynotify.schemas.messages import RequestedPayment
from paynotify.schemas.money import Money


def _merchant(*, charges: bool = True) -> NevogateMerchant:
    limits = {"EUR": ChargeLimits(per_charge=5000, per_reference=10_000, per_day=100_000)}
    return NevogateMerchant(
        id="shop-hu",
        store_name="s",
        api_key=SecretRef(value="k"),
        base_url="https://a.example",
        charges=Charges(public_url="https://b.example", limits=limits) if charges else None,
    )


def _request(action: Any = "charge", value: int | None = 100, currency: str = "EUR") -> RequestedPayment:
    amount = Money(value, currency) if value is not None else None
    return RequestedPayment(request_id="r-1", merchant="shop-hu", action=action, order_id="O-1", amount=amount)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (_request(value=5000), []),
        (_request(value=5001), ["per charge, 50.00 EUR"]),
        (_request(value=100_001), ["per charge", "per initial payment", "per day, 1000.00 EUR"]),
        (_request(currency="HUF"), ["no limits for HUF"]),
        (_request("capture", 9_999_999), []),
        (_request("release", None), []),
    ],
)
def test_refusals_are_predicted_from_the_configuration(request_: RequestedPayment, expected: list[str]) -> None:
    found = expected_refusals(request_, _merchant())
    assert len(found) == len(expected)
    assert all(word in line for word, line in zip(expected, found, strict=True))


@pytest.mark.parametrize("action", ["charge", "capture", "release"])
def test_disabled_charges_are_predicted_to_be_refused(action: Any) -> None:
    (found,) = expected_refusals(_request(action), _merchant(charges=False))
    assert "charges are not enabled for shop-hu" in found


@pytest.mark.parametrize(
    ("request_", "effect"),
    [
        (_request(), "authorised until"),
        (_request("capture", 5), "the remainder is voided"),
        (_request("capture", None), "the whole authorisation is captured"),
        (_request("release", None), "nothing is captured"),
    ],
)
def test_effect_is_described(request_: RequestedPayment, effect: str) -> None:
    assert effect in dict(describe(request_, _merchant()))["effect"]
