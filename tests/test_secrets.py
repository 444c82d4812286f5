"""No password anywhere: children, output, files, the ledger, the servers' lists, whatever happens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from conftest import NewDatabase
from support import Ran, converge, mysql, postgres

from converge.errors import UsageError
from converge.model.endpoint import parse
from converge.report.errors import error_text
from converge.sandbox import Server

# Everything that an URL, a shell, SQL or a log could trip over, and letters that are no ASCII.
SOURCE_PASSWORD = "q:7/s@%'ü canary-src"
TARGET_PASSWORD = 'w?9#t&="é canary-tgt'
SECRETS = [
    form
    for password in (SOURCE_PASSWORD, TARGET_PASSWORD)
    for form in (password, quote(password), quote(password, safe=""), json.dumps(password)[1:-1])
] + ["canary-src", "canary-tgt"]


@dataclass
class Watched:
    """What a command has shown anywhere while it ran."""

    places: dict[str, str] = field(default_factory=dict)
    children: int = 0

    def clean(self) -> None:
        for place, text in self.places.items():
            for secret in SECRETS:
                assert secret not in text, f"a password is in {place}: {text[:2000]}"


@dataclass(frozen=True)
class Setup:
    source: str
    target: str
    admin: str

    @property
    def variables(self) -> dict[str, str]:
        return {"CONVERGE_SOURCE_URL": self.source, "CONVERGE_TARGET_URL": self.target}


@pytest.fixture
def setup(
    mysql_8033: Server,
    postgres_175: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
) -> Iterator[Setup]:
    source, target = new_mysql_database(mysql_8033), new_postgres_database(postgres_175)
    mysql(
        source, "CREATE TABLE note (id INT PRIMARY KEY, text VARCHAR(20)); INSERT INTO note VALUES (1, 'a')"
    )
    mysql(source, "DROP USER IF EXISTS secretive@'%'")
    mysql(source, "CREATE USER secretive@'%%' IDENTIFIED WITH caching_sha2_password BY %s", SOURCE_PASSWORD)
    mysql(source, "GRANT ALL ON *.* TO secretive@'%'")
    postgres(target, "DROP ROLE IF EXISTS secretive")
    with_password = TARGET_PASSWORD.replace("'", "''")
    postgres(target, f"CREATE ROLE secretive LOGIN SUPERUSER PASSWORD '{with_password}'")
    yield Setup(
        source.replace("root@", f"secretive:{quote(SOURCE_PASSWORD, safe='')}@"),
        target.replace("postgres@", f"secretive:{quote(TARGET_PASSWORD, safe='')}@"),
        target,
    )
    mysql(source, "DROP USER secretive@'%'")
    postgres(target, "REASSIGN OWNED BY secretive TO postgres")
    postgres(target, "DROP OWNED BY secretive")
    postgres(target, "DROP ROLE secretive")


def watched(setup: Setup, cwd: Path, *arguments: str, **environment: str) -> tuple[Ran, Watched]:
    """Runs a command and looks at all that it starts, says and writes."""
    seen = Watched()
    process = subprocess.Popen(
        [sys.executable, "-m", "converge", *arguments],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PATH": "/usr/bin:/bin", "HOME": str(cwd), **environment},
    )
    asked = "SELECT coalesce(string_agg(application_name || ' ' || query, E'\n'), '') FROM pg_stat_activity"
    with psycopg.connect(setup.admin, autocommit=True) as admin:
        while process.poll() is None:
            for child in _children(process.pid):
                seen.children += 1
                for name in ("cmdline", "environ", "comm"):
                    with suppress(OSError):
                        text = Path(f"/proc/{child}/{name}").read_bytes().decode(errors="replace")
                        seen.places[f"{name} of the child {child}"] = text
            ((queries,),) = admin.execute(asked).fetchall()
            seen.places[f"pg_stat_activity {time.monotonic()}"] = queries
            time.sleep(0.05)
    out, err = process.communicate()
    seen.places |= {"stdout": out, "stderr": err}
    return Ran(process.returncode, out, err), seen


def _children(parent: int) -> list[int]:
    """Process ids of all descendants."""
    found = []
    with suppress(OSError):
        for threads in Path(f"/proc/{parent}/task").glob("*/children"):
            for child in map(int, threads.read_text().split()):
                found += [child, *_children(child)]
    return found


def written(setup: Setup, folder: Path, but: tuple[str, ...] = ()) -> dict[str, str]:
    """Every file below a folder, and every row of the ledger."""
    places = {
        str(file): file.read_text() for file in folder.rglob("*") if file.is_file() and file.name not in but
    }
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'converge'"
    for (table,) in postgres(setup.admin, tables):
        rows = postgres(setup.admin, f'SELECT t::text FROM converge."{table}" t')
        places[f"converge.{table}"] = "\n".join(row for (row,) in rows)
    return places


def test_a_whole_job(setup: Setup, tmp_path: Path) -> None:
    for line in (
        "plan -v -o plan.json --html plan.html --md plan.md --sql plan.sql --write-map map.toml",
        "explain note -v",
        "migrate -v --plan plan.json --report r.html --report r.md --report r.json --report r.xml --json",
        "verify -v",
        "status -v",
        "report -v -o again.html -o again.json",
    ):
        arguments = line.split()
        ran, seen = watched(setup, tmp_path, *arguments, **setup.variables)
        assert ran.code == 0, ran.err
        assert arguments[0] != "migrate" or seen.children > 2, "no worker was seen"
        seen.clean()
    Watched(written(setup, tmp_path)).clean()
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600}


def test_failures(setup: Setup, tmp_path: Path) -> None:
    """Wrong passwords, slips in URLs, a killed server session and a bug say what is wrong, and no more."""
    wrong = setup.source.replace("canary-src", "canary-src-wrong")
    for source, target, code in (
        (wrong, setup.target, 4),
        (setup.source + "?nonsense=1", setup.target, 2),
        (setup.source, setup.target + "?nonsense=1", 5),
        (setup.source, setup.target.replace("@", "-wrong@").replace("/test_", "/nowhere_"), 5),
    ):
        ran, seen = watched(
            setup, tmp_path, "migrate", "-v", CONVERGE_SOURCE_URL=source, CONVERGE_TARGET_URL=target
        )
        assert ran.code == code, ran.err
        assert "Traceback" not in ran.err
        seen.clean()
    Watched(written(setup, tmp_path)).clean()


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://secretive:{SOURCE_PASSWORD}@127.0.0.1:3306/db",
        "mysql://u:12/canary-src@h/d",
        "mysql://u:12?canary-src@h/d",
        "mysql://u:12#canary-src@h/d",
        "mysql://u:[canary-src@h/d",
        "mysql://u@h:canary-src/d",
    ],
)
def test_a_password_that_is_not_encoded(url: str) -> None:
    """What urlsplit takes for a port or a path may be a part of the password."""
    with pytest.raises(UsageError) as raised:
        parse(url)
    Watched({"the error": error_text(raised.value)}).clean()


def test_slips_on_the_command_line(setup: Setup, tmp_path: Path) -> None:
    """Click's own errors quote the arguments."""
    for arguments in (("migrate", setup.source), ("verify", "--level", setup.target)):
        ran = converge(*arguments)
        assert ran.code == 2, ran.err
        Watched({"stdout": ran.out, "stderr": ran.err}).clean()


