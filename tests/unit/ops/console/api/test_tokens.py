"""Who calls the API, and how often it may."""

from __future__ import annotations

import hmac
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from paynotify.ops.console.api.tokens import ApiTokens
from paynotify.schemas.configuration.console_api import ApiToken
from paynotify.schemas.configuration.secrets import SecretRef
from paynotify.schemas.errors import ConfigurationError

SHOP = "shop-token-which-nobody-can-guess-1"
DESK = "desk-token-which-nobody-can-guess-2"


def token(name: str, text: str, **more: Any) -> ApiToken:
    return ApiToken(name=name, sha256=sha256(text.encode()).hexdigest(), scopes=("orders:read",), **more)


def test_token_is_known_by_its_digest() -> None:
    tokens = ApiTokens([token("shop", SHOP, merchants=("shop-uk",)), token("desk", DESK)])
    shop, desk = tokens.caller(f"Bearer {SHOP}"), tokens.caller(f"bearer  {DESK} ")
    assert shop is not None
    assert desk is not None
    assert (shop.name, desk.name) == ("shop", "desk")
    assert (shop.sees("shop-uk"), shop.sees("shop-hu"), shop.sees("")) == (True, False, False)
    assert desk.sees("shop-hu")


@pytest.mark.parametrize(
    "header",
    ["", SHOP, f"Basic {SHOP}", f"Bearer {SHOP}x", "Bearer", "Bearer ", f"Bearer {'x' * 5000}", "Bearer \udcff"],
)
def test_anybody_else_is_nobody(header: str) -> None:
    assert ApiTokens([token("shop", SHOP)]).caller(header) is None


def test_every_digest_is_compared_whichever_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(other)
        return one == other

    monkeypatch.setattr(hmac, "compare_digest", compare)
    ApiTokens([token("shop", SHOP), token("desk", DESK)]).caller(f"Bearer {SHOP}")
    assert len(compared) == 2


def test_secret_file_that_is_replaced_is_valid_without_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paynotify.schemas.configuration.secrets._RECHECK_SECONDS", 0.0)
    file = tmp_path / "token"
    file.write_text(f"{SHOP}\n", "utf-8")
    tokens = ApiTokens([ApiToken(name="shop", token=SecretRef(file=str(file)), scopes=("orders:read",))])
    assert tokens.caller(f"Bearer {SHOP}") is not None
    file.write_text(DESK, "utf-8")
    assert tokens.caller(f"Bearer {SHOP}") is None
    assert tokens.caller(f"Bearer {DESK}") is not None
    file.write_text("short", "utf-8")
    assert tokens.caller("Bearer short") is None


def test_secret_that_can_be_guessed_is_refused() -> None:
    short = ApiToken(name="shop", token=SecretRef(value="x" * 31), scopes=("orders:read",))
    with pytest.raises(ConfigurationError, match="at least 32 characters"):
        ApiTokens([short])


def test_rate_is_of_each_token() -> None:
    now = [100.0]
    tokens = ApiTokens([token("shop", SHOP, burst=2, calls_per_second=0.5), token("desk", DESK)], lambda: now[0])
    shop, desk = tokens.caller(f"Bearer {SHOP}"), tokens.caller(f"Bearer {DESK}")
    assert shop is not None
    assert desk is not None
    assert [tokens.wait_seconds(shop) for _ in range(3)] == [0, 0, 2]
    assert tokens.wait_seconds(desk) == 0
    now[0] += 2
    assert [tokens.wait_seconds(shop) for _ in range(2)] == [0, 2]
