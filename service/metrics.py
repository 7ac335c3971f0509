"""Metric definitions: name, meaning, labels and buckets as data, from which the Prometheus objects are created.

A `MetricSet` lists its definitions as class attributes. Created with a registry, each attribute is the metric itself.
``docs/reference/metrics.md`` is generated from the same definitions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final, Generic, TypeVar, overload

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

Metric = TypeVar("Metric", Counter, Gauge, Histogram)

#: Buckets for what takes milliseconds to seconds.
SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
#: Buckets for what may take hours.
LONG_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400)


@dataclass(frozen=True, kw_only=True)
class MetricDefinition(Generic[Metric]):
    """One metric. ``buckets`` are a histogram's upper bounds. Label values come from closed lists, not from callers."""

    kind: type[Metric]
    name: str
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    def create(self, registry: CollectorRegistry) -> Metric:
        """The Prometheus object, registered.

        Raises:
            ValueError: the registry has a metric of that name already.
        """
        options: dict[str, Any] = {"buckets": self.buckets} if self.buckets else {}
        return self.kind(self.name, self.help, self.labels, registry=registry, **options)

    @overload
    def __get__(self, instance: None, owner: type) -> MetricDefinition[Metric]: ...

    @overload
    def __get__(self, instance: object, owner: type) -> Metric: ...

    def __get__(self, instance: object | None, owner: type) -> MetricDefinition[Metric] | Metric:
        # the instance dictionary has the metric itself and takes precedence
        if instance is not None:
            raise AttributeError(f"{owner.__name__} was not created with a registry")
        return self


def counter(name: str, help_text: str, *labels: str) -> MetricDefinition[Counter]:
    """A counter; its name ends with ``_total``."""
    return MetricDefinition(kind=Counter, name=name, help=help_text, labels=labels)


def gauge(name: str, help_text: str, *labels: str) -> MetricDefinition[Gauge]:
    """A value that goes up and down."""
    return MetricDefinition(kind=Gauge, name=name, help=help_text, labels=labels)


def histogram(name: str, help_text: str, *labels: str, buckets: tuple[float, ...]) -> MetricDefinition[Histogram]:
    """A distribution over ``buckets``."""
    return MetricDefinition(kind=Histogram, name=name, help=help_text, labels=labels, buckets=buckets)


class MetricSet:
    """Metrics of one process in one registry. A subclass lists them as class attributes."""

    definitions: ClassVar[dict[str, MetricDefinition[Any]]] = {}

    def __init_subclass__(cls) -> None:
        own = {name: one for name, one in vars(cls).items() if isinstance(one, MetricDefinition)}
        cls.definitions = {**cls.definitions, **own}

    def __init__(self, registry: CollectorRegistry) -> None:
        for name, definition in self.definitions.items():
            self.__dict__[name] = definition.create(registry)
