"""Backfills from another database: never a guess, each attempt audited, exact after a kill."""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conftest import NewDatabase
from support import ENVIRONMENT, Ran, converge, postgres, relations

from converge.backfill.declaration import backfills
from converge.backfill.fill import REASONS, fill
from converge.model.endpoint import parse
from converge.model.event import silent
from converge.sandbox import Server

FOLDER = Path(__file__).parents[1]
MAP = """
[[backfill]]
name = "authid"
table = "user"
column = "authID"
key = "id"
from = "kratos"
query = "SELECT id, traits->>'email' AS email FROM identities -- of all"
value = "id"
match = { target = "email", source = "email", ignore_case = true }
"""
USERS = """
CREATE TABLE "user" (id integer PRIMARY KEY, email varchar(512), "authID" uuid);
"""
IDENTITIES = "CREATE TABLE identities (id text, traits jsonb)"
_numbers = count()


def identity(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


@dataclass(frozen=True)
class Pair:
    """A target with users, the database of their identities, and a map."""

    target: str
    kratos: str
    map: Path

    def users(self, *rows: tuple[int, str | None]) -> None:
        with psycopg.connect(self.target, autocommit=True) as connection:
            connection.cursor().executemany('INSERT INTO "user" (id, email) VALUES (%s, %s)', rows)

    def identities(self, *rows: tuple[str | None, str | None]) -> None:
        with psycopg.connect(self.kratos, autocommit=True) as connection:
            connection.cursor().executemany(
                "INSERT INTO identities VALUES (%s, jsonb_build_object('email', %s::text))", rows
            )

    def declare(self, *changes: tuple[str, str], more: str = "") -> None:
        """The map with changes, and further settings."""
        text = MAP
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        self.map.write_text(text + more)

    def __call__(self, command: str, *options: str, target: str = "", kratos: str = "") -> Ran:
        addresses = ["--target", target or self.target]
        if not command.startswith(("audit show", "audit archive")):
            addresses += ["--map", str(self.map), "--from", f"kratos={kratos or self.kratos}"]
        return converge(*command.split(), *addresses, *options)

    def filled(self) -> dict[int, str | None]:
        return {row: str(one) if one else None for row, one in self.sql('SELECT id, "authID" FROM "user"')}

    def audit(self) -> list[tuple[str, str, str | None]]:
        """Key, status and reason of each row, in the order of their entry."""
        asked = "SELECT row_key, resolution_status, reason FROM converge.audit ORDER BY id"
        return [(key, status, reason) for key, status, reason in self.sql(asked)]

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        return postgres(self.target, statement)


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Server:
    """The newest one, unless the test asks for another by its fixture's name."""
    found: Server = request.getfixturevalue(getattr(request, "param", "postgres_175"))
    return found


@pytest.fixture
def pair(server: Server, new_postgres_database: NewDatabase, tmp_path: Path) -> Pair:
    made = Pair(new_postgres_database(server), new_postgres_database(server), tmp_path / "fill.toml")
    made.sql(USERS)
    postgres(made.kratos, IDENTITIES)
    made.declare()
    return made


@pytest.fixture
def role(server: Server, pair: Pair) -> Iterator[str]:
    """A role that may log in, and nothing else."""
    name = f"filler_{next(_numbers)}"
    postgres(pair.target, f"CREATE ROLE {name} LOGIN")
    yield name
    for database in (pair.target, pair.kratos):
        postgres(database, f"DROP OWNED BY {name} CASCADE")
    postgres(pair.target, f"DROP ROLE {name}")


both_ends = pytest.mark.parametrize("server", ["postgres_14", "postgres_175"], indirect=True)


def reasons(ran: Ran) -> dict[str, list[str]]:
    """The keys that failed, by reason."""
    (one,) = ran.json["backfills"]
    return {f["reason"]: [sample["key"] for sample in f["samples"]] for f in one["failures"]}


def counts(ran: Ran) -> tuple[int, int, int, int]:
    (one,) = ran.json["backfills"]
    return one["found"], one["kept"], one["filled"], one["failed"]


def doubtful(pair: Pair) -> None:
    """A user for each way to fail that the data shows, and one that is well."""
    pair.users(
        (1, "ÅSA@Example.org"), (2, None), (3, ""), (4, "nobody@x"), (5, "two@x"), (6, "empty@x"),
        (7, "wrong@x"), (8, "pair@x"), (9, "PAIR@x"), (10, "owned@x"),
    )  # fmt: skip
    pair.sql(f"INSERT INTO \"user\" VALUES (11, 'owner@x', '{identity(100)}')")
    pair.identities(
        (identity(1), "åsa@example.ORG"), (identity(5), "two@x"), (identity(6), "TWO@x"), (None, "empty@x"),
        ("no uuid", "wrong@x"), (identity(8), "pair@x"), (identity(100), "owned@x"), (identity(9), None),
    )  # fmt: skip


DOUBTS = {
    "nothing to match by": ["2", "3"],
    "no match": ["4"],
    "ambiguous": ["5"],
    "no value": ["6"],
    "not of the type": ["7"],
    "shared": ["8", "9"],
    "taken": ["10"],
}


@both_ends
def test_what_matches_is_filled_and_what_does_not_fails(pair: Pair) -> None:
    doubtful(pair)
    ran = pair("backfill authid", "--json")
    assert (ran.code, ran.json["verdict"]) == (1, "failed"), ran.err
    assert reasons(ran) == DOUBTS
    assert counts(ran) == (8, 1, 1, 9)
    assert {row: one for row, one in pair.filled().items() if one} == {1: identity(1), 11: identity(100)}
    (audited,) = pair.sql(
        "SELECT row_key, shown, error, resolution_status, old_value, new_value, backfill, target_table, "
        "target_column, attempted_at <= now() FROM converge.audit WHERE row_key = '1'"
    )
    assert audited == (
        "1", "ÅSA@Example.org", None, "success", None, identity(1), "authid", "public.user", "authID", True,
    )  # fmt: skip
    assert pair.sql("SELECT count(*), count(error), count(DISTINCT attempt) FROM converge.audit") == [
        (10, 9, 1)
    ]
    ((error,),) = pair.sql("SELECT error FROM converge.audit WHERE row_key = '5'")
    assert identity(5) in str(error) and identity(6) in str(error)
    # What is done stays done; what failed is tried again, which is a row again.
    again = pair("backfill authid", "--json")
    assert (again.code, counts(again)) == (1, (8, 2, 0, 9))
    assert pair.sql("SELECT count(*) FROM converge.audit WHERE row_key = '1'") == [(1,)]
    assert pair.sql("SELECT count(*) FROM converge.audit WHERE resolution_status = 'failed'") == [(18,)]


@both_ends
def test_a_dry_run_says_the_same_and_writes_nothing(pair: Pair) -> None:
    doubtful(pair)
    before = pair.filled()
    ran = pair("backfill authid --dry-run", "--json")
    assert (ran.code, reasons(ran), counts(ran)) == (1, DOUBTS, (8, 1, 1, 9)), ran.err
    assert ran.json["backfills"][0]["dry_run"] is True
    assert (pair.filled(), relations(pair.target)) == (before, ["public.user"])
    assert pair.sql("SELECT to_regnamespace('converge')") == [(None,)]
    told = pair("backfill authid --dry-run").out
    assert "nothing was written" in told
    assert "shared: 2 rows" in told and "row 8 pair@x: row 9 would get the same value" in told


@both_ends
def test_failures_are_shown_and_tried_again(pair: Pair) -> None:
    doubtful(pair)
    assert pair("audit show").out.startswith("This target's audit has no rows")
    assert pair("backfill authid").code == 1
    shown = pair("audit show --status failed", "--json").json["audit"]
    assert (shown["success"], shown["failed"], len(shown["rows"])) == (1, 9, 9)
    assert {one["key"] for one in shown["rows"]} == {str(number) for number in range(2, 11)}
    (good,) = pair("audit show --status success --backfill authid", "--json").json["audit"]["rows"]
    assert (good["shown"], good["attempts"], good["target"]) == (
        "ÅSA@Example.org",
        1,
        "public.user.authID",
    )
    assert "no match: kratos has no such email" in pair("audit show --status failed").out
    assert len(pair("audit show --limit 2", "--json").json["audit"]["rows"]) == 2
    # Repaired: in the identities, in the table, and by hand. A new user is not for `retry`.
    pair.identities((identity(4), "nobody@x"))
    pair.sql('DELETE FROM "user" WHERE id = 9')
    pair.sql(f'UPDATE "user" SET "authID" = \'{identity(50)}\' WHERE id = 5')
    pair.users((12, "new@x"))
    pair.identities((identity(12), "new@x"))
    ran = pair("audit retry", "--json")
    assert (ran.code, ran.json["command"]) == (1, "audit")
    assert counts(ran)[1:] == (1, 2, 5)
    assert pair.filled()[12] is None
    assert (pair.filled()[4], pair.filled()[8], pair.filled()[5]) == (identity(4), identity(8), identity(50))
    after = pair("audit show", "--json").json["audit"]
    assert (after["success"], after["failed"]) == (4, 6)
    by_hand = next(one for one in after["rows"] if one["key"] == "5")
    assert (by_hand["status"], by_hand["old_value"], by_hand["new_value"]) == (
        "success",
        identity(50),
        identity(50),
    )
    assert by_hand["attempts"] == 2
    pair.sql('DELETE FROM "user" WHERE "authID" IS NULL AND id < 12')
    assert pair("audit retry authid").code == 0
    assert pair("backfill authid", "--json").json["backfills"][0]["filled"] == 1


def test_retry_without_failures_or_of_an_unknown_backfill(pair: Pair) -> None:
    assert "No row's last attempt has failed" in pair("audit retry").out
    ran = pair("audit retry autid")
    assert (ran.code, "error[B002]" in ran.err, "did you mean 'authid'?" in ran.err) == (2, True, True)
    pair.users((1, "x"))
    assert pair("backfill authid").code == 1
    # Another map than the one that declared it.
    pair.declare(('name = "authid"', 'name = "other"'))
    ran = pair("audit retry")
    assert (ran.code, "error[B002]" in ran.err) == (2, True), ran.err


@both_ends
def test_rows_that_have_a_value(pair: Pair) -> None:
    pair.users((1, "a@x"), (2, "b@x"), (3, "c@x"))
    pair.identities((identity(1), "a@x"), (identity(2), "b@x"), (identity(3), "c@x"))
    pair.sql(f'UPDATE "user" SET "authID" = \'{identity(1)}\' WHERE id = 1')
    pair.sql(f'UPDATE "user" SET "authID" = \'{identity(77)}\' WHERE id = 2')
    pair.declare(more='existing = "check"\n')
    ran = pair("backfill authid", "--json")
    assert (ran.code, reasons(ran), counts(ran)) == (1, {"other value": ["2"]}, (3, 1, 1, 1)), ran.err
    assert pair.filled()[2] == identity(77)
    pair.declare(more='existing = "overwrite"\n')
    ran = pair("backfill authid", "--json")
    assert (ran.code, counts(ran)) == (0, (3, 2, 1, 0)), ran.err
    assert pair.filled() == {number: identity(number) for number in (1, 2, 3)}
    (row,) = pair.sql("SELECT old_value, new_value FROM converge.audit WHERE row_key = '2' AND error IS NULL")
    assert row == (identity(77), identity(2))
    assert pair("backfill authid", "--json").json["backfills"][0]["kept"] == 3
    assert pair.sql("SELECT count(*) FROM converge.audit") == [(3,)]


@both_ends
def test_what_the_server_refuses_fails_alone(pair: Pair) -> None:
    """Constraints and triggers of the application, which find what its search path shows them."""
    pair.users(*((number, f"{number}@x") for number in range(1, 1001)))
    pair.identities(*((identity(number), f"{number}@x") for number in range(1, 1001)))
    pair.sql("CREATE TABLE banned (id uuid)")
    pair.sql(f"INSERT INTO banned VALUES ('{identity(500)}')")
    pair.sql(f'ALTER TABLE "user" ADD CHECK ("authID" <> \'{identity(3)}\')')
    pair.sql('CREATE UNIQUE INDEX ON "user" (right("authID"::text, 3))')
    pair.sql(f"INSERT INTO \"user\" VALUES (1001, 'gone@x', '{identity(7901)}')")
    pair.sql(
        f"""
        CREATE FUNCTION judge() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF EXISTS (SELECT FROM banned WHERE banned.id = NEW."authID") THEN RAISE 'it is banned'; END IF;
            IF NEW.id = 700 THEN NEW."authID" := '{identity(9700)}'; END IF;
            IF NEW.id = 900 THEN RETURN NULL; END IF;
            RETURN NEW;
        END $$
        """
    )
    pair.sql('CREATE TRIGGER judge BEFORE UPDATE ON "user" FOR EACH ROW EXECUTE FUNCTION judge()')
    ran = pair("backfill authid", "--json")
    assert ran.code == 1, ran.err
    assert reasons(ran) == {"changed": ["900"], "refused": ["3", "500", "700", "901"]}
    errors = dict(pair.sql("SELECT row_key, error FROM converge.audit WHERE error IS NOT NULL"))
    assert "check constraint" in str(errors["3"]) and errors["500"] == "it is banned"
    assert "a trigger stored" in str(errors["700"]) and identity(9700) in str(errors["700"])
    filled = pair.filled()
    assert {row for row, one in filled.items() if one is None} == {3, 500, 700, 900, 901}
    assert all(one == identity(row) for row, one in filled.items() if one and row < 1001)
    assert pair.sql("SELECT count(*), count(DISTINCT row_key) FROM converge.audit") == [(1000, 1000)]


@pytest.mark.parametrize("state", ["45000", "U0001", "42501", "55000", "P0001", "XX000"])
def test_a_trigger_may_refuse_a_row_with_any_sqlstate(pair: Pair, state: str) -> None:
    pair.users(*((number, f"{number}@x") for number in range(1, 8)))
    pair.identities(*((identity(number), f"{number}@x") for number in range(1, 8)))
    raises = f"RAISE 'not this one' USING ERRCODE = '{state}'"
    pair.sql(
        f"CREATE FUNCTION judge() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.id = 3 THEN {raises}; "
        "END IF; RETURN NEW; END $$; "
        'CREATE TRIGGER judge BEFORE UPDATE ON "user" FOR EACH ROW EXECUTE FUNCTION judge()'
    )
    pair.sql(
        "CREATE FUNCTION fits(id uuid) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN "
        f"IF id = '{identity(5)}' THEN {raises}; END IF; RETURN true; END $$; "
        'CREATE DOMAIN fit AS uuid CHECK (fits(VALUE)); ALTER TABLE "user" ALTER "authID" TYPE fit'
    )
    ran = pair("backfill authid", "--json")
    assert (ran.code, reasons(ran)) == (1, {"not of the type": ["5"], "refused": ["3"]}), ran.err
    errors = "SELECT DISTINCT error FROM converge.audit WHERE error IS NOT NULL"
    assert pair.sql(errors) == [("not this one",)]


def test_what_is_no_rows_fault_ends_the_run(pair: Pair) -> None:
    """A full disk, and a failure of the command's own statement."""
    pair.users((1, "a@x"), (2, "b@x"))
    pair.identities((identity(1), "a@x"), (identity(2), "b@x"))
    pair.sql(
        "CREATE FUNCTION judge() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE 'full' USING ERRCODE = 'disk_full'; END $$; "
        'CREATE TRIGGER judge BEFORE UPDATE ON "user" FOR EACH ROW EXECUTE FUNCTION judge()'
    )
    ran = pair("backfill authid")
    assert (ran.code, "the same command again" in ran.err) == (5, True), ran.err
    pair.sql('DROP TRIGGER judge ON "user"; ALTER TABLE converge.audit RENAME shown TO show')
    ran = pair("backfill authid")
    assert (ran.code, pair.filled(), pair.audit()) == (5, {1: None, 2: None}, []), ran.err


def test_a_row_that_changes_meanwhile_is_not_written(pair: Pair) -> None:
    pair.users((1, "a@x"), (2, "b@x"), (3, "c@x"))
    pair.identities((identity(1), "a@x"), (identity(2), "b@x"), (identity(3), "c@x"))
    with psycopg.connect(pair.target) as other:
        other.execute(f'UPDATE "user" SET "authID" = \'{identity(70)}\' WHERE id = 1')
        other.execute("UPDATE \"user\" SET email = 'c@y' WHERE id = 3")
        process = begun(pair)
        wait_for(pair, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'", 1)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    assert pair.audit() == [("1", "failed", "changed"), ("2", "success", None), ("3", "failed", "changed")]
    assert pair.filled() == {1: identity(70), 2: identity(2), 3: None}


def begun(pair: Pair) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "converge", "backfill", "authid", "--target", pair.target]
    command += ["--map", str(pair.map), "--from", f"kratos={pair.kratos}"]
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )


