"""Kubernetes' own types, where the values take them as they are: network policy peers, tolerations, volumes.

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


def _taken(key: str, pattern: str, sentence: str) -> dict[str, Any]:
    """Forbids values of the key that would replace what the chart itself puts into a pod."""
    return {"properties": {key: {"if": {"pattern": pattern}, "then": {"const": sentence}}}}


Affinity: TypeAlias = Annotated[dict[str, Any], Meta(extra_json_schema=_reference("Affinity"))]
DnsConfig: TypeAlias = Annotated[dict[str, Any], Meta(extra_json_schema=_reference("PodDNSConfig"))]
EgressRule: TypeAlias = Annotated[dict[str, Any], Meta(extra_json_schema=_reference("NetworkPolicyEgressRule"))]
Peer: TypeAlias = Annotated[dict[str, Any], Meta(extra_json_schema=_reference("NetworkPolicyPeer"))]
Toleration: TypeAlias = Annotated[dict[str, Any], Meta(extra_json_schema=_reference("Toleration"))]
Variable: TypeAlias = Annotated[
    dict[str, Any],
    Meta(
        extra_json_schema=_reference("EnvVar")
        | _taken(
            "name",
            "^(PAYNOTIFY_CONFIG|PYTHONDONTWRITEBYTECODE|POD_NAME|KAFKA_USERNAME)$",
            "a name that the chart does not set itself",
        )
    ),
]
Volume: TypeAlias = Annotated[
    dict[str, Any],
    Meta(
        extra_json_schema=_reference("Volume")
        | _taken(
            "name",
            "^(configuration|tmp|state|kafka-token|secret-[0-9]+)$",
            "a name that no volume of the chart has, such as company-ca",
        )
    ),
]
VolumeMount: TypeAlias = Annotated[
    dict[str, Any],
    Meta(
        extra_json_schema=_reference("VolumeMount")
        | _taken(
            "mountPath",
            "^(/etc/paynotify|/run/secrets/(paynotify|kafka)|/var/lib/paynotify|/opt/paynotify|/tmp/*$|/*$)",
            "a path where the chart mounts nothing and the image has nothing, such as /etc/company-ca",
        )
    ),
]

_ROOTS: Final = (
    "io.k8s.api.core.v1.Affinity",
    "io.k8s.api.core.v1.EnvVar",
    "io.k8s.api.core.v1.PodDNSConfig",
    "io.k8s.api.core.v1.Toleration",
    "io.k8s.api.core.v1.Volume",
    "io.k8s.api.core.v1.VolumeMount",
    "io.k8s.api.networking.v1.NetworkPolicyEgressRule",
    "io.k8s.api.networking.v1.NetworkPolicyPeer",
)

#: The kinds of volumes that Pod Security's `restricted` admits; of the others none is of use to the product.
_VOLUMES: Final = ("configMap", "csi", "downwardAPI", "emptyDir", "persistentVolumeClaim", "projected", "secret")


def definitions() -> dict[str, Any]:
    """The schemas of these types and of all they refer to, by name (``kubernetes.Affinity``).

    Raises:
        ModuleNotFoundError: the development dependency ``kubernetes-validate`` is not installed.
    """
    folder = importlib.resources.files("kubernetes_validate") / "kubernetes-json-schema" / f"{_VERSION}-local-strict"
    known = json.loads((folder / "_definitions.json").read_text("utf-8"))["$defs"]
    volume = known["io.k8s.api.core.v1.Volume"]
    volume["properties"] = {key: volume["properties"][key] for key in ("name", *_VOLUMES)}
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
