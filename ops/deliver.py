"""``paynotify deliver``: calls subscribers with the events of the result topics until SIGTERM."""

from __future__ import annotations

import argparse
import asyncio

import uvloop

from paynotify.deliver.process import DeliverProcess
from paynotify.ops.common.arguments import add_management_option
from paynotify.schemas.configuration.load import load
from paynotify.service import logs


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``paynotify deliver``."""
    add_management_option(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run until SIGTERM. Exit code 0 after a clean stop.

    Raises:
        ConfigurationError: an option or the configuration is wrong, or there is no subscription.
    """
    configuration = load(arguments.config)
    logs.set_up("deliver")

    async def deliver() -> int:
        return await DeliverProcess(configuration, arguments.management).run()

    uvloop.install()
    return asyncio.run(deliver())
