"""Batches in every codec a producer may choose, on every topic a stage reads."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Final

import pytest

from paynotify.schemas import messages
from paynotify.schemas.topics import RETRY_STEPS
from tests.fakes import configurations
from tests.fakes.observations import notification_headers, observation, trustpayments_form
from tests.integration.conftest import Installation
from tests.topics_reader import Records, header, payments, send_all

pytestmark = pytest.mark.kafka

CODECS: Final = (None, "gzip", "snappy", "lz4", "zstd")
EACH: Final = 4
ENDS: Final = ("notifications.rejected", "lookups.dead")
PROVIDERS: Final = tuple(merchant["provider"] for merchant in configurations.merchants())
SOURCES: Final = (
    *(f"notifications.{provider}" for provider in PROVIDERS),
    *(f"lookups.{provider}" for provider in PROVIDERS),
    *(f"lookups.{provider}.retry.{step}" for provider in PROVIDERS for step in range(1, RETRY_STEPS + 1)),
    *(f"responses.{provider}" for provider in PROVIDERS),
    "observations",
)


def inputs(installation: Installation, codec: str | None) -> dict[str, Records]:
    """For each source some garbage; for two of them also what leads to a result."""
    made = {
        source: [(b"k", b"garbage " * 40, {"ce_id": f"{source}/{codec}/{n}"}) for n in range(EACH)]
        for source in SOURCES
    }
    made["notifications.trustpayments"] += [
        (
            f"shop-uk/1-1-{n}".encode(),
            trustpayments_form(f"1-1-{n}", f"{codec}-{n}"),
            notification_headers("trustpayments", "shop-uk", f"form/{codec}/{n}"),
        )
        for n in range(EACH)
    ]
    made["observations"] += [
        (f"shop-uk/{codec}-{n}".encode(), messages.encode(observation(f"{codec}-{n}")), {"ce_id": f"o/{codec}/{n}"})
        for n in range(EACH)
    ]
    return {installation.topic(name): records for name, records in made.items()}


def test_codec_is_read_on_every_input(installation: Installation) -> None:
    for codec in CODECS:
        asyncio.run(send_all(installation.kafka, inputs(installation, codec), codec))
    worker = installation.worker()
    # garbage and what leads to a result both end on a topic; the lookups made here wait for their unreachable provider
    installation.until(lambda: sum(map(installation.count, ENDS)) >= EACH * len(CODECS) * len(SOURCES), worker)
    installation.until(lambda: installation.count("payments.status") >= EACH * len(CODECS), worker)
    installation.until(lambda: installation.count("lookups.trustpayments") >= EACH * len(CODECS) * 3, worker)

    ended = installation.records(*ENDS)
    found = Counter(header(record, "ce_id").rpartition("/")[0] for record in ended)
    wanted = {f"{source}/{codec}": EACH for source in SOURCES for codec in CODECS}
    assert {name: found[name] for name in wanted} == wanted
    assert len(payments(installation.records("payments.status"))) == EACH * len(CODECS)
    assert worker.stop() == 0
