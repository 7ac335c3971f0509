"""The check of private names: what it accepts, what it reports, and that the supported versions are those declared."""

from __future__ import annotations

import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import pytest

from paynotify.schemas.errors import UnsupportedLibraryError
from paynotify.service.private_names import SUPPORTED, PrivateName, require

ROOT: Final = Path(__file__).parents[3]
HERE: Final = __name__


class Library:
    a_value = 1

    def reads(self) -> Any:
        def inner() -> Any:
            return self.inside  # type: ignore[attr-defined]  # only named

        return inner, self.outside  # type: ignore[attr-defined]  # only named


def name(path: str, *names: str, is_class: bool = False) -> PrivateName:
    return PrivateName("aiokafka", HERE, path, names, is_class)


def test_used_names_are_accepted() -> None:
    require([name("Library.reads", "outside", "inside"), name("Library.a_value"), name("Library", is_class=True)])


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        (name("Library.reads", "renamed"), "Library.reads does not use renamed"),
        (name("Library.gone"), "Library.gone does not exist"),
        (name("Library.a_value", is_class=True), "Library.a_value is not a class"),
        (PrivateName("aiokafka", "no_such_module", "Library"), "no_such_module.Library does not exist"),
    ],
)
def test_missing_name_is_one_sentence_with_the_supported_versions(wanted: PrivateName, problem: str) -> None:
    with pytest.raises(UnsupportedLibraryError) as raised:
        require([name("Library.reads", "outside"), wanted])
    said = str(raised.value)
    assert said.startswith(f"aiokafka {version('aiokafka')} is not supported, because ")
    assert problem in said
    assert said.endswith(f": install aiokafka{SUPPORTED['aiokafka']}.")


def test_all_missing_names_are_listed() -> None:
    with pytest.raises(UnsupportedLibraryError, match=r"use first and .*use second"):
        require([name("Library.reads", "first", "second")])


def test_supported_versions_are_those_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for distribution, versions in SUPPORTED.items():
        assert f"{distribution}{versions}" in project["dependencies"]
