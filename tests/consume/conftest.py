"""A real PostgreSQL, and for each test a database nobody else uses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.consume.local_postgres import LocalPostgres, PostgresDatabase

EXAMPLES: Final = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="session")
def postgres() -> Iterator[LocalPostgres]:
    """A server for the session."""
    with LocalPostgres() as server:
        yield server


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
