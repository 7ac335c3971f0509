"""What every section of the configuration is made of."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

#: The longest poll schedule.
MAX_POLLS: Final = 20

Positive: TypeAlias = Annotated[float, Meta(gt=0, le=1e9)]
Count: TypeAlias = Annotated[int, Meta(ge=1)]
#: A network in CIDR notation, or a single address; `schemas.configuration.rules` checks it.
Network: TypeAlias = Annotated[str, Meta(pattern=r"^[0-9A-Fa-f.:]{2,45}(/[0-9]{1,3})?\Z")]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Unknown keys are errors everywhere: a misspelt limit must not silently be no limit."""
