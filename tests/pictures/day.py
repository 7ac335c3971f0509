"""What the pictures are of: the demo's day of payments, made longer, and more troubles than the demo has.

Every panel has something to show by its end.
"""

from __future__ import annotations

import base64
import json
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from paynotify.sandbox.processes import Child
from paynotify.sandbox.script import REQUIRED_PLAN, Player
from paynotify.sandbox.shop import ExampleShop
from paynotify.sandbox.system import Plan, Sandbox
from paynotify.schemas.errors import ClusterError
from tests.pictures.prometheus import Prometheus, Span

_PAYMENTS_PER_SECOND: Final = 4
_SEED: Final = 1
_LOOK_SECONDS: Final = 1.0
_PAUSE_SECONDS: Final = 6.0
_LOST_SECONDS: Final = 20.0
_TOKEN_DAYS: Final = 90
_EACH: Final = 3

#: Who tells of single payments: merchant and currency.
_SHOPS: Final[Mapping[str, tuple[str, str]]] = {
    "trustpayments": ("shop-uk", "GBP"),
    "nevogate": ("shop-hu", "HUF"),
}
#: How a payment that was made is turned back, which nobody may do.
_BACK: Final[Mapping[str, Mapping[str, Any]]] = {
    "trustpayments": {"settlestatus": "3", "notify": True},
    "nevogate": {"result": "CANCELED"},
}
_PAID: Final[Mapping[str, Mapping[str, Any]]] = {"trustpayments": {"settlestatus": "100"}, "nevogate": {}}


def plan(logs: Path) -> Plan:
    """Two workers. The ingress waits for the brokers less long than usual, so that a short pause of them shows."""
    return Plan(
        workers=((),) * 2,
        consumers=False,
        simulators={"time_scale": 60.0, "latency_seconds": 0.02},
        simulator={"trustpayments": {"visible_within_seconds": 90.0}},
        charges=REQUIRED_PLAN["charges"],
        configuration={**REQUIRED_PLAN["configuration"], "ingest": {"publish_timeout_seconds": 2.0}},
        logs=logs,
    )


def live(sandbox: Sandbox, prometheus: Prometheus, seconds: float, say: Callable[[str], Any]) -> Span:
    """Play the day of so many seconds under Prometheus' eyes.

    Raises:
        PaynotifyError: a part of the system, or the day, has ended early.
    """
    player = Player(sandbox, seconds=seconds, payments=round(seconds * _PAYMENTS_PER_SECOND), seed=_SEED)
    troubles = _Troubles(sandbox, seconds)
    eyes = _Eyes(sandbox, prometheus)
    span = Span(time.time(), time.time() + seconds)
    try:
        player.start()
        happening = ""
        while time.time() < span.end:
            time.sleep(_LOOK_SECONDS)
            eyes.look()
            troubles.until(time.time() - span.start)
            if player.progress.happening != happening:
                happening = player.progress.happening
                say(f"{time.time() - span.start:3.0f} s: {happening}")
            if player.over:
                player.finish()
    finally:
        player.stop()
        troubles.close()
    return span


class _Eyes:
    """Shows Prometheus where every process is, also after it was started again."""

    def __init__(self, sandbox: Sandbox, prometheus: Prometheus) -> None:
        self._sandbox = sandbox
        self._prometheus = prometheus
        self._ports: dict[int, int] = {}

    def look(self) -> None:
        """Raises `ClusterError` if the ingress is gone; a worker may be, it is started again."""
        ingest = self._sandbox.ingest
        if ingest is None or not ingest.running:
            raise ClusterError(f"the ingress has ended: {ingest.end() if ingest else 'it was never there'}")
        running = [child for child in (ingest, *self._sandbox.workers) if child.running]
        ports = {f"paynotify-{child.name}": self._port(child) for child in running}
        self._prometheus.scrape({pod: port for pod, port in ports.items() if port is not None})

    def _port(self, child: Child) -> int | None:
        if child.pid not in self._ports:
            opened = next((line for line in child.log_lines() if line.get("event") == "management_listening"), None)
            if opened is None:
                return None
            self._ports[child.pid] = int(opened["port"])
        return self._ports[child.pid]


class _Troubles:
    """What the demo's day lacks, each at its share of the day."""

    def __init__(self, sandbox: Sandbox, seconds: float) -> None:
        self._sandbox = sandbox
        self._shop = ExampleShop(sandbox.bootstrap, sandbox.prefix)
        self._paid: list[tuple[str, str]] = []
        self._due: deque[tuple[float, Callable[[], None]]] = deque(
            (share * seconds, action)
            for share, action in (
                (0.05, self._dated_token),
                (0.15, self._other_amounts),
                (0.20, self._unknown_words),
                (0.25, self._turned_back),
                (0.40, self._lost_answers),
                (0.75, self._pause_brokers),
            )
        )

    def until(self, seconds: float) -> None:
        """Do what is due by now."""
        while self._due and self._due[0][0] <= seconds:
            self._due.popleft()[1]()

    def close(self) -> None:
        self._shop.close()

    def _dated_token(self) -> None:
        """OmniKassa's new refresh token says when it ends; the worker that is started next tells it on."""
        parts = ({"alg": "none"}, {"exp": int(time.time()) + _TOKEN_DAYS * 86_400})
        token = ".".join(
            [*(base64.urlsafe_b64encode(json.dumps(one).encode()).decode().rstrip("=") for one in parts), "x"]
        )
        (account,) = (one for one in self._sandbox.accounts if one.provider == "omnikassa")
        self._sandbox.providers["omnikassa"].change_shop(account.name, refresh_token=token)
        Path(account.merchant["refresh_token"]["file"]).write_text(token, "utf-8")

    def _other_amounts(self) -> None:
        """The shop expects more than is paid."""
        for provider, (merchant, currency) in _SHOPS.items():
            for number in range(_EACH):
                order = f"LESS{number}"
                self._shop.expects(merchant, order, 2000, currency)
                self._paid.append((provider, self._pay(provider, order)))

    def _pay(self, provider: str, order: str) -> str:
        return self._sandbox.providers[provider].pay(order_id=order, amount=1000, **_PAID[provider])

    def _unknown_words(self) -> None:
        """A result code that is on no list."""
        for number in range(_EACH):
            self._sandbox.providers["trustpayments"].pay(order_id=f"WORD{number}", amount=1000, errorcode="22000")

    def _turned_back(self) -> None:
        for provider, payment in self._paid:
            self._sandbox.providers[provider].change(payment, **_BACK[provider])

    def _lost_answers(self) -> None:
        """From before the bills on, answers are lost, and for a while nobody can say what became of a charge."""
        gateway = self._sandbox.providers["nevogate"]
        gateway.fault("lose", path="StartRP", share=0.3, for_seconds=_LOST_SECONDS)
        gateway.fault("unavailable", path="Details", for_seconds=_LOST_SECONDS)

    def _pause_brokers(self) -> None:
        """The brokers answer nothing for a while: callers get a 503."""
        for broker in self._sandbox.brokers:
            broker.pause()
        until = time.monotonic() + _PAUSE_SECONDS
        while time.monotonic() < until:  # the demo's shop waits for the brokers too, before anybody can pay
            for provider in _SHOPS:
                self._paid.append((provider, self._pay(provider, f"PAUSE{len(self._paid)}")))
            time.sleep(_LOOK_SECONDS)
        for broker in self._sandbox.brokers:
            broker.resume()
