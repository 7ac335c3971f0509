"""Autoscaling by lag watches the topics that the scaled processes read, according to the product itself."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
import yaml
from prometheus_client import CollectorRegistry

from paynotify.processors.metrics import Metrics
from paynotify.processors.orders.expectation_cache import ExpectedPayments
from paynotify.processors.runtime.failpoints import ignore
from paynotify.processors.runtime.partition_loops import LoopSettings
from paynotify.processors.runtime.runner import StageRunner
from paynotify.processors.transport.brokers_clock import BrokersClock
from paynotify.processors.wiring import StageSelection, build_stages
from paynotify.schemas import topics
from paynotify.schemas.configuration.load import parse
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.providers import provider_names
from tests.fakes.stages import call_context
from tests.helm.rendering import named, of_kind, things
from tests.helm.test_chart_configuration import SECRETS, file_of, options, paths_in

#: Those in which something is scaled: all groups without a prefix, and one group with a prefix.
SCALED = ("external", "strimzi")


def configuration_of(way: str, folder: Path) -> Configuration:
    """The workers' file with secrets that are there, and brokers that ask for none."""
    text = file_of(way, "worker").replace(SECRETS, f"{folder}/")
    document = yaml.safe_load(text)
    document["kafka"] = {key: document["kafka"][key] for key in ("bootstrap_servers", "topic_prefix")}
    for path in paths_in(yaml.safe_load(file_of(way, "worker"))["merchants"]):
        file = folder / path.removeprefix(SECRETS)
        file.parent.mkdir(exist_ok=True)
        file.write_text("c2VjcmV0LW9mLWEtc2hvcA==", "utf-8")
    return parse(yaml.safe_dump(document), "paynotify.yaml")


def units_of(way: str, choice: StageSelection, folder: Path) -> list[StageRunner]:
    """The product's own wiring of one way to run the chart."""
    configuration, metrics = configuration_of(way, folder), Metrics(CollectorRegistry())
    specs = build_stages(configuration, choice, metrics, call_context(), cast(ExpectedPayments, None), ignore)
    settings = LoopSettings(configuration.worker.batch_wait_seconds, configuration.worker.dead_letter_limit)
    return [
        StageRunner(name, one, configuration, metrics, folder, settings, BrokersClock()) for name, one in specs.items()
    ]


def waits(topic: str) -> bool:
    """Whether it is a retry topic, whatever the prefix."""
    steps = range(1, topics.RETRY_STEPS + 1)
    return topic.endswith(tuple(topics.retry(provider, step) for provider in provider_names() for step in steps))


@pytest.mark.parametrize("way", SCALED)
def test_autoscaling_watches_every_topic_with_work(way: str, tmp_path: Path) -> None:
    """Retry topics hold what is not due yet: more pods would not make it due, and then it lags in ``lookups``."""
    scaled = of_kind(things(way), "ScaledObject")
    assert scaled
    for one in scaled:
        workload = named(things(way), "StatefulSet", one["spec"]["scaleTargetRef"]["name"])
        choice = StageSelection(providers=options(workload, "--provider="), stages=options(workload, "--stage="))
        read = {(unit.group, topic) for unit in units_of(way, choice, tmp_path) for topic in unit.source_topics}
        assert any(waits(topic) for _, topic in read) == ("fetch" in choice.stages)
        triggers = one["spec"]["triggers"]
        watched = [(each["metadata"]["consumerGroup"], each["metadata"]["topic"]) for each in triggers]
        assert sorted(watched) == sorted((group, topic) for group, topic in read if not waits(topic))
        assert len({each["name"] for each in triggers}) == len(triggers)


def test_autoscaling_watches_the_requests_of_shops() -> None:
    """Of all inputs these are not written by the product, so their lag is the first to be seen."""
    triggers = named(things("external"), "ScaledObject", "shop-paynotify-results")["spec"]["triggers"]
    assert {topics.EXPECTED, topics.REQUESTED} <= {one["metadata"]["topic"] for one in triggers}


def test_autoscaling_counts_an_unread_topic_from_the_workers_start(tmp_path: Path) -> None:
    begins = {unit.app.conf.consumer_auto_offset_reset for unit in units_of("external", StageSelection(), tmp_path)}
    for one in of_kind(things("external"), "ScaledObject"):
        assert {trigger["metadata"]["offsetResetPolicy"] for trigger in one["spec"]["triggers"]} == begins
