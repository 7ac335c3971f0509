"""Metric definitions create Prometheus objects, one of each for a registry."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from paynotify.service.metrics import MetricDefinition, MetricSet, counter, gauge, histogram


class Kitchen(MetricSet):
    cups = counter("cups_total", "Cups filled", "drink")
    heat = gauge("heat", "Degrees")


class BiggerKitchen(Kitchen):
    wait = histogram("wait_seconds", "Time to the cup", buckets=(1.0, 5.0))


def test_set_holds_its_metrics_in_the_registry() -> None:
    registry = CollectorRegistry()
    kitchen = BiggerKitchen(registry)
    kitchen.cups.labels("tea").inc()
    kitchen.heat.set(90)
    kitchen.wait.observe(3)
    assert registry.get_sample_value("cups_total", {"drink": "tea"}) == 1
    assert registry.get_sample_value("heat") == 90
    assert registry.get_sample_value("wait_seconds_bucket", {"le": "1.0"}) == 0
    assert registry.get_sample_value("wait_seconds_bucket", {"le": "5.0"}) == 1


def test_two_sets_of_a_class_count_apart() -> None:
    one, other = Kitchen(CollectorRegistry()), Kitchen(CollectorRegistry())
    assert one.cups is not other.cups


def test_definitions_are_listed_with_those_inherited() -> None:
    assert list(BiggerKitchen.definitions) == ["cups", "heat", "wait"]
    assert list(Kitchen.definitions) == ["cups", "heat"]
    assert isinstance(Kitchen.cups, MetricDefinition)
    assert Kitchen.cups.labels == ("drink",)


def test_name_is_registered_once() -> None:
    registry = CollectorRegistry()
    Kitchen(registry)
    with pytest.raises(ValueError, match="cups"):
        Kitchen.cups.create(registry)
