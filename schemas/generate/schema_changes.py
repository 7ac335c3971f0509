"""What a JSON Schema allows that another one does not: why a change of a message breaks who reads or writes it.

A reader breaks if it gets what the earlier schema did not allow, a writer if what the earlier one allowed is refused.
A field that is gone breaks both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

Schema = Mapping[str, Any]

#: Who uses the schema, seen from paynotify: it writes the output, others write the input.
Direction = Literal["output", "input"]

#: They say nothing about which values are allowed.
_PROSE: Final = frozenset(
    {"title", "description", "examples", "$schema", "$id", "$comment", "x-extensible-enum", "x-template"}
)

#: They allow less the greater, or the smaller, their number is.
_LOWER: Final = frozenset({"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"})
_UPPER: Final = frozenset({"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"})

#: They allow less than nothing of the kind; two different ones can't be compared.
_SAME: Final = frozenset({"format", "pattern", "contentMediaType", "multipleOf", "uniqueItems"})

_STRUCTURE: Final = frozenset(
    {
        "$ref",
        "allOf",
        "anyOf",
        "type",
        "enum",
        "const",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "default",
    }
)

_KNOWN: Final = _PROSE | _LOWER | _UPPER | _SAME | _STRUCTURE


@dataclass(frozen=True, slots=True)
class SchemaPair:
    """The same place of two documents. ``wide`` must allow all that ``narrow`` does."""

    before: Schema
    after: Schema
    documents: tuple[Schema, Schema]
    direction: Direction
    place: str

    @property
    def wide(self) -> Schema:
        return self.before if self.direction == "output" else self.after

    @property
    def narrow(self) -> Schema:
        return self.after if self.direction == "output" else self.before

    def within(self, name: str, before: Schema, after: Schema) -> SchemaPair:
        """The pair of a part."""
        return SchemaPair(before, after, self.documents, self.direction, f"{self.place}/{name}")


def schema_changes(pair: SchemaPair) -> Iterator[str]:
    """Each change that breaks, as a sentence that begins with its place.

    Raises:
        ValueError: a schema has a keyword that is not compared; it would be a change that nobody sees.
    """
    documents = pair.documents
    befores, afters = (
        tuple(_alternatives(one, root)) for one, root in zip((pair.before, pair.after), documents, strict=True)
    )
    yield from _default_changes(pair)
    wide, narrow = (befores, afters) if pair.direction == "output" else (afters, befores)
    for one in narrow:
        allowing = [other for other in wide if _fits_type(one, other)]
        if not allowing:
            yield f"{pair.place} {_can_be(pair)} {_type_of(one)}"
            continue
        found = [list(_kept(pair, one, other)) for other in allowing]
        yield from min(found, key=len)


def _kept(pair: SchemaPair, narrow: Schema, wide: Schema) -> Iterator[str]:
    """The changes between two alternatives of one type."""
    before, after = (wide, narrow) if pair.direction == "output" else (narrow, wide)
    part = SchemaPair(before, after, pair.documents, pair.direction, pair.place)
    yield from _word_changes(part)
    yield from _limit_changes(part)
    yield from _field_changes(part)
    for name in ("items", "additionalProperties"):
        yield from _inner_changes(part, name)


def _word_changes(pair: SchemaPair) -> Iterator[str]:
    allowed, possible = _words(pair.wide), _words(pair.narrow)
    if allowed is None:
        return
    if possible is None:
        yield f"{pair.place} {_can_be(pair)} any {_type_of(pair.narrow)}"
        return
    for word in possible:
        if word not in allowed:
            yield f"{pair.place} {_can_be(pair)} {word!r}"


def _limit_changes(pair: SchemaPair) -> Iterator[str]:
    for name, value in pair.wide.items():
        other = pair.narrow.get(name)
        if (
            (name in _SAME and other != value)
            or (name in _LOWER and (other is None or other < value))
            or (name in _UPPER and (other is None or other > value))
        ):
            yield f"{pair.place} has another {name}: {pair.before.get(name)!r}, now {pair.after.get(name)!r}"


def _field_changes(pair: SchemaPair) -> Iterator[str]:
    before, after = pair.before.get("properties", {}), pair.after.get("properties", {})
    for name in before:
        if name in after:
            yield from schema_changes(pair.within(name, before[name], after[name]))
        else:
            yield f"{pair.place}/{name} is gone"
    always = pair.narrow.get("required", ())
    for name in pair.wide.get("required", ()):
        if name not in always:
            word = "is not always there any more" if pair.direction == "output" else "is required now"
            yield f"{pair.place}/{name} {word}"
    if pair.wide.get("additionalProperties") is False:
        known = pair.wide.get("properties", {})
        yield from (
            f"{pair.place}/{name} is not allowed" for name in pair.narrow.get("properties", {}) if name not in known
        )


def _inner_changes(pair: SchemaPair, name: str) -> Iterator[str]:
    """Of the elements of a list, or the values of a mapping."""
    wide, narrow = pair.wide.get(name), pair.narrow.get(name)
    if wide is None or wide is True or narrow is False:
        return
    if wide is False or not isinstance(narrow, Mapping):
        yield f"{pair.place} has other {name}"
        return
    yield from schema_changes(pair.within(name, pair.before[name], pair.after[name]))


def _default_changes(pair: SchemaPair) -> Iterator[str]:
    """A field that is left out means its default, to readers and to paynotify."""
    if "default" in pair.before and pair.before["default"] != pair.after.get("default"):
        yield f"{pair.place} has another default: {pair.before['default']!r}, now {pair.after.get('default')!r}"


def _alternatives(schema: Schema, document: Schema) -> Iterator[Schema]:
    """The schemas of which a value must fit one, without references and without alternatives of their own."""
    unknown = schema.keys() - _KNOWN
    if unknown:
        raise ValueError(f"the comparison does not know {', '.join(sorted(unknown))}: add it to {__name__}")
    if "$ref" in schema:
        yield from _alternatives(_resolved(schema["$ref"], document), document)
    elif "anyOf" in schema:
        for one in schema["anyOf"]:
            yield from _alternatives(one, document)
    elif "allOf" in schema:
        (only,) = schema["allOf"]  # a reference with a meaning beside it
        yield from _alternatives(only, document)
    elif isinstance(schema.get("type"), list):
        yield from ({**schema, "type": one} for one in schema["type"])
    else:
        yield schema


def _resolved(reference: str, document: Schema) -> Schema:
    found: Any = document
    for name in reference.removeprefix("#/").split("/"):
        found = found[name]
    assert isinstance(found, Mapping)
    return found


def _words(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    words: list[Any] | None = schema.get("enum")
    return words


def _type_of(schema: Schema) -> str:
    if "type" in schema:
        return str(schema["type"])
    words = _words(schema)
    return "string" if words and all(isinstance(word, str) for word in words) else "anything"


def _fits_type(narrow: Schema, wide: Schema) -> bool:
    one, other = _type_of(narrow), _type_of(wide)
    return one == other or other == "anything" or (one, other) == ("integer", "number")


def _can_be(pair: SchemaPair) -> str:
    return "can be" if pair.direction == "output" else "can't be"
