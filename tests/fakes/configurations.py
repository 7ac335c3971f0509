"""Configuration files for the tests that run real processes, and their topics."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import yaml
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from paynotify.schemas.configuration.load import parse
from paynotify.schemas.configuration.model import Configuration

#: A broker of somebody else's may refuse sessions shorter than Kafka's default minimum.
SESSION_SECONDS: Final = 6.0 if os.environ.get("KAFKA") else 2.0

PASSWORD: Final = "hunter2-URLnotify"


def merchants(gateway: str = "http://127.0.0.1:9") -> list[dict[str, Any]]:
    """One merchant of each provider; all of them ask ``gateway``."""
    return [
        {
            "id": "shop-nl",
            "provider": "omnikassa",
            "poi_id": 2004,
            "base_url": gateway,
            "signing_keys": [{"value": "c2VjcmV0"}],
        },
        {
            "id": "shop-uk",
            "provider": "trustpayments",
            "site_reference": "test_site1",
            "notification_passwords": [{"value": PASSWORD}],
            "webservices_url": f"{gateway}/json/",
            "username": "ws@shop.example",
            "password": {"value": "p"},
        },
        {
            "id": "shop-hu",
            "provider": "nevogate",
            "store_name": "sdk_test",
            "api_key": {"value": "k"},
            "base_url": gateway,
        },
    ]


def document(kafka: str, prefix: str, directory: Path, /, **changes: Any) -> dict[str, Any]:
    """A whole configuration of the sandbox, with the top-level ``changes``."""
    return {
        "sandbox": True,
        "kafka": {"bootstrap_servers": kafka, "topic_prefix": prefix},
        "topics": {"partitions": 3, "replication_factor": 1},
        "state_directory": str(directory / "state"),
        "worker": {"session_timeout_seconds": SESSION_SECONDS, "batch_records": 100},
        "merchants": merchants(),
        **changes,
    }


def parsed(kafka: str, prefix: str, directory: Path, /, **changes: Any) -> Configuration:
    """The same as a process reads it."""
    return parse(yaml.safe_dump(document(kafka, prefix, directory, **changes)), "test.yaml")


def write(directory: Path, content: dict[str, Any]) -> Path:
    """The configuration as a file."""
    file = directory / "paynotify.yaml"
    file.write_text(yaml.safe_dump(content), "utf-8")
    return file


def create_topics(kafka: str, *names: str, partitions: int) -> None:
    """Create topics whose settings are the broker's own."""
    client = KafkaAdminClient(bootstrap_servers=kafka)
    try:
        client.create_topics([NewTopic(name, partitions, 1) for name in names])
    finally:
        client.close()


def remove_topics(kafka: str, prefix: str) -> None:
    """Delete every topic with the prefix."""
    client = KafkaAdminClient(bootstrap_servers=kafka)
    try:
        names = [name for name in client.list_topics() if name.startswith(prefix)]
        if names:
            client.delete_topics(names)
    finally:
        client.close()
