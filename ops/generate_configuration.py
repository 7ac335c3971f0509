"""Writes ``docs/reference/configuration.md`` from the configuration's types: each key's meaning, type and default.

The meaning is the docstring under the key in its class. Run it with ``python -m paynotify.ops.generate_configuration``.
A unit test compares the page with the types.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.configuration.secrets import SecretRef
from paynotify.schemas.configuration.sections import Section
from paynotify.schemas.generate import markdown
from paynotify.schemas.providers import ProviderContract, provider_contracts

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "reference" / "configuration.md"

_INTRODUCTION: Final = """\
# Configuration

<!-- Generated from the types by `python -m paynotify.ops.generate_configuration`. Do not edit. -->

Every process and every command reads one YAML file: `--config FILE`, or the environment variable `PAYNOTIFY_CONFIG`.
Unknown keys, keys of earlier releases and wrong values are refused with their line.

A secret is a reference, never the secret itself: `{file: PATH}` or `{env: NAME}`. A changed file is read again within a
second. `{value: TEXT}` is allowed with `sandbox: true` only.

```yaml
kafka:
  bootstrap_servers: kafka-1:9092,kafka-2:9092
merchants:
  - id: shop-uk
    provider: trustpayments
    site_reference: shop12345
    notification_passwords: [{file: /run/secrets/notification-password}]
    webservices_url: https://webservices.securetrading.net/json/
    username: api@shop.example
    password: {file: /run/secrets/webservices-password}
```
"""
_HEADER: Final = ("key", "meaning", "type", "default")
_NAMES: Final[Mapping[type[Any], str]] = {
    msgspec.inspect.IntType: "integer",
    msgspec.inspect.FloatType: "number",
    msgspec.inspect.StrType: "text",
}
#: The upper limit of every number, which only excludes infinity; not shown.
_NO_LIMIT: Final = 1e9


def page() -> str:
    """The Markdown page."""
    contracts = provider_contracts()
    described: set[str] = set()
    parts = [_INTRODUCTION, *_sections(Configuration, "", "The top of the file", described)]
    parts += ["## Defaults by provider\n", *_provider_defaults(contracts)]
    for contract in contracts.values():
        parts += _sections(
            contract.merchant, "merchants[]", f"`merchants[]` with `provider: {contract.name}`", described
        )
    return "\n".join(parts).rstrip() + "\n"


def meanings(section: type[msgspec.Struct]) -> dict[str, str]:
    """The docstring under each key, also of the classes that the section inherits from."""
    found: dict[str, str] = {}
    for kind in reversed(section.__mro__):
        if issubclass(kind, Section) and kind is not Section:
            found |= _own_meanings(kind)
    return found


def _own_meanings(section: type[Section]) -> dict[str, str]:
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(section))).body
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for key, text in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(key, ast.AnnAssign) and isinstance(key.target, ast.Name) and isinstance(text, ast.Expr):
            found[key.target.id] = " ".join(str(ast.literal_eval(text.value)).split())  # a table row is one line
    return found


def _sections(section: type[msgspec.Struct], path: str, title: str, described: set[str]) -> Iterator[str]:
    """The section's table, then those of the sections below it that are not described yet: several providers' merchants
    have some in common."""
    yield f"## {title}\n"
    if path:
        yield f"{markdown.of_docstring(section.__doc__ or '')}\n"
    info = cast("msgspec.inspect.StructType", msgspec.inspect.type_info(section))
    texts = meanings(section)
    rows = ((f"`{one.name}`", texts[one.name], _type(one.type), _default(one)) for one in info.fields)
    yield from markdown.table(_HEADER, rows)
    yield ""
    below = [(kind, _joined(path, one.name + suffix)) for one in info.fields for kind, suffix in _structs(one.type)]
    for kind, at in below:
        if at != "merchants[]" and at not in described:  # each provider's section is described by itself
            described.add(at)
            yield from _sections(kind, at, f"`{at}`", described)


def _structs(kind: msgspec.inspect.Type) -> list[tuple[type[msgspec.Struct], str]]:
    """The sections in a key's value, each with what its path needs after the key."""
    if isinstance(kind, msgspec.inspect.StructType):
        return [] if kind.cls is SecretRef else [(kind.cls, "")]
    if isinstance(kind, msgspec.inspect.UnionType):
        return [one for member in kind.types for one in _structs(member)]
    if isinstance(kind, msgspec.inspect.VarTupleType):
        return [(one, "[]" + suffix) for one, suffix in _structs(kind.item_type)]
    if isinstance(kind, msgspec.inspect.DictType):
        return [(one, ".NAME" + suffix) for one, suffix in _structs(kind.value_type)]
    return []


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _type(kind: Any) -> str:
    if isinstance(kind, msgspec.inspect.UnionType):
        return " or ".join(_type(one) for one in kind.types if not isinstance(one, msgspec.inspect.NoneType))
    if isinstance(kind, msgspec.inspect.LiteralType):
        return ", ".join(f"`{one}`" for one in kind.values)
    if isinstance(kind, msgspec.inspect.VarTupleType):
        return f"list of {_plural(_type(kind.item_type))}" + (", not empty" if kind.min_length else "")
    if isinstance(kind, msgspec.inspect.DictType):
        return f"mapping of names to {_plural(_type(kind.value_type))}"
    if isinstance(kind, msgspec.inspect.StructType):
        return "secret" if kind.cls is SecretRef else "section"
    if isinstance(kind, msgspec.inspect.BoolType):
        return "`true` or `false`"
    return _NAMES[type(kind)] + _bounds(kind)


def _plural(words: str) -> str:
    if words.startswith("`"):
        return words  # of a closed list: the values themselves
    noun, comma, rest = words.partition(",")
    nouns = noun.replace("list", "lists", 1) if noun.startswith("list") else noun if noun == "text" else f"{noun}s"
    return nouns + comma + rest


def _bounds(kind: Any) -> str:
    """A number's limits, or a text's length."""
    words = (("ge", "from"), ("gt", "above"), ("le", "to"), ("lt", "below"), ("max_length", "at most"))
    limits = [(word, getattr(kind, name, None)) for name, word in words]
    texts = [f"{word} {_number(limit)}" for word, limit in limits if limit not in (None, _NO_LIMIT)]
    return f", {' '.join(texts)}" if texts else ""


def _default(field: msgspec.inspect.Field) -> str:
    if field.required:
        return "required"
    value = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    if value is None or value in ({}, (), "") or isinstance(value, Section):
        return ""
    return f"`{_value(value)}`"


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return _number(value) if isinstance(value, int | float) else str(value)


def _number(value: float) -> str:
    """Whole numbers without a point, small ones as they are written in the file."""
    return str(int(value)) if value == int(value) else repr(value)


def _provider_defaults(contracts: Mapping[str, ProviderContract]) -> Iterator[str]:
    yield "The defaults of a provider that the mappings of `worker` do not name.\n"
    header = ("provider", "`duplicate_window_seconds`", "`calls_per_second`", "`overdue.poll_schedule_seconds`")
    rows = (
        (
            one.name,
            _or(one.duplicate_window_seconds, "no duplicate window"),
            _or(one.calls_per_second, "no limit"),
            f"`{_value(one.poll_schedule_seconds)}`",
        )
        for one in contracts.values()
    )
    yield from markdown.table(header, rows)
    yield ""


def _or(value: float | None, none: str) -> str:
    return none if value is None else f"`{_value(value)}`"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
