"""Runs the whole system on one machine: Kafka, simulators, ingress, workers and the example consumers.

Used by the demo, ``paynotify up``, the acceptance tests and the benchmarks. All its files are in one temporary
directory, and all its processes stop with it.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import yaml

import paynotify
from paynotify.sandbox.accounts import default_merchants, open_accounts, write_simulator_settings
from paynotify.sandbox.broker import LocalBroker, cluster_settings, is_available, start_together
from paynotify.sandbox.cleanup import remove_everything
from paynotify.sandbox.configuration import CHARGES, configuration_document, merged
from paynotify.sandbox.days import SimulatedDays
from paynotify.sandbox.probes import free_port, probe
from paynotify.sandbox.processes import Child, run_command, stop_all, wait_for
from paynotify.sandbox.signals import uninterrupted
from paynotify.sandbox.simulators.control import Control
from paynotify.sandbox.simulators.spec import SandboxAccount, simulator_specs
from paynotify.schemas.configuration.load import load
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.errors import ClusterUnavailableError, ConfigurationError
from paynotify.schemas.providers import provider_contracts

_READY_SECONDS: Final = 180.0
_STOP_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The parts and settings of a sandbox.

    ``workers`` holds the extra arguments of each worker process; ``worker_module`` is the Python module that runs them,
    which tests replace to break or kill a worker. ``simulators`` holds the settings of all simulators, ``simulator``
    those of single ones by provider. ``days`` are those of the providers that settle at night. The merchants in
    ``with_url_token`` have one. ``charges`` names the merchants that may charge by topic, with changes to the default
    section; ``merchant`` adds settings to single merchants. ``configuration`` is merged into the generated
    configuration. Logs are written to ``logs`` and stay; by default they are deleted with everything else. ``nodes`` is
    the size of the local Kafka; ``kafka_directory`` chooses where a node stores its data, by number. ``detour`` maps
    the address of a part to the one under which the other parts reach it, such as that of a faulty network; the sandbox
    itself always uses the direct address. With a detour, clients speak ``kafka_protocol`` to the brokers.
    """

    workers: Sequence[Sequence[str]] = ((),)
    worker_module: str = "paynotify.ops.main"
    merchants: Mapping[str, Sequence[str]] = field(default_factory=default_merchants)
    with_url_token: Collection[str] = ()
    charges: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    merchant: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    simulators: Mapping[str, Any] = field(default_factory=lambda: {"time_scale": 60.0})
    simulator: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    days: SimulatedDays | None = None
    configuration: Mapping[str, Any] = field(default_factory=dict)
    partitions: int = 4
    consumers: bool = True
    ingest: bool = True
    kafka: str | None = None
    kafka_settings: Mapping[str, str] = field(default_factory=dict)
    kafka_protocol: str = "PLAINTEXT"
    kafka_directory: Callable[[int], Path | None] = lambda node: None
    nodes: int = 1
    detour: Callable[[str], str] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    logs: Path | None = None


