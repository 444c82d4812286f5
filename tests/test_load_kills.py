"""Killed while it loads into the application's own tables, or puts things back: nothing is left away.

The long form, with 200 kills, is part of ``make faults``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from faults.data import SOURCE
from faults.own import kill_a_load
from faults.rounds import Pair
from local_servers import durable
from support import mysql

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def servers() -> Iterator[Pair]:
    with durable("mysql:8.0.15", "postgres:17.5") as (my, pg):
        yield my, pg


@pytest.fixture(scope="module")
def source(servers: Pair) -> str:
    url = servers[0].create_database("source")
    mysql(url, SOURCE)
    return url


@pytest.mark.parametrize("seed", range(5))
def test_a_killed_load_is_resumed_or_taken_back(servers: Pair, source: str, seed: int) -> None:
    outcome = kill_a_load(servers, source, seed)
    assert not outcome.wrong, outcome.wrong
