"""The bank's keys are fetched beside the verification: bounded, not too often, and the last good set stays in use."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp import web

from paynotify.processors.providers.background import BackgroundContext
from paynotify.processors.providers.smartpay.contract import SmartPayMerchant
from paynotify.processors.providers.smartpay.key_set import KeySetError, key_set_in
from paynotify.processors.providers.smartpay.provider import SmartPayProvider
from paynotify.processors.providers.smartpay.published_keys import KeyFetcher, PublishedKeys, fetch_keys
from paynotify.sandbox.simulators.smartpay.key_ring import KeyRing
from paynotify.schemas.configuration.load import parse
from paynotify.schemas.errors import ConfigurationError, UndecidedNotificationError
from tests.fakes.accounts import NOW, account
from tests.fakes.gateway import Gateway, Scripted, World, json_answer, serving, world
from tests.fakes.signed_events import ORDER_ID, signed_event

KEYS: Final = KeyRing()
KEY: Final = KEYS.signing("ES256")
SET: Final = json_answer(KEYS.document())
PATH: Final = "/.well-known/jwks.json"


class Bank:
    """A fetcher for one merchant, and what it reported."""

    def __init__(self, gateway: Gateway, here: World, directory: Path) -> None:
        self.provider = SmartPayProvider()
        self.shop = account("smartpay", jwks_file=None, jwks_url=gateway.url + PATH)
        self.reported: list[datetime | None] = []
        self.here = here
        context = BackgroundContext(here.call_context(), directory, lambda name, at: self.reported.append(at))
        self.fetcher = KeyFetcher(
            self.shop.merchant.jwks_url, {"shop": self.shop.merchant}, self.provider.published, context
        )

    def accepts(self) -> bool:
        call = signed_event(KEY)
        try:
            parsed = self.provider.parse(call, self.shop)
            return self.provider.verify(parsed, call, self.shop) == "authentic"
        except UndecidedNotificationError:
            return False

    def due_after(self, seconds: float) -> bool:
        return self.fetcher.due(self.here.now + timedelta(seconds=seconds))


async def on_bank(tmp_path: Path, test: Callable[[Bank, Gateway], Awaitable[None]], *script: Scripted) -> None:
    async with serving(*script) as gateway, world() as here:
        await test(Bank(gateway, here, tmp_path), gateway)


async def test_fetched_set_verifies_and_is_reported(tmp_path: Path) -> None:
    async def test(bank: Bank, gateway: Gateway) -> None:
        assert not bank.accepts()
        await bank.fetcher.fetch()
        assert bank.accepts()
        assert [one.path for one in gateway.seen] == [PATH]
        assert "Authorization" not in gateway.seen[0].headers
        assert bank.reported == [NOW]

    await on_bank(tmp_path, test, SET)


BAD: Final[dict[str, Scripted]] = {
    "server error": web.Response(status=500, body=b"x"),
    "not found": web.Response(status=404, body=b"{}"),
    "HTML": web.Response(body=b"<html></html>", content_type="text/html"),
    "redirect": web.Response(status=302, headers={"Location": "https://elsewhere.example/keys"}),
    "ten megabytes": json_answer(json.dumps({"keys": [], "filler": "x" * 10 * 1024 * 1024})),
    "no keys": json_answer('{"keys": []}'),
    "only a key for encryption": json_answer(json.dumps({"keys": [{**KEY.public(), "use": "enc"}]})),
    "list": json_answer("[]"),
    "cut off": json_answer(KEYS.document()[:-20]),
}


@pytest.mark.parametrize("what", BAD)
async def test_last_good_set_stays_in_use_whatever_the_bank_answers(what: str, tmp_path: Path) -> None:
    async def test(bank: Bank, gateway: Gateway) -> None:
        await bank.fetcher.fetch()
        bank.here.now += timedelta(hours=2)
        await bank.fetcher.fetch()
        assert bank.accepts()
        assert bank.reported == [NOW], "its age is that of the last good one"
        assert len(gateway.seen) == 2
        assert not bank.due_after(29)
        assert bank.due_after(40), "and it is tried again soon"

    await on_bank(tmp_path, test, SET, BAD[what])


async def test_worker_that_starts_while_the_bank_is_away_uses_the_set_on_disk(tmp_path: Path) -> None:
    async def first(bank: Bank, gateway: Gateway) -> None:
        await bank.fetcher.fetch()
        assert {one.name for one in tmp_path.iterdir()} == {one.name for one in tmp_path.glob("*.json")}

    async def second(bank: Bank, gateway: Gateway) -> None:
        bank.fetcher.restore()
        assert bank.accepts()
        assert bank.reported == [NOW]
        assert bank.due_after(0), "a fresh one is fetched at once"

    async with serving(SET, BAD["server error"]) as gateway, world() as here:
        await first(Bank(gateway, here, tmp_path), gateway)
        here.now += timedelta(hours=5)
        await second(Bank(gateway, here, tmp_path), gateway)


@pytest.mark.parametrize("text", ["", "{}", '{"set": 1, "fetched_at": 2}', '{"set": "{}", "fetched_at": "x"}', "[1]"])
async def test_damaged_set_on_disk_is_no_set(text: str, tmp_path: Path) -> None:
    async def test(bank: Bank, gateway: Gateway) -> None:
        await bank.fetcher.fetch()
        (file,) = tmp_path.glob("*.json")
        file.write_text(text, "utf-8")
        again = Bank(gateway, bank.here, tmp_path)
        again.fetcher.restore()
        assert not again.accepts()
        assert again.reported == [None]

    await on_bank(tmp_path, test, SET)


async def test_missing_key_is_asked_for_at_most_every_thirty_seconds(tmp_path: Path) -> None:
    async def test(bank: Bank, gateway: Gateway) -> None:
        await bank.fetcher.fetch()
        assert not bank.due_after(3599)
        assert not bank.accepts()
        assert not bank.due_after(29)
        assert bank.due_after(37)
        bank.here.now += timedelta(seconds=37)
        await bank.fetcher.fetch()
        assert not bank.due_after(3599), "until the next unknown key"
        assert bank.due_after(2 * 3600)

    await on_bank(tmp_path, test, json_answer(json.dumps({"keys": [KeyRing().signing("ES384").public()]})))


async def test_without_any_set_the_bank_is_asked_again_soon(tmp_path: Path) -> None:
    async def test(bank: Bank, gateway: Gateway) -> None:
        await bank.fetcher.fetch()
        assert not bank.accepts()
        assert not bank.due_after(4)
        assert bank.due_after(7)

    await on_bank(tmp_path, test, BAD["server error"])


async def test_merchants_with_one_address_share_its_set(tmp_path: Path) -> None:
    async with serving(SET) as gateway, world() as here:
        published, reported = PublishedKeys(), set()
        fetched = asyncio.Event()

        def report(name: str, at: datetime | None) -> None:
            if at is not None:
                reported.add(name)
                if len(reported) == 2:
                    fetched.set()

        context = BackgroundContext(here.call_context(), tmp_path, report)
        url = gateway.url + PATH
        merchants: dict[str, SmartPayMerchant] = {
            name: account("smartpay", id=name, jwks_file=None, jwks_url=url).merchant for name in ("a", "b")
        }
        task = asyncio.create_task(fetch_keys(published, merchants, context))
        await asyncio.wait_for(fetched.wait(), 10)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert len(gateway.seen) == 1
        assert published.of(merchants["a"]) is published.of(merchants["b"]) is not None


def test_changed_key_file_is_read_again_and_a_damaged_one_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    provider, shop, call = SmartPayProvider(), account("smartpay", jwks_file=str(file)), signed_event(KEY)

    def reference() -> str | None:
        parsed = provider.parse(call, shop)
        provider.verify(parsed, call, shop)
        return parsed.reference

    with pytest.raises(UndecidedNotificationError):
        reference()
    file.write_bytes(KEYS.document())
    assert reference() == ORDER_ID
    file.write_bytes(b"{")
    assert reference() == ORDER_ID


@pytest.mark.parametrize(
    "change",
    [
        {"kid": ""},
        {"kid": 1},
        {"kty": "oct", "k": "AAAA"},
        {"crv": "secp256k1"},
        {"x": "AAAA"},
        {"x": KEY.public()["y"]},
        {"alg": ["ES256"]},
        {"use": "enc"},
        {"key_ops": ["sign"]},
        {"y": "A" * 5000},
    ],
)
def test_key_that_is_not_for_signatures_costs_no_other_key(change: Any) -> None:
    good = KEYS.signing("RS256").public()
    found = key_set_in(json.dumps({"keys": [{**KEY.public(), **change}, 7, good]}).encode())
    assert [one.kid for one in found.keys] == [good["kid"]]


def test_short_rsa_key_and_too_many_keys_are_refused() -> None:
    short = {**KEYS.signing("RS256").public(), "n": "A" * 171}
    with pytest.raises(KeySetError, match="no key"):
        key_set_in(json.dumps({"keys": [short]}).encode())
    with pytest.raises(KeySetError, match="at most"):
        key_set_in(json.dumps({"keys": [KEY.public()] * 101}).encode())


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"jwks_url": "https://bank.example/keys"}, "one of jwks_url and jwks_file"),
        ({"jwks_file": None}, "one of jwks_url and jwks_file"),
        ({"refresh_token": None}, "needs a refresh_token"),
        ({"truth": "event"}, "needs subscription_ids"),
        ({"algorithms": []}, "algorithms"),
        ({"algorithms": ["HS256"]}, "algorithms"),
        ({"same_as": "shop-nl"}, "names no merchant of omnikassa"),
        ({"jwks_file": None, "jwks_url": "ftp://bank.example/keys"}, "https"),
    ],
)
def test_configuration_that_would_verify_nothing_is_refused(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        account("smartpay", **settings)


def test_keys_over_http_are_for_a_sandbox_only() -> None:
    text = (
        "merchants: [{id: shop, provider: smartpay, base_url: 'https://b.example', refresh_token: {file: t},"
        " jwks_url: 'http://b.example/keys'}]"
    )
    with pytest.raises(ConfigurationError, match="https"):
        parse(text, "shop.yaml")
    assert parse("sandbox: true\n" + text, "shop.yaml")
