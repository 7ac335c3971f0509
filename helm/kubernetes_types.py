"""Kubernetes' own types, where the values take them as they are: network policy peers, tolerations, affinity.

Their schemas are those of the Kubernetes API, as ``kubernetes-validate`` ships them. They catch misspelt keys and wrong
types; everything else about them is the API server's to refuse.
"""

from __future__ import annotations

import importlib.resources
import json
from typing import Annotated, Any, Final, TypeAlias

from msgspec import Meta

#: The newest Kubernetes the chart supports.
_VERSION: Final = "v1.37.0"
_REFERENCE: Final = "#/$defs/"
_PREFIX: Final = "kubernetes."


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"{_REFERENCE}{_PREFIX}{name}"}


Affinity: TypeAlias = Annotated[dict[str, Any], Meta(extra_json_schema=_reference("Affinity"))]
EgressRule: TypeAlias = Annotated[dict[str, Any], Meta(extra_json_schema=_reference("NetworkPolicyEgressRule"))]
Peer: TypeAlias = Annotated[dict[str, Any], Meta(extra_json_schema=_reference("NetworkPolicyPeer"))]
Toleration: TypeAlias = Annotated[dict[str, Any], Meta(extra_json_schema=_reference("Toleration"))]

_ROOTS: Final = (
    "io.k8s.api.core.v1.Affinity",
    "io.k8s.api.core.v1.Toleration",
    "io.k8s.api.networking.v1.NetworkPolicyEgressRule",
    "io.k8s.api.networking.v1.NetworkPolicyPeer",
)


def definitions() -> dict[str, Any]:
    """The schemas of these types and of all they refer to, by name (``kubernetes.Affinity``).

    Raises:
        ModuleNotFoundError: the development dependency ``kubernetes-validate`` is not installed.
    """
    folder = importlib.resources.files("kubernetes_validate") / "kubernetes-json-schema" / f"{_VERSION}-local-strict"
    known = json.loads((folder / "_definitions.json").read_text("utf-8"))["$defs"]
    found: dict[str, Any] = {}
    pending = list(_ROOTS)
    while pending:
        name = pending.pop()
        short = _short(name)
        if short not in found:
            found[short] = _simplified(known[name], pending)
    return found


def _short(name: str) -> str:
    return _PREFIX + name.rpartition(".")[2]


def _simplified(part: Any, pending: list[str]) -> Any:
    """The schema with short references, without nulls and without Kubernetes' own annotations; the full names that it
    refers to are appended to ``pending``."""
    if isinstance(part, list):
        return [_simplified(one, pending) for one in part if one != "null"]
    if not isinstance(part, dict):
        return part
    if "oneOf" in part:  # the one alternative in these types: IntOrString
        return {"type": [kind for one in part["oneOf"] for kind in one["type"] if kind != "null"]}
    simple = {
        key: _simplified(value, pending)
        for key, value in part.items()
        if key not in ("description", "format") and not key.startswith("x-kubernetes-")
    }
    if isinstance(simple.get("$ref"), str):
        name = simple["$ref"].removeprefix(_REFERENCE)
        pending.append(name)
        simple["$ref"] = _REFERENCE + _short(name)
    if isinstance(simple.get("type"), list) and len(simple["type"]) == 1:
        simple["type"] = simple["type"][0]
    return simple
