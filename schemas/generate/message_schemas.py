"""The messages' types as JSON Schemas that refer to each other within one document."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

import msgspec

from paynotify.schemas.generate import markdown
from paynotify.schemas.generate.field_meanings import FIELD_MEANINGS
from paynotify.schemas.generate.record_headers import GROWING_LIST
from paynotify.schemas.providers import provider_operations

#: Fields whose lists of words grow within a version: consumers must take a word that they don't know. What it means to
#: them is in docs/reference/contract.md. All other lists are fixed.
GROWING_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "OverduePayment": ("reason",),
    "PaymentRequest": ("action", "reason"),
    "OperationsEvent": ("kind",),
    "NamedElement": ("reason",),
    "OperatorAction": ("command", "identity"),
    "Reconciliation": ("identity",),
    "Lookup": ("operation",),
}


Meaning: TypeAlias = Callable[[dict[str, Any], str | None], dict[str, Any]]


def component_schemas(kinds: Iterable[type[Any]]) -> dict[str, Any]:
    """The schemas of these types and of all types within them, by name, for ``components/schemas``."""
    return _described_types(kinds, "#/components/schemas/{name}", _with_meaning)


def definition_schemas(kind: type[Any]) -> dict[str, Any]:
    """The schemas of the type and of all types within it, by name, for ``definitions``; no ``$ref`` has siblings."""
    return _described_types([kind], "#/definitions/{name}", _with_meaning_beside)


def _described_types(kinds: Iterable[type[Any]], ref_template: str, with_meaning: Meaning) -> dict[str, Any]:
    found = sorted(set(kinds), key=lambda kind: kind.__name__)
    _, components = msgspec.json.schema_components(found, ref_template=ref_template)
    if "Lookup" in components:
        components["Lookup"]["properties"]["operation"] = {"enum": sorted(provider_operations())}
    return {name: _described(name, schema, with_meaning) for name, schema in sorted(components.items())}


def _described(name: str, schema: dict[str, Any], with_meaning: Meaning) -> dict[str, Any]:
    """The schema with its description as Markdown, the meaning of its fields, and its growing lists as such."""
    made = dict(schema)
    if "description" in made:
        made["description"] = markdown.of_docstring(made["description"])
    growing, meanings = GROWING_FIELDS.get(name, ()), FIELD_MEANINGS.get(name, {})
    made["properties"] = {
        field: with_meaning(_growing(form) if field in growing else _titled(form, name, field), meanings.get(field))
        for field, form in schema["properties"].items()
    }
    return made


def _titled(form: dict[str, Any], name: str, field: str) -> dict[str, Any]:
    """A list of words with a name, which code generators give its type; they would number it otherwise."""
    if "anyOf" in form:
        return {**form, "anyOf": [_titled(one, name, field) for one in form["anyOf"]]}
    if "enum" not in form:
        return form
    return {"title": name + "".join(word.capitalize() for word in field.split("_")), "type": "string", **form}


def _with_meaning_beside(form: dict[str, Any], meaning: str | None) -> dict[str, Any]:
    """The form with its meaning, but not of a reference: not every registry takes `allOf`."""
    return form if meaning is None or "$ref" in form else {"description": meaning, **form}


def _with_meaning(form: dict[str, Any], meaning: str | None) -> dict[str, Any]:
    """The form with its meaning. Beside a reference it would be ignored."""
    if meaning is None:
        return form
    return {"description": meaning, **({"allOf": [form]} if "$ref" in form else form)}


def _growing(form: dict[str, Any]) -> dict[str, Any]:
    """A list of words as text that names those of today."""
    if "anyOf" in form:
        return {**form, "anyOf": [_growing(one) for one in form["anyOf"]]}
    if "enum" not in form:
        return form
    others = {name: value for name, value in form.items() if name != "enum"}
    return {**others, "type": "string", GROWING_LIST: form["enum"]}
