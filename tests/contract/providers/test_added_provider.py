"""A provider is added by its own folder and one line of the registry; nothing else names it.

Toypay is in tests/fakes/toy_provider. It is registered for these tests only, and a payment of it is taken through
everything that the product does with a provider.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import orjson
import pytest
import yaml
from prometheus_client import CollectorRegistry

from helm.generate import CHART, with_groups
from helm.generate import topics as chart_topics
from paynotify.ingest.app import Ingress
from paynotify.ingest.limits import Slots
from paynotify.ingest.metrics import IngestMetrics
from paynotify.ingest.notification import RecordHeaders
from paynotify.ingest.record_group import Told
from paynotify.ops.main import main
from paynotify.processors.metrics import Metrics
from paynotify.processors.providers.recovery import lookup_key, recovery_lookup
from paynotify.processors.providers.registry import provider_specs
from paynotify.processors.runtime.failpoints import ignore
from paynotify.processors.runtime.stage import BatchContext, StageSpec
from paynotify.processors.wiring import StageSelection, build_stages
from paynotify.schemas.configuration.load import parse
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.errors import ConfigurationError
from paynotify.schemas.generate.json_schema import documents
from paynotify.schemas.ingress import RequestOutcome
from paynotify.schemas.messages import PaymentStatus, decode
from paynotify.schemas.providers import PROVIDER_PACKAGES, provider_names, registered
from paynotify.schemas.records import Output, Record
from paynotify.schemas.topics import all_topics
from tests.fakes.gateway import World, json_answer, serving, world
from tests.fakes.stages import NothingExpected, empty
from tests.fakes.toy_provider.provider import signature
from tests.fakes.webhook_caller import call_ingress

CONFIGURATION: Final = """
sandbox: true
merchants:
  - {{id: shop-toy, provider: toypay, base_url: "{url}", keys: [{{value: toy-key}}], expected: optional}}
worker: {{duplicate_window_seconds: {{toypay: 30}}, calls_per_second: {{toypay: 2}}}}
"""
BODY: Final = b"payment=toy-1&signature=" + signature("toy-1", "toy-key").encode()
PAYMENT: Final = {"id": "toy-1", "order": "ORD-1", "state": "paid", "amount": 1050, "currency": "EUR"}


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    with registered("tests.fakes.toy_provider"):
        yield
    assert "toypay" not in provider_names()


def configured(url: str = "https://toy.example") -> Configuration:
    return parse(CONFIGURATION.format(url=url), "toy.yaml")


class Stored:
    """The ingress's log: what a call became."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def publish(self, topic: str, key: bytes, value: bytes, headers: RecordHeaders, told: Told) -> bool:
        self.records.append(Record(topic, 0, 0, key, value, tuple(headers), 1_780_000_000.0))
        told(True)
        return True


def received(configuration: Configuration, path: str, body: bytes) -> list[Record]:
    """The records of one call of the ingress."""
    stored = Stored()
    metrics = IngestMetrics(provider_names(), tuple(outcome.value for outcome in RequestOutcome))
    ingress = Ingress(configuration, stored, Slots(1), metrics)

    assert call_ingress(ingress, path, body=[body]).told()[0] == 200
    return stored.records


async def processed(specs: Sequence[StageSpec], records: Sequence[Record]) -> list[Record]:
    """The records that the first stage publishes for these."""
    early: list[Output] = []

    async def publish(outputs: Sequence[Output]) -> None:
        early.extend(outputs)

    outputs = await specs[0].stage.process(BatchContext(records, empty(), publish))
    return [_record(offset, one) for offset, one in enumerate((*early, *outputs))]


def _record(offset: int, output: Output) -> Record:
    return Record(output.topic, 0, offset, output.key, output.value, tuple(output.headers), 1_780_000_000.0)


def stages(configuration: Configuration, here: World) -> dict[str, tuple[StageSpec, ...]]:
    calls = replace(here.call_context(), max_response_bytes=1 << 20)
    return build_stages(configuration, StageSelection(), Metrics(CollectorRegistry()), calls, NothingExpected(), ignore)


