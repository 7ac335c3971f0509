"""What ``paynotify doctor`` finds out about floods: how fast strangers can fill a topic, and what stops them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from paynotify.ingest.limits import TOKEN_BYTES
from paynotify.ops.doctor.finding import Finding
from paynotify.schemas import topics
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.providers import provider_names
from paynotify.service.cluster import inspect_topics
from paynotify.service.partition_sizes import largest_partitions

#: What a record has beside body and query: its key and headers, and its share of the batch.
RECORD_OVERHEAD_BYTES: Final = 1024
#: Kafka looks for what it may delete every five minutes (`log.retention.check.interval.ms`); an alert needs as long.
_SOON_SECONDS: Final = 600.0
_FULL_SHARE: Final = 0.8
_GIB: Final = 1024**3


def flood_bytes_per_second(rate_per_second: float) -> float:
    """The most that so many calls a second can store."""
    return rate_per_second * (TOKEN_BYTES + RECORD_OVERHEAD_BYTES)


def check_rates(configuration: Configuration) -> Iterator[Finding]:
    """How long a flood needs, at the most that one merchant's route accepts, to fill a partition."""
    limits = configuration.ingest
    wanted = {topic.name: topic for topic, _, _ in configuration.wanted_topics().values()}
    used = [topics.notifications(one) for one in provider_names() if configuration.merchants_of(one)]
    bounds = [int(wanted[name].kafka_settings().get("retention.bytes", -1)) for name in used]
    limited = [bound for bound in bounds if bound > 0]
    if limited:
        seconds = min(limited) / flood_bytes_per_second(limits.rate_per_second)
        what = f"at its full rate one merchant's route fills a partition of its topic in {seconds / 60:.0f} min"
        if seconds < _SOON_SECONDS:
            yield Finding(
                "floods",
                "warning",
                f"{what}: sooner than an alert is answered",
                "Lower ingest.rate_per_second, or raise the topic's retention_bytes.",
            )
        else:
            yield Finding("floods", "ok", f"{what}; then its oldest records are deleted")
    if configuration.sandbox:
        return
    if limits.address_rate_per_second is None:
        yield Finding(
            "floods",
            "warning",
            "no rate for each address: one caller can use up a merchant's rate, and genuine calls get 429",
            "Set ingest.address_rate_per_second.",
        )
    elif not limits.trusted_proxies:
        yield Finding(
            "floods",
            "skipped",
            f"no trusted_proxies: behind a proxy all calls come from one address and share "
            f"{limits.address_rate_per_second:g} a second",
            "Name your proxies in ingest.trusted_proxies, if there are any.",
        )


def check_disks(configuration: Configuration, client: Any) -> Iterator[Finding]:
    """Whether the topics that strangers can fill have a bound at the brokers, and how full they are."""
    names = [configuration.kafka.topic(one) for one in topics.filled_by_callers()]
    bounds = {
        name: int(topic.settings.get("retention.bytes", -1))
        for name, topic in inspect_topics(configuration, client).items()
        if name in names
    }
    unbounded = sorted(name for name, bound in bounds.items() if bound < 0)
    if unbounded:
        more = f" and {len(unbounded) - 1} more" if len(unbounded) > 1 else ""
        yield Finding(
            "floods",
            "warning",
            f"{unbounded[0]}{more} without retention.bytes: a flood of calls can fill the brokers' disks",
            "Run `paynotify topics apply`, or set retention_bytes in topics.overrides.",
        )
    sizes = largest_partitions(client, bounds)
    if bounds and not sizes:
        yield Finding("floods", "skipped", "sizes: this user is not allowed to DESCRIBE the cluster")
    for name, size in sorted(sizes.items()):
        bound = bounds[name]
        if 0 < bound * _FULL_SHARE <= size:
            yield Finding(
                "floods",
                "warning",
                f"{name}: its largest partition has {size / _GIB:.2g} GiB, and from {bound / _GIB:.2g} GiB on its "
                "oldest records are deleted, read or not",
                "Find out who calls so often; give the topic more retention_bytes if they are genuine.",
            )
