"""The simulators sign as the providers do: judged by messages the providers or their own SDKs signed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from paynotify.sandbox.simulators.omnikassa.signature import sign, signed_fields
from paynotify.sandbox.simulators.trustpayments.signature import security_hash

VECTORS = Path(__file__).parents[3] / "vectors"


def _omnikassa(kinds: set[str]) -> list[Any]:
    vectors = json.loads((VECTORS / "omnikassa.json").read_text("utf-8"))["vectors"]
    return [
        pytest.param(one, id=one["id"]) for one in vectors if one["kind"] in kinds and one.get("expected_valid") is True
    ]


@pytest.mark.parametrize("vector", _omnikassa({"notification"}))
def test_pings_are_signed_as_the_bank_signs_them(vector: dict[str, Any]) -> None:
    body = json.loads(vector["body"])
    fields = [body[name] for name in ("authentication", "expiry", "eventName", "poiId")]
    assert sign(vector["signing_key_base64"], fields) == body["signature"]


def test_page_with_an_unconfirmed_card_payment_is_signed_as_by_the_bank() -> None:
    vectors = {one["id"]: one for one in json.loads((VECTORS / "omnikassa.json").read_text("utf-8"))["vectors"]}
    for name in ("R04", "R05", "S03"):
        page = json.loads(vectors[name]["body"])
        assert sign(vectors[name]["signing_key_base64"], signed_fields(page)) == page["signature"], name


def _trust_payments() -> list[Any]:
    vectors = json.loads((VECTORS / "trustpayments.json").read_text("utf-8"))["signature_vectors"]
    return [pytest.param(one, id=one["id"]) for one in vectors if one["category"] == "valid-default"]


@pytest.mark.parametrize("vector", _trust_payments())
def test_notifications_are_hashed_as_the_gateway_hashes_them(vector: dict[str, Any]) -> None:
    fields = dict(parse_qsl(vector["body"], keep_blank_values=True))
    assert security_hash(fields, vector["password"]) == fields["responsesitesecurity"]
