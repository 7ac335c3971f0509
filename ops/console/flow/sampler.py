"""Samples the flow every few seconds, once for all who look, in a thread of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from typing import Final

from paynotify.ops.console.flow.history import SAMPLE_SECONDS, FlowHistory, FlowSample
from paynotify.ops.console.flow.readings import flow_reader
from paynotify.ops.console.flow.steps import FlowStep, flow_steps
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.errors import PaynotifyError
from paynotify.service.logs import event

logger = logging.getLogger("paynotify.console")

#: How often it connects anew, which finds topics and partitions that are new.
_RECONNECT_SECONDS: Final = 300.0
_STOP_SECONDS: Final = 2.0


class FlowSampler:
    """Fills ``history`` from `start` until `stop`. ``problem`` is why the last sample was not taken."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self.steps = flow_steps(configuration)
        self.history = FlowHistory()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="flow", daemon=True)
        self.problem = ""

    def steps_of(self, providers: Iterable[str]) -> list[FlowStep]:
        """The steps that payments of these providers take."""
        wanted = {"", *providers}
        return [one for one in self.steps if one.provider in wanted]

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Wait for its end, but not for a broker that is slow to answer: it writes nothing."""
        self._stopping.set()
        self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._sample()
            except PaynotifyError as error:
                self.problem = str(error)
                event(logger, "flow_not_sampled", level=logging.WARNING, error=type(error).__name__)
                self._stopping.wait(SAMPLE_SECONDS)

    def _sample(self) -> None:
        """Sample until it is time to connect anew."""
        until_seconds = time.monotonic() + _RECONNECT_SECONDS
        with flow_reader(self._configuration, self.steps) as reader:
            while not self._stopping.is_set() and time.monotonic() < until_seconds:
                began = time.monotonic()
                at = time.time()
                self.history.add(FlowSample(at, reader.read()))
                self.problem = ""
                self._stopping.wait(max(0.0, began + SAMPLE_SECONDS - time.monotonic()))
