"""Builds ``values.schema.json``: the JSON Schema of the chart's values.

It is written for Helm's validator (JSON Schema 2020-12 in Go), so that each mistake is reported once, at its own key,
with what is allowed there, and never with the value that was given: it may be a secret.
"""

from __future__ import annotations

import copy
from typing import Any, Final

import msgspec

from helm import kubernetes_types
from helm.kafka_values import SecretKey
from helm.value_rules import PAIRS, RULES, needs_providers, paired
from helm.values import PROVIDER_STAGES, Values
from paynotify.schemas.configuration.model import configuration_type
from paynotify.schemas.providers import provider_contracts
from paynotify.schemas.topics import RETRY_STEPS

#: Keys of the product's file that the chart sets itself, from ``kafkaAccess`` or from the pod.
_SET_BY_CHART: Final = {
    "Configuration": ("state_directory",),
    "KafkaSettings": ("sasl_plain_username", "sasl_plain_password", "ssl_cafile", "ssl_certfile", "ssl_keyfile"),
    "OAuthSettings": ("client_id", "client_secret", "ca_file", "token_file"),
    "WorkerSettings": ("group_instance_id",),
}
_REFERENCE_EXAMPLE: Final = "{existingSecret: NAME, key: KEY}"
#: A host or an IPv6 address in brackets, and its port.
_BROKER: Final = r"(\[[0-9a-fA-F:.]+\]|[^\[\]\s,:/]+):[1-9][0-9]{0,4}"


def schema() -> dict[str, Any]:
    """The JSON Schema of the values."""
    definitions = {**_chart(), **_product(), **kubernetes_types.definitions()}
    readable = {name: _readable(part) for name, part in definitions.items()}
    # a group may switch off a resource that ``workerDefaults`` sets
    for amount in readable["Amounts"]["properties"].values():
        amount["type"].append("null")
    for name, pairs in PAIRS.items():
        readable[name] |= paired(pairs)
    readable["Group"] |= needs_providers(PROVIDER_STAGES)
    for name in ("SecretKey", "CertificateAuthority"):
        readable[name] = _only("object", readable[name], f"{_REFERENCE_EXAMPLE}, never what is in it")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Values of paynotify's chart",
        "$ref": "#/$defs/Values",
        "allOf": list(RULES),
        "$defs": readable,
    }


def _chart() -> dict[str, Any]:
    """The definitions of the chart's own sections, by name."""
    _, parts = msgspec.json.schema_components([Values, SecretKey], ref_template="#/$defs/{name}")
    definitions: dict[str, Any] = {**parts, **_complete_defaults(parts)}
    properties = definitions["Values"]["properties"]
    properties["configuration"] = {"$ref": "#/$defs/product.Configuration"}
    properties["global"] = {"type": "object"}  # Helm adds it to subcharts
    # Helm removes a group set to null only if values.yaml has it, not if an earlier values file does
    groups = properties["workers"]
    groups["additionalProperties"] = {"if": {"type": "null"}, "else": groups["additionalProperties"]}
    return definitions


def _product() -> dict[str, Any]:
    """The definitions of the product's configuration, without the keys that the chart sets itself."""
    _, product = msgspec.json.schema_components([configuration_type()], ref_template="#/$defs/product.{name}")
    for name, keys in _SET_BY_CHART.items():
        for key in keys:
            del product[name]["properties"][key]
    product["SecretRef"] = {"$ref": "#/$defs/SecretKey"}
    # values.yaml has defaults for these keys, so they are missing only if they were set to null
    product["Configuration"]["required"] = ["kafka", "merchants", "topics"]
    product["KafkaSettings"]["required"] = ["bootstrap_servers", "security_protocol"]
    product["KafkaSettings"]["properties"]["bootstrap_servers"]["pattern"] = rf"^{_BROKER}(,\s*{_BROKER})*$"
    # the only key for which null means something else than its absence
    delete_after = product["RetentionSettings"]["properties"]["delete_after_days"]
    (number,) = (one for one in delete_after.pop("anyOf") if one["type"] != "null")
    delete_after.update(number, type=["number", "null"])
    _close_provider_settings(product)
    delays = product["WorkerSettings"]["properties"]["retry_delays_seconds"]
    delays["minItems"] = delays["maxItems"] = RETRY_STEPS
    return {f"product.{name}": part for name, part in product.items()}


