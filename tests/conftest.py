"""Servers for all tests: each version starts when a test first asks for it, once per session."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from expressions import Pair, make_pair
from support import ENVIRONMENT, warm_up

from converge import sandbox
from converge.sandbox import Server

NewDatabase = Callable[[Server], str]

LONG_FILES = {
    "test_demo.py",
    "test_docs.py",
    "test_install.py",
    "test_nothing_is_lost.py",
    "test_busy_servers.py",
    "test_recover.py",
    "test_interrupt.py",
    "test_load.py",
    "test_load_kills.py",
    "test_matrix.py",
    "test_reports.py",
    "test_sakila.py",
    "test_snapshot.py",
    "test_types.py",
    "test_validate.py",
    "test_wide.py",
    "test_working_folder.py",
}

_MEMORY = "/dev/shm"
_MEMORY_BYTES = 8 << 30
"""More than all servers of a run hold at one time."""

_HAS_ROOM = (
    os.access(_MEMORY, os.W_OK)
    and shutil.disk_usage(_MEMORY).free > _MEMORY_BYTES
    and not os.statvfs(_MEMORY).f_flag & os.ST_NOEXEC
)

if "TMPDIR" not in os.environ and _HAS_ROOM:
    # In memory a database is made and dropped in 60 ms; on a disk, with its journal, in 460 ms.
    os.environ["TMPDIR"] = tempfile.tempdir = _MEMORY
ENVIRONMENT["TMPDIR"] = tempfile.gettempdir()

_USED: list[str] = []
"""Kind, version and provider of each server that this process, or one that it runs tests in, has started."""


@pytest.fixture(scope="session", autouse=True)
def _commands() -> None:
    warm_up()


@pytest.fixture(scope="session")
def mysql_8015() -> Iterator[Server]:
    yield from _serve("mysql:8.0.15")


@pytest.fixture(scope="session")
def mysql_8033() -> Iterator[Server]:
    yield from _serve("mysql:8.0.33")


@pytest.fixture(scope="session")
def postgres_14() -> Iterator[Server]:
    yield from _serve("postgres:14")


@pytest.fixture(scope="session")
def postgres_15() -> Iterator[Server]:
    yield from _serve("postgres:15")


@pytest.fixture(scope="session")
def postgres_16() -> Iterator[Server]:
    yield from _serve("postgres:16")


@pytest.fixture(scope="session")
def postgres_175() -> Iterator[Server]:
    yield from _serve("postgres:17.5")


@pytest.fixture(scope="session", params=["mysql_8015", "mysql_8033"])
def mysql_any(request: pytest.FixtureRequest) -> Server:
    """Each MySQL in turn."""
    server: Server = request.getfixturevalue(request.param)
    return server


@pytest.fixture(scope="session", params=["postgres_14", "postgres_15", "postgres_16", "postgres_175"])
def postgres_any(request: pytest.FixtureRequest) -> Server:
    """Each PostgreSQL in turn."""
    server: Server = request.getfixturevalue(request.param)
    return server


@pytest.fixture
def new_mysql_database(request: pytest.FixtureRequest) -> Iterator[NewDatabase]:
    """`new_mysql_database(mysql_8015)` gives the URL of an empty database, dropped after the test."""
    yield from _new_databases()


@pytest.fixture
def new_postgres_database(request: pytest.FixtureRequest) -> Iterator[NewDatabase]:
    """`new_postgres_database(postgres_175)` gives the URL of an empty database, dropped after the test."""
    yield from _new_databases()


@pytest.fixture
def databases(
    mysql_8033: Server,
    postgres_175: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
) -> tuple[str, str]:
    """URLs of an empty source and an empty target."""
    return new_mysql_database(mysql_8033), new_postgres_database(postgres_175)


OLDEST_AND_NEWEST = [("mysql_8015", "postgres_14"), ("mysql_8033", "postgres_175")]


@pytest.fixture(params=OLDEST_AND_NEWEST)
def both_databases(
    request: pytest.FixtureRequest, new_mysql_database: NewDatabase, new_postgres_database: NewDatabase
) -> tuple[str, str]:
    """URLs of an empty source and an empty target: on the oldest servers, then on the newest."""
    source, target = (request.getfixturevalue(name) for name in request.param)
    return new_mysql_database(source), new_postgres_database(target)


@pytest.fixture(scope="module", params=OLDEST_AND_NEWEST)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """The table of odd values on two servers, for one module of tests."""
    source, target = (request.getfixturevalue(name) for name in request.param)
    name = request.module.__name__
    yield make_pair(source.create_database(name), target.create_database(name), tmp_path_factory.mktemp(name))
    for server in (source, target):
        server.drop_database(name)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real dumps beside this repository; tests that need it are skipped without it."""
    folder = Path(__file__).parents[1].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real dumps in {folder}")
    return folder


def pytest_xdist_auto_num_workers() -> int:
    """Processes side by side, a file of tests each; servers that are given by URL are there only once.

    Two more than there are cores, and four at most: half of its time a test waits for a server.
    """
    given = any(name.startswith("CONVERGE_SANDBOX_") for name in os.environ)
    return 0 if given else min((os.cpu_count() or 1) + 2, 4)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take minutes, so that no process waits for them in the end."""
    items.sort(key=lambda item: item.path.name not in LONG_FILES)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["servers"] = _USED


def pytest_testnodedown(node: Any) -> None:
    _USED.extend(getattr(node, "workeroutput", {}).get("servers", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _USED:
        terminalreporter.write_line(f"servers: {', '.join(dict.fromkeys(_USED))}")


def _serve(name: str) -> Iterator[Server]:
    with sandbox.start(name) as (server,):
        _USED.append(f"{server.kind}:{server.version} ({server.provider})")
        yield server


_numbers: Counter[str] = Counter()


def _new_databases() -> Iterator[NewDatabase]:
    made: list[tuple[Server, str]] = []

    def new(server: Server) -> str:
        _numbers[server.url] += 1
        name = f"test_{_numbers[server.url]}"
        made.append((server, name))
        return server.create_database(name)

    yield new
    for server, name in made:
        server.drop_database(name)
