"""Sends a simulator's notifications: at a given time, a bounded number at once, and records each outcome."""

from __future__ import annotations

import asyncio
import hashlib
import heapq
import itertools
import json
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Final

import aiohttp

from paynotify.schemas.errors import RateLimitedError

_KEPT_SENT: Final = 1000
_KEPT_ANSWER_BYTES: Final = 64


@dataclass(slots=True, kw_only=True)
class Delivery:
    """One notification to one merchant.

    ``started`` is called before each attempt and may still set the body; ``done`` gets the attempt's HTTP status, or
    None without a response. ``mark`` is for the simulator. The network's copy of a ``written_late`` delivery has the
    bytes of the first, and calls neither. ``headers`` are its own, besides those of every delivery; ``answer`` is the
    beginning of the last response's body. Without a ``path`` it is sent to the merchant's notification path, without a
    ``base`` to the common target.
    """

    merchant: str
    base: str = ""
    path: str = ""
    method: str = "POST"
    query: str = ""
    body: bytes = b""
    content_type: str = "application/json"
    about: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    answer: bytes = b""
    done: Callable[[Delivery, int | None], None] = lambda delivery, status: None
    started: Callable[[Delivery], None] = lambda delivery: None
    attempts: int = 0
    mark: int = 0
    written_late: bool = False
    first_seconds: float = field(default_factory=time.monotonic)

    def goes_to(self, base: str, path: str, query: str, **more: str) -> None:
        """Set the URL that it is sent to, with ``more`` appended to the query."""
        self.base, self.path = base, path
        self.query = "&".join(filter(None, (query, *(f"{name}={value}" for name, value in more.items()))))

    @property
    def age_seconds(self) -> float:
        return time.monotonic() - self.first_seconds


