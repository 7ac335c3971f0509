"""The schemas of the custom kinds that the chart renders; ``python -m tests.helm.crd_schemas`` generates them again.

They come from the releases that the projects publish as Go modules (all Apache-2.0), reduced to what a validator
needs: no descriptions, and unknown fields are errors. KEDA's definition leaves the metadata of
triggers open: the keys for Kafka come from the same module. Strimzi publishes no such module; its two kinds are written
by hand in ``strimzi.yaml``, after its reference.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Final

import yaml

FOLDER: Final = Path(__file__).parent / "crds"

#: Module and version → files with definitions, and the kinds' versions wanted of them (none: all that are served).
SOURCES: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "github.com/kedacore/keda/v2@v2.21.0": {
        "config/crd/bases/keda.sh_scaledobjects.yaml": ("v1alpha1",),
        "config/crd/bases/keda.sh_triggerauthentications.yaml": ("v1alpha1",),
    },
    "github.com/prometheus-operator/prometheus-operator@v0.85.0": {
        f"example/prometheus-operator-crd/monitoring.coreos.com_{kind}.yaml": ("v1",)
        for kind in ("podmonitors", "servicemonitors", "prometheusrules")
    },
    "sigs.k8s.io/gateway-api@v1.6.0": {
        "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml": ("v1", "v1beta1"),
    },
    "github.com/external-secrets/external-secrets@v1.3.2": {
        "config/crds/bases/external-secrets.io_externalsecrets.yaml": ("v1", "v1beta1"),
    },
    "github.com/cilium/cilium@v1.18.0": {
        "pkg/k8s/apis/cilium.io/client/crds/v2/ciliumnetworkpolicies.yaml": ("v2",),
    },
}
_TRIGGERS: Final = "schema/generated/scalers-schema.json"
_SAID_BY_OTHERS: Final = ("description", "status")


def load() -> dict[tuple[str, str], dict[str, Any]]:
    """Every known schema by apiVersion and kind."""
    known = {}
    for path in sorted(FOLDER.glob("*.json")):
        document = json.loads(path.read_text("utf-8"))
        known[document["apiVersion"], document["kind"]] = document["schema"]
    for document in yaml.safe_load((FOLDER / "strimzi.yaml").read_text("utf-8")):
        for version in document["versions"]:
            known[f"kafka.strimzi.io/{version}", document["kind"]] = document["schema"]
    return known


def generate() -> None:
    """Generate the folder's files again."""
    for module, files in SOURCES.items():
        output = subprocess.run(("go", "mod", "download", "-json", module), check=True, capture_output=True, text=True)
        directory = Path(json.loads(output.stdout)["Dir"])
        for file, versions in files.items():
            definition = yaml.safe_load((directory / file).read_text("utf-8"))["spec"]
            for version in definition["versions"]:
                if version["name"] in versions:
                    _write(module, directory, definition, version)


def _write(module: str, directory: Path, definition: dict[str, Any], version: dict[str, Any]) -> None:
    kind, group = definition["names"]["kind"], definition["group"]
    schema = strict(version["schema"]["openAPIV3Schema"], top=True)
    if kind == "ScaledObject":
        schema["properties"]["spec"]["properties"]["triggers"]["items"]["properties"] |= _of_kafka(directory)
    made = {"from": module, "apiVersion": f"{group}/{version['name']}", "kind": kind, "schema": schema}
    path = FOLDER / f"{group}_{version['name']}_{kind.lower()}.json"
    path.write_text(json.dumps(made, sort_keys=True, separators=(",", ":")) + "\n", "utf-8")


def _of_kafka(directory: Path) -> dict[str, Any]:
    """What a trigger for Kafka, the only one the chart makes, may say beside its authentication."""
    scalers = json.loads((directory / _TRIGGERS).read_text("utf-8"))["scalers"]
    (kafka,) = (one["parameters"] for one in scalers if one["type"] == "kafka")
    said = [one for one in kafka if one.get("metadataVariableReadable")]
    properties = {
        one["name"]: {key: value for key, value in (("type", "string"), ("enum", one.get("allowedValue"))) if value}
        for one in said
    }
    needed = [one["name"] for one in said if not one.get("optional") and "default" not in one]
    metadata = {"type": "object", "additionalProperties": False, "properties": properties, "required": needed}
    return {"type": {"const": "kafka"}, "metadata": metadata}


def strict(schema: Any, *, top: bool = False) -> Any:
    """An OpenAPI schema as JSON Schema in which unknown fields are errors, as a strict server's are."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "properties":
            wanted = {name: one for name, one in value.items() if not (top and name in _SAID_BY_OTHERS)}
            made[key] = {name: strict(one) for name, one in wanted.items()}
        elif key == "pattern":
            made[key] = value.replace("^(?i)", "(?i)^")  # Go's regular expressions may turn a flag on anywhere
        elif key not in ("description", "default", "format", "example") and not key.startswith("x-kubernetes-"):
            made[key] = strict(value)
    open_ended = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if schema.get("type") == "object" and "properties" in made and not open_ended:
        made["additionalProperties"] = False
    if top:
        made["properties"]["metadata"] = {"type": "object"}
    return made


if __name__ == "__main__":
    generate()
