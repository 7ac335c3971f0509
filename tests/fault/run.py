"""A fault run: the whole system as processes on a real Kafka, a load, a seeded schedule of faults, and the verifier."""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from paynotify.sandbox.days import SimulatedDays
from paynotify.sandbox.processes import Child, wait_for
from paynotify.sandbox.system import Plan, Sandbox
from paynotify.schemas import topics
from paynotify.schemas.errors import PaynotifyError
from tests.fault.clock import MovableClock
from tests.fault.disk import small_disk
from tests.fault.faults import CLIENT, FAULTS, LISTENER, Target, possible, schedule
from tests.fault.load import NOTIFICATIONS_PER_PAYMENT, Load
from tests.fault.proxy import Proxy
from tests.fault.supervisor import Supervisor
from tests.proxies.forward import ForwardProxy, forward_proxy
from tests.proxies.tools import found

MERCHANTS: Final = {
    "omnikassa": ("shop-nl", "shop-be"),
    "trustpayments": ("shop-uk",),
    "nevogate": ("shop-hu",),
    "smartpay": ("shop-v3",),
}
COPIED_SHARE: Final = 0.3
LATE_SHARE: Final = 0.2
_PARTITIONS: Final = 4
_PROXY_CREDENTIALS: Final = "workers:let-us-out"
_DISK_BYTES: Final = 1024 * 1024 * 1024
_PROGRESS_SECONDS: Final = 90.0
_WATCHER_SECONDS: Final = 30.0
_LOOK_MILLISECONDS: Final = 5000
_VERIFIER_MARGIN_SECONDS: Final = 60.0
#: What was paid before the night is settled in it. Faults begin after it: a clock that is an hour ahead looks for a
#: settlement an hour early, and the nights of real providers are over by then.
_NIGHT_SECONDS: Final = 20.0
#: When, after the start, payments that are not settled are looked up. The days are long: there is one morning in a run.
_MORNING_SECONDS: Final = 150.0
#: The gateway's own day ends after the run: the only night is the one that the run lets pass.
_GATEWAY_DAY_SECONDS: Final = 48 * 3600.0
_DAYS: Final = SimulatedDays(24 * 3600.0, first_night_seconds=_MORNING_SECONDS, check_hour=0)

#: Looks of a recovery and timeouts that fit a run of minutes; the bank keeps its own limit of calls a second.
_WORKER: Final[dict[str, Any]] = {
    "provider_timeout_seconds": 4.0,
    "stall_seconds": 25.0,
    "recovery_calls_per_hour": 36_000,
    "overdue": {
        "poll_schedule_seconds": {
            "omnikassa": [0.5, 3, 8, 15, 30, 60, 120, 240, 480],
            "trustpayments": [1, 5, 15, 45, 120, 300],
        },
        "lookups_per_hour": 72_000,
    },
}


