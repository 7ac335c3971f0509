"""What an operator reads when a process can't start: one paragraph with what, where and what to do; exit code 2.

What may come by itself is waited for instead (see ``test_late_brokers``); these mistakes are told without any broker.
"""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from tests.fakes.configurations import document, remove_topics, write

ROOT: Final = Path(__file__).parents[2]
ROLES: Final = ("ingest", "worker")
START_SECONDS: Final = 60.0
NOBODY: Final = "127.0.0.1:1"

Change = Callable[[dict[str, Any]], Any]


def assert_told(file: Path, *words: str, roles: Sequence[str] = ROLES, options: Sequence[str] = ()) -> None:
    """The roles, started at once, end with code 2 and one paragraph on standard error that has all the words."""
    started = {role: _start(role, file, options) for role in roles}
    for role, process in started.items():
        out, said = process.communicate(timeout=START_SECONDS)
        lines = [line for line in said.splitlines() if not line.startswith("{")]
        assert process.returncode == 2, said
        assert out == ""
        assert "Traceback" not in said
        assert len(lines) == 1, said
        assert lines[0].startswith(f"paynotify {role}: ")
        assert lines[0].endswith(".")
        for word in words:
            assert word in lines[0], f"{word!r} is missing: {lines[0]}"


def _start(role: str, file: Path, options: Sequence[str]) -> subprocess.Popen[str]:
    addresses = ["--management", "127.0.0.1:0", *(["--listen", "127.0.0.1:0"] if role == "ingest" else [])]
    return subprocess.Popen(
        [sys.executable, "-m", "paynotify.ops.main", role, *addresses, "--config", str(file), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


WRONG: Final[dict[str, tuple[Change, tuple[str, ...]]]] = {
    "a misspelt key": (lambda one: one.update(merchant=[]), ("line ", "merchant", "spelling")),
    "a missing key": (lambda one: one["merchants"][0].pop("poi_id"), ("line ", "merchants[0]", "poi_id", "Add it")),
    "a wrong value": (lambda one: one["topics"].update(partitions=0), ("line ", "topics.partitions", "Correct it")),
    "an endless wait": (lambda one: one["worker"].update(batch_wait_seconds=float("inf")), ("line ", "batch_wait")),
    "two merchants of one id": (
        lambda one: one["merchants"][1].update(id="shop-nl"),
        ("line ", "merchants[1].id", "must differ"),
    ),
    "http outside the sandbox": (lambda one: one.update(sandbox=False), ("line ", "https")),
    "no merchants": (lambda one: one.update(merchants=[]), ("line ", "merchants")),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_configuration_is_told_with_its_place(what: str, tmp_path: Path) -> None:
    content = document(NOBODY, "", tmp_path)
    change, words = WRONG[what]
    change(content)
    file = write(tmp_path, content)
    assert_told(file, str(file), *words)


def test_file_that_is_missing_or_no_yaml_is_told(tmp_path: Path) -> None:
    assert_told(tmp_path / "absent.yaml", "absent.yaml", "can't be read", "Check the path")
    broken = tmp_path / "broken.yaml"
    broken.write_text("kafka:\n  - ]\n", "utf-8")
    assert_told(broken, "broken.yaml", "line 2", "not YAML")


@pytest.fixture(scope="module")
def prefix(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Topics as the unchanged configuration wants them."""
    chosen, directory = f"test-{uuid.uuid4().hex[:8]}.", tmp_path_factory.mktemp("topics")
    file = write(directory, document(kafka, chosen, directory))
    command = [sys.executable, "-m", "paynotify.ops.main", "topics", "apply", "--config", str(file)]
    subprocess.run(command, check=True, capture_output=True, timeout=START_SECONDS, cwd=ROOT)
    yield chosen
    remove_topics(kafka, chosen)


@pytest.mark.kafka
def test_another_number_of_partitions_is_told_before_a_key_moves(kafka: str, prefix: str, tmp_path: Path) -> None:
    content = document(kafka, prefix, tmp_path)
    content["topics"]["partitions"] = 5
    words = (prefix, "partitions is 3, wanted 5", "topics.partitions")
    assert_told(write(tmp_path, content), *words, roles=["worker"])


def test_secret_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    content = document(NOBODY, "", tmp_path)
    secret = tmp_path / "secrets" / "key"
    content["merchants"][2]["api_key"] = {"file": str(secret)}
    assert_told(write(tmp_path, content), str(secret), roles=["worker"])
    content["merchants"][2]["api_key"] = {"env": "NO_SUCH_SECRET_HERE"}
    assert_told(write(tmp_path, content), "NO_SUCH_SECRET_HERE", roles=["worker"])


def test_state_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    directory = str(tmp_path / "file" / "state")
    content = document(NOBODY, "", tmp_path, state_directory=directory)
    assert_told(write(tmp_path, content), directory, "--state-directory", roles=["worker"])


def test_choice_that_leaves_nothing_to_do_is_told(tmp_path: Path) -> None:
    content = document(NOBODY, "", tmp_path)
    content["merchants"] = [one for one in content["merchants"] if one["provider"] != "omnikassa"]
    chosen = ["--provider", "omnikassa", "--stage", "fetch"]
    assert_told(write(tmp_path, content), "nothing to do", "--provider", roles=["worker"], options=chosen)


@pytest.mark.parametrize(
    "security",
    [
        {
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "PLAIN",
            "sasl_plain_username": "u",
            "sasl_plain_password": {"file": "/absent/file"},
        },
        {"security_protocol": "SSL", "ssl_cafile": "/absent/file"},
        {"security_protocol": "SSL", "ssl_certfile": "/absent/file"},
    ],
    ids=["password", "authorities", "certificate"],
)
def test_unreadable_kafka_credential_is_named(security: dict[str, Any], tmp_path: Path) -> None:
    content = document(NOBODY, "", tmp_path)
    content["kafka"].update(security)
    assert_told(write(tmp_path, content), "/absent/file")
