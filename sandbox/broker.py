"""Runs a real Apache Kafka for the sandbox and the tests: KRaft, one process per node, free ports, nothing left behind.

Needs Java 17 or newer, and Maven once, to fetch Kafka's jars into a cache. With ``KAFKA=host:port`` in the
environment an existing cluster is used instead.
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from paynotify.sandbox.kafka_distribution import jars, java
from paynotify.sandbox.processes import Child, wait_for
from paynotify.schemas.errors import ClusterError, ClusterUnavailableError
from paynotify.service.listener import bound_socket

_START_SECONDS: Final = 60.0
_ATTEMPTS: Final = 3
_HERE: Final = Path(__file__).parent / "kafka"

# serial collector and first-tier compiler: a broker that lives for minutes never earns back the cost of the others
_JAVA_FLAGS: Final = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")

_SETTINGS: Final[Mapping[str, str]] = {
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "2",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "2",
    "min.insync.replicas": "1",
    "group.initial.rebalance.delay.ms": "0",
    "broker.heartbeat.interval.ms": "500",
    "broker.session.timeout.ms": "3000",  # a killed broker may only come back when its old session is over
    "group.min.session.timeout.ms": "1000",
    "auto.create.topics.enable": "false",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "log.cleaner.dedupe.buffer.size": "16777216",
}


class LocalBroker:
    """One broker on free ports of this machine, in a temporary directory, as a context manager.

    ``extra_settings`` are added to the broker's settings, ``listeners`` (security protocol by name) to the plain
    listener. ``scram`` are users in the form of the storage tool's ``--add-scram``. ``detour`` maps the address of the
    plain listener to the one that clients use, such as that of a proxy; health checks then use the listener ``DIRECT``.
    Data is stored below ``directory``, if given. Ports and data survive `restart`. ``host`` is the address of this
    machine that it listens on.
    """

    def __init__(
        self,
        extra_settings: Mapping[str, str] | None = None,
        *,
        listeners: Mapping[str, str] | None = None,
        scram: Sequence[str] = (),
        node: int = 1,
        detour: Callable[[str], str] | None = None,
        directory: Path | None = None,
        host: str = "127.0.0.1",
        cluster_id: str = "sandboxsandboxsandbox0",
        java_properties: Mapping[str, str] | None = None,
    ) -> None:
        self.node = node
        self._host = host
        self._cluster_id = cluster_id
        self._properties = tuple(f"-D{name}={value}" for name, value in (java_properties or {}).items())
        self._extra = dict(extra_settings or {})
        self._listeners = {"PLAINTEXT": "PLAINTEXT", **(listeners or {})}
        self._scram = tuple(scram)
        self._detour = detour
        self._within = directory
        self._directory: Path | None = None
        self._ports: dict[str, int] = {}
        self._voters = ""
        self._child: Child | None = None

    @property
    def bootstrap(self) -> str:
        """``host:port`` for clients."""
        return self._advertised("PLAINTEXT")

    @property
    def direct(self) -> str:
        """``host:port`` without the detour."""
        return self.address("DIRECT" if "DIRECT" in self._listeners else "PLAINTEXT")

    def _advertised(self, listener: str) -> str:
        address = self.address(listener)
        return self._detour(address) if self._detour is not None and listener == "PLAINTEXT" else address

    def address(self, listener: str) -> str:
        """``host:port`` of one of the listeners."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{host}:{self._ports[listener]}"

    @property
    def log_path(self) -> Path:
        """The broker's own log; gone after `stop`."""
        assert self._directory is not None, "not started"
        return self._directory / "broker.log"

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.running

    def start(self) -> LocalBroker:
        """Format storage, start the broker and wait until it is available.

        Raises:
            ConfigurationError: Java or Maven is missing.
            ClusterError: the broker did not start; with the end of its log.
        """
        start_together([self])
        return self

    def prepare(self) -> str:
        """Choose directory and ports; returns how the other nodes address this one (``node@host:port``)."""
        self._classpath, self._java = f"{jars()}/*", java()
        self._directory = Path(tempfile.mkdtemp(prefix="paynotify-kafka-", dir=self._within))
        self._ports = _free_ports(self._host, (*self._listeners, "CONTROLLER"))
        return f"{self.node}@{self.address('CONTROLLER')}"

    def stop(self) -> None:
        """Stop the broker and remove its data."""
        if self._child is not None:
            self._child.stop()
            self._child = None
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    def kill(self) -> None:
        """Kill the broker (SIGKILL); its data stays."""
        if self._child is not None:
            self._child.kill()

    def pause(self) -> None:
        """Freeze the broker: connections stay open, requests get no response."""
        if self._child is not None:
            self._child.pause()

    def resume(self) -> None:
        if self._child is not None:
            self._child.resume()

    def restart(self) -> None:
        """Start again on the same ports and data; a running broker is stopped first.

        Raises:
            ClusterError: the broker did not start.
        """
        if self._child is not None:
            self._child.stop()
        self.launch()
        self.wait_until_ready()

    def move(self, listener: str = "PLAINTEXT") -> None:
        """Stop, and take another address for the listener; `restart` continues there, on the same data."""
        self._ports |= _free_ports(self._host, (listener,))
        self.change({})

    def change(self, settings: Mapping[str, str]) -> None:
        """Stop, and take these settings; `restart` continues with them, on the same data."""
        assert self._child is not None, "not started"
        assert self._directory is not None
        self._child.stop()
        self._extra |= settings
        self._write_settings(self._directory)

    def __enter__(self) -> LocalBroker:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def format(self, voters: str) -> None:
        """Format the storage of a node of the cluster with these voters.

        Raises:
            ClusterError: the storage tool failed.
        """
        assert self._directory is not None
        self._voters = voters
        file = self._write_settings(self._directory)
        users = [word for user in self._scram for word in ("--add-scram", user)]
        arguments = ["format", "-t", self._cluster_id, "-c", str(file), *users]
        tool = Child("kafka storage", self._command("kafka.tools.StorageTool", *arguments), self.log_path)
        if not tool.wait(_START_SECONDS) or tool.exit_code != 0:
            tool.kill()
            raise ClusterError(f"Kafka's storage could not be formatted. The tool printed: {self._log_end()}")

    def _write_settings(self, directory: Path) -> Path:
        clients = ",".join(f"{name}://{self.address(name)}" for name in self._listeners)
        controller = self.address("CONTROLLER")
        protocols = {"CONTROLLER": "PLAINTEXT", **self._listeners}
        settings = {
            **_SETTINGS,
            "node.id": str(self.node),
            "controller.quorum.voters": self._voters,
            "listener.security.protocol.map": ",".join(f"{name}:{protocol}" for name, protocol in protocols.items()),
            "listeners": f"{clients},CONTROLLER://{controller}",
            "advertised.listeners": ",".join(f"{name}://{self._advertised(name)}" for name in self._listeners),
            "log.dirs": str(directory / "data"),
            **self._extra,
        }
        file = directory / "server.properties"
        file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()), "utf-8")
        return file

    def launch(self) -> None:
        """Start the process without waiting for it."""
        assert self._directory is not None, "not started"
        command = self._command("kafka.Kafka", str(self._directory / "server.properties"))
        self._child = Child("kafka", command, self.log_path, directory=self._directory)

    def wait_until_ready(self) -> None:
        """Wait until the broker is available.

        Raises:
            ClusterError: the broker was not available in time; with the end of its log.
        """
        available = wait_for(
            lambda: is_available(self.direct) or not self.running, within_seconds=_START_SECONDS, every=0.1
        )
        if not available or not self.running:
            end = self._log_end()
            self.kill()
            raise ClusterError(f"The local Kafka was not available within {_START_SECONDS:g} s. Its log ends: {end}")

    def _command(self, main: str, *arguments: str) -> list[str]:
        logs = [
            f"-Dlog4j2.configurationFile={_HERE / 'log4j2.properties'}",
            f"-Dlog4j.configuration=file:{_HERE / 'log4j.properties'}",
        ]
        return [self._java, *_JAVA_FLAGS, *self._properties, *logs, "-cp", self._classpath, main, *arguments]

    def _log_end(self) -> str:
        lines = self.log_path.read_text("utf-8", "replace").splitlines() if self.log_path.exists() else []
        relevant = [line for line in lines if "ERROR" in line or "Exception" in line] or lines
        return " / ".join(relevant[-6:])[:1500]


