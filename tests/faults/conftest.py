"""Servers that may be crashed, and scenes on them, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from local_servers import durable
from support import mysql

from faults import rounds
from faults.data import SOURCE
from faults.scene import Scene


@pytest.fixture(scope="module")
def servers() -> Iterator[rounds.Pair]:
    """Servers that may be crashed: what they have said is on disk is there."""
    with durable("mysql:8.0.15", "postgres:17.5") as (my, pg):
        yield my, pg


@pytest.fixture(scope="module")
def source(servers: rounds.Pair) -> str:
    url = servers[0].create_database("source")
    mysql(url, SOURCE)
    return url


@pytest.fixture
def moving_source(servers: rounds.Pair) -> Iterator[str]:
    """A source of its own for a test that changes it."""
    url = servers[0].create_database("moving")
    mysql(url, SOURCE)
    yield url
    servers[0].drop_database("moving")


@pytest.fixture
def stage(servers: rounds.Pair, source: str) -> Iterator[Scene]:
    """A scene on the common source."""
    with rounds.staged(servers, source, 1) as one:
        yield one


@pytest.fixture
def moving_stage(servers: rounds.Pair, moving_source: str) -> Iterator[Scene]:
    """A scene on a source that the test may change."""
    with rounds.staged(servers, moving_source, 2) as one:
        yield one
