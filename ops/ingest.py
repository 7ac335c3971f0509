"""``paynotify ingest``: run the HTTP ingress until SIGTERM."""

from __future__ import annotations

import argparse

from ingest.server import serve
from schemas.configuration.model import load
from service.logs import set_up


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of the subcommand."""
    parser.add_argument("--config", metavar="FILE", help="the configuration (or PAYNOTIFY_CONFIG)")
    parser.add_argument(
        "--listen", metavar="HOST:PORT", default="0.0.0.0:8080", help="for providers (default %(default)s)"
    )
    parser.add_argument(
        "--management",
        metavar="HOST:PORT",
        default="0.0.0.0:9090",
        help="for /livez, /readyz and /metrics (default %(default)s); port 0 takes a free one and logs it",
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve; the exit code."""
    configuration = load(arguments.config)
    set_up("ingest")
    return serve(configuration, arguments.listen, arguments.management)
