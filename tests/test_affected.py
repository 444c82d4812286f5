"""What a change has done to rows: found by comparing with what was there, whatever the change is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conftest import NewDatabase

from converge.errors import UsageError
from converge.model.endpoint import parse
from converge.model.image import Image, Pair, pairs
from converge.model.validation import Affected, Compared
from converge.postgres.affected import affected_rows, compare, digests, find, keep_rows, read_images
from converge.postgres.connect import connect
from converge.sandbox import Server

TABLES = """
CREATE TABLE users (id int PRIMARY KEY, name text, auth text, note varchar(20));
INSERT INTO users SELECT i, 'n' || i, NULL, CASE WHEN i % 2 = 0 THEN '' END FROM generate_series(1, 20) i;
CREATE TABLE pairs (a int, b text, v numeric, PRIMARY KEY (b, a));
INSERT INTO pairs VALUES (1, 'x', 1.50), (1, 'y', 2), (2, 'x', 'NaN');
CREATE TABLE loose (a int, t text);
INSERT INTO loose VALUES (1, 'a'), (1, 'a'), (1, 'a'), (NULL, NULL), (2, E'\\t"q"\\n,');
CREATE TABLE odd ("(change)" int, "a""b" int PRIMARY KEY, "c,d" bytea, "e" json, f xml, g float8, h int[]);
INSERT INTO odd VALUES (1, 1, '\\x00', '{"a": 1}', '<a/>', '-0', '{1,NULL}');
CREATE TABLE empty (id int PRIMARY KEY);
"""


class Scene:
    """A database, its tables as they were, and what is not as it was."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        connection.execute(b"SET search_path = public")
        connection.execute(TABLES.encode())
        self.before = self.read()
        self.digests = digests(connection, self.before)
        keep_rows(connection, self.before)

    def read(self) -> tuple[Image, ...]:
        return read_images(self.connection, "public", "alembic_version")

    def after(self, statements: str) -> dict[str, tuple[Pair, Affected]]:
        self.connection.execute(statements.encode())
        found = {}
        for pair in pairs(self.before, self.read()):
            affected = find(self.connection, pair)
            if affected is not None:
                found[affected.table] = (pair, affected)
        return found

    def csv(self, pair: Pair, affected: Affected) -> str:
        return b"".join(affected_rows(self.connection, pair, affected)).decode()


@pytest.fixture
def scene(postgres_175: Server, new_postgres_database: NewDatabase) -> Iterator[Scene]:
    with closing(connect(parse(new_postgres_database(postgres_175)))) as connection:
        yield Scene(connection)


def counts(affected: Affected) -> tuple[int, int, int]:
    return affected.changed, affected.added, affected.removed


def test_nothing_is_affected_by_nothing(scene: Scene) -> None:
    assert scene.after("SELECT 1") == {}
    assert digests(scene.connection, scene.read()) == scene.digests


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE users ALTER id TYPE bigint, ALTER name TYPE varchar(99), ADD c int",
        "ALTER TABLE users RENAME TO members; ALTER TABLE members RENAME name TO title; "
        "ALTER TABLE members RENAME id TO number",
        "ALTER TABLE empty ADD v int NOT NULL DEFAULT 1; DROP TABLE empty; CREATE TABLE another (a int)",
        "ALTER TABLE users DROP auth; ALTER TABLE users ADD auth text",
        "CREATE TABLE u2 (LIKE users INCLUDING ALL); INSERT INTO u2 SELECT * FROM users; DROP TABLE users; "
        "ALTER TABLE u2 RENAME TO users",
        "DELETE FROM loose WHERE a = 2; INSERT INTO loose VALUES (2, E'\\t\"q\"\\n,')",
    ],
)
def test_rows_that_keep_their_values_are_not_affected(scene: Scene, change: str) -> None:
    assert scene.after(change) == {}


