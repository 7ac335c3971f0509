"""Text that can be written: what providers and shells send may hold code points that UTF-8 has no bytes for."""

from __future__ import annotations


def is_text(text: str) -> bool:
    """Whether the text can be written as UTF-8; half of a surrogate pair can't."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
