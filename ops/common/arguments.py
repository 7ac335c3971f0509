"""Options and argument types that several subcommands share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Final


def add_json_option(container: argparse._ActionsContainer) -> None:
    """Add ``--json`` to a parser, or to one of its groups."""
    container.add_argument("--json", action="store_true", help="print one JSON object, for programs")


def add_management_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--management``, the address of a process's probes and metrics."""
    parser.add_argument(
        "--management",
        metavar="HOST:PORT",
        default=":9090",
        help="address for /livez, /readyz and /metrics; port 0 uses a free port and logs it (default: %(default)s)",
    )


def _config_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--config", metavar="FILE", help="configuration file (default: the environment variable PAYNOTIFY_CONFIG)"
    )
    return parser


def _json_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    add_json_option(parser)
    return parser


#: Parent parsers: a subcommand lists those it needs in `ops.main.SUBCOMMANDS`.
CONFIG: Final = _config_parser()
JSON: Final = _json_parser()


def number_between(
    minimum: float, maximum: float, unit: str = "", *, above_minimum: bool = False
) -> Callable[[str], float]:
    """An argument type: a number from ``minimum`` to ``maximum``; ``above_minimum`` excludes the minimum itself."""

    def parse(text: str) -> float:
        number = _number(text, float)
        # a comparison with NaN is false, so NaN is refused too
        if number is None or not (minimum < number if above_minimum else minimum <= number) or not number <= maximum:
            least = f"greater than {minimum:g} and at most" if above_minimum else f"between {minimum:g} and"
            raise argparse.ArgumentTypeError(f"must be {least} {maximum:g}{unit and ' ' + unit}, got {text!r}")
        return number

    return parse


def integer_between(minimum: int, maximum: int) -> Callable[[str], int]:
    """An argument type: a whole number from ``minimum`` to ``maximum``."""

    def parse(text: str) -> int:
        number = _number(text, int)
        if number is None or not minimum <= number <= maximum:
            raise argparse.ArgumentTypeError(f"must be a whole number between {minimum} and {maximum}, got {text!r}")
        return int(number)

    return parse


def _number(text: str, kind: Callable[[str], float]) -> float | None:
    try:
        return kind(text)
    except ValueError:
        return None