def test_rows_with_a_key(scene: Scene) -> None:
    found = scene.after(
        "UPDATE users SET auth = 'k' || id WHERE id IN (9, 10); UPDATE users SET note = NULL WHERE note = '';"
        "DELETE FROM users WHERE id = 20; INSERT INTO users VALUES (21, 'new');"
        "UPDATE pairs SET v = 1.5 WHERE b = 'x' AND a = 1"
    )
    assert set(found) == {"public.users", "public.pairs"}
    pair, users = found["public.users"]
    assert (users.key, counts(users)) == (("id",), (10, 1, 1))
    assert users.columns == {"auth": 2, "note": 9}
    lines = scene.csv(pair, users).splitlines()
    assert lines[0] == "(change),id,name,auth,note,auth (before),note (before)"
    assert lines[1] == '"changed","2","n2",,,,""'
    assert '"changed","9","n9","k9",,,' in lines
    assert '"changed","10","n10","k10",,,""' in lines
    assert lines[-2:] == ['"removed","20","n20",,"",,', '"added","21","new",,,,']
    pair, other = found["public.pairs"]
    assert (other.key, other.columns) == (("b", "a"), {"v": 1})
    assert scene.csv(pair, other).splitlines()[1] == '"changed","1","x","1.5","1.50"'


def test_rows_without_a_key_are_counted(scene: Scene) -> None:
    found = scene.after(
        "DELETE FROM loose WHERE ctid = (SELECT min(ctid) FROM loose); INSERT INTO loose VALUES (NULL, NULL)"
    )
    pair, loose = found["public.loose"]
    assert (loose.key, counts(loose)) == ((), (0, 1, 1))
    assert scene.csv(pair, loose) == '(change),a,t\n"removed","1","a"\n"added",,\n'


def test_columns_that_come_and_go(scene: Scene) -> None:
    found = scene.after(
        "ALTER TABLE users ADD email text; UPDATE users SET email = name || '@x' WHERE id < 4;"
        "ALTER TABLE users DROP note; ALTER TABLE loose ADD n int DEFAULT 7"
    )
    pair, users = found["public.users"]
    assert users.columns == {"email": 3, "note": 10}
    lines = scene.csv(pair, users).splitlines()
    assert lines[0] == "(change),id,name,auth,email,note,email (before),note (before)"
    assert lines[2] == '"changed","2","n2",,"n2@x",,,""'
    assert counts(found["public.loose"][1]) == (0, 5, 5)


def test_tables_that_come_and_go(scene: Scene) -> None:
    found = scene.after("DROP TABLE pairs; CREATE TABLE fresh AS SELECT 1 AS a")
    assert {name: (one.was, *counts(one)) for name, (_, one) in found.items()} == {
        "public.fresh": ("", 0, 1, 0),
        "public.pairs": ("public.pairs", 0, 0, 3),
    }
    assert scene.csv(*found["public.pairs"]).splitlines()[1] == '"removed","1","x","1.50"'


@pytest.mark.parametrize(
    "key",
    [
        "ALTER TABLE users ALTER id TYPE text",
        'ALTER TABLE users ALTER id TYPE text COLLATE "C"',
        "ALTER TABLE users ALTER id TYPE numeric(9)",
    ],
)
def test_a_key_of_another_type(scene: Scene, key: str) -> None:
    found = scene.after(f"{key}; UPDATE users SET name = 'x' WHERE auth IS NULL AND name = 'n7'")
    assert found["public.users"][1].columns == {"name": 1}


def test_another_key_pairs_no_rows(scene: Scene) -> None:
    found = scene.after(
        "ALTER TABLE pairs DROP CONSTRAINT pairs_pkey; ALTER TABLE pairs ADD PRIMARY KEY (v);"
        "UPDATE pairs SET a = 5 WHERE v = 2"
    )
    assert (found["public.pairs"][1].key, counts(found["public.pairs"][1])) == ((), (0, 1, 1))


def test_odd_values_and_names(scene: Scene) -> None:
    found = scene.after(
        "UPDATE odd SET \"c,d\" = '\\x0001', e = '{\"a\":1}', f = '<b/>', g = '0', h = '{1}', \"a\"\"b\" = 2"
    )
    pair, odd = found["public.odd"]
    assert counts(odd) == (0, 1, 1)
    assert scene.csv(pair, odd).startswith('(change),(change) *,"a""b",')
    assert '"added","1","2","\\x0001","{""a"":1}","<b/>","0","{1}"' in scene.csv(pair, odd)


