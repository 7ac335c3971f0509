"""The steps of the flow: each stage's consumer group, and the topics that it reads."""

from __future__ import annotations

from dataclasses import dataclass

from paynotify.schemas import topics
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.providers import provider_names


@dataclass(frozen=True, slots=True)
class FlowStep:
    """A stage of one provider, or of all (an empty ``provider``). ``topics`` are names on the cluster.

    ``gives`` is the topic (its own name) that most of what it makes goes to. What lies on the ``waiting`` topics waits
    on purpose until it is tried again.
    """

    name: str
    stage: str
    provider: str
    group: str
    topics: tuple[str, ...]
    gives: str
    waiting: tuple[str, ...] = ()


def flow_steps(configuration: Configuration) -> tuple[FlowStep, ...]:
    """The steps in the order of the flow: those of each provider that has merchants, then those of all."""
    found: list[FlowStep] = []
    for provider in provider_names():
        if not configuration.merchants_of(provider):
            continue
        notifications, lookups, responses = (
            one(provider) for one in (topics.notifications, topics.lookups, topics.responses)
        )
        unverified, retries = topics.unverified_steps(provider), topics.retry_steps(provider)
        found += [
            _step(configuration, "verify", provider, (notifications,), lookups, unverified),
            _step(configuration, "fetch", provider, (lookups,), responses, retries),
            _step(configuration, "interpret", provider, (responses,), topics.OBSERVATIONS),
        ]
    return (
        *found,
        _step(configuration, "resolve", "", (topics.OBSERVATIONS,), topics.STATUS),
        _step(configuration, "orders", "", (topics.EXPECTED, topics.ORDERS), topics.OVERDUE),
        _step(configuration, "charge", "", (topics.REQUESTED, topics.CHARGES), topics.REQUESTS),
    )


def _step(
    configuration: Configuration,
    stage: str,
    provider: str,
    read: tuple[str, ...],
    gives: str,
    waiting: tuple[str, ...] = (),
) -> FlowStep:
    kafka = configuration.kafka
    name = f"{stage}.{provider}" if provider else stage
    return FlowStep(
        name=name,
        stage=stage,
        provider=provider,
        group=kafka.stage_group(name),
        topics=tuple(map(kafka.topic, read)),
        gives=gives,
        waiting=tuple(map(kafka.topic, waiting)),
    )