def test_a_bug(setup: Setup, tmp_path: Path) -> None:
    """A traceback may quote an URL that went the wrong way."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys, converge.run.verify as module\n"
        "def broken(source, target, *rest):\n"
        f"    raise ValueError('no host in ' + {setup.source!r})\n"
        "module.verify = broken\n"
    )
    paths = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path(__file__).parents[1])])}
    ran, seen = watched(setup, tmp_path, "verify", "-v", **setup.variables, **paths)
    assert ran.code == 70
    assert "Traceback" in ran.err
    assert "error[B001]: this is a bug in converge; what was committed stays, on both servers" in ran.err
    assert "no host in mysql://secretive:***@" in ran.err
    seen.clean()


@pytest.mark.parametrize("place", ["converge.toml", "DATABASE_*", "drivers"])
def test_every_place_of_a_password(setup: Setup, tmp_path: Path, place: str) -> None:
    source, target = parse(setup.source), parse(setup.target)
    environment: dict[str, str] = {}
    if place == "converge.toml":
        text = f'source = "{setup.source}"\ntarget = "{setup.target}"\n'
        (tmp_path / place).write_text(text)
    elif place == "DATABASE_*":
        names = {"TYPE": "mysql", "HOST": source.host, "PORT": source.port, "USERNAME": source.user}
        lines = [f"DATABASE_{name}={value}" for name, value in names.items()]
        escaped = SOURCE_PASSWORD.replace("'", "\\'")
        lines += [f"DATABASE_PASSWORD='{escaped}'", f"DATABASE_NAME={source.database}"]
        (tmp_path / ".env").write_text("\n".join(lines))
        environment["CONVERGE_TARGET_URL"] = setup.target
    else:
        (tmp_path / ".my.cnf").write_text(
            f'[client]\nhost={source.host}\nport={source.port}\nuser=secretive\npassword="{SOURCE_PASSWORD}"\n'
        )
        environment |= {"MYSQL_DATABASE": source.database, "PGHOST": target.host, "PGPORT": str(target.port)}
        environment |= {"PGUSER": target.user, "PGDATABASE": target.database, "PGPASSWORD": TARGET_PASSWORD}
    ran, seen = watched(setup, tmp_path, "migrate", "--report", "r.json", **environment)
    assert ran.code == 0, ran.err
    assert seen.children
    seen.clean()
    Watched(written(setup, tmp_path, but=("converge.toml", ".env", ".my.cnf"))).clean()


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """Their parsers quote the line at which they stumble."""
    for name, text in (
        (".my.cnf", "password=canary-src\n"),
        (".my.cnf", "[client\npassword=canary-src\n"),
        (".my.cnf", "[client]\npassword=canary-src\u00e9\n"),
        (".env", "CONVERGE_SOURCE_URL=mysql://u:canary-src\u00e9@h/d\n"),
        ("converge.toml", 'source = "mysql://u:canary-src@h/d\n'),
        ("converge.toml", "source = mysql://u:canary-src@h/d\n"),
    ):
        for old in tmp_path.iterdir():
            old.unlink()
        (tmp_path / name).write_text(text, "latin-1")
        done = subprocess.run(
            [sys.executable, "-m", "converge", "plan"], cwd=tmp_path, capture_output=True, text=True,
            env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}, check=False,
        )  # fmt: skip
        assert done.returncode == 2, done.stderr
        Watched({"stdout": done.stdout, "stderr": done.stderr}).clean()


DASK = """
import pickle, sys
from distributed import LocalCluster, SchedulerPlugin