#: Long enough for a worker to be restarted: until then its partitions wait for it.
_STATIC: Final[dict[str, Any]] = {"session_timeout_seconds": 20, "stall_seconds": 45}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be run. ``faults`` are done in rounds, each once a round, until the time is over.

    With ``static`` each worker has a name of its own in its groups, which it keeps over restarts: its partitions wait
    for it. With ``stall_seconds`` it is wrong too if a partition had records and made no progress for longer.
    """

    seed: int
    duration_seconds: float
    notifications: int
    nodes: int = 1
    workers: int = 2
    static: bool = False
    stall_seconds: float | None = None
    faults: Sequence[str] = tuple(FAULTS)
    within_seconds: float = 180.0
    directory: Path | None = None


@dataclass(slots=True)
class Outcome:
    """What became of it. ``report`` is the verifier's, ``problems`` what it can't know; ``restarts`` are those
    that no fault made: of processes that ended by themselves, or said that they were not well.
    """

    report: dict[str, Any]
    text: str
    skipped: dict[str, str]
    problems: list[str] = field(default_factory=list)
    restarts: list[str] = field(default_factory=list)

    @property
    def right(self) -> bool:
        return bool(self.report.get("right")) and not self.problems


class FaultRun:
    """One run, from nothing to the verdict."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._chance = random.Random(order.seed)
        self._stack = ExitStack()
        self._problems: list[str] = []

    def process_batch(self) -> Outcome:
        """Everything.

        Raises:
            PaynotifyError: a part could not be started.
        """
        with self._stack:
            self._directory = self._order.directory or Path(
                self._stack.enter_context(tempfile.TemporaryDirectory(prefix="paynotify-fault-"))
            )
            self._directory.mkdir(parents=True, exist_ok=True)
            began = time.monotonic()
            target = self._start()
            self._supervisor = Supervisor(target.sandbox)
            watcher = self._watch(target.sandbox)
            load = self._load(target.sandbox)
            skipped = possible(target)
            load.start()
            self._let_night_pass(target, began)
            self._inject(target, [name for name in self._order.faults if name not in skipped], load)
            load.stop()
            self._supervisor.look()
            healed_at = time.time()
            load.finish()
            self._say(f"{load.made} payments made, {load.charged} charged again")
            if not watcher.wait_after_term(_WATCHER_SECONDS):
                self._problems.append("the watcher did not end")
            report, text = self._verify(target.sandbox, healed_at)
        return Outcome(report, text, skipped, self._problems, self._supervisor.restarts)

    # --- the system ----------------------------------------------------------------------------------------

    def _start(self) -> Target:
        proxy = self._stack.enter_context(Proxy(self._order.seed))
        way_out = self._way_out()
        disk = small_disk(self._directory / "disk", _DISK_BYTES, self._stack)
        # an address of its own: that of a broker is another one once the broker has moved
        bootstrap = proxy.named(lambda: [broker.address("PLAINTEXT") for broker in system.brokers])
        sandbox = self._stack.enter_context(
            system := Sandbox(
                Plan(
                    workers=[self._worker(number) for number in range(self._order.workers)],
                    merchants=MERCHANTS,
                    charges={"shop-hu": {}},
                    # the order call refuses what a fault refuses; the keys have to come through all of them
                    merchant={"shop-v3": {"truth": "event"}},
                    days=_DAYS,
                    with_url_token=("shop-hu",),
                    simulators={
                        "time_scale": 60.0,
                        "latency_seconds": 0.01,
                        "seed": self._order.seed,
                        "copied_share": COPIED_SHARE,
                        "late_share": LATE_SHARE,
                        "unrest_seconds": 2.0,
                    },
                    simulator={
                        "nevogate": {"resend_after_seconds": 480.0, **self._logged("nevogate")},
                        "trustpayments": {"day_seconds": _GATEWAY_DAY_SECONDS, **self._logged("trustpayments")},
                        "omnikassa": self._logged("omnikassa"),
                        "smartpay": self._logged("smartpay"),
                    },
                    configuration={
                        "kafka": {"bootstrap_servers": bootstrap, **CLIENT},
                        "worker": {
                            **_WORKER,
                            **(_STATIC if self._order.static else {}),
                            **({"provider_proxy": way_out.as_setting()} if way_out else {}),
                        },
                        # the brokers' own time, for how long the OmniKassa window was open
                        "topics": {
                            "overrides": {
                                topics.responses("omnikassa"): {"settings": {"message.timestamp.type": "LogAppendTime"}}
                            }
                        },
                    },
                    partitions=_PARTITIONS,
                    consumers=False,
                    nodes=self._order.nodes,
                    kafka_protocol="SASL_PLAINTEXT",
                    kafka_settings=LISTENER,
                    kafka_directory=lambda node: disk.place if disk is not None and node == 1 else None,
                    detour=proxy.detour,
                    logs=self._directory / "logs",
                )
            )
        )
        return Target(
            sandbox=sandbox, proxy=proxy, chance=self._chance, clock=self._clock(), disk=disk, way_out=way_out
        )

    def _way_out(self) -> ForwardProxy | None:
        """The forward proxy of all calls to providers, where its fault is wanted and it can be had."""
        if "proxy-away" not in self._order.faults or found("tinyproxy") is None:
            return None
        return self._stack.enter_context(forward_proxy(self._directory, credentials=_PROXY_CREDENTIALS))

    def _worker(self, number: int) -> Sequence[str]:
        return ("--group-instance-id", f"worker-{number}") if self._order.static else ()

    def _logged(self, provider: str) -> dict[str, str]:
        return {"delivery_log": str(self._deliveries(provider))}

    def _deliveries(self, provider: str) -> Path:
        return self._directory / f"deliveries-{provider}.jsonl"

    def _clock(self) -> MovableClock | None:
        try:
            return MovableClock(self._directory)
        except OSError:
            return None

    def _load(self, sandbox: Sandbox) -> Load:
        return Load(
            sandbox.providers,
            MERCHANTS,
            (sandbox.direct_bootstrap, sandbox.prefix),
            seed=self._order.seed,
            payments=max(1, round(self._order.notifications / NOTIFICATIONS_PER_PAYMENT)),
            seconds=self._order.duration_seconds,
        )

    # --- the faults ----------------------------------------------------------------------------------------

    def _let_night_pass(self, target: Target, began: float) -> None:
        time.sleep(_NIGHT_SECONDS)
        if time.monotonic() - began > _MORNING_SECONDS:
            raise PaynotifyError(f"the start took longer than {_MORNING_SECONDS:g} s, so the night would come too late")
        night = target.sandbox.providers["trustpayments"].night()
        self._say(f"a night passed, and {night['settled']} payments and refunds were settled")

    def _inject(self, target: Target, names: list[str], load: Load) -> None:
        """Rounds of faults until the time is over; one round at least. After each, results must come again."""
        ends = time.monotonic() + self._order.duration_seconds
        results = _Results(target.sandbox)
        self._say(f"seed {self._order.seed}: {', '.join(names)}")
        while True:
            for name in schedule(names, self._chance):
                began_at = time.time()
                made = load.made
                FAULTS[name](target)
                healed_at = time.time()
                self._note({"fault": name, "began_at": began_at, "healed_at": healed_at})
                moved = self._results_again(results)
                if not moved:
                    self._problems.append(f"no result within {_PROGRESS_SECONDS:g} s after {name}")
                self._say(
                    f"{name}: {healed_at - began_at:.1f} s, {load.made - made} payments meanwhile, "
                    f"results again after {time.time() - healed_at:.1f} s"
                )
            if time.monotonic() >= ends:
                return

    def _results_again(self, results: _Results) -> bool:
        before = results.count()

        def again() -> bool:
            self._supervisor.look()
            return results.count() > before

        return bool(wait_for(again, within_seconds=_PROGRESS_SECONDS, every=0.2))

    def _note(self, line: dict[str, Any]) -> None:
        with self._faults_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    @property
    def _faults_file(self) -> Path:
        return self._directory / "faults.jsonl"

    def _say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    # --- who judges ----------------------------------------------------------------------------------------

    def _watch(self, sandbox: Sandbox) -> _Watcher:
        self._faults_file.touch()
        watcher = _Watcher(
            "watcher",
            [
                sys.executable,
                "-m",
                "tests.fault.watcher",
                "--bootstrap",
                sandbox.direct_bootstrap,
                "--prefix",
                sandbox.prefix,
                "--faults",
                str(self._faults_file),
                "--out",
                str(self._stalls),
            ],
            self._directory / "watcher.log",
            directory=Path(__file__).parents[2],
        )
        self._stack.callback(watcher.kill)
        return watcher

    @property
    def _stalls(self) -> Path:
        return self._directory / "stalls.json"

    def _verify(self, sandbox: Sandbox, healed_at: float) -> tuple[dict[str, Any], str]:
        order, report = self._order, self._directory / "report.json"
        command = [
            sys.executable,
            "-m",
            "tests.fault.verifier",
            "--bootstrap",
            sandbox.direct_bootstrap,
            "--prefix",
            sandbox.prefix,
            "--within",
            str(order.within_seconds),
            "--healed-at",
            str(healed_at),
            "--stalls",
            str(self._stalls),
            "--json",
            str(report),
            "--run",
            f"seed={order.seed}",
            "--run",
            f"duration={order.duration_seconds:g}",
            "--run",
            f"nodes={order.nodes}",
        ]
        for provider, control in sandbox.providers.items():
            command += ["--provider", f"{provider}={control.address}", "--deliveries", str(self._deliveries(provider))]
        verifier = Child("verifier", command, self._directory / "verifier.log", directory=Path(__file__).parents[2])
        self._stack.callback(verifier.kill)

        def judged() -> bool:
            self._supervisor.look()
            return not verifier.running

        wait_for(judged, within_seconds=order.within_seconds + _VERIFIER_MARGIN_SECONDS, every=0.5)
        if verifier.exit_code not in (0, 1):
            raise PaynotifyError(f"the verifier could not judge: {verifier.end()}")
        judged_report = json.loads(report.read_text("utf-8"))
        self._judge_stalls(judged_report["longest_seconds_without_progress"])
        return judged_report, verifier.log_path.read_text("utf-8")

    def _judge_stalls(self, places: Mapping[str, Mapping[str, Any]]) -> None:
        most = self._order.stall_seconds
        if most is None:
            return
        if not places:
            self._problems.append("nobody saw any partition wait, so nothing is known of stalls")
        self._problems += [
            f"{place} stalled for {one['seconds']:.1f} s, longer than {most:g} s"
            for place, one in places.items()
            if one["seconds"] > most
        ]


class _Watcher(Child):
    """The watcher writes what it saw when it is asked to end."""

    def wait_after_term(self, within_seconds: float) -> bool:
        return self.stop(within_seconds) == 0


class _Results:
    """How many records lie on ``payments.status``; only a sign of life."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._brokers = sandbox.direct_bootstrap.split(",")
        name = sandbox.topic(topics.STATUS)
        self._places = [TopicPartition(name, number) for number in range(_PARTITIONS)]
        self._most = 0

    def count(self) -> int:
        """As many as were ever seen. Brokers that have just come back may not know yet who leads what."""
        try:
            # a new client each time: one that has seen brokers go asks those it remembers
            with closing(KafkaConsumer(bootstrap_servers=self._brokers, enable_auto_commit=False)) as consumer:
                ends = consumer.end_offsets(self._places, timeout_ms=_LOOK_MILLISECONDS)
        except KafkaError:
            return self._most
        self._most = max(self._most, sum(ends.values()))
        return self._most