def _told_nobody(delivery: Delivery, status: int | None = None) -> None:
    """Ignore the outcome of a copy, which the sender does not know of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unrest:
    """What the network does to deliveries: ``copied`` and ``late`` are shares of them, each within a time."""

    copied: float = 0.0
    late: float = 0.0
    within_seconds: float = 1.0


class DeliveryLog:
    """Writes each attempt as a line of JSON, with the body's hash and the response's status: what was sent and what was
    acknowledged. The line is in the file when the attempt is over.
    """

    def __init__(self, provider: str, file: Path) -> None:
        self._provider = provider
        self._file: IO[str] = file.open("a", encoding="utf-8", buffering=1)

    def add(self, delivery: Delivery, status: int | None) -> None:
        """Write a finished attempt; ``status`` is None without a response. A secret in the query is not written."""
        query = "&".join(part for part in delivery.query.split("&") if not part.startswith("token="))
        line = {
            "at": time.time(),
            "provider": self._provider,
            "merchant": delivery.merchant,
            "method": delivery.method,
            "query": query,
            "sha256": hashlib.sha256(delivery.body).hexdigest(),
            "about": delivery.about,
            "status": status,
        }
        self._file.write(json.dumps(line) + "\n")

    def close(self) -> None:
        self._file.close()


class Webhooks:
    """Sends deliveries. ``target`` is the base address; until it is set, nothing is sent."""

    def __init__(
        self,
        provider: str,
        counters: Counter[str],
        *,
        timeout_seconds: float,
        concurrency: int,
        limit: int,
        headers: Mapping[str, str] | None = None,
        url_tokens: Mapping[str, str] | None = None,
        unrest: Unrest | None = None,
        chance: random.Random | None = None,
        log: DeliveryLog | None = None,
    ) -> None:
        self._unrest = unrest or Unrest()
        self._chance = chance or random.Random()
        self._log = log
        self._headers = dict(headers or {})
        self._url_tokens = dict(url_tokens or {})
        self._provider = provider
        self._counters = counters
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._slots = asyncio.Semaphore(concurrency)
        self._concurrency = concurrency
        self._limit = limit
        self._waiting: list[tuple[float, int, Delivery]] = []
        self._order = itertools.count()
        self._wake = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()
        self.target = ""
        self.paused = False
        self.sent: deque[dict[str, Any]] = deque(maxlen=_KEPT_SENT)

    @property
    def waiting(self) -> int:
        """Number of deliveries that are not finished, including those in flight."""
        return len(self._waiting) + len(self._sending)

    def send(self, delivery: Delivery, *, after_seconds: float = 0.0) -> None:
        """Queue a new delivery.

        Raises:
            RateLimitedError: too many deliveries wait.
        """
        if len(self._waiting) >= self._limit:
            raise RateLimitedError(f"{self._limit} notifications are waiting already")
        self.again(delivery, after_seconds=after_seconds + self._drawn(self._unrest.late))

    def _drawn(self, share: float) -> float:
        """By how long to delay a delivery: 0 except for the share."""
        hit = share > 0 and self._chance.random() < share
        return self._chance.uniform(0, self._unrest.within_seconds) if hit else 0.0

    def _copy(self, delivery: Delivery) -> None:
        after_seconds = self._drawn(self._unrest.copied)
        if not after_seconds:
            return
        copy = replace(delivery, attempts=1)
        if delivery.written_late:
            copy = replace(copy, started=_told_nobody, done=_told_nobody)
        self._counters["webhooks.copied"] += 1
        self.again(copy, after_seconds=after_seconds)

    def again(self, delivery: Delivery, *, after_seconds: float) -> None:
        """Queue a delivery again; never refused, because it has just left the queue."""
        heapq.heappush(self._waiting, (time.monotonic() + after_seconds, next(self._order), delivery))
        self._wake.set()

    def wake(self) -> None:
        """Wake the sender: the target or the pause has changed."""
        self._wake.set()

    async def run(self) -> None:
        """Send until cancelled."""
        connector = aiohttp.TCPConnector(limit=self._concurrency)
        async with aiohttp.ClientSession(connector=connector, timeout=self._timeout, auto_decompress=False) as session:
            # aiohttp repeats a GET whose connection was reset: two calls, of which the simulator would count one
            session._retry_connection = False
            try:
                while True:
                    await self._wait_for_work()
                    await self._slots.acquire()
                    self._start(session)
            finally:
                for task in self._sending:
                    task.cancel()
                await asyncio.gather(*self._sending, return_exceptions=True)
                if self._log is not None:
                    self._log.close()

    async def _wait_for_work(self) -> None:
        while True:
            self._wake.clear()
            wait_seconds = None
            if self.target and not self.paused and self._waiting:
                wait_seconds = self._waiting[0][0] - time.monotonic()
                if wait_seconds <= 0:
                    return
            try:
                await asyncio.wait_for(self._wake.wait(), wait_seconds)
            except TimeoutError:
                continue

    def _start(self, session: aiohttp.ClientSession) -> None:
        if not self._waiting:
            self._slots.release()
            return
        delivery = heapq.heappop(self._waiting)[2]
        task = asyncio.get_running_loop().create_task(self._attempt(session, delivery))
        self._sending.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._slots.release()

    async def _attempt(self, session: aiohttp.ClientSession, delivery: Delivery) -> None:
        token = self._url_tokens.get(delivery.merchant)
        ours = f"/notifications/{self._provider}/{delivery.merchant}{'/' if token else ''}{token or ''}"
        path = delivery.path or ours
        url = f"{delivery.base or self.target}{path}{'?' if delivery.query else ''}{delivery.query}"
        delivery.answer = b""
        headers = {
            **self._headers,
            **delivery.headers,
            **({"Content-Type": delivery.content_type} if delivery.body else {}),
        }
        delivery.attempts += 1
        delivery.started(delivery)
        self._counters["webhooks.attempted"] += 1
        if delivery.attempts == 1:
            self._copy(delivery)
        self.sent.append(
            {
                "path": path,
                "method": delivery.method,
                "query": delivery.query,
                "content_type": delivery.content_type,
                "body": delivery.body.decode(),
                "about": delivery.about,
            }
        )
        status = None
        try:
            async with session.request(
                delivery.method, url, data=delivery.body or None, headers=headers, allow_redirects=False
            ) as answer:
                delivery.answer = await answer.content.read(_KEPT_ANSWER_BYTES)
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            self._counters["webhooks.unanswered"] += 1
        else:
            self._counters["webhooks.acknowledged" if status == 200 else f"webhooks.refused.{status}"] += 1
        if self._log is not None:
            self._log.add(delivery, status)
        delivery.done(delivery, status)
