"""What one hostile input may cost, and the error it may end with."""

from __future__ import annotations

import os
import time
import tracemalloc
from collections.abc import Callable
from typing import Any, Final

MOST_SECONDS: Final = 0.05
MOST_BYTES: Final = 10 * 1024 * 1024

#: Inputs over all parsers together; `make fuzz INPUTS=...` asks for more.
CI_INPUTS: Final = 20_000
INPUTS: Final = int(os.environ.get("PAYNOTIFY_FUZZ_INPUTS") or CI_INPUTS)

_TRIES: Final = 10
_SUSPICIOUS_SECONDS: Final = 0.01
_SUSPICIOUS_BYTES: Final = 8 * 1024

Parser = Callable[[Any], object]


def judge(parse: Parser, documented: tuple[type[Exception], ...], given: Any, allowance: int = 1) -> None:
    """Fails if the parser raises anything else, or needs more time or memory than one input may cost.

    Time is the process's own, and the best of ten where the first was too long: a collector's run or a first import
    is not the input's doing. Memory is only traced for inputs that are long or were slow, since tracing itself is slow.
    ``allowance`` multiplies both limits.
    """
    used = _seconds(parse, documented, given)
    for _ in range(_TRIES - 1):
        if used <= MOST_SECONDS * allowance:
            break
        used = min(used, _seconds(parse, documented, given))
    assert used <= MOST_SECONDS * allowance, f"{used * 1000:.0f} ms for {shown(given)}"
    if used > _SUSPICIOUS_SECONDS or size_of(given) > _SUSPICIOUS_BYTES:
        most = peak_bytes(parse, documented, given)
        assert most <= MOST_BYTES * allowance, f"{most / 2**20:.1f} MiB for {shown(given)}"


def peak_bytes(parse: Parser, documented: tuple[type[Exception], ...], given: Any) -> int:
    """The most memory in use while the input is parsed."""
    tracemalloc.start()
    try:
        _run(parse, documented, given)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _seconds(parse: Parser, documented: tuple[type[Exception], ...], given: Any) -> float:
    began = time.process_time()
    _run(parse, documented, given)
    return time.process_time() - began


def _run(parse: Parser, documented: tuple[type[Exception], ...], given: Any) -> None:
    try:
        parse(given)
    except documented:
        return


def size_of(given: Any) -> int:
    """Roughly how long the input is."""
    if isinstance(given, bytes | str):
        return len(given)
    return sum(map(size_of, given)) if isinstance(given, tuple | list) else 8


def shown(given: Any) -> str:
    text = repr(given)
    return text if len(text) <= 300 else f"{text[:200]} ... {text[-80:]} ({len(text)} characters)"
