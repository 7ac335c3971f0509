"""The exit codes of every program, and how an expected error becomes one: one paragraph on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final

from paynotify.schemas.errors import ClusterUnavailableError, ConfigurationError

WRONG_USE: Final = 2
CLUSTER_UNAVAILABLE: Final = 3
INTERRUPTED: Final = 130


def exit_code(program: str, run: Callable[[], int], *, when_interrupted: str = "") -> int:
    """What ``run`` returns, or the code of the error that it raises. ``when_interrupted`` is said after Ctrl-C."""
    try:
        return run()
    except ConfigurationError as error:
        return _told(f"{program}: {error}", WRONG_USE)
    except ClusterUnavailableError as error:
        return _told(f"{program}: {error}", CLUSTER_UNAVAILABLE)
    except KeyboardInterrupt:
        return _told(when_interrupted, INTERRUPTED)


def _told(text: str, code: int) -> int:
    if text:
        sys.stderr.write(f"{text}\n")
    return code
