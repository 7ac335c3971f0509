"""Where only one provider's secrets are, as in a worker's pod, the doctor can look at that provider alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ops.main import main
from tests.fakes import configurations


@pytest.fixture
def config(tmp_path: Path) -> str:
    """Three providers; of Trust Payments' secrets one is not there."""
    merchants = configurations.merchants()
    merchants[1]["password"] = {"file": str(tmp_path / "elsewhere")}
    content = configurations.document("127.0.0.1:9", "", tmp_path, merchants=merchants)
    return str(configurations.write(tmp_path, content))


@pytest.mark.parametrize(
    ("providers", "code", "looked_at"),
    [
        ([], 1, {"shop-nl", "shop-uk", "shop-hu"}),
        (["omnikassa"], 0, {"shop-nl"}),
        (["omnikassa", "nevogate"], 0, {"shop-nl", "shop-hu"}),
        (["trustpayments"], 1, {"shop-uk"}),
    ],
)
def test_only_the_secrets_of_the_providers_asked_for_are_read(
    providers: list[str], code: int, looked_at: set[str], config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = [f"--provider={provider}" for provider in providers]
    assert main(["doctor", "--offline", "--json", "--config", config, *chosen]) == code
    findings = json.loads(capsys.readouterr().out)["findings"]
    about = {one["about"].removeprefix("secrets of ") for one in findings if one["about"].startswith("secrets of")}
    assert about == looked_at


def test_secrets_are_well_only_where_all_of_them_are_there(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor", "--offline", "--json", "--config", config])
    findings = json.loads(capsys.readouterr().out)["findings"]
    verdicts = [one["verdict"] for one in findings if one["about"] == "secrets of shop-uk"]
    assert verdicts == ["error"]


def test_a_key_that_is_none_is_found_also_where_another_secret_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    merchants = configurations.merchants()[:1]
    merchants[0] |= {"signing_keys": [{"value": "no base64!"}], "refresh_token": {"file": str(tmp_path / "elsewhere")}}
    content = configurations.document("127.0.0.1:9", "", tmp_path, merchants=merchants)
    config = str(configurations.write(tmp_path, content))
    assert main(["doctor", "--offline", "--config", config]) == 1
    said = capsys.readouterr().out
    assert "base64" in said
    assert "elsewhere" in said
