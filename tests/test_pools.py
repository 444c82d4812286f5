"""Connection pools before the target: one that changes the server's process is refused at once."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from revisions import folder
from support import converge, mysql, postgres

from converge.model.endpoint import parse

PGBOUNCER = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")
SETTINGS = """
[databases]
{database} = host=127.0.0.1 port={port} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
server_round_robin = {turn}
default_pool_size = 20
min_pool_size = {least}
ignore_startup_parameters = extra_float_digits
"""
pytestmark = pytest.mark.skipif(PGBOUNCER is None, reason="apt-get install pgbouncer")


@pytest.fixture
def pooled(request: pytest.FixtureRequest, databases: tuple[str, str], tmp_path: Path) -> Iterator[str]:
    """The target's address by way of a pool of its own."""
    mode, turn, least = request.param
    target = parse(databases[1])
    with socket.create_server(("127.0.0.1", 0)) as free:
        own = free.getsockname()[1]
    file = tmp_path / "pool.ini"
    how = {"mode": mode, "turn": turn, "least": least}
    file.write_text(SETTINGS.format(database=target.database, port=target.port, own=own, **how))
    file.chmod(0o644)
    tmp_path.chmod(0o755)
    program = [str(PGBOUNCER), "-q", "-u", "nobody", str(file)]
    with subprocess.Popen(program, stderr=subprocess.DEVNULL) as process:
        url = databases[1].replace(f":{target.port}/", f":{own}/")
        try:
            for _ in range(100):
                with suppress(psycopg.OperationalError):
                    postgres(url, "SELECT 1")
                    break
                time.sleep(0.1)
            yield url
        finally:
            process.terminate()


@pytest.mark.parametrize(
    "pooled", [("transaction", 0, 0), ("transaction", 1, 4), ("statement", 0, 2)], indirect=True
)
def test_a_pool_by_transaction_is_refused(pooled: str, databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE film (id INT PRIMARY KEY)")
    of = folder(tmp_path / "m", "CREATE TABLE more (id int)")
    both = ("--source", source, "--target", pooled)
    for arguments in (
        ("migrate", *both), ("plan", *both), ("doctor", *both), ("verify", *both),
        ("recover", "--target", pooled), ("status", "--target", pooled),
        ("migrations", "run", "--target", pooled, "--alembic", str(of.location)),
    ):  # fmt: skip
        refused = converge(*arguments)
        said = refused.out + refused.err
        assert (refused.code, "T170" in said, "pool_mode = session" in said) == (3, True, True), said
    assert postgres(target, "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace") == [
        (0,)
    ]
    assert postgres(target, "SELECT to_regnamespace('converge')") == [(None,)]


@pytest.mark.parametrize("pooled", [("session", 0, 0)], indirect=True)
def test_a_pool_by_session_is_as_good_as_none(pooled: str, databases: tuple[str, str]) -> None:
    source, _ = databases
    mysql(source, "CREATE TABLE film (id INT PRIMARY KEY)")
    mysql(source, "INSERT INTO film VALUES (1)")
    ran = converge("migrate", "--source", source, "--target", pooled, "--jobs", "2")
    assert ran.code == 0, ran.err
    assert postgres(pooled, "SELECT id FROM film") == [(1,)]
