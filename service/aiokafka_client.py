"""aiokafka's clients, Faust's among them: their settings, and what is done differently in all of them.

- They take the user's password for each connection as it is then. aiokafka knows passwords only as texts, and gives
  them to its `create_conn` for every connection; there a `Secret` is revealed. Without that a changed password would be
  used by new clients alone.
- A consumer can be stopped while it waits to fetch again after a failure. aiokafka's `stop` then ends whoever called it
  with a CancelledError that nobody asked for: a worker would not stop before its time is over, and the reader of
  expected payments would be gone for good.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka import client as aiokafka_client
from aiokafka.conn import create_conn
from aiokafka.consumer.fetcher import Fetcher

from schemas.configuration.model import KafkaSettings
from schemas.configuration.secrets import Secret
from service.kafka_client import client_settings
from service.kafka_credentials import revealed


def aiokafka_settings(kafka: KafkaSettings, client_id: str) -> dict[str, Any]:
    """Keyword arguments every client of aiokafka takes.

    Raises:
        ConfigurationError: a password, certificate or key can't be read.
    """
    return client_settings(kafka, client_id)


async def _connected(*address: Any, sasl_plain_password: Secret | str | None = None, **settings: Any) -> Any:
    return await create_conn(*address, sasl_plain_password=revealed(sasl_plain_password), **settings)


aiokafka_client.create_conn = _connected


_fetch = Fetcher._proc_fetch_request


async def _fetched(fetcher: Any, *request: Any) -> bool:
    """Whether there is something new. Not in a request that is given up, be it under way or waiting for its repeat."""
    try:
        return bool(await _fetch(fetcher, *request))
    except asyncio.CancelledError:
        return False


Fetcher._proc_fetch_request = _fetched
