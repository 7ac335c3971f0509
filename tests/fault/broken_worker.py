"""``paynotify worker`` for tests that break it or kill it on purpose: ``python -m tests.fault.broken_worker worker``.

``PAYNOTIFY_BREAK=drop-batch`` runs the worker with that loop of `tests.fault.broken_loops`.
``PAYNOTIFY_KILL_AT=resolve/3/2`` kills it with SIGKILL the second time that a stage whose name starts with ``resolve``
has finished step 3 (`processors.runtime.failpoints.Failpoint`). Without either it is an intact worker.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from paynotify.ops import worker
from paynotify.ops.main import SUBCOMMANDS, build_parsers
from paynotify.processors.runtime.failpoints import Failpoint, Reached, ignore
from paynotify.processors.runtime.loop import StageLoop
from paynotify.schemas.errors import ConfigurationError
from tests.fault.broken_loops import LOOPS

#: What `sandbox.system.Plan.worker_module` names.
MODULE: Final = "tests.fault.broken_worker"
BREAK: Final = "PAYNOTIFY_BREAK"
KILL_AT: Final = "PAYNOTIFY_KILL_AT"


def loop_class(environment: Mapping[str, str]) -> type[StageLoop]:
    """The loop that the environment names; the product's own by default.

    Raises:
        ConfigurationError: there is no such loop.
    """
    name = environment.get(BREAK, "")
    if not name:
        return StageLoop
    if name not in LOOPS:
        raise ConfigurationError(f"{BREAK} must be one of {', '.join(LOOPS)}.")
    return LOOPS[name]


def reached(environment: Mapping[str, str]) -> Reached:
    """A killer if the environment asks for one."""
    text = environment.get(KILL_AT, "")
    if not text:
        return ignore
    stage_prefix, step, times = text.split("/")
    return _Killer(stage_prefix, Failpoint(int(step)), int(times))


class _Killer:
    def __init__(self, stage_prefix: str, step: Failpoint, times: int) -> None:
        self._stage_prefix, self._step, self._left = stage_prefix, step, times

    def __call__(self, stage: str, step: Failpoint) -> None:
        if step is self._step and stage.startswith(self._stage_prefix):
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def main(words: Sequence[str]) -> int:
    parser, _ = build_parsers([one for one in SUBCOMMANDS if one.name == "worker"])
    arguments = parser.parse_args(words)
    try:
        return worker.run(arguments, loop_class=loop_class(os.environ), reached=reached(os.environ))
    except ConfigurationError as error:
        print(f"broken_worker: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
