"""Counts observed and missed orders by provider, and publishes when a provider falls silent or resumes."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec.structs import replace

from paynotify.processors.metrics import Metrics
from paynotify.processors.orders import provider_silence
from paynotify.processors.orders.provider_silence import SilenceState
from paynotify.processors.state.overlay import Overlay
from paynotify.schemas import messages, topics
from paynotify.schemas.cloudevents import EventHeaders
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.configuration.worker import SilenceSettings
from paynotify.schemas.ids import derived_id
from paynotify.schemas.messages import HeardOf, ProviderSilent
from paynotify.schemas.records import Output
from paynotify.service.logs import event

logger = logging.getLogger("paynotify.orders")

_STATE: Final = msgspec.json.Decoder(SilenceState)


class SilenceMonitor:
    """Keeps a `SilenceState` for each provider, and for each merchant of a provider that has several."""

    def __init__(
        self, providers: Mapping[str, str], kafka: KafkaSettings, metrics: Metrics, settings: SilenceSettings
    ) -> None:
        """``providers`` is each merchant's provider."""
        self._merchants = Counter(providers.values())
        self._topic = kafka.topic(topics.SILENT)
        self._headers = EventHeaders(kafka.events, "/orders", messages.PROVIDER_SILENT)
        self._silent = metrics.silent
        self._settings = settings

    def count(self, order: HeardOf, state: Overlay) -> list[Output]:
        """Count the order for its provider and its merchant: among other merchants' orders, a merchant whose webhook is
        broken would not be noticed."""
        after, outputs = self._count(order, None, state)
        if self._merchants[order.provider] > 1:
            # while the whole provider is silent, no single merchant is reported
            outputs += self._count(order, order.merchant, state, provider_silent=after.silent)[1]
        return outputs

    def _count(
        self, order: HeardOf, merchant: str | None, state: Overlay, *, provider_silent: bool = False
    ) -> tuple[SilenceState, list[Output]]:
        key = b"heard\0" + (order.provider if merchant is None else f"{order.provider}/{merchant}").encode()
        stored = state.get(key)
        before = _STATE.decode(stored) if stored else SilenceState()
        if order.heard:
            after = provider_silence.observed(before, order.at)
        else:
            after = provider_silence.missed(before, order.at, order.sold_at, self._settings)
            if provider_silent:
                after = replace(after, silent=before.silent)
        state.put(key, messages.encode(after))
        self._silent.labels(order.provider, merchant or "").set(after.silent)
        if after.silent == before.silent:
            return after, []
        # the end of a silence is reported with the run that it ends
        return after, [self._report(order, merchant, after if after.silent else before, silent=after.silent)]

    def _report(self, order: HeardOf, merchant: str | None, run: SilenceState, *, silent: bool) -> Output:
        report = ProviderSilent(
            event_id="",
            state="silent" if silent else "heard",
            provider=order.provider,
            unheard=run.unheard,
            since=run.since,
            at=order.at,
            urgent=silent and provider_silence.urgent(run, order.at, self._settings),
            merchant=merchant,
        )
        report = replace(report, event_id=derived_id("silent", messages.encode(report).decode()))
        event(
            logger,
            "provider_silent" if silent else "provider_resumed",
            level=logging.WARNING,
            provider=order.provider,
            merchant=merchant,
            unheard=run.unheard,
            since=run.since,
        )
        key = order.provider.encode()
        return Output(self._topic, key, messages.encode(report), self._headers(report.event_id, order.at, key))
