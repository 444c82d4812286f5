"""Killed while it loads into the application's own tables, or puts things back: nothing is left away.

The long form, with 200 kills, is part of ``make faults``.
"""

from __future__ import annotations

import pytest

from faults.own import kill_a_load
from faults.rounds import Pair

pytestmark = pytest.mark.faults


@pytest.mark.parametrize("seed", range(5))
def test_a_killed_load_is_resumed_or_taken_back(servers: Pair, source: str, seed: int) -> None:
    outcome = kill_a_load(servers, source, seed)
    assert not outcome.wrong, outcome.wrong
