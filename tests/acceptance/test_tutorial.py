"""Types the commands of docs/tutorial/first-payment.md into a shell, as a newcomer does."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from paynotify.sandbox.processes import wait_for

ROOT: Final = Path(__file__).parents[2]
COMMANDS: Final = re.findall(
    r"^```sh\n(.*?)^```", (ROOT / "docs" / "tutorial" / "first-payment.md").read_text("utf-8"), re.MULTILINE | re.DOTALL
)

_PAYNOTIFY: Final = f"{shlex.quote(sys.executable)} -m paynotify.ops.main"
_START_SECONDS: Final = 180.0
_WITHIN_SECONDS: Final = 60.0

pytestmark = pytest.mark.kafka


class Newcomer:
    """A person at two terminals in a checkout: one runs the sandbox, the other one gets the further commands."""

    def __init__(self, home: Path) -> None:
        self._home = home
        tools = home / "tools"
        tools.mkdir()
        for name, program in (("paynotify", _PAYNOTIFY), ("python", shlex.quote(sys.executable))):
            (tools / name).write_text(f'#!/bin/sh\nexec {program} "$@"\n', "utf-8")
            (tools / name).chmod(0o755)
        for name in ("Makefile", "paynotify"):
            (home / name).symlink_to(ROOT / name)
        self._environment = {
            **{name: value for name, value in os.environ.items() if name not in ("KAFKA", "PAYNOTIFY_CONFIG")},
            "PATH": f"{tools}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
        }

    def start(self, command: str) -> subprocess.Popen[bytes]:
        """Run `make up` without its preparations: the environment that they make is the test's own."""
        assert command.strip() == "make up"
        (recipe,) = re.findall(r"^up: .*\n\t(.*)\n", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
        line = recipe.replace("$(BIN)/paynotify", "exec paynotify").replace("$(ARGS)", "")
        with (self._home / "up.log").open("wb") as log:
            return subprocess.Popen(("sh", "-c", line), cwd=self._home, env=self._environment, stdout=log, stderr=log)

    def log(self) -> str:
        return (self._home / "up.log").read_text("utf-8")

    def started(self) -> bool:
        return (self._home / "build" / "sandbox.env").exists()

    def type(self, commands: str) -> str:
        """The output of commands in the second terminal, which has read the addresses before."""
        done = subprocess.run(
            ("bash", "-ec", f". build/sandbox.env\n{commands}"),
            cwd=self._home,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=_WITHIN_SECONDS,
            check=False,
        )
        return done.stdout + done.stderr

    def sees(self, commands: str, *words: str) -> None:
        """The output has these words sooner or later."""
        seen = wait_for(
            lambda: all(word in self.type(commands) for word in words), within_seconds=_WITHIN_SECONDS, every=0.5
        )
        assert seen, self.type(commands)


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Newcomer]:
    one = Newcomer(tmp_path)
    sandbox = one.start(COMMANDS[0])
    try:
        assert wait_for(one.started, within_seconds=_START_SECONDS), one.log()
        yield one
    finally:
        sandbox.send_signal(signal.SIGTERM)
        sandbox.wait(60)


def test_commands_show_what_the_page_says(newcomer: Newcomer) -> None:
    _, environment, pay, trace, read, ask, forge, replay, pay_by_card, trace_card = COMMANDS
    assert environment.startswith(". build/sandbox.env\n")
    assert "payment_id" in newcomer.type(pay)
    newcomer.sees(trace, "notification", "lookup", "answer", "observation", "1. captured, release")
    event = newcomer.type(read)
    assert '"status":"captured"' in event
    assert '"fulfilment":"release"' in event
    newcomer.sees(ask, '"paid":"yes"', '"fulfilment":"release"')
    assert "200 OK" in newcomer.type(forge)
    newcomer.sees(replay, "missing_signature")
    assert "payment_id" in newcomer.type(pay_by_card)
    newcomer.sees(trace_card, "1. authorised, hold")
