"""What of the chart is made from the product: topics, the schema of its values, dashboards, and its README's table.

``python -m helm.generate`` writes the files anew; a test fails when they differ, so the chart can't fall behind.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from helm.dashboards import dashboards
from helm.values import SecretKey, Values
from schemas.configuration.model import Configuration
from schemas.topics import RETRY_STEPS, all_topics

CHART: Final = Path(__file__).parent / "paynotify"

#: What the chart fills in by itself, from ``kafkaAccess`` or from the pod.
_NOT_IN_VALUES: Final = {
    "Configuration": ("state_directory",),
    "KafkaSettings": ("sasl_plain_username", "sasl_plain_password", "ssl_cafile", "ssl_certfile", "ssl_keyfile"),
    "WorkerSettings": ("group_instance_id",),
}
#: What is written where a secret is wanted.
_REFERENCE: Final = "{existingSecret: NAME, key: KEY}"
#: A host, or an address of the sixth version, with its port.
_BROKER: Final = r"(\[[0-9a-fA-F:.]+\]|[^\[\]\s,:/]+):[1-9][0-9]{0,4}"
_HEAD: Final = "# Made by `make schemas` from schemas/topics.py; change it there.\n"
_MARK: Final = ("<!-- values: made by `make schemas` -->\n", "<!-- end of values -->\n")


def documents() -> dict[Path, str]:
    """Every made file with its content."""
    readme = CHART / "README.md"
    return {
        **{CHART / "dashboards" / name: content for name, content in dashboards().items()},
        CHART / "files" / "topics.yaml": topics(),
        CHART / "values.schema.json": json.dumps(schema(), indent=1, sort_keys=True) + "\n",
        readme: _between_marks(readme.read_text("utf-8"), table((CHART / "values.yaml").read_text("utf-8"))),
    }


def topics() -> str:
    """The product's table of topics, for templates."""
    rows = [
        {
            "name": topic.name,
            "holds": topic.holds,
            "retention_seconds": topic.retention_seconds,
            "compacted": topic.compacted,
            "settings": dict(topic.settings),
            "follows": topic.follows,
        }
        for topic in all_topics()
    ]
    return _HEAD + yaml.safe_dump({"topics": rows}, sort_keys=False, width=120)


def schema() -> dict[str, Any]:
    """The JSON Schema of the values, in what Helm's validator reads and answers with a helpful sentence."""
    _, parts = msgspec.json.schema_components([Values, SecretKey], ref_template="#/$defs/{name}")
    _, product = msgspec.json.schema_components([Configuration], ref_template="#/$defs/product.{name}")
    for name, left_out in _NOT_IN_VALUES.items():
        for key in left_out:
            del product[name]["properties"][key]
    product["SecretRef"] = {"$ref": "#/$defs/SecretKey"}
    # what values.yaml has a default for is missing only where a person has set it to nothing
    product["Configuration"]["required"] = ["kafka", "merchants", "topics"]
    product["KafkaSettings"]["required"] = ["bootstrap_servers", "security_protocol"]
    parts |= _defaults(parts)
    product["KafkaSettings"]["properties"]["bootstrap_servers"]["pattern"] = rf"^{_BROKER}(,\s*{_BROKER})*$"
    # the one key whose null means something else than its absence
    forgotten = product["RetentionSettings"]["properties"]["delete_after_days"]
    (number,) = (one for one in forgotten.pop("anyOf") if one["type"] != "null")
    forgotten.update(number, type=["number", "null"])
    delays = product["WorkerSettings"]["properties"]["retry_delays_seconds"]
    delays["minItems"] = delays["maxItems"] = RETRY_STEPS
    parts["Values"]["properties"]["configuration"] = {"$ref": "#/$defs/product.Configuration"}
    # Helm itself takes away a group that is set to null only if the chart has it, not one of an earlier values file
    groups = parts["Values"]["properties"]["workers"]
    groups["additionalProperties"] = {"if": {"type": "null"}, "else": groups["additionalProperties"]}
    parts["Values"]["properties"]["global"] = {"type": "object"}  # Helm adds it to charts within charts
    definitions = {**parts, **{f"product.{name}": part for name, part in product.items()}}
    plain = {name: _plain(part) for name, part in definitions.items()}
    # a group leaves out an amount that all groups have
    for amount in plain["Amounts"]["properties"].values():
        amount["type"].append("null")
    for name in ("SecretKey", "CertificateAuthority"):
        plain[name] = _or_else("object", plain[name], f"{_REFERENCE}, never what is in it")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Values of paynotify's chart",
        "$ref": "#/$defs/Values",
        "$defs": plain,
    }


