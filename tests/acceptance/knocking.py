"""Providers that call the ingress without pause, each call with a body of its own."""

from __future__ import annotations

import http.client
import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final

_CALLERS: Final = 8
_TIMEOUT_SECONDS: Final = 30.0
#: A caller that is refused at once must not keep a processor busy with asking again.
_PAUSE_SECONDS: Final = 0.005
#: What callers make up for when they were kept waiting.
_MOST_BEHIND_SECONDS: Final = 1.0

#: Counts over the whole session: a body is never sent twice.
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Answered:
    """One call: its body, when it began, how long it took, and the answer (status 0 without any)."""

    body: bytes
    began_seconds: float
    took_seconds: float
    status: int
    retry_after: str | None


class Knocking:
    """Calls to one path until the end of the block: as many as are answered, or so many a second."""

    def __init__(self, address: str, path: str, *, per_second: float | None = None, callers: int = _CALLERS) -> None:
        self._every_seconds = callers / per_second if per_second else 0.0
        self._address = address.removeprefix("http://")
        self._path = path
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, name=f"caller-{n}", daemon=True) for n in range(callers)]
        self.answers: list[Answered] = []

    def __enter__(self) -> Knocking:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()

    def end(self) -> None:
        """Call no more, and wait for the answers of the last calls."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def having(self, status: int, since_seconds: float = 0.0) -> list[Answered]:
        """The calls with that answer that began after the moment."""
        return [one for one in list(self.answers) if one.status == status and one.began_seconds >= since_seconds]

    def accepted(self) -> set[bytes]:
        """The bodies that were answered 200."""
        return {one.body for one in self.having(200)}

    def _run(self) -> None:
        connection = http.client.HTTPConnection(self._address, timeout=_TIMEOUT_SECONDS)
        due = time.monotonic()
        while not self._over.wait(max(_PAUSE_SECONDS, due - time.monotonic())):
            due = max(due + self._every_seconds, time.monotonic() - _MOST_BEHIND_SECONDS)
            number = next(_numbers)
            # the reference is part of the key, so the calls are spread over all partitions
            body = b"transactionreference=57-9-%d&errorcode=0&note=\xe9%%00+%d" % (number % 50, number)
            self.answers.append(_call(connection, self._path, body))
        connection.close()


def _call(connection: http.client.HTTPConnection, path: str, body: bytes) -> Answered:
    began = time.monotonic()
    status, retry_after = 0, None
    try:
        connection.request("POST", path, body, {"Content-Type": "application/x-www-form-urlencoded"})
        answer = connection.getresponse()
        answer.read()
        status, retry_after = answer.status, answer.getheader("Retry-After")
    except (OSError, http.client.HTTPException):
        connection.close()
    return Answered(body, began, time.monotonic() - began, status, retry_after)


def soon(condition: Callable[[], bool], within_seconds: float, otherwise: str) -> None:
    """Wait for the condition; the test fails with ``otherwise`` if it is not true in time."""
    deadline = time.monotonic() + within_seconds
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)
