"""What every section of the configuration is made of."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

#: The longest poll schedule.
MAX_POLLS: Final = 20

Positive: TypeAlias = Annotated[float, Meta(gt=0, le=1e9)]
Count: TypeAlias = Annotated[int, Meta(ge=1)]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Unknown keys are errors everywhere: a misspelt limit must not silently be no limit."""
