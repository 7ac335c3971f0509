"""The ``card_numbers`` section of the configuration: which numbers are no card's, whatever they look like."""

from __future__ import annotations

from paynotify.schemas.configuration.sections import Section


class CardNumberSettings(Section, frozen=True):
    """Card numbers in full are masked before they are stored."""

    id_fields: tuple[str, ...] = ()
    """Names of further fields of calls and responses whose values are ids, such as a custom field with order numbers,
    and of headers of calls. Those that a provider has for ids need not be named."""
