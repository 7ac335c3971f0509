"""A naive pipeline to compare with: consume, verify, ask the provider once, publish; all in one process.

The provider's own module and HTTP client are the very ones the stages use, so what differs is the design: one call
for each notification, no state, no order between payments' events, nothing stored between the steps.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from paynotify.processors.limits.call_pacer import CallPacer
from paynotify.processors.providers.account import Account, open_account
from paynotify.processors.providers.base import Call, CallContext, Provider, ProviderResponse, WaitingLookup, unlimited
from paynotify.processors.providers.outgoing import open_transport
from paynotify.processors.providers.registry import provider_specs
from paynotify.processors.verify.stage import authenticate, notification_of
from paynotify.schemas import messages
from paynotify.schemas.configuration.load import load
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.records import Record
from paynotify.schemas.topics import notifications

#: As many calls at once as the worker makes by default.
_IN_FLIGHT: Final = 64
_GROUP: Final = "peer-naive"


class Pipeline:
    """All steps for one notification."""

    def __init__(self, provider: Provider, configuration: Configuration, http: Any, producer: Any, topic: str) -> None:
        worker = configuration.worker
        rate = worker.call_rate(provider.name)
        self._provider = provider
        self._accounts: dict[str, Account[Any]] = {
            name: open_account(merchant) for name, merchant in configuration.merchants_of(provider.name).items()
        }
        self._call_context = CallContext(
            http=http,
            now=lambda: datetime.now(UTC),
            max_response_bytes=worker.provider_response_bytes,
            timeout_seconds=worker.provider_timeout_seconds,
            transactions_per_query=1,
            pace=unlimited if rate is None else CallPacer(rate),
        )
        self._producer = producer
        self._topic = topic

    async def handle(self, record: Record) -> None:
        """Verify, ask, publish."""
        notification = notification_of(record)
        account = self._accounts[notification.merchant]
        lookup = self._provider.plan(authenticate(self._provider, account, notification)[0], notification)
        waiting = WaitingLookup(notification.notification_id, lookup, "", 0, notification.received_at)
        responses: list[ProviderResponse] = []

        async def keep(response: ProviderResponse, lookups: tuple[WaitingLookup, ...]) -> None:
            responses.append(response)

        await self._provider.fetch(Call("", (waiting,)), account, self._call_context, keep)
        for response in responses:
            for observation in self._provider.interpret(response, account).observations:
                key = f"{observation.merchant}/{observation.payment_id}".encode()
                await self._producer.send_and_wait(self._topic, messages.encode(observation), key=key)


async def run(arguments: argparse.Namespace) -> None:
    """Handle so many notifications from the beginning of the topic."""
    configuration = load(arguments.config)
    bootstrap = configuration.kafka.bootstrap_servers
    source = configuration.kafka.topic(notifications(arguments.provider))
    consumer = AIOKafkaConsumer(source, bootstrap_servers=bootstrap, group_id=_GROUP, auto_offset_reset="earliest")
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    slots = asyncio.Semaphore(_IN_FLIGHT)
    async with open_transport(_IN_FLIGHT) as http, producer, consumer, asyncio.TaskGroup() as tasks:
        pipeline = Pipeline(
            provider_specs()[arguments.provider].provider, configuration, http, producer, arguments.topic
        )

        async def handle(record: Record) -> None:
            try:
                await pipeline.handle(record)
            finally:
                slots.release()

        print(json.dumps({"event": "worker_started"}), flush=True)
        for _ in range(arguments.notifications):
            message = await consumer.getone()
            await slots.acquire()
            tasks.create_task(handle(_record(message)))
        await asyncio.Event().wait()  # until SIGTERM: what a process has used can't all be read once it is gone


def _record(message: Any) -> Record:
    return Record(
        message.topic,
        message.partition,
        message.offset,
        message.key,
        message.value,
        tuple(message.headers),
        message.timestamp / 1000,
    )


def main() -> None:
    """Handle the notifications, then wait for SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--provider", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--notifications", type=int, required=True)
    asyncio.Runner(loop_factory=uvloop.new_event_loop).run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
