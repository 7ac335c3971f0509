"""The default of messages' mappings."""

from __future__ import annotations


def no_words() -> dict[str, str]:
    """An empty mapping. It is written even where defaults are left out, as msgspec leaves out only what `dict` made."""
    return {}
