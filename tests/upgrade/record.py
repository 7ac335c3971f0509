"""``python -m tests.upgrade.record``: what a release leaves behind on the topics and on a worker's disk.

Runs a short while of payments with the code of an earlier commit and keeps its topics and its state below
``recorded``. Secrets are made up anew for each run and are not kept.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.upgrade.dump import RECORDED
from tests.upgrade.earlier import EARLIER, export, run

_SECONDS = 180.0


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 if it was recorded."""
    parser = argparse.ArgumentParser(prog="python -m tests.upgrade.record", description=__doc__)
    parser.add_argument("commit", nargs="?", default=EARLIER, help="(default %(default)s)")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="paynotify-upgrade-") as directory:
        code, log = Path(directory, "code"), Path(directory, "session.log")
        export(arguments.commit, code)
        to = RECORDED / arguments.commit
        to.mkdir(parents=True, exist_ok=True)
        child = run(code, "session", [str(Path(__file__).with_name("session.py")), str(to)], log)
        if not child.wait(_SECONDS):
            child.kill()
        if child.exit_code != 0:
            print(f"not recorded: {child.end()}", file=sys.stderr)
            return 1
    print(", ".join(f"{one.name}: {one.stat().st_size} bytes" for one in sorted(to.iterdir())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
