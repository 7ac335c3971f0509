"""``paynotify worker``: runs stages, all of them by default, until SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

import msgspec
import uvloop

from paynotify.ops.common.arguments import add_management_option
from paynotify.processors.runtime.failpoints import Reached, ignore
from paynotify.processors.runtime.loop import StageLoop
from paynotify.processors.wiring import STAGES, StageSelection
from paynotify.processors.worker import Worker
from paynotify.schemas.configuration.load import load
from paynotify.schemas.errors import ConfigurationError
from paynotify.schemas.providers import provider_names
from paynotify.service import logs


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``paynotify worker``."""
    parser.add_argument(
        "--provider",
        action="append",
        choices=provider_names(),
        default=[],
        help="run only this provider's stages, and the stages of all providers (repeatable)",
    )
    parser.add_argument("--stage", action="append", choices=STAGES, default=[], help="run only this stage (repeatable)")
    add_management_option(parser)
    parser.add_argument(
        "--state-directory",
        metavar="DIR",
        help="directory of the local state (default: state_directory of the configuration)",
    )
    parser.add_argument(
        "--group-instance-id",
        metavar="NAME",
        help="static membership: a name that is unique to this process and survives restarts, so that its partitions "
        "wait for it (default: worker.group_instance_id of the configuration)",
    )


def run(arguments: argparse.Namespace, *, loop_class: type[StageLoop] = StageLoop, reached: Reached = ignore) -> int:
    """Run until SIGTERM. Exit code 0 after a clean stop, 1 if a stage failed.

    ``loop_class`` and ``reached`` are for tests that break or kill a worker on purpose.

    Raises:
        ConfigurationError: an option or the configuration is wrong, or the state directory cannot be created.
    """
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
            f"The state directory {directory} cannot be created: {error.strerror}. "
            "Set another one with state_directory or --state-directory."
        ) from None
    selection = StageSelection(arguments.provider, arguments.stage)

    async def work() -> int:
        worker = Worker(
            configuration, selection, arguments.management, directory, loop_class=loop_class, reached=reached
        )
        return await worker.run()

    uvloop.install()  # also for the threads of Faust's consumers
    return asyncio.run(work())
