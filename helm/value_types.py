"""What the values' words are made of: names, amounts, addresses, and the sections they stand in."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

Count: TypeAlias = Annotated[int, Meta(ge=1)]
Port: TypeAlias = Annotated[int, Meta(ge=1, le=65535)]
PortName: TypeAlias = Annotated[str, Meta(pattern=r"^[-a-z0-9]{1,15}$")]
Share: TypeAlias = Annotated[float, Meta(gt=0, le=1)]
Positive: TypeAlias = Annotated[float, Meta(gt=0)]
#: Of an object of the cluster, as a DNS label.
Name: TypeAlias = Annotated[str, Meta(pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")]
#: An object of the cluster that need not be.
NameOrNone: TypeAlias = Annotated[str, Meta(pattern=r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?)?$")]
Key: TypeAlias = Annotated[str, Meta(pattern=r"^[-._a-zA-Z0-9]{1,253}$")]
#: An amount of bytes.
Quantity: TypeAlias = Annotated[str, Meta(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$")] | Count
Cpus: TypeAlias = Annotated[str, Meta(pattern=r"^[0-9]+(\.[0-9]+)?m?$")] | Positive
#: The last label is never a number, so an address is none.
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
#: The name of a label or annotation, perhaps with a domain before it.
Tag: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"),
]
Labels: TypeAlias = dict[Tag, Annotated[str, Meta(pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$")]]
Annotations: TypeAlias = dict[Tag, str]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Unknown keys are errors everywhere, as in the product's configuration."""


class Requirement(Section, frozen=True, kw_only=True):
    key: Tag
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: list[str] | UnsetType = UNSET


class Selector(Section, frozen=True, kw_only=True):
    match_labels: Labels | UnsetType = UNSET
    match_expressions: list[Requirement] | UnsetType = UNSET
