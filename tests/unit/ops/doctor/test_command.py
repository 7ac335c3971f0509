"""The doctor can check one provider alone, because a worker's pod has only one provider's secrets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from paynotify.ops.doctor.cluster_checks import missing_operations
from paynotify.ops.main import main
from tests.fakes import configurations


@pytest.fixture
def config(tmp_path: Path) -> str:
    """Three providers; one of Trust Payments' secrets is missing."""
    merchants = configurations.merchants()
    merchants[1]["password"] = {"file": str(tmp_path / "elsewhere")}
    content = configurations.document("127.0.0.1:9", "", tmp_path, merchants=merchants)
    return str(configurations.write(tmp_path, content))


@pytest.mark.parametrize(
    ("providers", "code", "checked"),
    [
        ([], 1, {"shop-nl", "shop-uk", "shop-hu"}),
        (["omnikassa"], 0, {"shop-nl"}),
        (["omnikassa", "nevogate"], 0, {"shop-nl", "shop-hu"}),
        (["trustpayments"], 1, {"shop-uk"}),
    ],
)
def test_provider_option_limits_which_secrets_are_read(
    providers: list[str], code: int, checked: set[str], config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = [f"--provider={provider}" for provider in providers]
    assert main(["doctor", "--offline", "--json", "--config", config, *chosen]) == code
    findings = json.loads(capsys.readouterr().out)["findings"]
    about = {one["about"].removeprefix("secrets of ") for one in findings if one["about"].startswith("secrets of")}
    assert about == checked


def test_secrets_are_ok_only_if_all_of_them_are_readable(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor", "--offline", "--json", "--config", config])
    findings = json.loads(capsys.readouterr().out)["findings"]
    verdicts = [one["verdict"] for one in findings if one["about"] == "secrets of shop-uk"]
    assert verdicts == ["error"]


def test_invalid_key_is_found_even_if_another_secret_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    merchants = configurations.merchants()[:1]
    merchants[0] |= {"signing_keys": [{"value": "no base64!"}], "refresh_token": {"file": str(tmp_path / "elsewhere")}}
    content = configurations.document("127.0.0.1:9", "", tmp_path, merchants=merchants)
    config = str(configurations.write(tmp_path, content))
    assert main(["doctor", "--offline", "--config", config]) == 1
    printed = capsys.readouterr().out
    assert "base64" in printed
    assert "elsewhere" in printed


def test_right_to_charge_is_not_asked_of_the_processes() -> None:
    """The documented rights of a worker are enough: it only reads what shops request."""
    both, requested = {"READ", "WRITE", "DESCRIBE"}, "prod_payments.requested"
    assert missing_operations({"prod_payments.status": both, requested: {"READ", "DESCRIBE"}}, requested) == {}
    assert missing_operations({"prod_payments.status": {"READ"}, requested: {"DESCRIBE"}}, requested) == {
        "READ": [requested],
        "WRITE": ["prod_payments.status"],
    }


def test_brokers_without_access_rules_miss_no_right() -> None:
    assert missing_operations({"payments.status": set()}, "payments.requested") == {}
