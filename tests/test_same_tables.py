"""Tables of the same name and definition that are others in the middle of a run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import psycopg
import pymysql
import pytest
from conftest import NewDatabase
from proxy import Proxy
from support import begun, migrated, mysql, postgres

from converge.api import MigrateOptions, Selection, migrate, sync, verify
from converge.errors import SourceError
from converge.model.endpoint import Endpoint, parse
from converge.model.event import Event, PhaseEnded, PhaseStarted
from converge.model.result import Result
from converge.run.options import Options
from converge.run.prepare import Prepared, prepare
from converge.run.snapshot import take_snapshot
from converge.sandbox import Server

# All tables have one definition, and rows of their own.
PARTITIONED = (
    "PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN MAXVALUE)"
)
SHARED = "TABLESPACE = innodb_system"
TABLES = {
    "a": "", "b": "", "c": "", "log": "", "log_new": "", "other_part": "", "dropped": "", "emptied": "",
    "parted": PARTITIONED, "shared": SHARED, "shared_new": SHARED, "still": "", "rebuilt": "",
    "strange name/é-": "", "strange new": "",
}  # fmt: skip
DEFINITION = "(id INT PRIMARY KEY, t VARCHAR(20))"
CHANGES = {
    "RENAME TABLE log TO log_old, log_new TO log": {"log", "log_new"},
    "RENAME TABLE a TO x, b TO a, c TO b, x TO c": {"a", "b", "c"},
    "ALTER TABLE parted EXCHANGE PARTITION p1 WITH TABLE other_part": {"parted", "other_part"},
    f"DROP TABLE dropped; CREATE TABLE dropped {DEFINITION}": {"dropped"},
    "RENAME TABLE shared TO s, shared_new TO shared, s TO shared_new": {"shared", "shared_new"},
    "RENAME TABLE `strange name/é-` TO s, `strange new` TO `strange name/é-`": {
        "strange name/é-",
        "strange new",
    },
    "TRUNCATE emptied": {"emptied"},
    "INSERT INTO still VALUES (9, 'x'); UPDATE still SET t = 'y'; ANALYZE TABLE still": set(),
}


def fill(source: str) -> None:
    for number, (table, options) in enumerate(TABLES.items()):
        first = 20 if table == "other_part" else 1
        mysql(source, f"CREATE TABLE `{table}` {DEFINITION} {options}")
        mysql(source, f"INSERT INTO `{table}` VALUES ({first}, 'of {number}')")


@contextmanager
def reader(source: str, *rights: str) -> Iterator[str]:
    """The source's address for a user who may not hold changes of the schema off."""
    mysql(source, "CREATE USER same_tables@'%'")
    mysql(source, f"GRANT {', '.join(('SELECT', 'RELOAD', *rights))} ON *.* TO same_tables@'%'")
    try:
        yield source.replace("root@", "same_tables@")
    finally:
        mysql(source, "DROP USER same_tables@'%'")


def prepared(source: str, target: Endpoint) -> AbstractContextManager[Prepared]:
    return prepare(parse(source), target, Options(scan=False), lambda _: None)


def begin(_: str) -> None:
    """No worker has to read anything here."""


