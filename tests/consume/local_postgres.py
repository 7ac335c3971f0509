"""A throw-away PostgreSQL: a cluster of its own in a temporary folder, on a free port, gone afterwards."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import psycopg

from paynotify.sandbox.probes import free_port
from paynotify.sandbox.processes import Child, wait_for
from tests.consume.postgres_programs import as_user, environment, program, psql

USER: Final = "erp"
_START_SECONDS: Final = 30.0

# nothing survives the test, so nothing has to reach the disk
_SETTINGS: Final = {"fsync": "off", "listen_addresses": "127.0.0.1", "unix_socket_directories": ""}


class LocalPostgres:
    """One server, as a context manager."""

    def __init__(self) -> None:
        self.directory = Path()
        self.port = 0
        self._child: Child | None = None
        self._databases = 0

    def __enter__(self) -> LocalPostgres:
        self.directory = Path(tempfile.mkdtemp(prefix="paynotify-postgres-"))
        arguments = ["-D", str(self._data), "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync", "--no-instructions"]
        subprocess.run(
            [*as_user(), program("initdb"), *arguments], check=True, capture_output=True, env=environment(), timeout=60
        )
        self.port = free_port()
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        settings = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
        command = [*as_user(), program("postgres"), "-D", str(self._data), "-p", str(self.port), *settings]
        self._child = Child("postgres", command, self.directory / "postgres.log", environment=environment())
        assert wait_for(self._answers, within_seconds=_START_SECONDS), self._child.end()

    def stop(self) -> None:
        """Stop the server at once, as a crash would: clients lose their connections."""
        if self._child is not None:
            self._child.signal(signal.SIGQUIT)
            if not self._child.wait(_START_SECONDS):
                self._child.kill()
            self._child = None

    def _answers(self) -> bool:
        try:
            with psycopg.connect(**self._address("postgres")):
                return True
        except psycopg.OperationalError:
            return False

    def _address(self, database: str) -> dict[str, Any]:
        return {"host": "127.0.0.1", "port": self.port, "user": USER, "dbname": database}

    def new_database(self) -> PostgresDatabase:
        """An empty database."""
        self._databases += 1
        name = f"erp{self._databases}"
        with psycopg.connect(**self._address("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return PostgresDatabase(self.port, name)


class PostgresDatabase:
    """A database: how programs find it, and what it holds."""

    def __init__(self, port: int, name: str) -> None:
        self.port, self.name = port, name
        #: What every client of PostgreSQL reads.
        self.variables = {"PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": USER, "PGDATABASE": name}
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of a query, each read in a transaction of its own."""
        try:
            return self._read(query, *values)
        except psycopg.OperationalError:  # the server was restarted
            self.close()
            return self._read(query, *values)

    def _read(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(
                host="127.0.0.1", port=self.port, user=USER, dbname=self.name, autocommit=True
            )
        found = self._connection.execute(query, values)
        return found.fetchall() if found.description else []

    def run_file(self, path: Path) -> None:
        """Run an SQL file by ``psql``, as its first line says."""
        done = subprocess.run(
            [psql(), "-q", "-f", str(path)], capture_output=True, text=True, env={**environment(), **self.variables}
        )
        assert done.returncode == 0, done.stderr

    def digits(self) -> dict[str, int]:
        """How many decimals the examples' function gives an amount, for every code of three letters."""
        letters = "generate_series(65, 90)"
        codes = f"SELECT chr(a) || chr(b) || chr(c) AS code FROM {letters} a, {letters} b, {letters} c"
        return dict(self.rows(f"SELECT code, scale(in_decimals(1050::bigint, code)) FROM ({codes}) AS codes"))

    def has_table(self, name: str) -> bool:
        return self.rows("SELECT to_regclass(%s) IS NOT NULL", name) == [(True,)]

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
