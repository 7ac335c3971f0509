"""`paynotify completion` completes in bash what the parsers know; the other shells' scripts are written too."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from paynotify.ops.main import SUBCOMMANDS, main

#: Asks for completions as bash does after Tab: the words so far are arguments, and the last of them is begun.
_PRESS_TAB: Final = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
_shtab_paynotify paynotify "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


@pytest.fixture
def bash_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    file = tmp_path / "completion.bash"
    file.write_text(script("bash", capsys), "utf-8")
    return file


def completed(file: Path, *words: str) -> set[str]:
    bash = ("bash", "--norc", "-c", _PRESS_TAB, "bash", str(file), "paynotify", *words)
    done = subprocess.run(bash, cwd=file.parent, capture_output=True, text=True, timeout=30, check=True)
    assert done.stderr == ""
    return set(done.stdout.split())


def test_bash_completes_commands_options_choices_and_files(bash_script: Path) -> None:
    (bash_script.parent / "paynotify.yaml").touch()
    assert {one.name for one in SUBCOMMANDS} <= completed(bash_script, "")
    assert completed(bash_script, "do") == {"doctor"}
    assert completed(bash_script, "topics", "ch") == {"check"}
    assert completed(bash_script, "doctor", "--rec") == {"--recovery"}
    assert completed(bash_script, "completion", "z") == {"zsh"}
    assert completed(bash_script, "doctor", "--config", "pay") == {"paynotify.yaml"}


def test_bash_takes_the_script_for_the_command(bash_script: Path) -> None:
    bash = ("bash", "--norc", "-c", 'source "$1" && complete -p paynotify', "bash", str(bash_script))
    assert "_shtab_paynotify" in subprocess.run(bash, capture_output=True, text=True, timeout=30, check=True).stdout


@pytest.mark.parametrize(("shell", "begin"), [("zsh", "#compdef paynotify"), ("tcsh", "# AUTOMATICALLY GENERATED")])
def test_scripts_of_other_shells_are_written(shell: str, begin: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = script(shell, capsys)
    assert text.startswith(begin)
    assert "reconcile" in text
    if program := shutil.which(shell):
        assert subprocess.run((program, "-n"), input=text, text=True, timeout=30).returncode == 0


def test_completion_works_where_the_sandbox_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    text = script("bash", capsys)
    assert "_shtab_paynotify_doctor_option_strings" in text
    assert "--time-scale" not in text
