"""No input makes a parser raise anything but its documented error, or costs more than 50 ms or 10 MB.

20,000 inputs by default, always the same; ``make fuzz INPUTS=1000000`` takes as many as it is told, others each time.
"""

from __future__ import annotations

from random import Random
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz.budget import CI_INPUTS, INPUTS, MOST_BYTES, judge, peak_bytes
from tests.fuzz.hostile import EXTREMES, varied
from tests.fuzz.parsers import PARSERS, Parser

#: hypothesis remembers every input it has drawn in a run: a hundred thousand would fill the memory.
_AT_A_TIME: Final = 5_000
#: Of five inputs one is drawn by hypothesis, which takes ten times as long as most parsers need; four vary it.
_VARIATIONS: Final = 4


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_parser_bears_any_input(parser: Parser) -> None:
    left = max(1, INPUTS * parser.share // sum(one.share for one in PARSERS) // (1 + _VARIATIONS))
    while left > 0:
        _try(parser, min(left, _AT_A_TIME))
        left -= _AT_A_TIME


def _try(parser: Parser, inputs: int) -> None:
    @settings(
        max_examples=inputs,
        deadline=None,
        derandomize=INPUTS <= CI_INPUTS,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    @given(parser.inputs, st.integers(0, 2**32))
    def each(given_input: Any, seed: int) -> None:
        judge(parser.parse, parser.errors, given_input, parser.allowance)
        chance = Random(seed)
        for _ in range(_VARIATIONS):
            judge(parser.parse, parser.errors, varied(given_input, chance), parser.allowance)

    each()


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_parser_bears_each_extreme(parser: Parser) -> None:
    """What costs most, as long as a notification may be, with memory traced for each."""
    problems = []
    for name, raw in EXTREMES.items():
        given_input = parser.extreme(raw)
        try:
            judge(parser.parse, parser.errors, given_input, parser.allowance)
            most = peak_bytes(parser.parse, parser.errors, given_input)
            assert most <= MOST_BYTES * parser.allowance, f"{most / 2**20:.1f} MiB"
        except Exception as error:  # noqa: BLE001 - every extreme is tried before the test fails
            problems.append(f"{name}: {type(error).__name__}: {error}"[:400])
    assert problems == []
