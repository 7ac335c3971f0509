"""Pairwise testing: a few combinations that contain any two choices together, so that interactions of two are found."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, product

#: A choice by the number of its dimension.
Choice = tuple[int, str]


def pairwise(*dimensions: Sequence[str]) -> list[tuple[str, ...]]:
    """Combinations of one choice each, so that every two choices of different dimensions are together in one at least.

    Each is the one of all that brings the most new pairs, the first of several, so the same choices give the same list.
    """
    everything = list(product(*dimensions))
    missing = {pair for one in everything for pair in pairs_of(one)}
    chosen = []
    while missing:
        best = max(everything, key=lambda one: len(missing & pairs_of(one)))
        missing -= pairs_of(best)
        chosen.append(best)
    return chosen


def pairs_of(combination: Sequence[str]) -> frozenset[tuple[Choice, Choice]]:
    """All pairs of choices that meet in a combination."""
    return frozenset(combinations(enumerate(combination), 2))
