"""The tokens of the console's API in the configuration: what is refused, with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from paynotify.schemas.configuration.load import parse
from paynotify.schemas.errors import ConfigurationError
from tests.fakes import configurations

TOKEN = {"name": "back-office", "sha256": "0a" * 32, "scopes": ["orders:read"]}


def text(*tokens: dict[str, Any]) -> str:
    console = {"api_tokens": list(tokens)}
    return yaml.safe_dump(configurations.document("kafka:9092", "", Path("/tmp"), console=console))


def test_token_reads_all_merchants_unless_some_are_named() -> None:
    (found,) = parse(text(TOKEN), "paynotify.yaml").console.api_tokens
    assert (found.merchants, found.calls_per_second, found.burst) == ((), 10.0, 50)
    assert parse(text(), "paynotify.yaml").console.api_tokens == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"merchants": ["shop-xx"]}, "is not a merchant's id"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["orders:write"]}, "scopes"),
        ({"sha256": "0A" * 32}, "sha256"),
        ({"sha256": None}, "exactly one of sha256 and token"),
        ({"token": {"value": "x" * 32}}, "exactly one of sha256 and token"),
        ({"name": "back office"}, "name"),
        ({"burst": 0}, "burst"),
        ({"scope": "orders:read"}, "scope"),
    ],
)
def test_wrong_token_is_refused_with_its_place(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(text({**TOKEN, **change}), "paynotify.yaml")
    assert said in str(caught.value)
    assert "line" in str(caught.value)


def test_two_tokens_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="another token's name"):
        parse(text(TOKEN, {**TOKEN, "sha256": "0b" * 32}), "paynotify.yaml")


def test_token_in_the_open_is_for_sandboxes() -> None:
    whole = text({"name": "back-office", "token": {"value": "x" * 32}, "scopes": ["orders:read"]})
    assert parse(whole, "paynotify.yaml").console.api_tokens[0].token is not None
    with pytest.raises(ConfigurationError, match="secret in the open"):
        parse(whole.replace("sandbox: true", "sandbox: false").replace("http:", "https:"), "paynotify.yaml")
