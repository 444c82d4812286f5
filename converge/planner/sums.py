"""Sums of many terms in SQL."""

from __future__ import annotations

from collections.abc import Iterable


def total(terms: Iterable[str]) -> str:
    """The terms' sum, in brackets by halves: a thousand in a row would overrun MySQL's stack; 0 for none."""
    left = list(terms)
    while len(left) > 1:
        left = [f"({'+'.join(left[place : place + 2])})" for place in range(0, len(left), 2)]
    return left[0] if left else "0"
