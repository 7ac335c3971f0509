"""The verifier proves itself: a product made wrong on purpose is called wrong, an intact one right.

Each case is the least that exposes its rule: one payment, and a crash where it takes one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from paynotify.processors.runtime.loop import StageLoop
from paynotify.sandbox.processes import wait_for
from paynotify.sandbox.system import Plan, Sandbox
from paynotify.schemas import topics
from paynotify.schemas.errors import ConfigurationError
from tests.fault.broken_loops import BROKEN
from tests.fault.broken_worker import BREAK, KILL_AT, MODULE, loop_class
from tests.fault.evidence import Groups
from tests.fault.verifier import Verdict, Verifier
from tests.long_form import LONG

DEADLINE_SECONDS: Final = 90.0
#: For a product that will never be right; all there was to be read has been read before.
WRONG_SECONDS: Final = 2.0
PROVIDER: Final = "trustpayments"
ROOT: Final = Path(__file__).parents[2]


class Bench:
    """A small system with one partition, and its verifier."""

    def __init__(self, kafka: str, directory: Path, stack: ExitStack, rule: str) -> None:
        log = directory / "deliveries.jsonl"
        log.touch()
        self.sandbox = stack.enter_context(
            Sandbox(
                Plan(
                    kafka=kafka,
                    merchants={PROVIDER: ("shop-uk",)},
                    simulator={PROVIDER: {"visible_within_seconds": 0.0, "delivery_log": str(log)}},
                    worker_module=MODULE,
                    environment={BREAK: rule},
                    partitions=1,
                    consumers=False,
                )
            )
        )
        self.control = self.sandbox.providers[PROVIDER]
        self.groups = Groups(kafka, self.sandbox.prefix)
        stack.callback(self.groups.close)
        self._verifier = Verifier(kafka, self.sandbox.prefix, {PROVIDER: self.control.address}, [log], None)
        stack.callback(self._verifier.close)

    def committed(self, unit: str, topic: str, records: int) -> None:
        """Wait until the unit has committed all records there are, at least so many: a crash upstream repeats some."""
        place = (f"{self.sandbox.prefix}paynotify.{unit}", self.sandbox.topic(topic), 0)

        def all_committed() -> bool:
            committed, end = self.groups.places().get(place, (0, 0))
            return committed == end >= records

        assert wait_for(all_committed, within_seconds=DEADLINE_SECONDS, every=0.2), self.sandbox.workers[0].end()

    def resolved(self, observations: int) -> None:
        """Wait until so many observations were worked on."""
        self.committed("resolve", topics.OBSERVATIONS, observations)

    def crash(self) -> None:
        """Kill the worker when it says so; the next one is intact."""
        self.sandbox.workers[0].wait_for_event("to_be_killed_now", within_seconds=DEADLINE_SECONDS)
        self.killed_and_started_intact()

    def killed_and_started_intact(self) -> None:
        self.sandbox.workers[0].kill()
        self.sandbox.wait_ready(self.sandbox.start_worker(0, {BREAK: ""}))

    def two_events(self) -> None:
        """A payment that is authorised and, when that is known, captured."""
        payment = self.control.pay(order_id="ORDER1", amount=1000)
        self.resolved(1)
        self.control.change(payment, settlestatus="100", notify=True)
        self.resolved(2)

    def one_event(self) -> None:
        self.control.pay(order_id="ORDER1", amount=1000, settlestatus="100")

    def verdict(self, within_seconds: float) -> Verdict:
        return self._verifier.verdict(within_seconds)


def crashes_after_the_acknowledgement(bench: Bench) -> None:
    bench.one_event()
    bench.sandbox.workers[0].wait_for_event("to_be_killed_now", within_seconds=DEADLINE_SECONDS)
    bench.committed(f"verify.{PROVIDER}", topics.notifications(PROVIDER), 1)
    bench.killed_and_started_intact()


def crashes_after_the_state(bench: Bench) -> None:
    bench.one_event()
    bench.crash()
    bench.resolved(1)


def loses_a_batch(bench: Bench) -> None:
    bench.one_event()
    bench.committed(f"interpret.{PROVIDER}", topics.responses(PROVIDER), 1)


def tells_twice(bench: Bench) -> None:
    bench.two_events()


CASES: Final[dict[str, tuple[Callable[[Bench], None], str]]] = {
    "ack-before-output": (crashes_after_the_acknowledgement, "notifications_or_lookups_without_one_end"),
    "state-before-output": (crashes_after_the_state, "wrong_or_missing_final_status"),
    "drop-batch": (loses_a_batch, "wrong_or_missing_final_status"),
    "double-id": (tells_twice, "one_id_two_contents"),
    "swap-order": (tells_twice, "sequence_gaps"),
}


@pytest.fixture
def bench(kafka: str, tmp_path: Path) -> Iterator[Callable[[str], Bench]]:
    with ExitStack() as stack:
        yield lambda rule: Bench(kafka, tmp_path, stack, rule)


def test_broken_loop_has_a_case() -> None:
    assert CASES.keys() == BROKEN.keys()


@pytest.mark.kafka
@pytest.mark.skipif(not LONG, reason="minutes: PAYNOTIFY_LONG=1")
@pytest.mark.parametrize("rule", BROKEN)
def test_verdict_on_a_worker_that_breaks_a_rule_is_wrong(bench: Callable[[str], Bench], rule: str) -> None:
    broken = bench(rule)
    happens, figure = CASES[rule]
    happens(broken)
    verdict = broken.verdict(WRONG_SECONDS)
    assert not verdict.right
    assert len(verdict.found[figure]) == 1, verdict.found


@pytest.mark.kafka
@pytest.mark.skipif(not LONG, reason="minutes: PAYNOTIFY_LONG=1")
def test_verdict_on_an_intact_worker_over_the_same_crash_is_right(bench: Callable[[str], Bench]) -> None:
    intact = bench("")
    intact.two_events()
    intact.killed_and_started_intact()
    intact.control.pay(order_id="ORDER2", amount=1000, settlestatus="100")
    verdict = intact.verdict(DEADLINE_SECONDS)
    assert verdict.right, verdict
    assert (verdict.accepted, verdict.payments, verdict.events) == (3, 2, 3)


def test_broken_worker_without_a_rule_is_intact() -> None:
    assert loop_class({}) is StageLoop


def test_unknown_rule_to_break_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="must be one of ack-before-output"):
        loop_class({BREAK: "drop-everything"})


@pytest.mark.parametrize("package", ["schemas", "service", "ingest", "processors", "ops", "sandbox"])
def test_product_has_no_switch_that_breaks_or_kills_it(package: str) -> None:
    files = [file for file in (ROOT / package).rglob("*.py") if "PAYNOTIFY_" in file.read_text("utf-8")]
    assert files or package != "ops", "PAYNOTIFY_CONFIG is read somewhere"
    assert not [file for file in files if re.search(f"{BREAK}|{KILL_AT}", file.read_text("utf-8"))]
