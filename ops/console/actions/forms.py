"""The forms of the console's actions: their fields, and what somebody entered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from starlette.datastructures import ImmutableMultiDict

from paynotify.schemas.errors import ConfigurationError

_MAX_CHARACTERS: Final = 255
_MAX_VALUES: Final = 50

#: ``texts``, ``merchants`` and ``choices`` may have several values, the others have one.
FieldKind = Literal["text", "texts", "merchant", "merchants", "choice", "choices", "check"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionField:
    """A field, with the words of a choice; those of merchants are the merchants that the person may use."""

    name: str
    label: str
    kind: FieldKind = "text"
    choices: Sequence[str] = ()
    default: str = ""
    is_required: bool = False
    hint: str = ""


class FormValues:
    """What was entered, or what a link fills a form with. Blank is as not given."""

    def __init__(self, given: ImmutableMultiDict[str, object]) -> None:
        self._given = given

    def text(self, name: str) -> str | None:
        """The field's value.

        Raises:
            ConfigurationError: it is too long.
        """
        found = self.texts(name)
        return found[0] if found else None

    def texts(self, name: str) -> list[str]:
        """The field's values.

        Raises:
            ConfigurationError: one of them is too long, or there are too many.
        """
        found = [text for one in self._given.getlist(name) if isinstance(one, str) and (text := one.strip())]
        if len(found) > _MAX_VALUES or any(len(one) > _MAX_CHARACTERS for one in found):
            raise ConfigurationError(
                f"{name} must be at most {_MAX_VALUES} texts of at most {_MAX_CHARACTERS} characters each."
            )
        return found

    def needed(self, name: str) -> str:
        """The field's value.

        Raises:
            ConfigurationError: there is none, or it is too long.
        """
        found = self.text(name)
        if found is None:
            raise ConfigurationError(f"{name} must be given.")
        return found

    def chosen(self, field: ActionField) -> str:
        """One of the field's words.

        Raises:
            ConfigurationError: it is none of them.
        """
        found = self.text(field.name) or field.default
        if found not in field.choices:
            raise ConfigurationError(f"{field.name} must be one of {', '.join(field.choices)}; got {found!r}.")
        return found

    def number(self, name: str, default: float, most: float) -> float:
        """A number of at least 1.

        Raises:
            ConfigurationError: it is none, or is beyond the bounds.
        """
        text = self.text(name)
        try:
            found = float(text) if text is not None else default
        except ValueError:
            found = 0.0
        if not 1 <= found <= most:  # also false for NaN
            raise ConfigurationError(f"{name} must be a number between 1 and {most:g}, got {text!r}.")
        return found