def _defaults(parts: dict[str, Any]) -> dict[str, Any]:
    """The sections of which a group may leave out any key, as ``workerDefaults`` must have them: whole."""
    names = ("WorkerDefaults", "State", "WorkerScaling")
    whole = {name: copy.deepcopy(parts[name]) for name in names}
    for part in whole.values():
        part["required"] = sorted(part["properties"])
    for key, name in (("state", "State"), ("autoscaling", "WorkerScaling")):
        whole["WorkerDefaults"]["properties"][key] = {"$ref": f"#/$defs/Default{name}"}
    return {"WorkerDefaults": whole["WorkerDefaults"], **{f"Default{name}": whole[name] for name in names[1:]}}


def _plain(part: Any) -> Any:
    """A schema without what templates don't need, and with sentences that name what is allowed."""
    if isinstance(part, list):
        return [_plain(one) for one in part]
    if not isinstance(part, dict):
        return part
    made = {key: _plain(value) for key, value in part.items() if key not in ("default", "title", "description")}
    if "properties" in part:
        made["properties"] = {name: _plain(one) for name, one in part["properties"].items()}
    if "pattern" in made:
        made["pattern"] = made["pattern"].replace(r"\Z", "$")  # Go's word for the end
    if "anyOf" in made:
        made = _one_of(made)
    if not made.get("required", True):
        del made["required"]
    if made.get("items") == {"$ref": "#/$defs/product.SecretRef"}:
        return _or_else("array", made, f"a list, such as [{_REFERENCE}], never what is in it")
    return _closed(made)


def _or_else(kind: str, part: dict[str, Any], sentence: str) -> dict[str, Any]:
    """What is of the kind, told by the sentence if it is of another: "got string, want object" tells nobody what to
    write instead of a password. The validator repeats the sentence and not what was written."""
    return {"if": {"type": kind}, "then": part, "else": {"const": sentence}}


def _closed(part: dict[str, Any]) -> dict[str, Any]:
    """An object whose wrong keys are refused at their own place, by a value that none of them has: the sentence. With
    ``propertyNames`` Helm 4.3 names any other section instead, and Helm 3.19 no place at all."""
    if "propertyNames" in part:
        pattern = part.pop("propertyNames")["pattern"]
        part["patternProperties"] = {pattern: part["additionalProperties"]}
        part["additionalProperties"] = {"const": f"absent: a name here matches {pattern}"}
    elif part.get("additionalProperties") is False:
        part["additionalProperties"] = {"const": f"absent: the keys here are {', '.join(sorted(part['properties']))}"}
    return part


def _one_of(part: dict[str, Any]) -> dict[str, Any]:
    """Alternatives, told apart so that an error names the right one's. A key set to null is no key for Helm."""
    choices = [one for one in part["anyOf"] if one != {"type": "null"}]
    rest = {key: value for key, value in part.items() if key not in ("anyOf", "discriminator")}
    if len(choices) == 1:
        return {**rest, **choices[0]}
    if "discriminator" not in part:
        return {**rest, **_either(choices)}
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


def _either(choices: list[dict[str, Any]]) -> dict[str, Any]:
    """Alternatives of several types as one: what is wrong is then said once, and of the type that was written."""
    made: dict[str, Any] = {"type": [one["type"] for one in choices]}
    for one in choices:
        limits = {key: value for key, value in one.items() if key != "type"}
        assert not made.keys() & limits.keys(), "a limit for two types"
        made |= limits
    return made


def table(text: str) -> str:
    """The README's table, out of the comments of ``values.yaml``."""
    lines = ["| key | meaning | default |", "| --- | --- | --- |"]
    values = yaml.safe_load(text)
    for path, meaning in documented(text):
        default = values
        for key in path:
            default = default[key]
        shown = json.dumps(default, ensure_ascii=False) if default not in ("", {}, []) else ""
        cell = meaning.replace("|", "\\|")
        lines.append(f"| `{'.'.join(path)}` | {cell} | {f'`{shown}`' if shown else ''} |")
    return "\n".join(lines) + "\n"


def documented(text: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """The keys that carry a comment, with it."""
    path: list[str] = []
    meaning: str | None = None
    for line in text.splitlines():
        comment = re.match(r"\s*# -- (.*)", line)
        key = re.match(r"( *)([A-Za-z_]\w*):", line)
        if comment:
            meaning = comment[1]
        elif meaning is not None and (more := re.match(r"\s*# (.*)", line)):
            meaning += " " + more[1]
        elif key:
            path[len(key[1]) // 2 :] = [key[2]]
            if meaning is not None:
                yield tuple(path), meaning
            meaning = None


def _between_marks(text: str, content: str) -> str:
    before, _, rest = text.partition(_MARK[0])
    _, _, after = rest.partition(_MARK[1])
    return f"{before}{_MARK[0]}\n{content}\n{_MARK[1]}{after}"


def write() -> None:
    """Write the files anew."""
    for path, content in documents().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, "utf-8")


if __name__ == "__main__":
    write()
