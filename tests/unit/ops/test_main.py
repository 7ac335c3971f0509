"""The command: help, exit codes, and one paragraph instead of a traceback."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from paynotify.ops import topics
from paynotify.ops.main import SUBCOMMANDS, main
from paynotify.schemas.errors import ClusterUnavailableError

ROOT = Path(__file__).parents[3]


def paynotify(*words: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "paynotify.ops.main", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": "/usr/bin:/bin", **(environment or {})},
        check=False,
    )


def one_paragraph(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    return done.stderr


def test_help_names_every_subcommand() -> None:
    done = paynotify("--help")
    assert done.returncode == 0
    assert all(one.name in done.stdout for one in SUBCOMMANDS)


def test_version_is_that_of_the_distribution() -> None:
    done = paynotify("--version")
    assert (done.returncode, done.stdout) == (0, f"paynotify {version('paynotify')}\n")


@pytest.mark.parametrize(
    ("name", "said"), [("ingest", "Run the HTTP ingress."), ("up", "Run the sandbox until Ctrl-C.")]
)
def test_subcommand_help_keeps_its_capitals(name: str, said: str) -> None:
    assert said in paynotify(name, "--help").stdout


@pytest.mark.parametrize("words", [(), ("fly",), ("worker", "--stage", "fly"), ("topics",)])
def test_wrong_use_exits_with_2(words: tuple[str, ...]) -> None:
    done = paynotify(*words)
    assert done.returncode == 2
    assert "usage: paynotify" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("demo", "--workers", "0"),
        ("demo", "--seconds", "0"),
        ("demo", "--seconds=-1"),
        ("demo", "--payments", "0"),
        ("demo", "--seconds", "nan"),
        ("up", "--time-scale", "0"),
        ("up", "--latency-seconds=-1"),
        ("up", "--latency-seconds", "inf"),
    ],
)
def test_sandbox_with_impossible_options_is_not_started(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "must be" in said.err
    assert "got" in said.err


@pytest.mark.parametrize("words", [("worker",), ("ingest",), ("topics", "check")])
def test_missing_configuration_option_explains_how_to_set_it(words: tuple[str, ...]) -> None:
    said = one_paragraph(paynotify(*words))
    assert said.startswith(f"paynotify {words[0]}: No configuration given")
    assert "PAYNOTIFY_CONFIG" in said


@pytest.mark.parametrize(
    "words",
    [
        ("replay", "--key", "\udcff"),
        ("inspect", "--provider", "omnikassa", "--merchant", "shop", "--kind", "return-url", "--query", "\udcff=1"),
        ("inspect", "--provider", "nevogate", "--merchant", "shop", "\udcff.json"),
    ],
)
def test_argument_that_is_not_text_is_refused(words: tuple[str, ...]) -> None:
    assert "must be UTF-8 text" in one_paragraph(paynotify(*words))


def test_missing_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "none.yaml"
    said = one_paragraph(paynotify("topics", "check", environment={"PAYNOTIFY_CONFIG": str(file)}))
    assert str(file) in said


def test_misspelt_key_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "paynotify.yaml"
    file.write_text("sandbox: true\nworkers: {batch_records: 5}\nmerchants: []\n")
    said = one_paragraph(paynotify("worker", "--config", str(file)))
    assert f"{file}, line 2: workers is not a key paynotify knows" in said


def test_unusable_brokers_exit_with_3(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def away(_: object) -> int:
        raise ClusterUnavailableError("No Kafka broker answered at 127.0.0.1:1.")

    monkeypatch.setattr(topics, "run", away)
    assert main(["topics", "check"]) == 3
    assert capsys.readouterr().err == "paynotify topics: No Kafka broker answered at 127.0.0.1:1.\n"


def test_help_documents_the_exit_codes() -> None:
    said = paynotify("--help").stdout
    assert all(code in said for code in ("0 success", "1 a negative result", "2 wrong use", "3 no Kafka broker"))


@pytest.mark.parametrize("name", ["demo", "up"])
def test_sandbox_commands_say_how_to_install_the_sandbox(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda module: None)
    assert main([name]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"paynotify {name}: The sandbox is not installed.")
    assert "pip install 'paynotify[sandbox]'" in said
    assert len(said.splitlines()) == 1
