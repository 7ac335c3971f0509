"""The steps of the flow are the stages that the workers run, in their groups and over their topics."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from prometheus_client import CollectorRegistry

from paynotify.ops.console.flow.steps import flow_steps
from paynotify.ops.rights import CONSOLE, expanded
from paynotify.processors.metrics import Metrics
from paynotify.processors.orders.expectation_cache import ExpectedPayments
from paynotify.processors.runtime.failpoints import ignore
from paynotify.processors.wiring import StageSelection, build_stages
from paynotify.schemas import topics
from paynotify.schemas.configuration.load import load
from paynotify.schemas.providers import provider_names
from tests.fakes import configurations
from tests.fakes.stages import call_context


def test_steps_are_the_groups_of_the_workers_with_all_they_read(tmp_path: Path) -> None:
    configuration = load(configurations.write(tmp_path, configurations.document("127.0.0.1:1", "try.", tmp_path)))
    metrics, nothing = Metrics(CollectorRegistry()), cast(ExpectedPayments, None)
    run = build_stages(configuration, StageSelection(), metrics, call_context(), nothing, ignore)
    # learned from in passing: it says nothing of what waits
    passing = {configuration.kafka.topic(topics.known(one)) for one in provider_names()}
    read = {name: {topic for spec in specs for topic in spec.sources} - passing for name, specs in run.items()}
    steps = flow_steps(configuration)
    assert {one.name: {*one.topics, *one.waiting} for one in steps} == read
    assert [one.group for one in steps] == [f"try.paynotify.{one.name}" for one in steps]
    assert [one.stage for one in steps[:3]] == ["verify", "fetch", "interpret"]


def test_console_may_read_what_it_measures_of_each_step(tmp_path: Path) -> None:
    configuration = load(configurations.write(tmp_path, configurations.document("127.0.0.1:1", "", tmp_path)))
    read = {topic for one in flow_steps(configuration) for topic in one.topics}
    assert read <= set(expanded(CONSOLE.reads))


def test_provider_without_merchants_has_no_steps(tmp_path: Path) -> None:
    merchants = [one for one in configurations.merchants() if one["provider"] == "nevogate"]
    document = configurations.document("127.0.0.1:1", "", tmp_path, merchants=merchants)
    configuration = load(configurations.write(tmp_path, document))
    assert {one.provider for one in flow_steps(configuration)} == {"nevogate", ""}
