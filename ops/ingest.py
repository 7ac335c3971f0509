"""``paynotify ingest``: runs the HTTP ingress until SIGTERM."""

from __future__ import annotations

import argparse

from paynotify.ingest.server import serve
from paynotify.ops.common.arguments import add_management_option
from paynotify.schemas.configuration.load import load
from paynotify.service.logs import set_up


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``paynotify ingest``."""
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        default=":8080",
        help="address for the providers' calls; without HOST on all addresses, IPv6 and IPv4 (default: %(default)s)",
    )
    add_management_option(parser)


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM. Returns the exit code.

    Raises:
        ConfigurationError: an option or the configuration is wrong.
    """
    configuration = load(arguments.config)
    set_up("ingest")
    return serve(configuration, arguments.listen, arguments.management)
