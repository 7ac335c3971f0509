"""The ``kafka.events`` section of the configuration: how records describe themselves as CloudEvents."""

from __future__ import annotations

import re
from typing import Annotated, Final
from uuid import UUID

import msgspec
from msgspec import Meta

from paynotify.schemas.configuration.sections import Section

_NUMBER: Final = re.compile(r"[0-9]{1,9}\Z")


class EventSettings(Section, frozen=True):
    """How records describe themselves, in their headers."""

    source: Annotated[str, Meta(pattern=r"^([A-Za-z0-9:/._~%@+-]{0,199}[A-Za-z0-9._~%@+-])?\Z")] = ""
    """What begins every `ce_source`, such as `//payments.example.com/eu`: it makes the sources of installations differ
    whose topics are read together. Empty: the sources are paths alone, such as `/resolve`."""
    schema_base: Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9:/._~%@+-]{0,200}[:/]\Z")] = (
        "urn:paynotify:v1:"
    )
    """What `ce_dataschema` begins with; the name of a file in `schemas/json` follows. A place where you publish these
    files, such as `https://payments.example.com/schemas/v1/`."""
    schema_ids: dict[str, str] = msgspec.field(default_factory=dict)
    """Ids of the schemas in a registry by message, as `paynotify schemas register` prints them: a number, or a GUID.
    Records then have them in the header `__value_schema_id` (default: no such header)."""

    def __post_init__(self) -> None:
        if "/notifications/" in f"{self.source}/":
            raise ValueError("source must not have /notifications/ in it, which stands before provider and merchant")
        for name, text in self.schema_ids.items():
            try:
                schema_id_bytes(text)
            except ValueError:
                raise ValueError(f"schema_ids.{name[:50]} must be a number below 2**31, or a GUID") from None


#: Of an installation that configures none.
DEFAULT_EVENTS: Final = EventSettings()


def schema_id_bytes(text: str) -> bytes:
    """The id as the header has it, in the framing of Confluent's clients: 0 and four bytes, or 1 and a GUID's sixteen.

    Raises:
        ValueError: the text is neither a number nor a GUID.
    """
    if _NUMBER.match(text):
        return b"\0" + int(text).to_bytes(4, "big")
    return b"\1" + UUID(text).bytes