class Tasks(SchedulerPlugin):
    def transition(self, key, start, finish, *arguments, **more):
        if (start, finish) == ("waiting", "processing"):
            print(pickle.dumps(cluster.scheduler.tasks[key].run_spec), flush=True)

if __name__ == "__main__":
    with LocalCluster(n_workers=4, threads_per_worker=1, dashboard_address=None) as cluster:
        cluster.scheduler.add_plugin(Tasks())
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""


def test_workers_that_dask_starts(setup: Setup, tmp_path: Path) -> None:
    """They have the addresses of their own environment, and those of this machine hear theirs by a pipe."""
    script = tmp_path / "cluster.py"
    script.write_text(DASK)
    streams: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), **setup.variables}
    cluster = subprocess.Popen([sys.executable, script], text=True, cwd=tmp_path, env=environment, **streams)
    try:
        assert cluster.stdout is not None
        address = cluster.stdout.readline().strip().replace("tcp://", "dask://")
        arguments = ("--jobs", "1", "--workers", address, "--workers", "local:1", "--json")
        ran, seen = watched(setup, tmp_path, "migrate", *arguments, **setup.variables)
        out, err = cluster.communicate("", timeout=60)
    finally:
        cluster.kill()
        cluster.wait()
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    assert "R006" not in [finding["code"] for finding in ran.json["findings"]], ran.err
    assert postgres(setup.admin, "SELECT count(*) FROM converge.worker WHERE taken") == [(5,)]
    assert out.count("converge.cluster.start") == 4, "what Dask was asked to do"
    seen.places |= {"Dask's output": out, "Dask's log": err}
    seen.clean()
    Watched(written(setup, tmp_path)).clean()