def _close_provider_settings(product: dict[str, Any]) -> None:
    """Limit the keys of each setting by provider to the providers that have it."""
    contracts = provider_contracts()
    for section, key, names in (
        (
            "WorkerSettings",
            "duplicate_window_seconds",
            [name for name, one in contracts.items() if one.duplicate_window_seconds is not None],
        ),
        (
            "WorkerSettings",
            "calls_per_second",
            [name for name, one in contracts.items() if one.calls_per_second is not None],
        ),
        ("OverdueSettings", "poll_schedule_seconds", list(contracts)),
    ):
        setting = product[section]["properties"][key]
        setting["properties"] = dict.fromkeys(names, setting["additionalProperties"])
        setting["additionalProperties"] = False


def _complete_defaults(parts: dict[str, Any]) -> dict[str, Any]:
    """``workerDefaults`` and its sections must be complete; a group may leave out any of their keys."""
    names = ("WorkerDefaults", "State", "WorkerScaling")
    complete = {name: copy.deepcopy(parts[name]) for name in names}
    for part in complete.values():
        part["required"] = sorted(part["properties"])
    for key, name in (("state", "State"), ("autoscaling", "WorkerScaling")):
        complete["WorkerDefaults"]["properties"][key] = {"$ref": f"#/$defs/Default{name}"}
    return {"WorkerDefaults": complete["WorkerDefaults"], **{f"Default{name}": complete[name] for name in names[1:]}}


def _readable(part: Any) -> Any:
    """The schema without what the validator does not need, and with errors that name what is allowed."""
    if isinstance(part, list):
        return [_readable(one) for one in part]
    if not isinstance(part, dict):
        return part
    result = {key: _readable(value) for key, value in part.items() if key not in ("default", "title", "description")}
    if "properties" in part:
        result["properties"] = {name: _readable(one) for name, one in part["properties"].items()}
    if isinstance(result.get("pattern"), str):
        result["pattern"] = result["pattern"].replace(r"\Z", "$")  # Go's regular expressions have no \Z
    if "anyOf" in result:
        result = _alternatives(result)
    if not result.get("required", True):
        del result["required"]
    if result.get("items") == {"$ref": "#/$defs/product.SecretRef"}:
        return _only("array", result, f"a list, such as [{_REFERENCE_EXAMPLE}], never what is in it")
    return _without_unknown_keys(result)


def _only(kind: str, part: dict[str, Any], sentence: str) -> dict[str, Any]:
    """The schema for a value of this JSON type; a value of any other type is refused with the sentence.

    The validator's own text, "got string, want object", does not say what to write instead of a password.
    """
    return {"if": {"type": kind}, "then": part, "else": {"const": sentence}}


def _without_unknown_keys(part: dict[str, Any]) -> dict[str, Any]:
    """Refuses an unknown key at its own place, by a ``const`` that no value has: the sentence to print.

    With ``propertyNames`` Helm 4.3 reports another section, and Helm 3.19 no place at all.
    """
    if "propertyNames" in part:
        pattern = part.pop("propertyNames")["pattern"]
        part["patternProperties"] = {pattern: part["additionalProperties"], **part.get("patternProperties", {})}
        part["additionalProperties"] = {"const": f"absent: a name here matches {pattern}"}
    elif part.get("additionalProperties") is False:
        part["additionalProperties"] = {"const": f"absent: the keys here are {', '.join(sorted(part['properties']))}"}
    return part


def _alternatives(part: dict[str, Any]) -> dict[str, Any]:
    """Alternatives distinguished by type or tag, so that an error concerns the intended one only."""
    choices = [one for one in part["anyOf"] if one != {"type": "null"}]  # Helm removes keys that are null
    rest = {key: value for key, value in part.items() if key not in ("anyOf", "discriminator")}
    if len(choices) == 1:
        return {**rest, **choices[0]}
    if "discriminator" not in part:
        return {**rest, **_merged_types(choices)}
    tag, mapping = part["discriminator"]["propertyName"], part["discriminator"]["mapping"]
    return {
        **rest,
        "type": "object",
        "required": [tag],
        "properties": {tag: {"enum": sorted(mapping)}},
        "allOf": [
            {
                "if": {"properties": {tag: {"const": word}}, "required": [tag]},
                "then": {"$ref": reference},
            }
            for word, reference in mapping.items()
        ],
    }


def _merged_types(choices: list[dict[str, Any]]) -> dict[str, Any]:
    """Alternatives of different JSON types as one schema: their limits do not meet."""
    merged: dict[str, Any] = {"type": [one["type"] for one in choices]}
    for one in choices:
        limits = {key: value for key, value in one.items() if key != "type"}
        assert not merged.keys() & limits.keys(), "a limit for two types"
        merged |= limits
    return merged
