"""A YAML file as plain data, whose errors name the line and the key.

The file is the operator's own, so nothing here defends against a hostile author: only its size and depth are limited.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import yaml

from paynotify.schemas.configuration.renamed_keys import renamed
from paynotify.schemas.errors import ConfigurationError

#: Keys and indexes from the top of the file; ``None`` where a mapping's key is not known.
Place: TypeAlias = tuple[str | int | None, ...]

MAX_CHARACTERS: Final = 4 * 1024 * 1024
_MAX_SHOWN: Final = 80

_SCALARS: Final = frozenset(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null"))
_CONSTRUCTOR: Final = yaml.constructor.SafeConstructor()
#: msgspec's message: "Expected `int`, got `str` - at `$.merchants[3].limits[...]`", for a key "at `key` in `$.path`".
_MESSAGE: Final = re.compile(r"(.*?)(?: - at `(?:key` in `)?\$([^`]*)`)?", re.DOTALL)
_STEP: Final = re.compile(r"\.(\w+)|\[(\d+)\]|\[\.\.\.\]")
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING: Final = re.compile(r"Object missing required field `(\w+)`")

#: PyYAML composes nodes recursively in C: some ten thousand levels would overflow the stack and crash the process.
_MAX_DEPTH: Final = 100


class Document:
    """The one document of ``text``; ``file`` is only named in errors. ``data`` is its content (``{}`` if empty).

    Raises:
        ConfigurationError: the text is not one YAML document of mappings, lists, text, numbers, true, false and null,
            or a key is given twice.
    """

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        if len(text) > MAX_CHARACTERS:
            raise ConfigurationError(f"{file}: the file has more than {MAX_CHARACTERS} characters. Make it shorter.")
        try:
            _check_depth(text)
            self._root = yaml.compose(text, yaml.CSafeLoader)
            self.data: Any = {} if self._root is None else self._plain(self._root, ())
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise self._refusal(line, f"this is not YAML ({error.problem}). Correct the line.") from None
        except (yaml.YAMLError, UnicodeError):
            raise ConfigurationError(f"{file}: this is not YAML in Unicode text. Correct the file.") from None
        except RecursionError:
            raise ConfigurationError(f"{file}: the values are nested too deeply. Write them without aliases.") from None

    def error(self, place: Place, problem: str, remedy: str) -> ConfigurationError:
        """One paragraph: file, line, key, what is wrong, what to do."""
        return self._refusal(self._line_of(place), f"{_shown(place)} {problem}. {remedy}")

    def refused(self, message: str) -> ConfigurationError:
        """The error for msgspec's message (text, then "- at `$.path`")."""
        match = _MESSAGE.fullmatch(message)
        text, place = (match[1], _place(match[2] or "")) if match else (message, ())
        if unknown := _UNKNOWN.match(text):
            place = self._completed((*place, unknown[1]))
            if new_key := renamed(place):
                new_place = _shown((*place[:-1], *new_key.split(".")))
                return self.error(place, f"was renamed to {new_place}", "Use the new name.")
            return self.error(place, "is not a key paynotify knows", "Check its spelling and place.")
        place = self._completed(place)
        if missing := _MISSING.match(text):
            advice = "Add it; docs/reference/configuration.md lists every key."
            return self.error(place, f"lacks the key {missing[1]}", advice)
        # msgspec begins with a capital letter, our own rules with a key or a setting's value such as SASL_SSL
        reason = text[:1].lower() + text[1:] if text[1:2].islower() else text
        return self.error(place, f"has a wrong value ({reason})", "Correct it.")

    def _refusal(self, line: int, text: str) -> ConfigurationError:
        return ConfigurationError(f"{self.file}, line {line}: {text}")

    def _line_of(self, place: Place) -> int:
        """The line of the place's key, or of the nearest key around it that exists."""
        line, node = 1, self._root
        for step in place:
            members = _members(node)
            if step is None or step not in members:
                break
            marked, node = members[step]
            line = marked.start_mark.line + 1
        return line

    def _completed(self, place: Place) -> Place:
        """The place with its first unknown key filled in, if only one key of that mapping fits."""
        if None not in place:
            return place
        at = place.index(None)
        node = self._root
        for step in place[:at]:
            node = _members(node)[step][1]
        following = set(place[at + 1 : at + 2])
        fitting = [key for key, (_, value) in _members(node).items() if following <= set(_members(value))]
        return (*place[:at], fitting[0], *place[at + 1 :]) if len(fitting) == 1 else place

    def _plain(self, node: yaml.Node, place: Place) -> Any:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(item, (*place, index)) for index, item in enumerate(node.value)]
        try:
            if node.tag not in _SCALARS:
                raise ValueError(node.tag)
            return _CONSTRUCTOR.yaml_constructors[node.tag](_CONSTRUCTOR, node)
        except (yaml.YAMLError, ValueError, LookupError, OverflowError):
            problem = "has a value that can't be read"
            raise self._wrong(node, place, problem, "Write it as text in quotes, or as a plain number.") from None

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else ""
            if not key or not key.isprintable():
                raise self._wrong(key_node, place, "has a key that is not a name", "Check the file's keys.")
            if key in found:
                raise self._wrong(key_node, (*place, key), "is given twice", "Keep one of the two.")
            found[key] = self._plain(value_node, (*place, key))
        return found

    def _wrong(self, node: yaml.Node, place: Place, problem: str, remedy: str) -> ConfigurationError:
        return self._refusal(node.start_mark.line + 1, f"{_shown(place)} {problem}. {remedy}")


def _check_depth(text: str) -> None:
    """Raise RecursionError where mappings and lists are nested too deeply; the parser's events need no recursion."""
    depth = 0
    for event in yaml.parse(text, yaml.CSafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            raise RecursionError


def _members(node: yaml.Node | None) -> Mapping[str | int | None, tuple[yaml.Node, yaml.Node]]:
    """The node that marks the line of each member of a mapping or list, and the member's value."""
    if isinstance(node, yaml.MappingNode):
        return {key.value: (key, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)}
    if isinstance(node, yaml.SequenceNode):
        return {index: (item, item) for index, item in enumerate(node.value)}
    return {}


def _place(path: str) -> Place:
    """msgspec's path without its `$`; what is wrong with a mapping's key is wrong with the mapping."""
    return tuple(name or (int(index) if index else None) for name, index in _STEP.findall(path))


def _shown(place: Place) -> str:
    """`merchants[3].id`, with each key cut: a misspelt one may be long."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}"[:_MAX_SHOWN] for step in place if step is not None)
    return "".join(steps).removeprefix(".") or "the file"