@pytest.mark.parametrize(
    ("mysql_name", "postgres_name"), [("mysql_8015", "postgres_14"), ("mysql_8033", "postgres_175")]
)
def test_a_table_that_takes_the_name_of_another_is_found(
    request: pytest.FixtureRequest,
    mysql_name: str,
    postgres_name: str,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
) -> None:
    source = new_mysql_database(request.getfixturevalue(mysql_name))
    target = parse(new_postgres_database(request.getfixturevalue(postgres_name)))
    fill(source)
    result = Result("migrate", "", "")
    for change, tables in CHANGES.items():
        with reader(source, "PROCESS") as url, prepared(url, target) as here:
            taken, require = take_snapshot(here.source, here.inputs.catalog, here.plan, begin, result)
            assert taken.level == "locked"
            mysql(source, change)
            if not tables:
                require()
                continue
            with pytest.raises(SourceError) as raised:
                require()
            assert raised.value.code == "S011"
            assert {*raised.value.message.partition(":")[0].split(", ")} == tables
    assert [one for one in result.findings if one.code == "V100"] == []
    with reader(source) as url, prepared(url, target) as here:
        take_snapshot(here.source, here.inputs.catalog, here.plan, begin, result)
    (unsure,) = [one for one in result.findings if one.code == "V100"]
    assert unsure.evidence == "shared, shared_new"
    # MySQL 9.7 wants PROCESS for all lists of InnoDB's, as 8.0 does for the longer one.
    server = parse(source).port
    assert server is not None
    rewritten = Proxy(server, rewrite=lambda block, _: block.replace(b"SPACES_BRIEF", b"SPACES      "))
    with closing(rewritten) as proxy:
        far = source.replace(f":{server}/", f":{proxy.port}/")
        with reader(far) as url, prepared(url, target) as here:
            take_snapshot(here.source, here.inputs.catalog, here.plan, begin, result)
    assert len(result.findings[-1].evidence.split(", ")) == len(TABLES)


@pytest.mark.parametrize("may_hold", [False, True])
def test_a_run_does_not_verify_another_table(
    may_hold: bool,
    mysql_8033: Server,
    postgres_175: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
) -> None:
    """The first table waits for a lock while the last one is exchanged, or is held as it is."""
    source, target = new_mysql_database(mysql_8033), new_postgres_database(postgres_175)
    fill(source)
    mysql(source, "CREATE TABLE `0` (t TEXT); INSERT INTO `0` VALUES ('without a key, so it is first')")
    rights = ["BACKUP_ADMIN"] if may_hold else []
    with reader(source, *rights) as url, psycopg.connect(target) as holder:
        run = begun(url, target, "--yes", "--json", "--jobs", "1")
        while not postgres(target, """SELECT 1 WHERE to_regclass('public."0"') IS NOT NULL"""):
            assert run.poll() is None, run.communicate()
            time.sleep(0.01)
        holder.execute('LOCK TABLE "0"')
        while not postgres(target, "SELECT 1 FROM pg_locks WHERE NOT granted"):
            assert run.poll() is None, run.communicate()
            time.sleep(0.05)
        swap = "SET lock_wait_timeout = 1; RENAME TABLE log TO x, log_new TO log, x TO log_new"
        if may_hold:
            with pytest.raises(pymysql.err.OperationalError, match="Lock wait timeout"):
                mysql(source, swap)
        else:
            mysql(source, swap)
        holder.rollback()
        out, err = run.communicate(timeout=60)
    if may_hold:
        assert run.returncode == 0, (out, err)
        assert postgres(target, "SELECT t FROM log") == mysql(source, "SELECT t FROM log")
    else:
        assert (run.returncode, '"verified"' in out) == (4, False), (out, err)
        assert "log, log_new: changed in the source" in err


def test_a_column_that_is_renamed_before_its_rows_are_read(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 1)")

    def rename(event: Event) -> None:
        if isinstance(event, PhaseStarted) and event.name == "snapshot":
            mysql(source, "ALTER TABLE t RENAME COLUMN v TO w")

    with pytest.raises(SourceError, match="was changed while it was read: Unknown column 'v'") as raised:
        migrate(source, target, on_event=rename)
    assert raised.value.code == "S011"
    # It was altered for good, so no --resume can go on.
    assert "--recreate" in (raised.value.hint or "") and "--resume" not in (raised.value.hint or "")


