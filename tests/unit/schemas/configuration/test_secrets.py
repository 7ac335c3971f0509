"""Secrets are read anew when they change, several may be valid, and none is ever shown."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from paynotify.schemas.configuration.secrets import Secret, SecretRef, reveal_all
from paynotify.schemas.errors import SecretError

Tick = Callable[[float], None]


@pytest.fixture
def tick(monkeypatch: pytest.MonkeyPatch) -> Tick:
    """Moves the clock by which files are looked at."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def advance(seconds: float) -> None:
        now[0] += seconds

    return advance


def test_secret_from_a_value_and_from_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Secret(SecretRef(value="v")).reveal() == "v"
    monkeypatch.setenv("SHOP_KEY", "one")
    secret = Secret(SecretRef(env="SHOP_KEY"))
    assert secret.reveal() == "one"
    monkeypatch.setenv("SHOP_KEY", "two")
    assert secret.reveal() == "two"


@pytest.mark.parametrize("text", [None, ""])
def test_missing_environment_variable_is_named(text: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHOP_KEY", raising=False)
    if text is not None:
        monkeypatch.setenv("SHOP_KEY", text)
    with pytest.raises(SecretError, match="SHOP_KEY"):
        Secret(SecretRef(env="SHOP_KEY")).reveal()


def test_secret_file_loses_its_last_line_break(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(b"s p\xc3\xa9\r\n")
    assert Secret(SecretRef(file=str(file))).reveal() == "s pé"


def test_changed_secret_file_is_read_again(tmp_path: Path, tick: Tick) -> None:
    file = tmp_path / "key"
    file.write_text("old")
    secret = Secret(SecretRef(file=str(file)))
    assert secret.reveal() == "old"
    replacement = tmp_path / "new"
    replacement.write_text("newer")
    replacement.replace(file)
    assert secret.reveal() == "old", "looked at once a second, not at every use"
    tick(1.1)
    assert secret.reveal() == "newer"


def test_secret_file_missing_or_empty_for_a_moment_keeps_its_value(tmp_path: Path, tick: Tick) -> None:
    file = tmp_path / "key"
    file.write_text("old")
    secret = Secret(SecretRef(file=str(file)))
    assert secret.reveal() == "old"
    for disturb in (file.unlink, file.touch):
        disturb()
        tick(1.1)
        assert secret.reveal() == "old"
    file.write_text("newer")
    tick(1.1)
    assert secret.reveal() == "newer"


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xff"])
def test_secret_file_that_was_never_valid_is_named(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SecretError, match="key"):
        Secret(SecretRef(file=str(file))).reveal()


def test_secret_file_created_later_is_found(tmp_path: Path) -> None:
    file = tmp_path / "key"
    secret = Secret(SecretRef(file=str(file)))
    with pytest.raises(SecretError):
        secret.reveal()
    file.write_text("here")
    assert secret.reveal() == "here"


def test_unreadable_secret_does_not_hide_the_others(tmp_path: Path) -> None:
    missing = Secret(SecretRef(file=str(tmp_path / "none")))
    assert reveal_all((Secret(SecretRef(value="old")), missing, Secret(SecretRef(value="new")))) == ("old", "new")
    with pytest.raises(SecretError):
        reveal_all((missing,))


def test_secret_is_never_shown() -> None:
    reference = SecretRef(value="hunter2")
    for shown in (repr(reference), str(reference), repr(Secret(reference)), f"{(reference,)}"):
        assert "hunter2" not in shown


@pytest.mark.parametrize("places", [{}, {"file": "/a", "env": "B"}, {"env": "B", "value": "v"}])
def test_reference_names_one_place(places: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="exactly one"):
        SecretRef(**places)
