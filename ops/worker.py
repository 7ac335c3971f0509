"""``paynotify worker``: the stages, all of them or those chosen."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

import msgspec
import uvloop

from processors.wiring import STAGES, StageSelection
from processors.worker import Worker
from schemas.configuration.model import load
from schemas.errors import ConfigurationError
from schemas.topics import PROVIDERS
from service import logs


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", metavar="FILE", help="the configuration (or PAYNOTIFY_CONFIG)")
    parser.add_argument(
        "--provider",
        action="append",
        choices=PROVIDERS,
        default=[],
        help="only this provider's stages, and resolve (repeatable)",
    )
    parser.add_argument("--stage", action="append", choices=STAGES, default=[], help="only this stage (repeatable)")
    parser.add_argument("--management", metavar="HOST:PORT", default="0.0.0.0:9090", help="probes and metrics")
    parser.add_argument("--state-directory", metavar="DIR", help="local state (else of the configuration)")
    parser.add_argument(
        "--group-instance-id",
        metavar="NAME",
        help="this process's own name, kept over restarts: its partitions wait for it (else of the configuration)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Work until SIGTERM. Exit code 0 after a clean stop, 1 when a unit failed for good, 2 for wrong use."""
    configuration = load(arguments.config)
    if arguments.group_instance_id:
        named = msgspec.structs.replace(configuration.worker, group_instance_id=arguments.group_instance_id)
        configuration = msgspec.structs.replace(configuration, worker=named)
    logs.set_up("worker")
    directory = Path(arguments.state_directory or configuration.state_directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"The state directory {directory} can't be made: {error.strerror}. "
            "Choose another with state_directory or --state-directory."
        ) from None
    choice = StageSelection(arguments.provider, arguments.stage)

    async def work() -> int:
        return await Worker(configuration, choice, arguments.management, directory).run()

    uvloop.install()  # also for the threads in which Faust's consumers live
    return asyncio.run(work())
