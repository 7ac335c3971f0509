"""Changes to a values file, for tests that start from a valid one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

Change = Callable[[Any], None]


def put(path: str, value: Any, besides: Mapping[str, Any] = MappingProxyType({})) -> Change:
    """Set the key at a dotted path, and those in ``besides``; a number in a path is an index of a list."""

    def change(values: Any) -> None:
        for other, its in besides.items():
            put(other, its)(values)
        *parents, last = path.split(".")
        for one in parents:
            values = values[int(one)] if one.isdigit() else values.setdefault(one, {})
        values[last] = value

    return change


def drop(path: str) -> Change:
    """Remove the key at a dotted path."""

    def change(values: Any) -> None:
        *parents, last = path.split(".")
        for one in parents:
            values = values[int(one)] if one.isdigit() else values[one]
        del values[last]

    return change