class Sandbox:
    """The running system, as a context manager."""

    def __init__(self, plan: Plan | None = None) -> None:
        self.plan = plan or Plan()
        self.directory = Path()
        self.brokers: list[LocalBroker] = []
        self.bootstrap = ""
        self.prefix = ""
        self.accounts: list[SandboxAccount] = []
        self.providers: dict[str, Control] = {}
        self.ingest: Child | None = None
        self.workers: list[Child] = []
        self.consumers: dict[str, Child] = {}
        self.ingest_address = ""
        self._simulators: list[Child] = []
        self._undo = ExitStack()
        self._days = self.plan.days.starting_now() if self.plan.days else None

    # --- start and stop ----------------------------------------------------------------------------------------------

    def start(self) -> Sandbox:
        """Start everything; returns when the system is ready for payments.

        Raises:
            ConfigurationError: a part did not start; the text names it and has the end of its log.
        """
        try:
            self.directory = Path(tempfile.mkdtemp(prefix="paynotify-sandbox-"))
            self._undo.callback(shutil.rmtree, self.directory, ignore_errors=True)
            self.logs.mkdir(parents=True, exist_ok=True)
            self._start_kafka()
            self._undo.callback(self._stop_processes)
            self._start_simulators()
            # needed by the configuration: each charge names the URL that the gateway calls
            self.ingest_address = f"http://127.0.0.1:{free_port()}"
            self._write_configuration()
            self.command("topics", "apply", "--config", str(self.config_path))
            self.workers = [self._worker(number) for number in range(len(self.plan.workers))]
            if self.plan.consumers:
                self.consumers = {name: self._consumer(name) for name in ("erp", "fulfilment")}
            if self.plan.ingest:
                self.start_ingest()
                for control in self.providers.values():
                    control.notify(target=self._found_at(self.ingest_address))
            for child in self.consumers.values():
                child.wait_for_event("reading")
            for child in self.workers:
                self.wait_ready(child)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop every process; remove the directory, and the topics if the cluster is not the local one."""
        with uninterrupted():
            self._undo.close()

    def __enter__(self) -> Sandbox:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    # --- addresses and paths -------------------------------------------------------------------------------------

    @property
    def config_path(self) -> Path:
        return self.directory / "paynotify.yaml"

    @property
    def logs(self) -> Path:
        """Where every process writes its log."""
        return self.plan.logs or self.directory

    @property
    def broker(self) -> LocalBroker | None:
        """The first node of the local Kafka; None if another cluster is used."""
        return self.brokers[0] if self.brokers else None

    @property
    def configuration(self) -> Configuration:
        """The configuration that all processes have read."""
        return load(self.config_path)

    def topic(self, name: str) -> str:
        """A topic's name on the cluster."""
        return self.prefix + name

    def database(self, consumer: str) -> Path:
        """The SQLite file of an example consumer: ``erp`` or ``fulfilment``."""
        return self.directory / f"{consumer}.sqlite"

    def state_directory(self, number: int) -> Path:
        """The state directory of a worker; a later worker of the same number uses it again."""
        return self.directory / f"state-{number}"

    def notification_url(self, provider: str, merchant: str) -> str:
        """The URL to which the provider sends this merchant's notifications."""
        return f"{self.ingest_address}/notifications/{provider}/{merchant}"

    def children(self) -> list[Child]:
        """Every process except Kafka, in the order in which to stop them."""
        first = [self.ingest] if self.ingest else []
        return [*self._simulators, *first, *self.workers, *self.consumers.values()]

    # --- operations of tests and demo ----------------------------------------------------------------------

    def start_worker(self, number: int, environment: Mapping[str, str] | None = None) -> Child:
        """Start a stopped worker again with the same arguments and state, and optionally more environment variables."""
        self.workers[number] = self._worker(number, environment)
        return self.workers[number]

    def add_worker(self) -> Child:
        """Start one more worker."""
        self.workers.append(self._worker(len(self.workers)))
        return self.workers[-1]

    def start_ingest(self) -> Child:
        """Start the ingress, always on the same port, and wait until it is ready."""
        listen = self.ingest_address.removeprefix("http://")
        arguments = ["--config", str(self.config_path), "--listen", listen, "--management", "127.0.0.1:0"]
        self.ingest = self._child("ingest", "-m", "paynotify.ops.main", "ingest", *arguments)
        self.wait_ready(self.ingest)
        return self.ingest

    def wait_ready(
        self, child: Child, within_seconds: float = _READY_SECONDS, events: Sequence[str] = ("management_listening",)
    ) -> int:
        """Wait until ``/readyz`` returns 200; returns the management port, which one of the logged ``events`` names.

        Raises:
            ConfigurationError: the process ended, or was not ready in time.
        """
        port = int(child.wait_for_event(*events, within_seconds=within_seconds)["port"])
        ready = wait_for(
            lambda: probe(port, "/readyz")[0] == 200 or not child.running, within_seconds=within_seconds, every=0.1
        )
        if not ready or not child.running:
            raise ConfigurationError(f"{child.name} was not ready: {probe(port, '/readyz')[1] or child.end()}")
        return port

    def command(self, *arguments: str) -> str:
        """Run ``paynotify`` with these arguments; returns what it printed.

        Raises:
            ConfigurationError: the exit code is not 0.
        """
        return run_command(arguments, self.environment())

    # --- the parts -----------------------------------------------------------------------------------------

    def _start_kafka(self) -> None:
        named = self.plan.kafka or os.environ.get("KAFKA")
        if not named:
            self._start_nodes()
            return
        if not is_available(named):
            raise ClusterUnavailableError(
                f"No Kafka broker is available at {named}. Correct KAFKA, or unset it to start a local one."
            )
        self.bootstrap = named
        self.prefix = f"sandbox-{secrets.token_hex(4)}."
        self._undo.callback(remove_everything, self.bootstrap, self.prefix)

    def _start_nodes(self) -> None:
        plan = self.plan
        settings: dict[str, str] = cluster_settings(plan.nodes) if plan.nodes > 1 else {}
        listeners = {}
        if plan.detour is not None:
            # the nodes connect to each other directly, as the sandbox does
            listeners = {"PLAINTEXT": plan.kafka_protocol, "DIRECT": "PLAINTEXT"}
            settings["inter.broker.listener.name"] = "DIRECT"
        brokers = [
            LocalBroker(
                {**settings, **plan.kafka_settings},
                listeners=listeners,
                node=number,
                detour=plan.detour,
                directory=plan.kafka_directory(number),
            )
            for number in range(1, plan.nodes + 1)
        ]
        start_together(brokers)
        self.brokers = brokers
        for broker in brokers:
            self._undo.callback(broker.stop)
        self.bootstrap = ",".join(broker.bootstrap for broker in brokers)

    @property
    def direct_bootstrap(self) -> str:
        """The brokers' direct addresses, for observers that a detour must not affect."""
        return ",".join(broker.direct for broker in self.brokers) or self.bootstrap

    def _found_at(self, address: str) -> str:
        """The address under which the other parts reach this one (``http://host:port``)."""
        if self.plan.detour is None:
            return address
        scheme, _, place = address.partition("://")
        return f"{scheme}://{self.plan.detour(place)}"

    def _start_simulators(self) -> None:
        self.accounts = open_accounts(self.plan.merchants, self.directory / "secrets", self.plan.with_url_token)
        specs = simulator_specs()
        for provider in dict.fromkeys(account.provider for account in self.accounts):
            days = self._days.simulator_settings(specs[provider]) if self._days else {}
            settings = {**self.plan.simulators, **days, **self.plan.simulator.get(provider, {})}
            file = write_simulator_settings(provider, self.accounts, settings, self.directory)
            self._simulators.append(
                self._child(
                    f"simulator-{provider}", "-m", "paynotify.sandbox.simulator", provider, "--settings", str(file)
                )
            )
        for provider, child in zip(dict.fromkeys(one.provider for one in self.accounts), self._simulators, strict=True):
            port = child.wait_for_event("listening")["port"]
            self.providers[provider] = Control(provider, f"http://127.0.0.1:{port}")
            self._undo.callback(self.providers[provider].close)

    def _write_configuration(self) -> None:
        document = configuration_document(
            bootstrap=self.bootstrap,
            topic_prefix=self.prefix,
            partitions=self.plan.partitions,
            replication_factor=self.plan.nodes,
            state_directory=str(self.directory / "state"),
            merchants=[self._merchant(one) for one in self.accounts],
        )
        self.config_path.write_text(yaml.safe_dump(merged(document, self.plan.configuration)), "utf-8")

    def _merchant(self, account: SandboxAccount) -> dict[str, Any]:
        configured = account.configured(self._found_at(self.providers[account.provider].address))
        if self._days:
            configured |= self._days.merchant_settings(provider_contracts()[account.provider].merchant)
        configured |= self.plan.merchant.get(account.name, {})
        if account.name in self.plan.charges:
            changes = self.plan.charges[account.name]
            configured["charges"] = {"public_url": self._found_at(self.ingest_address), **CHARGES, **changes}
        return configured

    def _worker(self, number: int, environment: Mapping[str, str] | None = None) -> Child:
        arguments = ["--config", str(self.config_path), "--management", "127.0.0.1:0"]
        state = ["--state-directory", str(self.state_directory(number))]
        extra = self.plan.workers[number] if number < len(self.plan.workers) else ()
        command = ("-m", self.plan.worker_module, "worker", *arguments, *state, *extra)
        return self._child(f"worker-{number}", *command, environment=environment)

    def _consumer(self, name: str) -> Child:
        arguments = ["--bootstrap", self.bootstrap, "--topic", self.topic("payments.status")]
        return self._child(name, "-m", f"paynotify.sandbox.{name}", *arguments, "--database", str(self.database(name)))

    def _child(self, name: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Child:
        command = [sys.executable, *arguments]
        whole = {**self.environment(), **(environment or {})}
        return Child(name, command, self.logs / f"{name}.log", environment=whole)

    def environment(self) -> dict[str, str]:
        """The environment of every process."""
        # a child must find the same packages, also in a checkout that is not installed
        here = [str(Path(one).parent) for one in paynotify.__path__ if Path(one).is_dir()]
        paths = [*here, *filter(None, [os.environ.get("PYTHONPATH")])]
        return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **self.plan.environment}

    def _stop_processes(self) -> None:
        for child in self._simulators:
            child.signal(signal.SIGTERM)
        stop_all(self.children(), _STOP_SECONDS)
