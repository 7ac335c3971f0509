"""The key sets that are in use, and the task that fetches them beside the verification.

A fetched set is kept on disk with its time, so that a worker that starts while the bank is away verifies all the same.
A response that is no set, or not complete, changes nothing: the last good one stays in use.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import orjson

from paynotify.processors.providers.background import BackgroundContext
from paynotify.processors.providers.http import exchange
from paynotify.processors.providers.smartpay.contract import SmartPayMerchant
from paynotify.processors.providers.smartpay.key_set import KeySet, KeySetError, key_set_in
from paynotify.schemas.configuration.secrets import file_version
from paynotify.schemas.errors import ProviderUnavailableError, RetryableError
from paynotify.schemas.times import parse_time, rfc3339
from paynotify.service.logs import event

logger = logging.getLogger("paynotify.smartpay.keys")

#: A set of a hundred RSA keys has 60 KB.
MAX_BYTES: Final = 256 * 1024
_TIMEOUT_SECONDS: Final = 10.0
#: After any attempt, whatever asks for the next one: callers can make up as many unknown key ids as they like.
_MIN_SECONDS: Final = 30.0
#: While there is no set at all nothing can be verified, and no caller has a part in how often it is asked for.
_MIN_SECONDS_WITHOUT: Final = 5.0
_JITTER_SHARE: Final = 0.2
_LOOK_SECONDS: Final = 1.0


@dataclass(slots=True)
class _Publication:
    """What is known of one URL. ``missed``: a signature named a key that is not in the set."""

    keys: KeySet | None = None
    fetched_at: datetime | None = None
    tried_at: datetime | None = None
    missed: bool = False


class PublishedKeys:
    """Key sets by where they are published. The verification reads them, and says when a key was missing."""

    def __init__(self) -> None:
        self._publications: dict[str, _Publication] = {}
        self._files: dict[str, tuple[tuple[int, ...], KeySet]] = {}

    def of(self, merchant: SmartPayMerchant) -> KeySet | None:
        """The merchant's set; None while there is none."""
        if merchant.jwks_file is not None:
            return self._read(merchant.jwks_file)
        return self.at(merchant.jwks_url or "").keys

    def at(self, url: str) -> _Publication:
        """What is known of a URL."""
        return self._publications.setdefault(url, _Publication())

    def missed(self, merchant: SmartPayMerchant) -> None:
        """A signature named a key that the set does not hold."""
        if merchant.jwks_url is not None:
            self.at(merchant.jwks_url).missed = True

    def _read(self, name: str) -> KeySet | None:
        """The set in a file, read again when it changed. One that can't be read leaves the last good set in use."""
        version, keys = self._files.get(name, ((), None))
        try:
            found = file_version(Path(name))
            if found != version:
                keys = key_set_in(Path(name).read_bytes()[: MAX_BYTES + 1])
                self._files[name] = found, keys
        except (OSError, KeySetError):
            pass
        return keys


class KeyFetcher:
    """Fetches one URL's set for all merchants that use it."""

    def __init__(
        self, url: str, merchants: Mapping[str, SmartPayMerchant], published: PublishedKeys, context: BackgroundContext
    ) -> None:
        self._url = url
        self._merchants = tuple(merchants)
        self._every_seconds = min(one.jwks_refresh_seconds for one in merchants.values())
        self._publication = published.at(url)
        self._calls = replace(context.calls, max_response_bytes=MAX_BYTES, timeout_seconds=_TIMEOUT_SECONDS)
        self._file = context.directory / f"{hashlib.sha256(url.encode()).hexdigest()[:32]}.json"
        self._report = context.fetched
        self._jitter = 1 + random.random() * _JITTER_SHARE  # noqa: S311 - spreads load, protects nothing

    async def run(self) -> None:
        """Fetch whenever it is due."""
        self.restore()
        while True:
            if self.due(self._calls.now()):
                await self.fetch()
            await asyncio.sleep(_LOOK_SECONDS)

    def due(self, now: datetime) -> bool:
        """Whether to fetch now: regularly, soon after a failure, and soon after a key was missing."""
        known = self._publication
        if known.tried_at is None:
            return True
        tried_seconds = (now - known.tried_at).total_seconds()
        failed = known.fetched_at is None or known.fetched_at < known.tried_at
        every_seconds = _MIN_SECONDS if known.missed or failed else self._every_seconds
        if known.keys is None:
            every_seconds = _MIN_SECONDS_WITHOUT
        return tried_seconds >= every_seconds * self._jitter

    def restore(self) -> None:
        """Use the set on disk until one is fetched."""
        try:
            kept = orjson.loads(self._file.read_bytes())
            self._use(key_set_in(kept["set"].encode()), parse_time(kept["fetched_at"]))
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            self._use(self._publication.keys, self._publication.fetched_at)

    async def fetch(self) -> None:
        """Fetch the set once. Whatever goes wrong, the last good one stays in use."""
        known = self._publication
        known.tried_at, known.missed = self._calls.now(), False
        try:
            response = await exchange(self._calls, "GET", self._url, headers={"Accept": "application/jwk-set+json"})
            if response.http_status != 200:
                raise ProviderUnavailableError(f"HTTP {response.http_status}")
            keys = key_set_in(response.body)
        except (RetryableError, KeySetError) as error:
            event(logger, "key_set_not_fetched", level=logging.WARNING, problem=str(error)[:200])
            return
        self._use(keys, known.tried_at)
        try:
            self._keep(response.body, known.tried_at)
        except OSError as error:
            event(logger, "key_set_not_kept", level=logging.WARNING, problem=type(error).__name__)

    def _use(self, keys: KeySet | None, fetched_at: datetime | None) -> None:
        self._publication.keys, self._publication.fetched_at = keys, fetched_at
        for merchant in self._merchants:
            self._report(merchant, fetched_at)

    def _keep(self, raw: bytes, fetched_at: datetime) -> None:
        """Write the set beside its old copy, then replace that: a crash leaves one of them whole."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        written = self._file.with_suffix(".new")
        kept = {"fetched_at": rfc3339(fetched_at.astimezone(UTC)), "set": raw.decode("utf-8", "replace")}
        written.write_bytes(orjson.dumps(kept))
        written.replace(self._file)


async def fetch_keys(
    published: PublishedKeys, merchants: Mapping[str, SmartPayMerchant], context: BackgroundContext
) -> None:
    """Keep every URL's set fresh until cancelled."""
    by_url: dict[str, dict[str, SmartPayMerchant]] = {}
    for name, merchant in merchants.items():
        if merchant.jwks_url is not None:
            by_url.setdefault(merchant.jwks_url, {})[name] = merchant
    fetchers = [KeyFetcher(url, users, published, context) for url, users in by_url.items()]
    if not fetchers:
        await asyncio.Event().wait()  # all keys are in files: nothing to do until cancelled
    async with asyncio.TaskGroup() as group:
        for fetcher in fetchers:
            group.create_task(fetcher.run())
