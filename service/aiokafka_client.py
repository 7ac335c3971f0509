"""Settings of aiokafka's clients, Faust's among them: they take the user's password for each connection as it is then.

aiokafka knows passwords only as texts, and gives them to its `create_conn` for every connection; there a `Secret` is
revealed. Without that a changed password would be used by new clients alone.
"""

from __future__ import annotations

from typing import Any

from aiokafka import client as aiokafka_client
from aiokafka.conn import create_conn

from schemas.configuration import Kafka
from schemas.secrets import Secret
from service.kafka_client import client_settings
from service.kafka_credentials import revealed


def aiokafka_settings(kafka: Kafka, client_id: str) -> dict[str, Any]:
    """Keyword arguments every client of aiokafka takes.

    Raises:
        ConfigurationError: a password, certificate or key can't be read.
    """
    return client_settings(kafka, client_id)


async def _connected(*address: Any, sasl_plain_password: Secret | str | None = None, **settings: Any) -> Any:
    return await create_conn(*address, sasl_plain_password=revealed(sasl_plain_password), **settings)


aiokafka_client.create_conn = _connected