def test_a_table_of_a_thousand_columns(scene: Scene) -> None:
    columns = ", ".join(f"c{at} int" for at in range(1500))
    scene.connection.execute(f"CREATE TABLE wide (id int PRIMARY KEY, {columns})".encode())
    scene.connection.execute(b"INSERT INTO wide (id) VALUES (1), (2)")
    scene.connection.execute(b"DROP SCHEMA converge_before CASCADE")
    scene.before = scene.read()
    keep_rows(scene.connection, scene.before)
    found = scene.after("UPDATE wide SET c1499 = 1 WHERE id = 2")
    assert found["public.wide"][1].columns == {"c1499": 1}
    assert scene.csv(*found["public.wide"]).endswith('"1",\n')


def reference(scene: Scene, file: Path, change: str, again: str, keep: str = "") -> Compared:
    """What is told of `again` beside the reference that `change` has left, or `keep` in its place."""
    scene.connection.execute(b"BEGIN")
    pair, users = scene.after(change)["public.users"]
    file.write_text(keep or scene.csv(pair, users))
    scene.connection.execute(b"ROLLBACK")
    found = scene.after(again).get("public.users")
    return compare(scene.connection, "public.users", file, found and found[0], ("id",))


FILL = "UPDATE users SET auth = 'k' || id"


def test_the_same_rows_are_equal(scene: Scene, tmp_path: Path) -> None:
    told = reference(scene, tmp_path / "users.csv", FILL, FILL)
    assert (told.equal, told.rows) == (True, 20)


def test_wrong_values_are_told_by_key_and_column(scene: Scene, tmp_path: Path) -> None:
    again = FILL + "; UPDATE users SET auth = '' WHERE id = 3; UPDATE users SET auth = 'k5' WHERE id = 15"
    told = reference(scene, tmp_path / "users.csv", FILL, again)
    assert (told.missing, told.extra, told.columns) == (0, 0, {"auth": 2})
    assert [(one.key, one.column, one.reference, one.found) for one in told.deviations] == [
        ("id=15", "auth", "k15", "k5"),
        ("id=3", "auth", "k3", ""),
    ]


def test_rows_of_one_side(scene: Scene, tmp_path: Path) -> None:
    told = reference(
        scene, tmp_path / "users.csv", FILL + " WHERE id < 4", FILL + " WHERE id BETWEEN 2 AND 5"
    )
    assert (told.missing, told.extra, told.columns) == (1, 2, {})
    assert {(one.key, one.reference, one.found) for one in told.deviations} == {
        ("id=1", "id=1", None),
        ("id=4", None, "id=4"),
        ("id=5", None, "id=5"),
    }


def test_a_reference_written_by_hand(scene: Scene, tmp_path: Path) -> None:
    """Fewer columns in another order, as a spreadsheet writes them, and a row twice."""
    rows = [f"k{at},{at}" for at in range(1, 21)]
    text = "\ufeffauth,id\r\n" + "\r\n".join([*rows, "k7,7"]) + "\r\n"
    told = reference(scene, tmp_path / "users.csv", FILL, FILL, keep=text)
    assert (told.missing, told.extra, told.columns) == (1, 0, {})
    assert [one.key for one in told.deviations] == ["id=7"]
    assert told.not_compared == ("name", "note")


def test_no_row_is_affected_though_the_reference_has_some(scene: Scene, tmp_path: Path) -> None:
    told = reference(scene, tmp_path / "users.csv", FILL, "SELECT 1")
    assert (told.missing, told.extra, told.equal) == (20, 0, False)


def test_rows_without_a_reference(scene: Scene) -> None:
    pair, _ = scene.after(FILL)["public.users"]
    told = compare(scene.connection, "public.users", None, pair, ("id",))
    assert (told.rows, told.extra, told.deviations[0].key) == (0, 20, "id=1")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("name\nx\n", "A051"),
        ("id,name\n1\n", "A052"),
        ('id,name\n"1', "A052"),
        ("id\n\xff\n", "A052"),
        ("", "A051"),
    ],
)
def test_files_that_are_no_reference(scene: Scene, tmp_path: Path, text: str, code: str) -> None:
    file = tmp_path / "users.csv"
    file.write_bytes(text.encode("latin-1"))
    pair, _ = scene.after(FILL)["public.users"]
    with pytest.raises(UsageError) as refused:
        compare(scene.connection, "public.users", file, pair, ("id",))
    assert refused.value.code == code