def test_what_is_created_between_the_plan_and_the_snapshot(
    databases: tuple[str, str], tmp_path: Path
) -> None:
    """It is in the snapshot and in nobody's plan: a table differs, as for `verify`; all else is a loss."""
    source, target = databases
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY); CREATE VIEW seen AS SELECT id FROM t")
    mysql(source, "CREATE TABLE tmp_0 (id INT); CREATE FUNCTION f() RETURNS INT NO SQL RETURN 1")
    mysql(source, "CREATE TABLE m (id INT, KEY (id)) ENGINE = MyISAM")
    mysql(source, "CREATE TABLE merged (id INT, KEY (id)) ENGINE = MRG_MyISAM UNION = (m)")
    (tmp_path / "map.toml").write_text('[[table]]\nmatch = { table = "skipped" }\nskip = true\n')

    def create(event: Event) -> None:
        if isinstance(event, PhaseStarted) and event.name == "snapshot":
            mysql(source, "CREATE TABLE later (id INT PRIMARY KEY); INSERT INTO later VALUES (1)")
            mysql(source, "CREATE TABLE tmp_1 (id INT); CREATE TABLE skipped (id INT)")
            mysql(source, "CREATE VIEW later_view AS SELECT id FROM t; CREATE PROCEDURE p() SELECT 1")
            mysql(source, "CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.id = NEW.id")
            mysql(source, "CREATE TRIGGER tmp BEFORE INSERT ON tmp_1 FOR EACH ROW SET NEW.id = NEW.id")
            mysql(source, "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 1")

    common = Options(maps=(str(tmp_path / "map.toml"),), selection=Selection(exclude=("tmp_*",)))
    ran = migrate(source, target, MigrateOptions(common), on_event=create)
    assert (ran.verdict, ran.exit_code) == ("differs", 1)
    new = {(one.severity, one.object) for one in ran.findings if one.code == "V124"}
    lost = {("lossy", name) for name in ("later_view", "p", "tr", "e")}
    assert new == lost | {("block", "later")}
    mysql(source, "DROP VIEW later_view; DROP PROCEDURE p; DROP TRIGGER tr; DROP EVENT e")
    assert sync(source, target).verdict == "verified"
    assert postgres(target, "SELECT id FROM later") == [(1,)]


def test_a_table_that_is_created_before_the_snapshot_of_verify(databases: tuple[str, str]) -> None:
    source, target = migrated(databases, "CREATE TABLE t (id INT PRIMARY KEY); CREATE TABLE u (id INT)")

    def create(event: Event) -> None:
        if isinstance(event, PhaseEnded) and event.name == "plan":
            mysql(source, "CREATE TABLE IF NOT EXISTS later (id INT)")

    ran = verify(source, target, on_event=create)
    assert ran.verdict == "differs"
    assert [one.object for one in ran.findings if one.code == "V124"] == ["later"]
    mysql(source, "DROP TABLE later")
    only = Options(selection=Selection(("t",)), given=frozenset({"include"}))
    assert verify(source, target, only, on_event=create).verdict == "verified"


def test_what_maps_and_patterns_leave_out_is_not_new(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY)")
    for name, glob in (("run", "log_*"), ("other", "tmp_*")):
        (tmp_path / f"{name}.toml").write_text(f'[[table]]\nmatch = {{ table = "{glob}" }}\nskip = true\n')
    common = Options(maps=(str(tmp_path / "run.toml"),))
    assert migrate(source, target, MigrateOptions(common)).verdict == "verified"

    def ignore(event: Event) -> None:
        pass

    def new(options: Options | None = None, on_event: Callable[[Event], None] = ignore) -> list[str]:
        ran = verify(source, target, options or Options(), on_event=on_event)
        found = [one.object for one in ran.findings if one.code == "V124"]
        assert ran.verdict == ("differs" if found else "verified"), ran.findings
        return found

    mysql(source, "CREATE TABLE log_1 (id INT PRIMARY KEY)")
    assert new() == []
    assert sync(source, target).verdict == "verified"
    mysql(source, "CREATE TABLE tmp_1 (id INT PRIMARY KEY)")
    assert new() == ["tmp_1"]
    assert new(Options(selection=Selection(exclude=("tmp_*",)), given=frozenset({"exclude"}))) == []
    other = Options(maps=(str(tmp_path / "other.toml"),), given=frozenset({"maps"}))
    mysql(source, "DROP TABLE log_1")
    assert new(other) == []

    def create(event: Event) -> None:
        if isinstance(event, PhaseEnded) and event.name == "plan":
            mysql(source, "CREATE TABLE log_2 (id INT); CREATE TABLE tmp_2 (id INT)")

    assert new(other, create) == ["log_2"]
