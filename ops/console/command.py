"""``paynotify console``: serves pages that answer where a payment is, until SIGTERM."""

from __future__ import annotations

import argparse
import importlib.util
import ipaddress
from pathlib import Path
from typing import Final

from paynotify.schemas.configuration.load import load
from paynotify.schemas.errors import ConfigurationError
from paynotify.service import logs
from paynotify.service.listener import open_listener, split_address

_LIBRARIES: Final = ("starlette", "jinja2")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``paynotify console``."""
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        default="127.0.0.1:8090",
        help="address for browsers, one of this machine's own (loopback) (default: %(default)s)",
    )
    parser.add_argument(
        "--index",
        metavar="FILE",
        default="paynotify-console.sqlite",
        help="file of the index, which is made and may be deleted (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM. Returns the exit code.

    Raises:
        ConfigurationError: an option or the configuration is wrong, or the console's libraries are not installed.
    """
    if missing := [name for name in _LIBRARIES if importlib.util.find_spec(name) is None]:
        raise ConfigurationError(f"The console needs {' and '.join(missing)}. Install paynotify[console].")
    _require_loopback(arguments.listen)
    configuration = load(arguments.config)
    logs.set_up("console")
    from paynotify.ops.console.serving import serve

    return serve(configuration, open_listener(arguments.listen), Path(arguments.index))


def _require_loopback(address: str) -> None:
    """Whoever reaches the console sees every payment; without accounts only this machine may.

    Raises:
        ConfigurationError: the address is not one of the machine's own.
    """
    host, _ = split_address(address)
    try:
        own = ipaddress.ip_address(host).is_loopback
    except ValueError:
        own = host == "localhost"
    if not own:
        raise ConfigurationError(
            f"--listen {address} would show every payment to others: the console has no accounts. "
            "Listen on 127.0.0.1, and reach it through `kubectl port-forward` or an SSH tunnel."
        )
