"""Reusable types of the chart's values: names, ports, quantities, CIDRs, labels."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

Count: TypeAlias = Annotated[int, Meta(ge=1)]
Port: TypeAlias = Annotated[int, Meta(ge=1, le=65535)]
Share: TypeAlias = Annotated[float, Meta(gt=0, le=1)]
Positive: TypeAlias = Annotated[float, Meta(gt=0)]
#: The name of a Kubernetes object.
Name: TypeAlias = Annotated[str, Meta(pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")]
#: The name of a Kubernetes object, or an empty string.
OptionalName: TypeAlias = Annotated[str, Meta(pattern=r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?)?$")]
#: A key of a Secret.
Key: TypeAlias = Annotated[str, Meta(pattern=r"^[-._a-zA-Z0-9]{1,253}$")]
_TOO_FEW_BYTES: Final = {
    "if": {"type": "integer", "maximum": 64 * 2**20 - 1},
    "then": {"const": "a number with its unit, such as 512Mi or 5Gi"},
}
#: A number of bytes: with a unit of megabytes or more, or written out, and then at least 64 MiB. ``512`` would be 512
#: bytes, but whoever writes it means ``512Mi``.
Bytes: TypeAlias = (
    Annotated[str, Meta(pattern=r"^[0-9]+(\.[0-9]+)?(M|G|T|Mi|Gi|Ti)$")]
    | Annotated[int, Meta(extra_json_schema=_TOO_FEW_BYTES)]
)
#: ``500m`` or ``0.5``; at most three digits of whole CPUs, since ``2000`` is ``2000m`` without its unit.
Cpus: TypeAlias = (
    Annotated[str, Meta(pattern=r"^([0-9]{1,3}(\.[0-9]+)?|[0-9]+m)$")] | Annotated[float, Meta(gt=0, le=256)]
)
#: A host name. Its last label is never a number, so no IP address passes.
Host: TypeAlias = Annotated[
    str, Meta(pattern=r"^(\*\.)?([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)+[a-z][-a-z0-9]{0,61}[a-z0-9]$", max_length=253)
]
_BYTE: Final = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
Cidr: TypeAlias = Annotated[
    str,
    Meta(
        pattern=rf"^({_BYTE}(\.{_BYTE}){{3}}/(3[0-2]|[12]?[0-9])"
        r"|[0-9a-fA-F]{0,4}(:[0-9a-fA-F]{0,4}){2,7}/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))$"
    ),
]
Duration: TypeAlias = Annotated[str, Meta(pattern=r"^([0-9]+(h|m|s))+$")]
#: The name of a label or annotation, optionally prefixed with a domain.
LabelName: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"),
]
LabelValue: TypeAlias = Annotated[str, Meta(pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$")]
NodeLabels: TypeAlias = dict[LabelName, LabelValue]


def _reserved(pattern: str) -> Meta:
    """Forbids the names that match: the chart sets them itself, and a second one would win over it."""
    return Meta(extra_json_schema={"patternProperties": {pattern: {"const": "absent: the chart sets it itself"}}})


#: Selectors would not find the pods if a value replaced these labels.
Labels: TypeAlias = Annotated[dict[LabelName, LabelValue], _reserved(r"^(app\.kubernetes\.io|helm\.sh)/")]
Annotations: TypeAlias = dict[LabelName, str]
PodAnnotations: TypeAlias = Annotated[dict[LabelName, str], _reserved("^checksum/configuration$")]
#: Groups whose objects would be named like other objects of the chart.
_TAKEN: Final = "^(ingest|topics|doctor|tools|console|worker|deny|dashboards|ingest-metrics)$"
#: For the map of groups, so that its names collide with nothing else of the chart.
NO_TAKEN_NAMES: Final = Meta(
    extra_json_schema={"patternProperties": {_TAKEN: {"const": "absent: another part of the chart has this name"}}}
)


class ValuesSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Unknown keys are errors everywhere, as in the product's configuration."""
