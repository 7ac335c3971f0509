"""``python -m tests.fault``: inject every fault, and account for each notification.

The exit code is 0 if the verifier found nothing wrong, 1 if it did, and 2 if the run failed to start.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence
from pathlib import Path

from paynotify.sandbox.signals import ends_on_signal
from paynotify.schemas.errors import PaynotifyError
from tests.fault.faults import FAULTS, described
from tests.fault.run import FaultRun, Order


def main(argv: Sequence[str] | None = None) -> int:
    """Run and print the report; what goes on meanwhile is on standard error."""
    faults = "\n".join(f"  {name:22}{described(name)}" for name in FAULTS)
    parser = argparse.ArgumentParser(
        prog="python -m tests.fault",
        description=__doc__,
        epilog=f"faults:\n{faults}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, help="the seed of load and schedule (default: a random one)")
    parser.add_argument(
        "--duration",
        type=float,
        default=120.0,
        metavar="SECONDS",
        help="the duration of the load (default: %(default)g)",
    )
    parser.add_argument(
        "--notifications",
        type=int,
        default=600,
        metavar="N",
        help="the approximate number of notifications (default: %(default)s)",
    )
    parser.add_argument(
        "--nodes", type=int, choices=(1, 3), default=1, help="the number of brokers (default: %(default)s)"
    )
    parser.add_argument(
        "--workers", type=int, default=2, metavar="N", help="the number of workers (default: %(default)s)"
    )
    parser.add_argument(
        "--static", action="store_true", help="use static membership: partitions wait for their worker to restart"
    )
    parser.add_argument(
        "--stall-seconds", type=float, metavar="SECONDS", help="the longest time that a partition may stall"
    )
    parser.add_argument("--fault", action="append", choices=list(FAULTS), help="inject this fault only; repeatable")
    parser.add_argument(
        "--within",
        type=float,
        default=180.0,
        metavar="SECONDS",
        help="the time to catch up after the last fault (default: %(default)g)",
    )
    parser.add_argument(
        "--keep", type=Path, metavar="DIRECTORY", help="keep logs, reports and deliveries in this directory"
    )
    arguments = parser.parse_args(argv)
    if arguments.duration <= 0 or min(arguments.notifications, arguments.workers) < 1:
        parser.error("--duration, --notifications and --workers must be more than 0")
    order = Order(
        seed=random.randrange(2**31) if arguments.seed is None else arguments.seed,
        duration_seconds=arguments.duration,
        notifications=arguments.notifications,
        nodes=arguments.nodes,
        workers=arguments.workers,
        static=arguments.static,
        stall_seconds=arguments.stall_seconds,
        faults=arguments.fault or tuple(FAULTS),
        within_seconds=arguments.within,
        directory=arguments.keep,
    )
    try:
        with ends_on_signal():
            outcome = FaultRun(order).process_batch()
    except PaynotifyError as error:
        print(f"The run of seed {order.seed} failed to start: {error}", file=sys.stderr)
        return 2
    print(outcome.text.rstrip())
    for name, why in outcome.skipped.items():
        print(f"skipped: {name} ({why})")
    for restart in outcome.restarts:
        print(f"restarted: {restart}")
    for problem in outcome.problems:
        print(f"WRONG: {problem}")
    return 0 if outcome.right else 1


if __name__ == "__main__":
    sys.exit(main())
