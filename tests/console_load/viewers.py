"""Many people who look at the console's pages at once, each page checked for what it must say."""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from paynotify.sandbox.observer import quantile
from tests.console_load.filling import MERCHANT, order_of, payment_of, status_of
from tests.console_process import TOKEN

#: A person reads a page before loading the next one.
READING_SECONDS: Final = 1.0
_VERDICTS: Final = {"captured": "Yes: ", "authorised": "Not yet: ", "unknown": "Unclear: "}


@dataclass(frozen=True, slots=True)
class View:
    """A page to load: what it is, its path, and what it must say."""

    kind: str
    path: str
    text: str
    status: int = 200


@dataclass(slots=True)
class Seen:
    """What all viewers saw. ``wrong`` names pages that did not say what they must, ``lost`` counts those that the end
    of the process cut off.
    """

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    wrong: list[str] = field(default_factory=list)
    lost: int = 0

    def quantile(self, kind: str, share: float) -> float:
        """The time that this share of the pages took at most, in seconds."""
        return quantile(sorted(self.seconds[kind]), share)


def _search(number: int) -> View:
    # one payment and its order: the search leads to the page
    return View("search", f"/search?q={payment_of(number)}", "", 303)


def _prefix(number: int) -> View:
    return View("search", f"/search?q={order_of(number)[:-1]}", payment_of(number))


def _order(number: int) -> View:
    return View("order", f"/orders/{MERCHANT}/{order_of(number)}", _VERDICTS[status_of(number)[0]])


def _question(number: int) -> View:
    return View("api", f"/api/v1/orders/{MERCHANT}/{order_of(number)}", payment_of(number))


#: Pages by how often they are loaded.
_VIEWS: Final[Mapping[Callable[[int], View], int]] = {
    _search: 3,
    _prefix: 3,
    _order: 4,
    _question: 2,
    lambda _: View("list", "/rejected", "bad_signature"): 2,
    lambda _: View("list", "/payments?status=authorised", "authorised"): 2,
    lambda _: View("attention", "/", "overdue"): 2,
}


async def look(port: int, payments: int, viewers: int, seconds: float, seed: int = 1) -> Seen:
    """What so many viewers see in that time."""
    seen = Seen()
    until_seconds = time.monotonic() + seconds
    connector = aiohttp.TCPConnector(limit=viewers)
    headers = {"authorization": f"Bearer {TOKEN}"}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", connector=connector, headers=headers) as session:
        people = (
            _person(session, seen, random.Random(seed * 1000 + number), payments, until_seconds)
            for number in range(viewers)
        )
        await asyncio.gather(*people)
    return seen


async def _person(
    session: aiohttp.ClientSession, seen: Seen, chance: random.Random, payments: int, until_seconds: float
) -> None:
    while True:
        await asyncio.sleep(chance.expovariate(1 / READING_SECONDS))
        if time.monotonic() >= until_seconds:
            return
        (choose,) = chance.choices(list(_VIEWS), list(_VIEWS.values()))
        view = choose(chance.randrange(payments))
        began = time.monotonic()
        try:
            async with session.get(view.path, allow_redirects=False) as answer:
                text = await answer.text()
        except (aiohttp.ClientError, OSError):
            seen.lost += 1
            continue
        seen.seconds[view.kind].append(time.monotonic() - began)
        if answer.status != view.status or view.text not in text:
            seen.wrong.append(f"{view.path}: {answer.status} {text[:200]}")
