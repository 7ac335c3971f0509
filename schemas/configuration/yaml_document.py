"""A YAML file as plain data that remembers the line of every key.

Parsed by libyaml, in a twentieth of the time of PyYAML's own parser. Of libyaml only the flat events are used: PyYAML's
composer around it recurses in C, and a file of brackets would end the process.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import yaml

from schemas.errors import ConfigurationError

#: Keys and indexes from the top of the file; ``None`` where a mapping's key is not known.
Place: TypeAlias = tuple[str | int | None, ...]

_DEEPEST: Final = 20
#: A key and its value are five characters at least. Files of single digits or aliases have more values than anybody
#: wants, and aliases of aliases can make a small file an endless one.
_CHARACTERS_PER_VALUE: Final = 4
_FREE_VALUES: Final = 1_000
_MOST_SHOWN: Final = 80
#: 1:1:1:... is a number to base 60, read in the square of its length.
_LONGEST_NUMBER: Final = 100

_TEXT: Final = "tag:yaml.org,2002:str"
_SCALARS: Final = frozenset(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null"))
#: What msgspec says: "Expected `int`, got `str` - at `$.merchants[3].limits[...]`", of a key "at `key` in `$.path`".
_MESSAGE: Final = re.compile(r"(.*?)(?: - at `(?:key` in `)?\$([^`]*)`)?", re.DOTALL)
_STEP: Final = re.compile(r"\.(\w+)|\[(\d+)\]|\[\.\.\.\]")
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING: Final = re.compile(r"Object missing required field `(\w+)`")


class Document:
    """The one document of ``text``; ``file`` is only named in errors.

    Raises:
        ConfigurationError: no YAML, several documents, or more values or levels than a file of this size should have.
    """

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self.data: Any = {}
        self._lines: dict[int, dict[str | int, int]] = {}  # of each mapping's and list's members, by its id
        self._anchors: dict[str, tuple[Any, int]] = {}  # the value, and for how many it counts
        self._read: dict[tuple[str | None, bool, str], Any] = {}
        self._values, self._most_values = 0, _FREE_VALUES + len(text) // _CHARACTERS_PER_VALUE
        try:
            self._yaml: Any = yaml.CSafeLoader(text)
            self._load()
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise self._refusal(line, f"this is not YAML ({error.problem}). Mend the line and try again.") from None
        except yaml.YAMLError:
            raise ConfigurationError(f"{file}: this is not YAML. Mend the file and try again.") from None
        except UnicodeError:
            raise ConfigurationError(f"{file}: this is not Unicode text. Mend the file and try again.") from None

    def error(self, place: Place, problem: str, remedy: str) -> ConfigurationError:
        """One paragraph: file, line, key, what is wrong, what to do."""
        return self._refusal(self._line_of(place), f"{_shown(place)} {problem}. {remedy}")

    def refused(self, message: str) -> ConfigurationError:
        """msgspec's message (text, then "- at `$.path`") as ours."""
        said = _MESSAGE.fullmatch(message)
        text, place = (said[1], _place(said[2] or "")) if said else (message, ())
        if unknown := _UNKNOWN.match(text):
            place = self._only((*place, unknown[1]))
            return self.error(place, "is not a key paynotify knows", "Check its spelling and place.")
        place = self._only(place)
        if missing := _MISSING.match(text):
            return self.error(place, f"lacks the key {missing[1]}", "Add it; the README lists every key.")
        # msgspec begins with a capital letter, our own rules with a key or a setting's value such as SASL_SSL
        said_of_it = text[:1].lower() + text[1:] if text[1:2].islower() else text
        return self.error(place, f"has a wrong value ({said_of_it})", "Correct it.")

    def _refusal(self, line: int, said: str) -> ConfigurationError:
        return ConfigurationError(f"{self.file}, line {line}: {said}")

    def _line_of(self, place: Place) -> int:
        """Of the key itself, else of the nearest around it."""
        line, inner = 1, self.data
        for step in place:
            lines = self._members(inner)
            if step is None or step not in lines:
                break
            line, inner = lines[step], inner[step]
        return line

    def _only(self, place: Place) -> Place:
        """The place with its first unknown key, if only one of the mapping's can be meant."""
        if None not in place:
            return place
        at = place.index(None)
        inner = self.data
        for step in place[:at]:
            inner = inner[step]
        following = place[at + 1 : at + 2]
        fitting = [key for key in inner if set(following) <= set(self._members(inner[key]))]
        return (*place[:at], fitting[0], *place[at + 1 :]) if len(fitting) == 1 else place

    def _members(self, inner: Any) -> Mapping[str | int, int]:
        return self._lines.get(id(inner), {}) if isinstance(inner, dict | list) else {}

    # --- reading -------------------------------------------------------------------------------------------------

    def _load(self) -> None:
        self._next()  # the stream begins
        if isinstance(self._next(), yaml.StreamEndEvent):
            return
        self.data = self._value(self._next(), ())
        self._next()  # the document ends
        if not isinstance(another := self._next(), yaml.StreamEndEvent):
            raise self._refusal(another.start_mark.line + 1, "a second YAML document begins. Keep one of the two.")

    def _next(self) -> Any:
        return self._yaml.get_event()

    def _value(self, event: Any, place: Place) -> Any:
        before = self._values
        self._count(1, event, place)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, place)
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event, place)
        else:
            value = self._mapping(place) if isinstance(event, yaml.MappingStartEvent) else self._list(place)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, self._values - before)
        return value

    def _count(self, values: int, event: Any, place: Place) -> None:
        self._values += values
        if self._values > self._most_values or len(place) > _DEEPEST:
            problem = "goes too far: the file has too many values or levels"
            raise self._wrong(event, place, problem, "Write it without aliases.")

    def _alias(self, event: Any, place: Place) -> Any:
        if event.anchor not in self._anchors:  # or is itself a part of what it names
            raise self._wrong(event, place, "is an alias of nothing before it", "Write the value itself.")
        value, values = self._anchors[event.anchor]
        self._count(values, event, place)
        return value

    def _list(self, place: Place) -> list[Any]:
        found: list[Any] = []
        lines = self._lines[id(found)] = {}
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            lines[len(found)] = event.start_mark.line + 1
            found.append(self._value(event, (*place, len(found))))
        return found

    def _mapping(self, place: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        lines = self._lines[id(found)] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = event.value if isinstance(event, yaml.ScalarEvent) else ""
            if not key or not key.isprintable():
                raise self._wrong(event, place, "has a key that is no name", "Check the file's keys.")
            if key in found:
                raise self._wrong(event, (*place, key), "is given twice", "Keep one of the two.")
            lines[key] = event.start_mark.line + 1
            found[key] = self._value(self._next(), (*place, key))
        return found

    def _scalar(self, event: Any, place: Place) -> Any:
        known = (event.tag, event.implicit[0], event.value)
        if known not in self._read:
            try:
                self._read[known] = self._constructed(event)
            except (yaml.YAMLError, ValueError, LookupError, OverflowError):
                problem = "has a value that can't be read"
                raise self._wrong(event, place, problem, "Write it as text in quotes, or as a plain number.") from None
        return self._read[known]

    def _constructed(self, event: Any) -> Any:
        event.value.encode()  # an escaped half of a surrogate pair is text to YAML and to nobody else
        tag = event.tag
        if tag is None or tag == "!":
            tag = self._yaml.resolve(yaml.ScalarNode, event.value, event.implicit)
        if tag not in _SCALARS or (tag != _TEXT and len(event.value) > _LONGEST_NUMBER):
            raise ValueError(tag)
        return self._yaml.yaml_constructors[tag](self._yaml, yaml.ScalarNode(tag, event.value))

    def _wrong(self, event: Any, place: Place, problem: str, remedy: str) -> ConfigurationError:
        """As `error`, while the file is still being read."""
        return self._refusal(event.start_mark.line + 1, f"{_shown(place)} {problem}. {remedy}")


def _place(path: str) -> Place:
    """msgspec's path without its `$`; what is wrong with a mapping's key is wrong with the mapping."""
    return tuple(name or (int(index) if index else None) for name, index in _STEP.findall(path))


def _shown(place: Place) -> str:
    """`merchants[3].id`; a key that is somebody's typing error may be long."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}"[:_MOST_SHOWN] for step in place if step is not None)
    return "".join(steps).removeprefix(".") or "the file"
