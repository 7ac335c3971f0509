"""Every key of the configuration that is in effect, with its value and whether that is the default; without secrets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, cast
from urllib.parse import urlsplit

import msgspec

from paynotify.ops.console.installation.shown_texts import SHOWN_ORIGINS, SHOWN_TEXTS
from paynotify.schemas.configuration.merchants import Merchant, provider_of
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.configuration.secrets import SecretRef
from paynotify.schemas.configuration.sections import Section
from paynotify.schemas.providers import ProviderContract, provider_contracts

Origin = Literal["default", "set"]

NOT_SET: Final = "not set"
WITHHELD: Final = "set, not shown"
#: A configuration may name hundreds of subscriptions and grants.
MAX_KEYS: Final = 2000
#: Elements of a list that are shown.
_MAX_ELEMENTS: Final = 50


@dataclass(frozen=True, slots=True)
class EffectiveKey:
    """A key by its path from the top of the file; ``origin`` is ``set`` if its value is not the default."""

    path: str
    value: str
    origin: Origin


def installation_keys(configuration: Configuration) -> Iterator[EffectiveKey]:
    """The keys of everything but the merchants, in the order of the reference."""
    yield from _section(configuration, "", "")


def merchant_keys(merchant: Merchant) -> Iterator[EffectiveKey]:
    """The keys of one merchant's section."""
    yield EffectiveKey("provider", provider_of(merchant), "set")
    yield from _section(merchant, "", "merchants[]")


def _section(section: msgspec.Struct, path: str, pattern: str) -> Iterator[EffectiveKey]:
    """The section's keys. ``pattern`` is its path with ``[]`` and ``*`` for what has a name of its own."""
    info = cast("msgspec.inspect.StructType", msgspec.inspect.type_info(type(section)))
    for field in info.fields:
        at, kind = _joined(path, field.name), _joined(pattern, field.name)
        value = getattr(section, field.name)
        if kind == "merchants":
            continue
        if kind in _BY_PROVIDER:
            yield from _by_provider(at, value, _BY_PROVIDER[kind])
            continue
        is_shown = kind in SHOWN_TEXTS or _is_closed(field.type)
        yield from _keys(value, at, kind, "default" if value == _default_of(field) else "set", is_shown)


def _keys(value: Any, path: str, pattern: str, origin: Origin, is_shown: bool) -> Iterator[EffectiveKey]:
    """A key's value as one key, or the keys of the sections within it."""
    if isinstance(value, Section):
        yield from _section(value, path, pattern)
    elif isinstance(value, Mapping) and value:
        for name, one in value.items():
            below = _joined(pattern, "*")
            yield from _keys(one, _joined(path, str(name)), below, "set", below in SHOWN_TEXTS)
    elif isinstance(value, tuple) and value and isinstance(value[0], Section):
        for place, one in enumerate(value):
            yield from _section(one, f"{path}[{_name_of(one, place)}]", f"{pattern}[]")
    else:
        yield EffectiveKey(path, _origin_text(value) if pattern in SHOWN_ORIGINS else _text(value, is_shown), origin)


def _text(value: Any, is_shown: bool) -> str:
    if value is None or value in ((), {}, ""):
        return NOT_SET
    if isinstance(value, SecretRef):
        return f"set, {_place_of(value)}"
    if isinstance(value, tuple):
        if isinstance(value[0], str) and not is_shown:
            return f"{len(value)} {WITHHELD}"
        more = f" and {len(value) - _MAX_ELEMENTS} more" if len(value) > _MAX_ELEMENTS else ""
        return ", ".join(_text(one, is_shown) for one in value[:_MAX_ELEMENTS]) + more
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(int(value)) if value == int(value) else repr(value)
    return str(value) if is_shown else WITHHELD


def _place_of(reference: SecretRef) -> str:
    """Where the secret is; never the secret."""
    if reference.file is not None:
        return f"from the file {reference.file}"
    return "in the file of the configuration" if reference.env is None else f"from the variable {reference.env}"


def _origin_text(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}/…"


def _is_closed(kind: msgspec.inspect.Type) -> bool:
    """Whether all texts of the type are words of a list."""
    if isinstance(kind, msgspec.inspect.UnionType):
        return all(_is_closed(one) or isinstance(one, msgspec.inspect.NoneType) for one in kind.types)
    if isinstance(kind, msgspec.inspect.VarTupleType):
        return _is_closed(kind.item_type)
    return isinstance(kind, msgspec.inspect.LiteralType)


def _default_of(field: msgspec.inspect.Field) -> Any:
    return field.default_factory() if field.default is msgspec.NODEFAULT and not field.required else field.default


def _name_of(section: Section, place: int) -> str:
    """What distinguishes an element of a list: its id or name, or its place."""
    return str(getattr(section, "id", None) or getattr(section, "name", None) or place)


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _by_provider(
    path: str, configured: Mapping[str, Any], default: Callable[[ProviderContract], Any]
) -> Iterator[EffectiveKey]:
    """A mapping over the defaults of the providers: what each of them has."""
    for name, contract in provider_contracts().items():
        value = configured.get(name, default(contract))
        yield EffectiveKey(_joined(path, name), _text(value, True), "set" if name in configured else "default")


#: The mappings by provider, and the default of each provider.
_BY_PROVIDER: Final[Mapping[str, Callable[[ProviderContract], Any]]] = {
    "worker.calls_per_second": lambda one: one.calls_per_second,
    "worker.duplicate_window_seconds": lambda one: one.duplicate_window_seconds,
    "worker.overdue.poll_schedule_seconds": lambda one: one.poll_schedule_seconds,
}