def wait_for(pair: Pair, asked: str, least: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        ((seen,),) = postgres(pair.target, asked)
        if seen >= least:
            return
        time.sleep(0.02)
    pytest.fail(f"not in a minute: {asked}")


def test_killed_in_the_middle_the_next_run_is_exact(pair: Pair) -> None:
    rows = 60_000
    pair.sql(f"INSERT INTO \"user\" SELECT i, 'U' || i || '@x' FROM generate_series(1, {rows}) i")
    postgres(
        pair.kratos,
        "INSERT INTO identities SELECT '00000000-0000-4000-8000-' || lpad(i::text, 12, '0'), "
        f"jsonb_build_object('email', 'u' || i || '@X') FROM generate_series(2, {rows}) i",
    )
    # The server's statistics say from now on that no row has a value.
    pair.sql('ANALYZE "user"')
    # Slow enough to be met at work.
    pair.sql(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF NEW.id % 1000 = 0 THEN PERFORM pg_sleep(0.05); END IF; RETURN NEW; END $$"
    )
    pair.sql('CREATE TRIGGER slow BEFORE UPDATE ON "user" FOR EACH ROW EXECUTE FUNCTION slow()')
    process = begun(pair)
    try:
        wait_for(
            pair, "SELECT count(*) FROM pg_tables WHERE schemaname = 'converge' AND tablename = 'audit'", 1
        )
        wait_for(pair, "SELECT count(*) FROM converge.audit", 10_000)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    ((done,),) = pair.sql('SELECT count("authID") FROM "user"')
    # At once: the backend of the one that was killed lets go of its lock.
    ran = pair("backfill authid", "--json")
    assert (ran.code, reasons(ran)) == (1, {"no match": ["1"]}), ran.err
    assert ran.json["backfills"][0]["filled"] < rows - 1
    assert isinstance(done, int) and 0 < done < rows
    assert pair.sql('SELECT count("authID") FROM "user"') == [(rows - 1,)]
    wrong = 'SELECT count(*) FROM "user" WHERE right("authID"::text, 12)::bigint <> id'
    assert pair.sql(wrong) == [(0,)]
    good = "FROM converge.audit WHERE resolution_status = 'success'"
    assert pair.sql(f"SELECT count(*), count(DISTINCT row_key) {good}") == [(rows - 1, rows - 1)]
    assert pair.sql("SELECT count(DISTINCT attempt) FROM converge.audit") == [(2,)]


@both_ends
def test_hostile_names_and_values(pair: Pair) -> None:
    table, column, key, shown = '%s "; drop table x; --', "a'b\\ %(x)s", "$converge$ \n{}", "\u001b[31m☃"
    quoted = {name: '"' + name.replace('"', '""') + '"' for name in (table, column, key, shown)}
    pair.sql(
        f"CREATE TABLE {quoted[table]} ({quoted[key]} text PRIMARY KEY, {quoted[column]} text, "
        f"{quoted[shown]} text)"
    )
    texts = ["it's", 'say "hi"', "back\\slash \\n \\N", "'; drop table x; --", "%s %(a)s", "line\nend\ttab\r",
             "\u001b[2J", "${x} {{y}}", "=1+1", "\\."]  # fmt: skip
    with psycopg.connect(pair.target, autocommit=True) as connection:
        insert = f"INSERT INTO {quoted[table]} VALUES (%s, NULL, %s)".replace(quoted[table], "HERE")
        for text in texts:
            connection.execute(
                insert.replace("HERE", quoted[table].replace("%", "%%")).encode(), (f"key {text}", text)
            )
    pair.identities(*((f"value {text}", text) for text in texts))

    def toml(text: str) -> str:
        return '"' + "".join(char if char.isalnum() else f"\\U{ord(char):08x}" for char in text) + '"'

    pair.declare(
        ('"user"', toml(table)), ('"authID"', toml(column)), ('key = "id"', f"key = {toml(key)}"),
        ('target = "email"', f"target = {toml(shown)}"), ('"authid"', toml("n'\"%s;")),
    )  # fmt: skip
    ran = pair("backfill n'\"%s;")
    assert ran.code == 0, ran.err
    assert "\u001b" not in ran.out + ran.err
    rows = f"SELECT {quoted[key]}, {quoted[column]} FROM {quoted[table]}"
    assert dict(pair.sql(rows)) == {f"key {text}": f"value {text}" for text in texts}
    audited = pair.sql("SELECT row_key, shown, new_value FROM converge.audit")
    assert sorted(map(str, audited)) == sorted(str((f"key {one}", one, f"value {one}")) for one in texts)
    told = pair("audit show")
    assert (told.code, "\u001b" in told.out) == (0, False)
    assert pair("backfill n'\"%s;", "--json").json["backfills"][0]["kept"] == len(texts)


@both_ends
@pytest.mark.parametrize(
    ("type_", "good", "stored", "bad"),
    [
        ("varchar(5)", "12345", "12345", "123456"),
        ("integer", "007", "7", "1e9"),
        ("numeric(5,2)", "1.20", "1.20", "1.234"),
        ("char(3)", "ab", "ab", "abcd"),
        ("boolean", "true", "true", "maybe"),
        ("timestamptz(0)", "2024-01-01 00:00:00+00", "2024-01-01 00:00:00+00", "2024-01-01 00:00:00.5+00"),
        ("mood", "it's good", "it's good", "bad"),
        ("short", "abc", "abc", "abcd"),
        ("text[]", "{a,NULL}", "{a,NULL}", "{a"),
        # What the type's own input drops or rounds without a word.
        ("date", "2024-05-01 00:00:00+00", "2024-05-01", "2024-05-01 23:30:00+00"),
        ("date", "infinity", "infinity", "2024-05-01 00:00:00+02"),
        ("timestamp", "2024-05-01 10:00:00+00", "2024-05-01 10:00:00", "2024-05-01 10:00:00+02"),
        ("timestamp", "2024-05-01T10:00:00.10", "2024-05-01 10:00:00.1", "2024-05-01 10:00:00.1234567"),
        ("timestamptz", "2024-05-01 10:00:00+02", "2024-05-01 08:00:00+00", "2024-05-01 10:00:00.0000001Z"),
        ("time", "10:30 PM", "22:30:00", "2024-05-01 10:00:00"),
        ("time", "24:00:00", "24:00:00", "10:00:00+02"),
        ("timetz", "10:00:00+02", "10:00:00+02", "2024-05-01 10:00:00+02"),
        ("interval", "90 minutes", "01:30:00", "1.0000001 seconds"),
        ("real", "0.10", "0.1", "123456789.123"),
        ("double precision", "NaN", "NaN", "12345678901234567890"),
        ("money", "1.5", "$1.50", "1.234"),
        ("name", "n" * 63, "n" * 63, "n" * 64),
        ("price", "1.20", "1.20", "1.234"),
        ("price[]", "{1.20,NULL}", "{1.20,NULL}", "{1.20,1.234}"),
        ("date[]", "{2024-05-01,infinity}", "{2024-05-01,infinity}", '{"2024-05-01 10:00:00"}'),
    ],
)
def test_values_are_of_the_columns_type(pair: Pair, type_: str, good: str, stored: str, bad: str) -> None:
    pair.sql("CREATE TYPE mood AS ENUM ('it''s good', 'sad')")
    pair.sql("CREATE DOMAIN short AS text CHECK (length(VALUE) < 4)")
    pair.sql("CREATE DOMAIN amount AS numeric(5,2); CREATE DOMAIN price AS amount")
    pair.sql(f'ALTER TABLE "user" ALTER "authID" TYPE {type_} USING NULL')
    pair.users((1, "good@x"), (2, "bad@x"), (3, "blank@x"))
    pair.identities((good, "good@x"), (bad, "bad@x"), ("", "blank@x"))
    declared = backfills([str(pair.map)])["authid"]
    came = fill(parse(pair.target), parse(pair.kratos), "public", declared, silent, dry_run=False)
    failed = {one.reason: [sample.key for sample in one.samples] for one in came.failures}
    assert (failed, came.filled) == ({"not of the type": ["2"], "no value": ["3"]}, 1)
    assert pair.sql('SELECT "authID"::text FROM "user" ORDER BY id') == [(stored,), (None,), (None,)]
    assert pair.sql("SELECT new_value FROM converge.audit WHERE row_key = '2'") == [(bad,)]


def test_equal_values_of_a_type_are_one(pair: Pair) -> None:
    """The type decides, not the text: another row holds the same number."""
    pair.sql('ALTER TABLE "user" ALTER "authID" TYPE numeric USING NULL')
    pair.users((1, "a@x"), (2, "b@x"))
    pair.sql("INSERT INTO \"user\" VALUES (3, 'c@x', 1.0)")
    pair.identities(("1.00", "a@x"), ("2", "b@x"))
    ran = pair("backfill authid", "--json")
    assert reasons(ran) == {"taken": ["1"]}, ran.err


def test_texts_of_one_value_are_not_ambiguous(pair: Pair) -> None:
    pair.sql('ALTER TABLE "user" ALTER "authID" TYPE numeric(5,2) USING NULL')
    pair.users(*((number, f"{number}@x") for number in range(1, 5)))
    pair.identities(("7", "1@x"), ("007.0", "1@X"), ("8", "2@x"), ("7", "2@x"), ("08", "2@x"))
    pair.identities(("9", "3@x"), ("9.0", "3@x"), (None, "3@x"), ("7.001", "4@x"), ("7.0010", "4@x"))
    ran = pair("backfill authid", "--json")
    assert (reasons(ran), counts(ran)) == ({"ambiguous": ["2", "3", "4"]}, (10, 0, 1, 3)), ran.err
    assert pair.sql('SELECT "authID"::text FROM "user" WHERE id = 1') == [("7.00",)]
    errors = dict(pair.sql("SELECT row_key, error FROM converge.audit WHERE error IS NOT NULL"))
    assert str(errors["2"]).startswith("kratos has 2 different rows")


def test_case_and_shared_values_are_the_maps_choice(pair: Pair) -> None:
    pair.users((1, "A@x"), (2, "a@x"))
    pair.identities((identity(1), "a@x"))
    pair.declare((", ignore_case = true", ""))
    ran = pair("backfill authid --dry-run", "--json")
    assert (reasons(ran), counts(ran)) == ({"no match": ["1"]}, (1, 0, 1, 1))
    pair.declare(more="shared = true\n")
    ran = pair("backfill authid", "--json")
    assert (ran.code, pair.filled()) == (0, {1: identity(1), 2: identity(1)}), ran.err


@both_ends
def test_a_role_without_rights_is_told_all_of_them(pair: Pair, role: str) -> None:
    pair.users((1, "a@x"))
    pair.identities((identity(1), "a@x"))
    for database in (pair.target, pair.kratos):
        postgres(database, f"REVOKE TEMPORARY ON DATABASE {parse(database).database} FROM PUBLIC")
        postgres(database, "REVOKE ALL ON SCHEMA public FROM PUBLIC")
    limited = {
        "target": pair.target.replace("postgres@", f"{role}@"),
        "kratos": pair.kratos.replace("postgres@", f"{role}@"),
    }
    ran = pair("backfill authid", "--json", **limited)
    assert (ran.code, ran.json["verdict"]) == (3, "blocked"), ran.err
    (finding,) = ran.json["findings"]
    assert finding["code"] == "T004"
    for statement in finding["hint"].splitlines():
        pair.sql(statement)
    ran = pair("backfill authid", "--json", **limited)
    assert (ran.code, relations(pair.target)) == (3, ["public.user"]), ran.err
    assert ran.json["findings"][0]["code"] in ("B005", "T004")
    postgres(pair.kratos, f"GRANT USAGE ON SCHEMA public TO {role}")
    ran = pair("backfill authid", "--json", **limited)
    assert (ran.code, ran.json["findings"][0]["code"]) == (3, "T004"), ran.err
    postgres(pair.kratos, ran.json["findings"][0]["hint"])
    ran = pair("backfill authid", "--json", **limited)
    assert (ran.code, pair.filled()) == (0, {1: identity(1)}), ran.err


def test_an_audit_of_another_role(pair: Pair, role: str) -> None:
    pair.users((1, "a@x"))
    assert pair("backfill authid").code == 1
    limited = pair.target.replace("postgres@", f"{role}@")
    ran = pair("audit show", target=limited)
    assert (ran.code, "error[T004]" in ran.err) == (3, True)
    pair.sql(f"GRANT USAGE ON SCHEMA converge TO {role}")
    ran = pair("audit show", target=limited)
    assert f'GRANT SELECT ON converge.audit TO "{role}";' in ran.err
    pair.sql(f"GRANT SELECT ON converge.audit TO {role}")
    assert pair("audit show", target=limited).code == 0


@pytest.mark.parametrize(
    ("statement", "change", "said"),
    [
        ("SELECT", ('table = "user"', 'table = "users"'), "no table public.users"),
        ("SELECT", ('column = "authID"', 'column = "authid"'), "no column authid"),
        ("SELECT", ('key = "id"', 'key = "email"'), "does not identify a row"),
        ('ALTER TABLE "user" DROP "authID", ADD "authID" text GENERATED ALWAYS AS (email) STORED', ("", ""),
         "filled by the server itself"),
        ('ALTER TABLE "user" ALTER "authID" TYPE json USING NULL', ("", ""), "cannot be compared"),
    ],
)  # fmt: skip
def test_a_table_that_does_not_fit_stops_before_anything_is_written(
    pair: Pair, statement: str, change: tuple[str, str], said: str
) -> None:
    pair.sql(statement)
    if change[0]:
        pair.declare(change)
    ran = pair("backfill authid")
    assert (ran.code, "error[B004]" in ran.err, said in ran.err) == (3, True, True), ran.err
    assert "hint   " in ran.err
    assert relations(pair.target) == ["public.user"]


@pytest.mark.parametrize(
    "query",
    [
        "SELEC 1",
        "SELECT id FROM identities",
        "SELECT id, 'a@x' AS email FROM nowhere",
        "DELETE FROM identities RETURNING id, 'a@x' AS email",
        "WITH d AS (DELETE FROM identities RETURNING id) SELECT id, 'a@x' AS email FROM d",
        "SELECT id, 'a@x' AS email FROM identities) q; DELETE FROM identities; --",
        "SELECT id, nextval('counter')::text AS email FROM identities",
        "SELECT id, 'a@x' AS email FROM identities WHERE 1 / (length(id) - 36) = 1",
    ],
)
def test_a_query_that_cannot_run_or_writes_stops_before_anything_is_written(pair: Pair, query: str) -> None:
    pair.users((1, "a@x"))
    pair.identities((identity(1), "a@x"))
    postgres(pair.kratos, "CREATE SEQUENCE counter")
    pair.declare(("SELECT id, traits->>'email' AS email FROM identities -- of all", query))
    ran = pair("backfill authid")
    # What is not one SELECT is refused with the map, the rest by the database that is asked.
    assert (ran.code, ran.err[:11]) in ((2, "error[M002]"), (3, "error[B005]")), ran.err
    assert (relations(pair.target), pair.filled()) == (["public.user"], {1: None})
    assert postgres(pair.kratos, "SELECT count(*), (SELECT is_called FROM counter) FROM identities") == [
        (1, False)
    ]


def test_the_other_database_is_not_reached(pair: Pair) -> None:
    ran = pair("backfill authid", kratos="postgresql://someone:s3cret@127.0.0.1:1/kratos")
    assert (ran.code, "error[T001]" in ran.err, "s3cret" in ran.err) == (4, True, False), ran.err
    assert relations(pair.target) == ["public.user"]


def test_the_other_database_is_named_by_the_environment(pair: Pair) -> None:
    pair.users((1, "a@x"))
    arguments = ("backfill", "authid", "--target", pair.target, "--map", str(pair.map))
    ran = converge(*arguments)
    assert (ran.code, "error[B003]" in ran.err, "CONVERGE_KRATOS_URL" in ran.err) == (2, True, True)
    assert converge(*arguments, CONVERGE_KRATOS_URL=pair.kratos).code == 1
    file = pair.map.with_name("converge.toml")
    file.write_text(f'[[database]]\nname = "kratos"\ntarget = "{pair.kratos}"\n')
    assert converge(*arguments, "--config", str(file)).code == 1
    ran = converge(*arguments, "--from", "postgresql://a:s3cret@b/c")
    assert (ran.code, "s3cret" in ran.err) == (2, False), ran.err
    ran = converge(*arguments, CONVERGE_KRATOS_URL="mysql://a:s3cret@b/c")
    assert (ran.code, "error[U002]" in ran.err, "s3cret" in ran.err) == (2, True, False)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('key = "id"', ""), "has no key"),
        ((', source = "email"', ""), "match has no source"),
        (('key = "id"', 'kei = "id"'), "did you mean 'key'?"),
        (("ignore_case = true", 'ignore_case = "yes"'), "ignore_case must be true or false, not 'yes'"),
        (('from = "kratos"', 'from = "Kratos DB"'), "is not a database name"),
        (('value = "id"', 'value = "id"\nexisting = "owerwrite"'), "did you mean 'overwrite'?"),
    ],
)
def test_a_slip_in_the_map(pair: Pair, change: tuple[str, str], said: str) -> None:
    pair.declare(change)
    ran = pair("backfill authid")
    assert (ran.code, "error[M002]" in ran.err, said in ran.err) == (2, True, True), ran.err