async def test_payment_goes_through_all_stages() -> None:
    async with serving(json_answer(json.dumps(PAYMENT))) as gateway, world() as here:
        configuration = configured(gateway.url)
        specs = stages(configuration, here)
        notifications = received(configuration, "/notifications/toypay/shop-toy", BODY)
        assert [(one.topic, one.key) for one in notifications] == [("notifications.toypay", b"shop-toy/toy-1")]
        lookups = await processed(specs["verify.toypay"], notifications)
        assert [(one.topic, one.key) for one in lookups] == [("lookups.toypay", b"shop-toy/toy-1")]
        responses = await processed(specs["fetch.toypay"], lookups)
        assert [(one.topic, one.key) for one in responses] == [("responses.toypay", b"shop-toy/toy-1")]
        assert [one.path for one in gateway.seen] == ["/payments/toy-1"]
        observations = await processed(specs["interpret.toypay"], responses)
        results = await processed(specs["resolve"], observations)
    event = decode(next(one.value for one in results if one.topic == "payments.status"), PaymentStatus)
    assert (event.provider, event.merchant, event.payment_id) == ("toypay", "shop-toy", "toy-1")
    assert (event.status, event.order_id, event.fulfilment) == ("captured", "ORD-1", "release")


async def test_forged_notification_is_rejected() -> None:
    async with world() as here:
        configuration = configured()
        forged = received(configuration, "/notifications/toypay/shop-toy", b"payment=toy-1&signature=00")
        (rejected,) = await processed(stages(configuration, here)["verify.toypay"], forged)
    assert (rejected.topic, rejected.header("reason")) == ("notifications.rejected", "bad_signature")


def test_configuration_topics_and_settings_know_the_provider() -> None:
    configuration = configured()
    worker = configuration.worker
    assert (worker.duplicate_window("toypay"), worker.call_rate("toypay")) == (30.0, 2.0)
    assert worker.overdue.poll_schedule("toypay") == (30.0, 300.0)
    names = {topic.name for topic in all_topics()}
    assert {"notifications.toypay", "lookups.toypay", "lookups.toypay.retry.5", "responses.toypay"} <= names
    assert "paynotify.verify.toypay-state-changelog" in configuration.wanted_topics()


def test_wrong_merchant_section_is_refused_with_its_line() -> None:
    with pytest.raises(ConfigurationError, match=r"toy\.yaml, line 4: merchants\[0\] lacks the key keys"):
        parse(CONFIGURATION.format(url="https://toy.example").replace("keys: [{value: toy-key}], ", ""), "toy.yaml")


def test_contract_documents_have_its_route_and_operation() -> None:
    files = {name: orjson.loads(content) for name, content in documents().items()}
    assert "/notifications/toypay/{merchant}" in files["openapi.json"]["paths"]
    assert "toy-payment" in files["Lookup.json"]["properties"]["operation"]["x-extensible-enum"]
    assert files["topics.json"]["lookups.toypay"]["value"] == "Lookup.json"


def test_overdue_payment_has_a_recovery_lookup() -> None:
    (merchant,) = configured().merchants
    lookup = recovery_lookup(merchant, order_id="ORD-1", payment_id="toy-1", lookup_cause="overdue", at="")
    assert lookup is not None
    assert (lookup.operation, lookup.reference, lookup_key(lookup)) == ("toy-payment", "toy-1", b"shop-toy/toy-1")


def test_inspect_judges_its_captured_calls(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "toy.yaml").write_text(CONFIGURATION.format(url="https://toy.example"), "utf-8")
    (tmp_path / "call").write_bytes(BODY)
    words = ["--provider", "toypay", "--merchant", "shop-toy"]
    assert main(["inspect", "--config", str(tmp_path / "toy.yaml"), *words, str(tmp_path / "call")]) == 0
    judged = json.loads(capsys.readouterr().out)
    assert (judged["verdict"], judged["lookup"]["reference"]) == ("authentic", "toy-1")


def test_doctor_checks_its_secrets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "toy.yaml").write_text(CONFIGURATION.format(url="https://toy.example"), "utf-8")
    assert main(["doctor", "--config", str(tmp_path / "toy.yaml"), "--offline"]) == 0
    assert "secrets of shop-toy: 1 readable" in capsys.readouterr().out


def test_chart_has_its_topics_and_its_group_of_workers() -> None:
    values = yaml.safe_load(with_groups((CHART / "values.yaml").read_text("utf-8")))
    assert values["workers"]["toypay"] == {
        "providers": ["toypay"],
        "stages": ["verify", "fetch", "interpret"],
        "replicas": 1,
    }
    assert "notifications.toypay" in {one["name"] for one in yaml.safe_load(chart_topics())["topics"]}


def test_registry_has_one_package_for_each_provider() -> None:
    assert provider_names() == (*(package.rpartition(".")[2] for package in PROVIDER_PACKAGES), "toypay")
    assert list(provider_specs()) == list(provider_names())
