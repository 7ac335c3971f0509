"""Runs what providers need done beside their stages, for as long as a worker runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

from paynotify.processors.metrics import Metrics
from paynotify.processors.providers.background import BackgroundContext, BackgroundTask
from paynotify.processors.providers.base import CallContext
from paynotify.processors.providers.registry import provider_specs
from paynotify.schemas.configuration.merchants import Merchant
from paynotify.schemas.configuration.model import Configuration

logger = logging.getLogger("paynotify.background")

_AGAIN_SECONDS: Final = 10.0


@asynccontextmanager
async def background_tasks(
    configuration: Configuration, providers: Collection[str], calls: CallContext, metrics: Metrics, directory: Path
) -> AsyncIterator[None]:
    """Run the tasks of these providers until the block ends; of a provider without a merchant nothing runs."""
    tasks = []
    for name, spec in provider_specs().items():
        merchants = configuration.merchants_of(name)
        if spec.background is None or not merchants or name not in providers:
            continue
        context = BackgroundContext(calls, directory / f"provider.{name}", _fetched(metrics, name, merchants))
        tasks.append(asyncio.create_task(_kept_running(spec.background, merchants, context)))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _fetched(
    metrics: Metrics, provider: str, merchants: Mapping[str, Merchant]
) -> Callable[[str, datetime | None], None]:
    def report(merchant: str, at: datetime | None) -> None:
        if merchant in merchants:  # a closed set of labels
            metrics.key_set_fetched.labels(provider, merchant).set(0 if at is None else at.timestamp())

    return report


async def _kept_running(task: BackgroundTask, merchants: Mapping[str, Merchant], context: BackgroundContext) -> None:
    """The task, begun again after an unexpected exception: no stage may stop because of it."""
    while True:
        try:
            await task(merchants, context)
        except Exception:
            logger.exception("background_task_begins_again")
        await asyncio.sleep(_AGAIN_SECONDS)
