"""One notification from the call to the result, as the spans that a receiver of OTLP got from real processes."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator
from typing import Any, Final

import pytest

from paynotify.sandbox.processes import Child, wait_for
from paynotify.sandbox.system import Plan, Sandbox
from paynotify.schemas import topics
from tests import topics_reader
from tests.fakes.otlp_receiver import OtlpReceiver, ReceivedSpan, otlp_receiver

pytestmark = pytest.mark.kafka

DEADLINE_SECONDS: Final = 40.0
STAGES: Final = ("verify", "fetch", "interpret", "resolve")
ORDER: Final = "ORD-4711-of-jane"
OPENMETRICS: Final = "application/openmetrics-text"
EXEMPLAR: Final = re.compile(r'# \{span_id="[0-9a-f]{16}",trace_id="[0-9a-f]{32}"\}')


@pytest.fixture(scope="module")
def receiver() -> Iterator[OtlpReceiver]:
    with otlp_receiver() as running:
        yield running


@pytest.fixture(scope="module")
def sandbox(kafka: str, receiver: OtlpReceiver) -> Iterator[Sandbox]:
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "200"}
    merchants = {"trustpayments": ("shop-uk",)}
    with Sandbox(Plan(kafka=kafka, merchants=merchants, consumers=False, environment=environment)) as running:
        yield running


def _until(condition: Any) -> Any:
    found = wait_for(condition, within_seconds=DEADLINE_SECONDS, every=0.1)
    assert found
    return found


def _links(span: ReceivedSpan) -> set[str]:
    return {trace for trace, _ in span.links}


def test_spans_of_a_notification_lead_from_the_call_to_the_result(sandbox: Sandbox, receiver: OtlpReceiver) -> None:
    payment = sandbox.providers["trustpayments"].pay(order_id=ORDER, amount=1250)
    status = sandbox.topic(topics.STATUS)
    (event, *_) = _until(lambda: topics_reader.whole(sandbox.bootstrap, status))
    trace, parent = topics_reader.header(event, "traceparent").split("-")[1:3]

    def batches() -> dict[str, ReceivedSpan]:
        found = {one.attributes["paynotify.stage"]: one for one in receiver.spans if one.name.startswith("process ")}
        return found if set(STAGES) <= set(found) else {}

    stages = _until(batches)
    (call,) = [
        one
        for one in _until(lambda: receiver.named("POST /notifications/{provider}/{merchant}"))
        if one.span_id == parent
    ]
    assert (call.service, call.trace_id, call.parent_id) == ("paynotify-ingest", trace, "")
    assert call.attributes["http.response.status_code"] == 200
    (stored,) = [one for one in receiver.spans if one.parent_id == call.span_id]
    assert stored.name.startswith("send ")
    for name in STAGES:
        assert trace in _links(stages[name]), f"{name} does not link to the call"
        assert stages[name].service == "paynotify-worker"
    asked = [one for one in receiver.spans if one.name == "trustpayments lookups"]
    assert any(one.parent_id == stages["fetch"].span_id and trace in _links(one) for one in asked)
    published = {one.parent_id for one in receiver.named("send outputs")}
    assert {stages[name].span_id for name in STAGES} <= published

    wire = b"".join(receiver.raw)
    assert not [text for text in (ORDER, payment, "password", "responsesitesecurity") if text.encode() in wire]


def _metrics(child: Child, accept: str) -> str:
    port = child.wait_for_event("management_listening", within_seconds=DEADLINE_SECONDS)["port"]
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"accept": accept})
    with urllib.request.urlopen(request) as answer:
        text: str = answer.read().decode()
        return text


@pytest.mark.parametrize("metric", ["paynotify_receive_to_result_seconds", "paynotify_fetch_seconds"])
def test_histograms_name_the_traces_of_what_they_measured(sandbox: Sandbox, metric: str) -> None:
    (worker,) = sandbox.workers
    measured = [one for one in _metrics(worker, OPENMETRICS).splitlines() if one.startswith(f"{metric}_bucket")]
    assert any(EXEMPLAR.search(one) for one in measured), measured
    assert "trace_id" not in _metrics(worker, "text/plain"), "only OpenMetrics has exemplars"


def test_ingress_names_the_traces_of_what_it_stored(sandbox: Sandbox) -> None:
    assert sandbox.ingest is not None
    lines = _metrics(sandbox.ingest, OPENMETRICS).splitlines()
    measured = [one for one in lines if one.startswith("paynotify_ingest_publish_seconds_bucket")]
    assert any(EXEMPLAR.search(one) for one in measured), measured