def start_together(brokers: Sequence[LocalBroker]) -> None:
    """Start the nodes of one cluster, and wait until each is available.

    Raises:
        ConfigurationError: Java or Maven is missing.
        ClusterError: a node did not start; with the end of its log.
    """
    problem = ""
    for _ in range(_ATTEMPTS):  # a free port may be taken before the broker binds it
        try:
            voters = ",".join([broker.prepare() for broker in brokers])
            for broker in brokers:
                broker.format(voters)
            for broker in brokers:
                broker.launch()
            for broker in brokers:
                broker.wait_until_ready()
        except BaseException as error:
            for broker in brokers:
                broker.stop()
            problem = str(error)
            if not isinstance(error, ClusterError) or "Address already in use" not in problem:
                raise
        else:
            return
    raise ClusterError(problem)


def cluster_settings(nodes: int) -> dict[str, str]:
    """Settings for a cluster of several nodes: internal topics are replicated to all, and one node may be missing."""
    replicas, insync = str(nodes), str(max(1, nodes - 1))
    return {
        "offsets.topic.replication.factor": replicas,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": insync,
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": insync,
        "min.insync.replicas": insync,
    }


def is_available(bootstrap: str) -> bool:
    """Whether a metadata request to this address returns at least one broker."""
    logs = logging.getLogger("kafka")
    level, logs.level = logs.level, logging.CRITICAL  # refused connections are expected while a broker starts
    try:
        host, _, port = bootstrap.split(",")[0].rpartition(":")
        socket.create_connection(
            (host.strip("[]"), int(port)), timeout=2
        ).close()  # a client that is refused leaks its sockets
        admin = KafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=5000, bootstrap_timeout_ms=3000)
        try:
            return bool(admin.describe_cluster().get("brokers"))
        finally:
            admin.close()
    except (KafkaError, OSError, ValueError):
        return False
    finally:
        logs.setLevel(level)


def _free_ports(host: str, names: Sequence[str]) -> dict[str, int]:
    with ExitStack() as stack:
        sockets = {name: stack.enter_context(bound_socket(f"{host}:0")) for name in names}
        return {name: int(one.getsockname()[1]) for name, one in sockets.items()}


@contextmanager
def existing_or_local(extra_settings: Mapping[str, str] | None = None) -> Iterator[str]:
    """The bootstrap address of the cluster named by ``KAFKA``, else of a local broker for the block.

    Raises:
        ClusterUnavailableError: the named cluster is not available.
        ClusterError: the local broker does not start.
        ConfigurationError: Java or Maven is missing.
    """
    named = os.environ.get("KAFKA")
    if not named:
        with LocalBroker(extra_settings) as broker:
            yield broker.bootstrap
        return
    if not is_available(named):
        raise ClusterUnavailableError(
            f"No Kafka broker is available at {named}. Correct KAFKA, or unset it to start a local one."
        )
    yield named
