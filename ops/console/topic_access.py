"""Lets pages read topics, a few at a time: each reader has connections of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from paynotify.ops.common.topic_reader import TopicReader
from paynotify.schemas.errors import ClusterUnavailableError

_MAX_READERS: Final = 4
_WAIT_SECONDS: Final = 10.0

OpenReader = Callable[[], AbstractContextManager[TopicReader]]


class TopicAccess:
    """Opens a reader when there is room for one more."""

    def __init__(self, open_reader: OpenReader) -> None:
        self._open = open_reader
        self._room = threading.BoundedSemaphore(_MAX_READERS)

    @contextmanager
    def reader(self) -> Iterator[TopicReader]:
        """A reader for the calling thread.

        Raises:
            ClusterUnavailableError: too many pages read at this moment, or the brokers can't be reached.
        """
        if not self._room.acquire(timeout=_WAIT_SECONDS):
            raise ClusterUnavailableError("Too many pages read the topics at this moment. Load the page again.")
        try:
            with self._open() as reader:
                yield reader
        finally:
            self._room.release()
