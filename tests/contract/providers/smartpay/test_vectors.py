"""Smart Pay's vectors, judged by four JOSE libraries, through the provider's code and through ``paynotify inspect``."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from paynotify.ops.main import main
from paynotify.processors.providers.base import Notification
from paynotify.processors.providers.registry import provider_specs
from paynotify.schemas.errors import RejectedNotificationError
from paynotify.schemas.routes import Route
from tests.fakes.accounts import KEYS, account, notification, vectors

FILE: Final = vectors("smartpay")
SMARTPAY: Final = provider_specs()["smartpay"]
AT: Final = datetime.fromtimestamp(FILE["about"]["now"], UTC)

_EVERY: Final = [pytest.param(one, id=one["id"]) for one in FILE["vectors"]]


def received(vector: Any) -> Notification:
    """The vector's request as it is stored."""
    route: Route = SMARTPAY.contract.route
    given = [(name.lower().encode(), value.encode()) for name, value in vector["request"]["headers"]]
    headers = {name: value.decode() for name, value in route.headers_of(given).items()}
    return notification("smartpay", base64.b64decode(vector["request"]["body_base64"]), at=AT, headers=headers)


def by_id(vector_id: str) -> Any:
    """One vector."""
    return next(one for one in FILE["vectors"] if one["id"] == vector_id)


@pytest.mark.parametrize("vector", _EVERY)
def test_events_are_judged_as_the_libraries_judge_them(vector: Any) -> None:
    call, shop, expected = received(vector), account("smartpay"), vector["expected"]
    if expected["verdict"] == "rejected":
        with pytest.raises(RejectedNotificationError) as rejected:
            SMARTPAY.provider.verify(SMARTPAY.provider.parse(call, shop), call, shop)
        assert rejected.value.reason == expected["reason"]
        return
    parsed = SMARTPAY.provider.parse(call, shop)
    assert SMARTPAY.provider.verify(parsed, call, shop) == "authentic"
    assert (parsed.alert.kind if parsed.alert else None) == expected["reason"]
    if expected["verdict"] == "duplicate":
        first = SMARTPAY.provider.parse(received(by_id(expected["duplicate_of"])), shop)
        assert parsed.duplicate_key == first.duplicate_key
        return
    lookup = SMARTPAY.provider.plan(parsed, call)
    assert lookup.reference == expected["lookup_order"]
    if expected["status_hint"] is not None:
        assert parsed.detail.event.claim.as_status() == expected["status_hint"]


def test_eddsa_is_accepted_only_where_the_configuration_adds_it() -> None:
    call, shop = received(by_id("R07")), account("smartpay", algorithms=["ES256", "EdDSA"])
    assert SMARTPAY.provider.verify(SMARTPAY.provider.parse(call, shop), call, shop) == "authentic"


@pytest.mark.parametrize("vector", _EVERY)
def test_inspect_judges_captured_events_alike(vector: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    merchant = {
        "id": "shop-v3",
        "provider": "smartpay",
        "base_url": "https://bank.example",
        "jwks_url": "https://bank.example/.well-known/jwks.json",
        "refresh_token": {"env": "PAYNOTIFY_TEST_NOT_SET"},
    }
    (tmp_path / "paynotify.yaml").write_text(yaml.safe_dump({"merchants": [merchant]}), "utf-8")
    (tmp_path / "body").write_bytes(base64.b64decode(vector["request"]["body_base64"]))
    words = ["inspect", "--config", str(tmp_path / "paynotify.yaml"), "--provider", "smartpay"]
    words += ["--jwks", str(KEYS), "--at", AT.isoformat()]
    for name, value in vector["request"]["headers"]:
        words += ["--header", f"{name}={value}"]
    code = main([*words, str(tmp_path / "body")])
    line = json.loads(capsys.readouterr().out)
    expected = vector["expected"]
    verdict = "authentic" if expected["verdict"] == "duplicate" else expected["verdict"]
    assert (line["verdict"], line["reason"]) == (verdict, expected["reason"])
    assert code == (1 if verdict == "rejected" else 0)
    if expected["lookup_order"] is not None:
        assert line["lookup"]["reference"] == expected["lookup_order"]
