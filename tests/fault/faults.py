"""Everything a fault run does to the system. Each fault is done, lasts, and is healed when its function returns."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from paynotify.sandbox.broker import LocalBroker
from paynotify.sandbox.processes import Child, wait_for
from paynotify.sandbox.simulators.faults import FaultKind
from paynotify.sandbox.system import Sandbox
from tests.fault.clock import MovableClock
from tests.fault.disk import SmallDisk
from tests.fault.proxy import Proxy
from tests.proxies.forward import ForwardProxy

#: Longer than the workers' session timeout, so that the group goes on without the one that is frozen.
FROZEN_SECONDS: Final = 9.0
_STOP_SECONDS: Final = 30.0
_BROKER_ENDS_SECONDS: Final = 60.0
_MOVED_SECONDS: Final = 3600
_MANY_WORKERS: Final = 4


_USER: Final = "paynotify"
_PASSWORD: Final = "fault"
_LISTENER: Final = "listener.name.plaintext"
#: The brokers' listener for clients asks for a password, and for it again within each session.
SESSIONS: Final = {f"{_LISTENER}.plain.connections.max.reauth.ms": "30000"}
SHORT_SESSIONS: Final = {f"{_LISTENER}.plain.connections.max.reauth.ms": "5000"}
LISTENER: Final = {
    f"{_LISTENER}.sasl.enabled.mechanisms": "PLAIN",
    f"{_LISTENER}.plain.sasl.jaas.config": (
        f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{_USER}="{_PASSWORD}";'
    ),
    **SESSIONS,
}
#: The configuration's ``kafka`` for that listener.
CLIENT: Final[Mapping[str, object]] = {
    "security_protocol": "SASL_PLAINTEXT",
    "sasl_mechanism": "PLAIN",
    "sasl_plain_username": _USER,
    "sasl_plain_password": {"value": _PASSWORD},
}


@dataclass(slots=True, kw_only=True)
class Target:
    """The running system and what can be done to it. ``chance`` decides the rest of each fault."""

    sandbox: Sandbox
    proxy: Proxy
    chance: random.Random
    clock: MovableClock | None = None
    disk: SmallDisk | None = None
    way_out: ForwardProxy | None = None

    @property
    def brokers(self) -> list[str]:
        """Where clients' connections to the brokers really lead."""
        return [broker.address("PLAINTEXT") for broker in self.sandbox.brokers]

    @property
    def providers(self) -> list[str]:
        return [control.address.removeprefix("http://") for control in self.sandbox.providers.values()]

    @property
    def ingress(self) -> list[str]:
        return [self.sandbox.ingest_address.removeprefix("http://")]

    def wait(self, shortest: float, longest: float) -> None:
        """The time a fault lasts."""
        time.sleep(self.chance.uniform(shortest, longest))

    def some_worker(self) -> int:
        return self.chance.randrange(len(self.sandbox.workers))

    def some_broker(self) -> LocalBroker:
        return self.chance.choice(self.sandbox.brokers)


# --- processes -------------------------------------------------------------------------------------------------


def kill_ingress(target: Target) -> None:
    """Kill the ingress with SIGKILL and restart it."""
    assert target.sandbox.ingest is not None
    target.sandbox.ingest.kill()
    target.wait(0.2, 2.0)
    target.sandbox.start_ingest()


def kill_workers(target: Target) -> None:
    """Kill each worker in turn with SIGKILL; restart each while the next one is killed."""
    for number in range(len(target.sandbox.workers)):
        target.sandbox.workers[number].kill()
        target.wait(0.2, 2.0)
        target.sandbox.start_worker(number)
        target.wait(1.0, 4.0)
    _all_ready(target)


def kill_all_workers(target: Target) -> None:
    """Kill all workers at once with SIGKILL."""
    for worker in target.sandbox.workers:
        worker.kill()
    for number in range(len(target.sandbox.workers)):
        target.sandbox.start_worker(number)
    _all_ready(target)


def kill_broker(target: Target) -> None:
    """Kill a broker with SIGKILL and restart it on its data."""
    broker = target.some_broker()
    broker.kill()
    target.wait(1.0, 4.0)
    broker.restart()


def brokers_move(target: Target) -> None:
    """Restart every broker at another address, on its data; only the bootstrap address leads there."""
    move_all(target.sandbox.brokers, target.proxy)


def move_all(brokers: Sequence[LocalBroker], proxy: Proxy) -> None:
    """As `brokers_move`, for the brokers behind the proxy."""
    for broker in brokers:
        broker.kill()  # the last ones of a cluster that is stopped would wait for the others
    for broker in brokers:
        left = broker.address("PLAINTEXT")
        broker.move()
        proxy.forget(left)
    for broker in brokers:
        broker.launch()
    for broker in brokers:
        broker.wait_until_ready()


def re_authentication(target: Target) -> None:
    """Restart every broker with sessions of five seconds, let several end under load, and go back to longer ones."""
    for setting, seconds in ((SHORT_SESSIONS, target.chance.uniform(12.0, 16.0)), (SESSIONS, 0.0)):
        for broker in target.sandbox.brokers:  # one after the other: several nodes stay available
            broker.change(setting)
            broker.restart()
        time.sleep(seconds)


def freeze_worker(target: Target) -> None:
    """Stop a worker for longer than the session timeout; it continues after its partitions have moved."""
    worker = target.sandbox.workers[target.some_worker()]
    worker.pause()
    target.wait(FROZEN_SECONDS, FROZEN_SECONDS * 1.5)
    worker.resume()


def delete_state(target: Target) -> None:
    """Kill a worker, delete its state directory and restart it."""
    number = target.some_worker()
    target.sandbox.workers[number].kill()
    shutil.rmtree(target.sandbox.state_directory(number))
    _ready(target, target.sandbox.start_worker(number))


