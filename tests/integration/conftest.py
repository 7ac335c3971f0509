"""Real worker processes on a real Kafka."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from paynotify.sandbox.processes import Child, wait_for
from tests import topics_reader
from tests.fakes import configurations
from tests.fault.broken_worker import BREAK, KILL_AT, MODULE

ROOT: Final = Path(__file__).parents[2]
DEADLINE_SECONDS: Final = 60.0


class Installation:
    """One configuration with its topics, and the processes that run on it."""

    def __init__(self, kafka: str, prefix: str, directory: Path) -> None:
        self.kafka = kafka
        self.prefix = prefix
        self.directory = directory
        self.state_directory = directory / "state"
        self._children: list[Child] = []
        self.configure()

    def configure(self, **changes: Any) -> None:
        """Write the configuration anew with the top-level ``changes``."""
        content = configurations.document(self.kafka, self.prefix, self.directory, **changes)
        self.file = configurations.write(self.directory, content)

    def topic(self, name: str) -> str:
        return self.prefix + name

    def run(self, *words: str, module: str = "paynotify.ops.main", environment: dict[str, str] | None = None) -> Child:
        """``paynotify`` with the words and the configuration, in the background."""
        command = [sys.executable, "-m", module, *words, "--config", str(self.file)]
        log = self.directory / f"{len(self._children)}-{words[0]}.log"
        child = Child(words[0], command, log, environment=environment, directory=ROOT)
        self._children.append(child)
        return child

    def finished(self, *words: str, within_seconds: float = DEADLINE_SECONDS) -> tuple[int | None, str]:
        """The exit code and output of ``paynotify`` with the words."""
        child = self.run(*words)
        assert child.wait(within_seconds), f"still running: {child.end()}"
        return child.exit_code, child.log_path.read_text("utf-8")

    def apply_topics(self) -> None:
        code, said = self.finished("topics", "apply")
        assert code == 0, said

    def worker(
        self, *stages: str, kill_at: str = "", rule: str = "", ready: bool = True, state: str = "state"
    ) -> Child:
        """A worker for the stages (all by default), ready unless it is to be killed or broken (``rule``) at once."""
        options = [word for stage in stages for word in ("--stage", stage)]
        options += ["--state-directory", str(self.directory / state)]
        environment = {KILL_AT: kill_at, BREAK: rule}
        module = MODULE if kill_at or rule else "paynotify.ops.main"
        child = self.run("worker", "--management", "127.0.0.1:0", *options, module=module, environment=environment)
        if ready:
            port = child.wait_for_event("management_listening", within_seconds=DEADLINE_SECONDS)["port"]
            self.until(lambda: _answer(f"http://127.0.0.1:{port}/readyz") == "ok", child)
        return child

    def until(self, condition: Any, child: Child | None = None, *, within_seconds: float = DEADLINE_SECONDS) -> Any:
        """The condition's first true value; the test fails with the child's last words if there is none in time."""
        found = wait_for(condition, within_seconds=within_seconds, every=0.1)
        assert found, f"nothing within {within_seconds:g} s; {child.end() if child else ''}"
        return found

    def until_read(self, unit: str, *topics: str, child: Child) -> None:
        """Wait until the unit has committed everything that lies on the topics."""
        group = f"{self.prefix}paynotify.{unit}"
        names = [self.topic(name) for name in topics]
        self.until(lambda: topics_reader.lag(self.kafka, group, *names) == 0, child)

    def records(self, *names: str) -> list[topics_reader.Record]:
        """All records of the topics."""
        return topics_reader.whole(self.kafka, *(self.topic(name) for name in names))

    def count(self, name: str) -> int:
        return topics_reader.counts(self.kafka, self.topic(name))[self.topic(name)]

    def end(self) -> None:
        """Kill what still runs."""
        for child in self._children:
            if child.running:
                child.kill()


def _answer(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            text: str = answer.read().decode().strip()
            return text
    except urllib.error.HTTPError as error:
        with error:
            return f"{error.code}"
    except OSError:
        return ""


@pytest.fixture
def bare_installation(kafka: str, topic_prefix: str, tmp_path: Path) -> Iterator[Installation]:
    """A configuration without topics."""
    made = Installation(kafka, topic_prefix, tmp_path)
    yield made
    made.end()


@pytest.fixture
def installation(bare_installation: Installation) -> Installation:
    """A configuration with its topics."""
    bare_installation.apply_topics()
    return bare_installation
