"""Traces are off unless the environment asks for them, and the trace id alone decides what is traced."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from paynotify.schemas.errors import ConfigurationError
from paynotify.schemas.traceparent import new_traceparent
from paynotify.service.span_exporter import SpanExporter
from paynotify.service.traces import TraceSampling, open_traces, sampled_share
from tests.fakes.otlp_receiver import otlp_receiver

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_TRACES_EXPORTER": "none", **ENDPOINT},
        {"OTEL_SDK_DISABLED": "true", **ENDPOINT},
        {"OTEL_TRACES_SAMPLER": "always_off", **ENDPOINT},
        {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0", **ENDPOINT},
        {"OTEL_SERVICE_NAME": "shop"},
    ],
)
def test_traces_are_off_unless_they_are_asked_for(environment: dict[str, str]) -> None:
    assert open_traces("worker", environment) is None


@pytest.mark.parametrize(
    "environment",
    [
        ENDPOINT,
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9/v1/traces"},
        {"OTEL_TRACES_EXPORTER": "otlp"},
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", **ENDPOINT},
    ],
)
def test_traces_are_on_where_they_are_asked_for(environment: dict[str, str]) -> None:
    exporter = open_traces("worker", environment)
    assert exporter is not None
    exporter.close()


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER must be otlp or none"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", **ENDPOINT}, "must be http/protobuf"),
        ({"OTEL_TRACES_SAMPLER": "jaeger_remote", **ENDPOINT}, "OTEL_TRACES_SAMPLER must be one of always_on"),
        (
            {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "1%", **ENDPOINT},
            "OTEL_TRACES_SAMPLER_ARG must be a share from 0 to 1",
        ),
        (
            {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "nan", **ENDPOINT},
            "OTEL_TRACES_SAMPLER_ARG must be a share from 0 to 1",
        ),
    ],
)
def test_wrong_settings_are_refused_and_named(environment: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        open_traces("worker", environment)


def test_without_traces_no_library_of_theirs_is_imported() -> None:
    program = (
        "import sys, paynotify.ingest.server, paynotify.processors.worker\n"
        "from paynotify.service.traces import open_traces\n"
        "assert open_traces('worker', {}) is None\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry', 'google.protobuf', 'requests'))])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "[]"


def test_share_of_trace_ids_is_traced_and_the_same_ones_everywhere() -> None:
    assert sampled_share({}) == 1.0
    sampling = TraceSampling.of(
        sampled_share({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"})
    )
    traced = sum(sampling.takes(new_traceparent().encode()) for _ in range(20_000))
    assert 1_600 < traced < 2_400
    low = b"00-" + b"f" * 16 + b"0" * 16 + b"-" + b"1" * 16
    assert sampling.takes(low + b"-01")
    assert not sampling.takes(low + b"-00"), "its flag says no"
    assert not TraceSampling.of(0.1).takes(b"00-" + b"f" * 32 + b"-" + b"1" * 16 + b"-01")
    assert not any(TraceSampling.of(1.0).takes(one) for one in (b"", b"x" * 55, b"x" * 54 + b"1", low))


def test_span_is_exported_with_its_parent_links_and_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with otlp_receiver() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
        exporter = SpanExporter("worker", TraceSampling.of(0.01))
        linked = exporter.begin("linked", "server")
        unsampled = b"00-" + b"f" * 32 + b"-" + b"1" * 16 + b"-01"
        outer = exporter.begin("outer", "consumer", {"a": 1}, [linked.traceparent, unsampled, b"garbage"])
        outer.child("inner", "client").end({"paynotify.outcome": "unavailable"}, error="unavailable")
        outer.end()
        exporter.close()
    inner, made = receiver.spans
    assert (made.service, made.attributes, made.links) == (
        "paynotify-worker",
        {"a": 1},
        ((linked.exemplar["trace_id"], linked.exemplar["span_id"]),),
    )
    assert (inner.trace_id, inner.parent_id, inner.failed, made.failed) == (made.trace_id, made.span_id, True, False)
    assert exporter.sampling.takes(outer.traceparent), "other processes would not trace it"


def test_exporter_closes_in_time_and_drops_what_the_collector_does_not_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    exporter = SpanExporter("worker", TraceSampling.of(1.0))
    for _ in range(3_000):
        exporter.begin("lost", "server").end()
    began = time.monotonic()
    exporter.close()
    assert time.monotonic() - began < 10, "a worker that stops has 24 seconds for everything"
    assert [one.name for one in threading.enumerate() if one.name.startswith(("traces", "OtelBatch"))] == []
