"""Which part of the work a worker process does, and what it needs for that."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from paynotify.ops.replay.original import money_moving_topics, replay_targets
from paynotify.processors.metrics import Metrics
from paynotify.processors.orders.expectation_cache import ExpectedPayments
from paynotify.processors.runtime.failpoints import ignore
from paynotify.processors.runtime.stage import BatchContext, StageSpec
from paynotify.processors.state import timer_queue
from paynotify.processors.state.memory_store import MemoryStore
from paynotify.processors.state.overlay import Overlay
from paynotify.processors.state.timer_queue import Timer
from paynotify.processors.wiring import StageSelection, build_stages
from paynotify.schemas import messages
from paynotify.schemas.configuration.load import load
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.errors import SecretError
from paynotify.schemas.messages import PaymentStatus, TimeReached
from tests.fakes import configurations
from tests.fakes.observations import observation
from tests.fakes.stages import call_context, empty, record, refuse_publish


def specs_of(configuration: Configuration, selection: StageSelection) -> dict[str, tuple[StageSpec, ...]]:
    metrics = Metrics(CollectorRegistry())
    return build_stages(configuration, selection, metrics, call_context(), cast(ExpectedPayments, None), ignore)


def stages(selection: StageSelection, readable: str, directory: Path) -> set[str]:
    """The stages of a process in which only the secrets of ``readable``'s merchants are there."""
    merchants = configurations.merchants()
    for merchant in merchants:
        if merchant["provider"] != readable:
            for key in ("signing_keys", "notification_passwords", "password", "api_key"):
                if key in merchant:
                    missing: Any = {"file": str(directory / "missing")}
                    merchant[key] = [missing] if isinstance(merchant[key], list) else missing
    document = configurations.document("127.0.0.1:1", "", directory, merchants=merchants)
    configuration = load(configurations.write(directory, document))
    return set(specs_of(configuration, selection))


COMMON = {"resolve", "orders", "charge"}


@pytest.mark.parametrize("provider", ["omnikassa", "trustpayments", "nevogate"])
def test_process_of_one_provider_needs_no_other_providers_secrets(provider: str, tmp_path: Path) -> None:
    own = {f"verify.{provider}", f"fetch.{provider}", f"interpret.{provider}"}
    assert stages(StageSelection(providers=[provider]), provider, tmp_path) == own | COMMON
    assert stages(StageSelection(providers=[provider], stages=["fetch"]), provider, tmp_path) == {f"fetch.{provider}"}


def test_stages_of_all_providers_need_no_secret(tmp_path: Path) -> None:
    assert stages(StageSelection(stages=["resolve", "orders"]), "none", tmp_path) == {"resolve", "orders"}


def test_missing_secret_is_reported_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="missing"):
        stages(StageSelection(), "nevogate", tmp_path)


def test_dead_letters_of_every_source_can_be_replayed_unless_they_move_money(tmp_path: Path) -> None:
    configuration = load(configurations.write(tmp_path, configurations.document("127.0.0.1:1", "", tmp_path)))
    specs = [spec for group in specs_of(configuration, StageSelection()).values() for spec in group]
    sources = {source for spec in specs for source in spec.sources}
    assert sources <= replay_targets(configuration.kafka).keys() | money_moving_topics(configuration.kafka)


@pytest.mark.parametrize(("release_on", "fulfilment"), [("captured", "hold"), ("authorised", "release")])
async def test_resolve_releases_at_authorisation_what_the_merchant_wants(
    tmp_path: Path, release_on: str, fulfilment: str
) -> None:
    document = configurations.document("127.0.0.1:1", "", tmp_path)
    document["merchants"][1]["release_on"] = release_on
    (spec,) = specs_of(load(configurations.write(tmp_path, document)), StageSelection(stages=["resolve"]))["resolve"]
    one = observation("p1", "authorised", secured=True)
    batch = [record(messages.encode(one), {"ce_id": "o"}, key=b"shop-uk/p1", topic="observations")]
    event, *_ = await spec.stage.process(BatchContext(batch, empty(), refuse_publish))
    assert messages.decode(event.value, PaymentStatus).fulfilment == fulfilment


def test_resolve_looks_at_as_many_payments_together_as_their_provider_allows(tmp_path: Path) -> None:
    document = configurations.document("127.0.0.1:1", "", tmp_path)
    document["worker"] = {"settlement": {"gather_seconds": 0}}
    (spec,) = specs_of(load(configurations.write(tmp_path, document)), StageSelection(stages=["resolve"]))["resolve"]
    assert spec.timers is not None
    store, overlay = MemoryStore(), Overlay(None)
    for merchant in ("shop-uk", "shop-hu", "shop-nl"):
        for number in range(150):
            timer_queue.add(overlay, Timer(f"settlement/{merchant}", 1000, f"{merchant}/{number}"))
    store.write(overlay.changes, 1)
    times = [messages.decode(one.value, TimeReached) for one in spec.timers.due_records(2, store)]
    sizes = {lane: [len(one.names) for one in times if one.lane == lane] for lane in {one.lane for one in times}}
    assert sizes["settlement/shop-uk"] == [100, 50]
    assert set(sizes["settlement/shop-hu"]) == {1}
    assert set(sizes) == {"settlement/shop-uk", "settlement/shop-hu"}, "OmniKassa's page tells of everything"
    assert len(sizes["settlement/shop-hu"]) <= 3600 // 60, "no more than a minute's share at once"