def rolling_restart(target: Target) -> None:
    """Stop each worker as a roll-out does, and the next one once it is ready again."""
    for number, worker in enumerate(list(target.sandbox.workers)):
        worker.stop(_STOP_SECONDS)
        _ready(target, target.sandbox.start_worker(number))


def scale(target: Target) -> None:
    """Scale from one worker to four, then to two."""
    sandbox = target.sandbox
    _workers(target, 1)
    _workers(target, _MANY_WORKERS)
    _all_ready(target)
    target.wait(1.0, 3.0)
    _workers(target, 2)
    assert len(sandbox.workers) == 2


def _workers(target: Target, wanted: int) -> None:
    sandbox = target.sandbox
    while len(sandbox.workers) > wanted:
        sandbox.workers.pop().stop(_STOP_SECONDS)
    while len(sandbox.workers) < wanted:
        sandbox.add_worker()


def move_clock(target: Target) -> None:
    """Move the clock of a running worker an hour ahead, an hour back, and then right it."""
    assert target.clock is not None
    number = target.some_worker()
    target.sandbox.workers[number].kill()
    target.clock.move(0)
    _ready(target, target.sandbox.start_worker(number, target.clock.environment))
    for seconds in (_MOVED_SECONDS, -_MOVED_SECONDS, 0):
        target.clock.move(seconds)
        target.wait(2.0, 4.0)


def fill_disk(target: Target) -> None:
    """Fill the disk of a broker until it stops, then free the space and restart it."""
    assert target.disk is not None
    broker = target.sandbox.brokers[0]
    target.disk.fill()
    wait_for(lambda: not broker.running, within_seconds=_BROKER_ENDS_SECONDS, every=0.1)
    target.disk.free()
    broker.restart()


# --- connections -----------------------------------------------------------------------------------------------


def reset_connections(target: Target) -> None:
    """Reset connections of every kind repeatedly."""
    for _ in range(3):
        for targets in (target.brokers, target.providers, target.ingress):
            target.proxy.reset(targets, 0.5)
        target.wait(0.3, 1.5)


def slow_connections(target: Target) -> None:
    """Delay everything sent to the brokers and the providers."""
    target.proxy.slow([*target.brokers, *target.providers], 0.15)
    target.wait(4.0, 8.0)
    target.proxy.heal()


def half_open_brokers(target: Target) -> None:
    """Keep the connections to the brokers open, but let them carry nothing."""
    target.proxy.half_open(target.brokers, 0.3)


def half_open_providers(target: Target) -> None:
    """Keep the connections to providers and ingress open, but let them carry nothing."""
    target.proxy.half_open([*target.providers, *target.ingress], 0.7)


def cut_brokers(target: Target) -> None:
    """Make every broker unreachable."""
    target.proxy.cut(target.brokers)
    target.wait(3.0, 8.0)
    target.proxy.heal()


def proxy_away(target: Target) -> None:
    """Kill the forward proxy through which providers are called, with every call in it, and restart it."""
    assert target.way_out is not None
    target.way_out.stop()
    target.wait(6.0, 14.0)
    target.way_out.start()


# --- providers -------------------------------------------------------------------------------------------------


def bad_answers(target: Target) -> None:
    """Let the providers return each kind of bad response, every kind from every provider."""
    kinds: list[FaultKind] = ["broken", "unavailable", "too_many", "html", "truncated", "lose", "drop"]
    target.chance.shuffle(kinds)
    for kind in kinds:
        for control in target.sandbox.providers.values():
            control.fault(kind, share=0.5, for_seconds=None)
        target.wait(0.8, 1.6)
        for control in target.sandbox.providers.values():
            control.clear_faults()


def slow_answers(target: Target) -> None:
    """Let responses arrive byte by byte, late, or not at all."""
    for kind, seconds in (("slow", 2.0), ("latency", 2.0), ("timeout", 30.0), ("timeout_after", 30.0)):
        for control in target.sandbox.providers.values():
            control.fault(kind, seconds=seconds, share=0.3, for_seconds=None)  # type: ignore[arg-type]  # a table's plain text
        target.wait(1.0, 2.5)
        for control in target.sandbox.providers.values():
            control.clear_faults()


# --- all of them -----------------------------------------------------------------------------------------------

FAULTS: Final[Mapping[str, Callable[[Target], None]]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        kill_ingress,
        kill_workers,
        kill_all_workers,
        kill_broker,
        brokers_move,
        re_authentication,
        freeze_worker,
        delete_state,
        rolling_restart,
        scale,
        move_clock,
        fill_disk,
        reset_connections,
        slow_connections,
        half_open_brokers,
        half_open_providers,
        cut_brokers,
        proxy_away,
        bad_answers,
        slow_answers,
    )
}


def possible(target: Target) -> dict[str, str]:
    """Which faults can't be done here, and why."""
    missing: dict[str, str] = {}
    if target.clock is None:
        missing["move-clock"] = "no C compiler"
    if target.disk is None:
        missing["fill-disk"] = "not allowed to mount a small disk"
    if target.way_out is None:
        missing["proxy-away"] = "no Tinyproxy"
    return missing


def schedule(names: list[str], chance: random.Random) -> list[str]:
    """One round: each fault once, in an order of its own."""
    return chance.sample(names, len(names))


def _ready(target: Target, worker: Child) -> None:
    target.sandbox.wait_ready(worker)


def _all_ready(target: Target) -> None:
    for worker in target.sandbox.workers:
        _ready(target, worker)


def described(name: str) -> str:
    """What a fault is, for the list of them."""
    return " ".join((FAULTS[name].__doc__ or "").split())
