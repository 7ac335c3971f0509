"""A page of ``docs/consume`` as a newcomer types it: the commands of its blocks, in order."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from paynotify.sandbox.processes import Child

ROOT: Final = Path(__file__).resolve().parents[2]
_BLOCK: Final = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
_COMMAND_SECONDS: Final = 300
_STOP_SECONDS: Final = 30


class Page:
    """The commands of one page. Who types names his own Kafka and database instead of the page's examples."""

    def __init__(self, name: str, variables: Mapping[str, str], directory: Path) -> None:
        text = (ROOT / "docs" / "consume" / name).read_text("utf-8")
        lines = "".join(_BLOCK.findall(text)).replace("\\\n", " ").splitlines()
        self.commands = [line.strip() for line in lines if line.strip()]
        self.typed: list[str] = []
        self._started: list[Child] = []
        self._directory = directory
        # of the page's own variables: those that are made of others
        self._beginning = [line for line in self.commands if line.startswith("export ") and "$" in line]
        self._environment = {**os.environ, **variables}

    def command(self, words: str) -> str:
        """The one command that has these words."""
        (found,) = [one for one in self.commands if words in one]
        return found

    def type(self, words: str) -> str:
        """Type the command that has these words, and wait for its end; returns what it printed."""
        done = self._done(words)
        assert done.returncode == 0, f"{self.typed[-1]}: {done.stdout} {done.stderr}"
        return done.stdout

    def attempt(self, words: str) -> str | None:
        """Type the command that has these words; what it printed, or None if it failed."""
        done = self._done(words)
        return done.stdout if done.returncode == 0 else None

    def _done(self, words: str) -> subprocess.CompletedProcess[str]:
        shell = self._shell(words, {})
        return subprocess.run(
            shell,
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS,
            cwd=ROOT,
            env=self._environment,
            check=False,
        )

    def start(self, words: str, replaced: Mapping[str, str] | None = None) -> Child:
        """Type the command that has these words, and leave it running."""
        log = self._directory / f"typed-{len(self.typed)}.log"
        shell = self._shell(words, replaced or {})
        child = Child(words, shell, log, environment=self._environment, directory=ROOT)
        self._started.append(child)
        return child

    def begin(self) -> None:
        """Begin each terminal with the sandbox's addresses too, as the page says."""
        self._beginning.insert(0, self.command("sandbox.env"))

    def end(self) -> None:
        """Stop what is left running."""
        for child in reversed(self._started):
            child.stop(_STOP_SECONDS)

    def _shell(self, words: str, replaced: Mapping[str, str]) -> Sequence[str]:
        command = self.command(words)
        self.typed.append(command)
        for example, own in replaced.items():
            assert example in command
            command = command.replace(example, own)
        return ["bash", "-c", "\n".join([*self._beginning, command])]

    def left(self) -> list[str]:
        """The commands that were not typed, without what each terminal begins with."""
        return [one for one in self.commands if one not in self.typed and not one.startswith(("export ", ". "))]
