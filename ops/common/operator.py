"""Who runs a command that changes something, and why."""

from __future__ import annotations

import argparse
import getpass
import os
import re
from dataclasses import dataclass
from typing import Final

from paynotify.schemas.errors import ConfigurationError
from paynotify.schemas.messages import OperatorIdentity

MAX_REASON_LENGTH: Final = 200

_USER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
#: Card numbers have 13 to 19 digits, often written in groups.
_CARD_LIKE: Final = re.compile(r"(?:\d[ .-]?){13,}")


@dataclass(frozen=True, slots=True)
class Operator:
    """Who acts, how that is known, and the reason given."""

    by: str
    identity: OperatorIdentity
    os_user: str
    reason: str | None = None


def add_operator_options(parser: argparse.ArgumentParser, *names: str) -> None:
    """Add ``--by``, and the option of these names for the reason; `paynotify history` shows both."""
    parser.add_argument("--by", metavar="USER", help="who does it (default: the user of the operating system)")
    parser.add_argument(
        *(names or ("--reason", "--why")),
        dest="why",
        metavar="TEXT",
        help="why, without card or personal data; paynotify history shows it",
    )


def operator_of(by: str | None, reason: str | None) -> Operator:
    """Who runs this process: the name of ``--by``, or the user of the operating system.

    Raises:
        ConfigurationError: the name or the reason is not as it must be.
    """
    # a container's user often has no name, and its number is better than nothing
    os_user = system_user() or f"uid-{os.getuid()}"
    why = parse_reason(reason) if reason is not None else None
    if by is None:
        return Operator(by=os_user[:64], identity="os_user", os_user=os_user[:64], reason=why)
    return Operator(by=parse_user(by), identity="named", os_user=os_user[:64], reason=why)


def parse_reason(text: str) -> str:
    """Why the operator does it. It is kept on topics, so it must not contain card or personal data.

    Raises:
        ConfigurationError: the text is empty, too long, not printable, or looks like card or personal data.
    """
    reason = text.strip()
    if not 0 < len(reason) <= MAX_REASON_LENGTH or not reason.isprintable():
        raise ConfigurationError(
            f"--reason must be 1 to {MAX_REASON_LENGTH} printable characters, got {len(reason)} characters."
        )
    # the text itself is not repeated here: errors end up in logs and tickets
    if _CARD_LIKE.search(reason) or "@" in reason:
        raise ConfigurationError(
            "--reason must not contain card or personal data, got 13 or more digits in a row or an e-mail address. "
            "It is kept on topics that others read. Name a ticket or the provider's case instead."
        )
    return reason


def parse_user(text: str | None) -> str:
    """Who does it: ``--by``, or the user of the operating system.

    Raises:
        ConfigurationError: the user is not a short plain name, or the operating system knows none.
    """
    name = system_user() if text is None else text
    if not _USER.match(name):
        raise ConfigurationError(
            "--by must be 1 to 64 letters, digits and . _ - (first a letter or digit), such as a user name; "
            f"got {name[:64]!r}."
        )
    return name


def system_user() -> str:
    """The user of the operating system; empty where it has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
