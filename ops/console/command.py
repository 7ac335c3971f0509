"""``paynotify console``: serves pages that answer where a payment is, until SIGTERM."""

from __future__ import annotations

import argparse
import importlib.util
import ipaddress
import sys
from getpass import getpass
from pathlib import Path
from typing import Final

from paynotify.schemas.configuration.console import ConsoleSettings
from paynotify.schemas.configuration.load import load
from paynotify.schemas.errors import ConfigurationError
from paynotify.service import logs
from paynotify.service.listener import open_listener, split_address

_LIBRARIES: Final = ("starlette", "jinja2", "itsdangerous")
_MAX_INPUT_CHARACTERS: Final = 1000


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``paynotify console``."""
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        default="127.0.0.1:8090",
        help="address for browsers; one that others reach needs console.access (default: %(default)s)",
    )
    parser.add_argument(
        "--index",
        metavar="FILE",
        default="paynotify-console.sqlite",
        help="file of the index, which is made and may be deleted (default: %(default)s)",
    )
    parser.add_argument(
        "--hash-password",
        action="store_true",
        help="read a password from standard input, print its hash for console.access.basic, and end",
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM. Returns the exit code.

    Raises:
        ConfigurationError: an option or the configuration is wrong, or the console's libraries are not installed.
    """
    if missing := missing_libraries():
        raise ConfigurationError(f"The console needs {' and '.join(missing)}. Install paynotify[console].")
    if arguments.hash_password:
        return _hash_password()
    configuration = load(arguments.config)
    is_loopback = is_own_address(arguments.listen)
    if not is_loopback:
        _require_access(arguments.listen, configuration.console)
    logs.set_up("console")
    from paynotify.ops.console.serving import serve

    listening = open_listener(arguments.listen)
    return serve(configuration, listening, Path(arguments.index), is_loopback=is_loopback)


def missing_libraries() -> list[str]:
    """What of the extra ``console`` is not installed."""
    return [name for name in _LIBRARIES if importlib.util.find_spec(name) is None]


def is_own_address(address: str) -> bool:
    """Whether only this machine reaches the address.

    Raises:
        ConfigurationError: it is no address.
    """
    host, _ = split_address(address)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _require_access(address: str, settings: ConsoleSettings) -> None:
    """Whoever reaches a console without users sees every payment.

    Raises:
        ConfigurationError: nobody would be known, or no browser would be answered.
    """
    if settings.access.kind == "none":
        raise ConfigurationError(
            f"--listen {address} would show every payment to others: console.access is none. Configure who may use the "
            "console, or listen on 127.0.0.1, and reach it through `kubectl port-forward` or an SSH tunnel."
        )
    if not settings.public_urls:
        raise ConfigurationError(
            f"--listen {address} needs console.public_urls: requests for hosts that it does not name are refused."
        )


def _hash_password() -> int:
    from paynotify.ops.console.access.password_hash import hash_password

    try:
        password = getpass() if sys.stdin.isatty() else sys.stdin.read(_MAX_INPUT_CHARACTERS)
    except UnicodeDecodeError:
        raise ConfigurationError("The password on standard input is not UTF-8 text.") from None
    sys.stdout.write(hash_password(password.removesuffix("\n")).text() + "\n")
    return 0
