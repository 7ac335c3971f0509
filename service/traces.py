"""Traces: whether the environment asks for spans, and which notifications have any.

Spans are exported by OpenTelemetry's OTLP. The environment decides, by the variables that OpenTelemetry itself defines
(docs/operations/traces.md). By default there are none: no library is imported then, and whatever could record a span
has None in its place.

Which notifications are traced depends on the trace id alone, so that every process decides the same without being told.
A caller's wish to be traced counts nowhere: anybody may call.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from paynotify.schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from paynotify.service.span_exporter import SpanExporter

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_ALWAYS: Final = "parentbased_always_on"
#: The share of each sampler; None where OTEL_TRACES_SAMPLER_ARG says it. The parent of a call is its caller, who has no
#: say in it: ``parentbased_…`` is what it is for a call without a parent.
_SAMPLERS: Final[Mapping[str, float | None]] = {
    "always_on": 1.0,
    "always_off": 0.0,
    "traceidratio": None,
    _ALWAYS: 1.0,
    "parentbased_always_off": 0.0,
    "parentbased_traceidratio": None,
}

#: Of ``00-<trace id>-<span id>-<flags>``: the lower half of the trace id, and the digit with the sampled flag.
_LOWER_HALF: Final = slice(19, 35)
_LENGTH: Final = 55
_SAMPLED: Final = b"13579bdf"


@dataclass(frozen=True, slots=True)
class TraceSampling:
    """Which trace ids are traced: those whose lower half, as a number, is below ``bound``; as OpenTelemetry's
    ``traceidratio`` has it."""

    bound: int

    @staticmethod
    def of(share: float) -> TraceSampling:
        """The sampling of this share of all traces."""
        return TraceSampling(round(share * 2**64))

    def takes(self, traceparent: bytes) -> bool:
        """Whether the trace is one of those, and its flag does not say that it is not."""
        if len(traceparent) != _LENGTH or traceparent[-1] not in _SAMPLED:
            return False
        try:
            return int(traceparent[_LOWER_HALF], 16) < self.bound
        except ValueError:
            return False


def open_traces(process: str, environment: Mapping[str, str] = os.environ) -> SpanExporter | None:
    """What exports the process's spans; None if the environment asks for none.

    Raises:
        ConfigurationError: it asks for something that does not exist, or the libraries are missing.
    """
    if not _wanted(environment):
        return None
    share = sampled_share(environment)
    if not share:
        return None
    try:
        from paynotify.service.span_exporter import SpanExporter
    except ImportError as error:
        raise ConfigurationError(
            f"The environment asks for traces (OTEL_…), and {error.name} is not installed. Install "
            "`paynotify[tracing]`, or set OTEL_TRACES_EXPORTER=none."
        ) from None
    return SpanExporter(process, TraceSampling.of(share))


def _wanted(environment: Mapping[str, str]) -> bool:
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if exporter not in ("", "otlp", "none"):
        raise ConfigurationError(f"OTEL_TRACES_EXPORTER must be otlp or none, got {exporter!r}.")
    if exporter == "none" or not (exporter or any(environment.get(name) for name in _ENDPOINTS)):
        return False
    protocol = next((text for name in _PROTOCOLS if (text := environment.get(name, "").strip())), "http/protobuf")
    if protocol != "http/protobuf":
        raise ConfigurationError(f"{_PROTOCOLS[1]} must be http/protobuf (port 4318 of a collector), got {protocol!r}.")
    return True


def sampled_share(environment: Mapping[str, str]) -> float:
    """The share of notifications that are traced, by OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG.

    Raises:
        ConfigurationError: there is no such sampler, or its argument is no share.
    """
    sampler = environment.get("OTEL_TRACES_SAMPLER", "").strip().lower() or _ALWAYS
    if sampler not in _SAMPLERS:
        raise ConfigurationError(f"OTEL_TRACES_SAMPLER must be one of {', '.join(_SAMPLERS)}, got {sampler!r}.")
    share = _SAMPLERS[sampler]
    if share is not None:
        return share
    text = environment.get("OTEL_TRACES_SAMPLER_ARG", "").strip() or "1"
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0.0 <= share <= 1.0:
        raise ConfigurationError(f"OTEL_TRACES_SAMPLER_ARG must be a share from 0 to 1, such as 0.01, got {text!r}.")
    return share