def test_only_one_at_a_time(pair: Pair) -> None:
    with psycopg.connect(pair.target) as other:
        other.execute("SELECT pg_advisory_lock(%s)", (0x434F4E56,))
        ran = pair("backfill authid")
        assert (ran.code, "error[T009]" in ran.err) == (3, True), ran.err
        assert pair("backfill authid --dry-run").code == 0


def aged(pair: Pair) -> None:
    """Rows of the audit of which 3 are a success and older than 90 days, by little."""
    pair.users(*((number, f'line\nend, "quoted" {number}') for number in range(1, 7)))
    assert pair("backfill authid").code == 1
    pair.sql(
        "UPDATE converge.audit SET attempted_at = now() - interval '90 days 1 second', "
        "resolution_status = 'success', reason = NULL, error = NULL WHERE row_key < '4'"
    )
    pair.sql(
        "UPDATE converge.audit SET attempted_at = now() - interval '89 days 23 hours' WHERE row_key = '4'"
    )


@both_ends
def test_old_rows_are_archived_and_only_then_removed(pair: Pair, tmp_path: Path) -> None:
    aged(pair)
    columns = "id, attempt, row_key, shown, resolution_status, old_value, attempted_at"
    old = pair.sql(f"SELECT {columns} FROM converge.audit WHERE row_key < '4' ORDER BY id")
    file = tmp_path / "audit.csv"
    ran = pair("audit archive --older-than 90d", "-o", str(file), "--json")
    assert (ran.code, ran.json["archived"]) == (0, 3), ran.err
    assert file.stat().st_mode & 0o777 == 0o600
    with file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [[row[name] for name in columns.split(", ")][:5] for row in rows] == [
        [str(cell) for cell in row][:5] for row in old
    ]
    assert pair.sql("SELECT row_key FROM converge.audit ORDER BY id") == [("4",), ("5",), ("6",)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audit.csv", "fill.toml"]
    # There is nothing left to archive, so no file.
    ran = pair("audit archive --older-than 90d", "-o", str(tmp_path / "none.csv"))
    assert (ran.code, (tmp_path / "none.csv").exists()) == (0, False), ran.err


def test_rows_that_stand_as_failed_are_not_archived(pair: Pair, tmp_path: Path) -> None:
    """`audit show` and `audit retry` know of them by the audit alone."""
    aged(pair)
    assert pair("audit retry").code == 1
    pair.sql("UPDATE converge.audit SET attempted_at = now() - interval '1 year'")
    tried = pair("audit show --status failed", "--json").json["audit"]["rows"]
    assert [row["attempts"] for row in tried] == [2, 2, 2]
    file = tmp_path / "audit.csv"
    ran = pair("audit archive --older-than 90d", "-o", str(file), "--json")
    assert (ran.code, ran.json["archived"]) == (0, 6), ran.err
    left = pair("audit show", "--json").json["audit"]
    assert (left["success"], left["failed"]) == (0, 3)
    assert [row["id"] for row in left["rows"]] == [row["id"] for row in tried]
    ran = pair("audit archive --older-than 90d", "-o", str(tmp_path / "none.csv"))
    assert (ran.code, "no row to archive is older than 90 days" in ran.out) == (0, True), ran.out
    assert pair.audit()[-1][1] == "failed" and pair("audit retry").code == 1


def test_what_may_not_be_archived(pair: Pair, tmp_path: Path) -> None:
    file = tmp_path / "audit.csv"
    assert pair("audit archive --older-than 90d", "-o", str(file)).code == 0
    aged(pair)
    for age in ("89d", "0d", "90", "-1d", "1y", "90d "):
        ran = converge("audit", "archive", "--target", pair.target, f"--older-than={age}", "-o", str(file))
        assert (ran.code, "error[B007]" in ran.err) == (2, True), (age, ran.err)
    file.write_text("precious")
    ran = pair("audit archive --older-than 90d", "-o", str(file))
    assert (ran.code, "error[B008]" in ran.err, file.read_text()) == (2, True, "precious")
    ran = pair("audit archive --older-than 90d", "-o", "/nowhere/audit.csv")
    assert (ran.code, "error[U004]" in ran.err) == (2, True)
    assert pair.sql("SELECT count(*) FROM converge.audit") == [(6,)]


def test_rows_stay_when_the_file_or_the_removal_fails(pair: Pair, tmp_path: Path) -> None:
    aged(pair)
    limited = f"ulimit -f 0; exec {sys.executable} -m converge audit archive --older-than 90d"
    file = tmp_path / "audit.csv"
    done = subprocess.run(
        ["/bin/bash", "-c", f"trap '' XFSZ; {limited} --target '{pair.target}' -o '{file}'"],
        capture_output=True, text=True, env=ENVIRONMENT, check=False,
    )  # fmt: skip
    assert (done.returncode, "error[U012]" in done.stderr) == (1, True), done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["fill.toml"]
    # Somebody's rule keeps a row: what is exported is not what is removed.
    pair.sql("CREATE RULE keep AS ON DELETE TO converge.audit WHERE OLD.row_key = '2' DO INSTEAD NOTHING")
    ran = pair("audit archive --older-than 90d", "-o", str(file))
    assert (ran.code, "error[B009]" in ran.err, "none was" in ran.err) == (1, True, True), ran.err
    assert pair.sql("SELECT count(*) FROM converge.audit") == [(6,)]


def test_every_code_and_reason_is_documented() -> None:
    document = (FOLDER / "docs/backfill.md").read_text("utf-8")
    used = {
        code
        for file in (FOLDER / "converge").rglob("*.py")
        for code in re.findall(r"\b(B0\d{2})\b", file.read_text("utf-8"))
    }
    documented = set(re.findall(r"^\| (B\d{3}) ", document, re.MULTILINE))
    assert used == documented
    assert set(REASONS) == set(re.findall(r"^\| `([a-z ]+)` ", document, re.MULTILINE)) & set(REASONS)


@pytest.mark.parametrize("side", ["target", "kratos"])
def test_rows_that_a_policy_hides_are_never_left_out(pair: Pair, role: str, side: str) -> None:
    """Another user may have the value already, or another identity may match: nothing is guessed."""
    pair.users((1, "a@x"), (2, "b@x"))
    pair.identities((identity(1), "a@x"), (identity(2), "b@x"))
    url, table = (pair.target, '"user"') if side == "target" else (pair.kratos, "identities")
    postgres(
        url,
        f'GRANT ALL ON {table} TO {role}; GRANT CREATE ON DATABASE "{parse(url).database}" TO {role};'
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON {table} USING (id::text < '2')",
    )
    other = url.replace(f"{parse(url).user}@", f"{role}@")
    ran = pair("backfill authid", **{side: other})
    assert ran.code in (3, 4, 5) and "row-level security" in ran.err, (ran.code, ran.err)
    assert pair.filled() == {1: None, 2: None}


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("TRIGGER x AFTER UPDATE ON", "id = NEW.id"),
        ("CONSTRAINT TRIGGER x AFTER UPDATE ON", "id = NEW.id"),
        ("TRIGGER x AFTER UPDATE ON", "id < NEW.id"),
    ],
)
def test_a_value_that_a_trigger_takes_back_is_not_filled(pair: Pair, kind: str, change: str) -> None:
    pair.users(*((number, f"{number}@x") for number in (1, 2, 3)))
    pair.identities(*((identity(number), f"{number}@x") for number in (1, 2, 3)))
    deferred = "DEFERRABLE INITIALLY DEFERRED" if kind.startswith("CONSTRAINT") else ""
    pair.sql(
        'CREATE FUNCTION back() RETURNS trigger AS $$ BEGIN UPDATE "user" SET "authID" = NULL '
        f'WHERE {change} AND "authID" IS NOT NULL; RETURN NULL; END $$ LANGUAGE plpgsql;'
        f'CREATE {kind} "user" {deferred} FOR EACH ROW WHEN (NEW."authID" IS NOT NULL) '
        "EXECUTE FUNCTION back()"
    )
    ran = pair("backfill authid", "--json")
    there = [row for row, value in pair.filled().items() if value is not None]
    assert (ran.code, counts(ran)) == (1, (3, 0, len(there), 3 - len(there))), ran.err
    last = "SELECT DISTINCT ON (row_key) row_key, resolution_status FROM converge.audit"
    attempts = pair.sql(f"{last} ORDER BY row_key, id DESC")
    assert [int(key) for key, status in attempts if status == "success"] == there
