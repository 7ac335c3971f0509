"""Which keys of the configuration a page shows, as its address says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import QueryParams

from paynotify.ops.console.installation.effective_configuration import EffectiveKey

_MAX_DIGITS: Final = 6


@dataclass(frozen=True, slots=True)
class KeysFilter:
    """``only_set``: those that are not as by default. ``first`` is the place of the first merchant on the page."""

    only_set: bool = False
    first: int = 0

    @classmethod
    def of(cls, query: QueryParams) -> KeysFilter:
        """The filter of a query string; what is no such filter counts as not given."""
        text = query.get("from", "")
        is_place = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
        return cls(query.get("only") == "set", int(text) if is_place else 0)

    def chosen(self, keys: Iterable[EffectiveKey]) -> Iterator[EffectiveKey]:
        """The keys that are shown."""
        return (one for one in keys if one.origin == "set" or not self.only_set)
