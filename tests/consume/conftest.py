"""A real PostgreSQL, and for each test a database nobody else uses."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

import pytest
from kafka import KafkaAdminClient

from paynotify.sandbox.broker import LocalBroker
from paynotify.schemas import topics
from tests.consume.languages import EXAMPLES
from tests.consume.local_postgres import LocalPostgres, PostgresDatabase
from tests.fakes.configurations import create_topics

_RESULTS: Final = (topics.STATUS, topics.LATEST)


@pytest.fixture(scope="session")
def postgres() -> Iterator[LocalPostgres]:
    """A server for the session."""
    with LocalPostgres() as server:
        yield server


@pytest.fixture
def results_kafka(request: pytest.FixtureRequest) -> Iterator[str]:
    """A broker with empty result topics of the names that the pages and the connectors have.

    It is the session's own. A cluster that somebody named may have these topics, which are left alone.
    """
    if "KAFKA" in os.environ:
        with LocalBroker() as broker:
            create_topics(broker.bootstrap, *_RESULTS, partitions=4)
            yield broker.bootstrap
        return
    kafka: str = request.getfixturevalue("kafka")
    create_topics(kafka, *_RESULTS, partitions=4)
    yield kafka
    client = KafkaAdminClient(bootstrap_servers=kafka)
    client.delete_topics(list(_RESULTS))
    client.close()


@pytest.fixture
def database(postgres: LocalPostgres) -> Iterator[PostgresDatabase]:
    """An empty database."""
    one = postgres.new_database()
    yield one
    one.close()


@pytest.fixture
def erp_database(database: PostgresDatabase) -> PostgresDatabase:
    """A database with the tables of the example consumer."""
    database.run_file(EXAMPLES / "postgres" / "schema.sql")
    return database
