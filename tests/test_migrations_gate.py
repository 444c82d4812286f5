"""The gate: what a revision's text does to rows, and that nothing runs until it was validated or named."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from revisions import folder, revert, revision, run, states
from sqlalchemy import DDL, text
from sqlalchemy.dialects.postgresql import dialect
from support import postgres

from converge.errors import BlockedError
from converge.revisions.folder import Folder
from converge.revisions.gate.effect import Empties, Loses, Renamed, Unjudged
from converge.revisions.gate.effects import effects
from converge.revisions.gate.source import hides
from converge.revisions.gate.widening import widens
from converge.revisions.gate.words import statements
from converge.revisions.validated import made, record
from converge.revisions.write import executed
from converge.sandbox import Server

HARMLESS = """
CREATE TABLE t (a int NOT NULL, b text DEFAULT 'x;y')
CREATE UNIQUE INDEX CONCURRENTLY i ON t (lower(a))
CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN a THEN 1 END; DELETE FROM t; END
CREATE FUNCTION f() RETURNS void AS $$ BEGIN DELETE FROM t; END $$ LANGUAGE plpgsql
CREATE TYPE e AS ENUM ('drop', 'table')
ALTER TABLE t ADD COLUMN c int, ADD d int NOT NULL DEFAULT 0, ADD CONSTRAINT p PRIMARY KEY (a)
ALTER TABLE t ADD CHECK (a > 0)
ALTER TABLE ONLY t ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY NOT NULL
ALTER TABLE t DROP CONSTRAINT p CASCADE, ALTER a DROP NOT NULL
ALTER TABLE t ALTER COLUMN a SET DEFAULT 1, VALIDATE CONSTRAINT q
ALTER TABLE t RENAME COLUMN a TO b
ALTER TYPE e ADD VALUE 'x'
ALTER INDEX i RENAME TO j
DROP INDEX IF EXISTS i
DROP MATERIALIZED VIEW v CASCADE
DROP FUNCTION f(integer, text)
DROP SCHEMA s
COMMENT ON TABLE t IS 'DROP TABLE t'
INSERT INTO t (a) SELECT max(b) FROM u ON CONFLICT DO NOTHING
SET LOCAL lock_timeout = '1s'
SELECT setval('s', (SELECT max(id) FROM t))
SELECT pg_catalog.setval('s', 1)
GRANT DELETE ON t TO r
/* DROP /* nested */ TABLE t */ CREATE VIEW v AS SELECT 1 -- ; DROP TABLE t
""".strip().splitlines()

LOSING = {
    'DROP TABLE IF EXISTS "T", s.u': [("T",), ("s", "u")],
    "DROP SEQUENCE s": [("s",)],
    "ALTER TABLE IF EXISTS ONLY s.t DROP COLUMN IF EXISTS a": [("s", "t")],
    "ALTER TABLE t DROP a, ADD COLUMN b int": [("t",)],
    "alter table t alter a set not null": [("t",)],
    "ALTER TABLE t ADD COLUMN a int NOT NULL": [("t",)],
    "ALTER TABLE t ALTER COLUMN a SET DATA TYPE smallint": [("t",)],
    "UPDATE ONLY t SET a = 1": [("t",)],
    "DELETE FROM t USING u WHERE true": [("t",)],
    "TRUNCATE TABLE a, ONLY b RESTART IDENTITY": [("a",), ("b",)],
    'DROP TABLE a, s.U&"x", b': [("a",), ()],
    "TRUNCATE ÄRGER": [("Ärger",)],
    "MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE": [("t",)],
    "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 2": [("t",)],
}

UNJUDGED = """
DO $$ BEGIN DELETE FROM t; END $$
CALL p()
SELECT f()
SELECT count(*) FROM t
SELECT setval('s', f())
WITH d AS (DELETE FROM t RETURNING *) INSERT INTO u SELECT * FROM d
INSERT INTO u WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d
INSERT INTO u SELECT own(a) FROM t
CREATE TABLE u AS SELECT own(1)
DROP TYPE e CASCADE
DROP EXTENSION x
DROP OWNED BY r
DROP DATABASE d
ALTER TABLE t SET UNLOGGED
ALTER TABLE t FROBNICATE
ALTER TYPE c DROP ATTRIBUTE a
ALTER SCHEMA s RENAME TO t
SET search_path TO elsewhere
SET session_replication_role = replica
COPY t FROM '/x'
ALTER TABLE U&"x" DROP COLUMN a
ALTER TABLE t RENAME TO U&"x"
DROP SCHEMA U&"x" CASCADE
EXPLAIN ANALYZE DELETE FROM t
ROLLBACK
""".strip().splitlines()


def _effects(sql: str) -> list[object]:
    (one,) = statements(sql)
    return list(effects(one, frozenset({"own"})))


@pytest.mark.parametrize("sql", HARMLESS)
def test_harmless(sql: str) -> None:
    assert [one for one in _effects(sql) if not isinstance(one, Renamed)] == []


@pytest.mark.parametrize("sql", LOSING)
def test_losing(sql: str) -> None:
    found = _effects(sql)
    assert [one.relation for one in found if isinstance(one, Loses)] == LOSING[sql], found


@pytest.mark.parametrize("sql", UNJUDGED)
def test_unjudged(sql: str) -> None:
    assert any(isinstance(one, Unjudged) for one in _effects(sql))


def test_names_and_cascades() -> None:
    assert _effects("ALTER TABLE s.t RENAME TO u") == [Renamed(("s", "t"), name="u")]
    assert _effects("ALTER INDEX t RENAME TO u") == [Renamed(("t",), name="u")]
    assert _effects("ALTER TABLE t SET SCHEMA s") == [Renamed(("t",), schema="s")]
    assert _effects('DROP SCHEMA IF EXISTS "S" CASCADE') == [Empties("S")]
    assert [type(one) for one in _effects("DROP TABLE t CASCADE")] == [Loses, Unjudged]


def test_statements_end_at_their_semicolons() -> None:
    parts = [
        "SELECT ';', $a$;$$;$a$, E'\\';'",
        'CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT ";")',
        "END",
    ]
    assert [one.text for one in statements(";".join(parts) + " ;; ")] == parts


WIDER = """
smallint > integer | integer > bigint | bigint > numeric | smallint > numeric(5,0) | real > double precision
text > character varying | character varying(5) > character varying(9) | character varying(5) > text
numeric(5,2) > numeric(6,2) | numeric(5,2) > numeric | integer[] > bigint[] | text > text
timestamp(3) without time zone > timestamp without time zone
"""
NARROWER = """
integer > smallint | bigint > integer | bigint > numeric(18,0) | numeric > integer | double precision > real
text > character varying(9) | character varying(9) > character varying(5) | character(5) > text
numeric(5,2) > numeric(5,3) | numeric > numeric(9,2) | text > integer | integer[] > bigint | text > uuid
timestamp without time zone > timestamp with time zone
timestamp without time zone > timestamp(3) without time zone
"""


def _pairs(lines: str) -> list[list[str]]:
    return [pair.strip().split(" > ") for line in lines.strip().splitlines() for pair in line.split("|")]


@pytest.mark.parametrize(("old", "new"), _pairs(WIDER))
def test_wider(old: str, new: str) -> None:
    assert widens(old, new)


@pytest.mark.parametrize(("old", "new"), _pairs(NARROWER))
def test_narrower(old: str, new: str) -> None:
    assert not widens(old, new)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1))
def test_a_statement_is_executed_as_it_was_given(sql: str) -> None:
    _same(sql)


@given(st.text("ab:\\\"'\n$1 ", min_size=1))
@example("\\:$:")
@example(":a$")
def test_a_statement_with_colons_and_quotes(sql: str) -> None:
    _same(sql)


def _same(sql: str) -> None:
    call = ast.parse(executed(sql), mode="eval").body
    assert isinstance(call, ast.Call)
    (given,) = call.args
    how = text if isinstance(given, ast.Constant) else DDL
    read = ast.literal_eval(given if isinstance(given, ast.Constant) else ast.unparse(given)[4:-1])
    made = dialect(paramstyle="named")  # type: ignore[no-untyped-call]
    assert str(how(read).compile(dialect=made)) == sql


def test_a_text_that_hides_what_it_does() -> None:
    assert hides("from alembic import op\nimport sqlalchemy as sa\nop.add_column('t', sa.Column('a'))") == ""
    for hiding in (
        "import os", "from alembic import op, context", "from .other import x", "op.get_bind()", "open('x')",
        "op.get_context().as_sql", "eval('1')", "def (",
    ):  # fmt: skip
        assert hides(hiding), hiding


@pytest.fixture
def url(postgres_175: Server, new_postgres_database: object) -> str:
    made = new_postgres_database(postgres_175)  # type: ignore[operator]
    postgres(made, "CREATE TABLE film (id int, title varchar(9), length smallint)")
    postgres(made, "CREATE TABLE empty (id int, name text)")
    postgres(made, "INSERT INTO film VALUES (1, 'a', 1), (2, 'b', 2)")
    return str(made)


@pytest.mark.parametrize(
    "code",
    [
        "DROP TABLE film",
        "op.drop_column('film', 'length')",
        "op.alter_column('film', 'title', nullable=False)",
        "op.alter_column('film', 'title', type_=sa.String(3))",
        "ALTER TABLE film ALTER length TYPE integer USING length * 2",
        "UPDATE film SET length = 3",
        "ALTER TABLE film RENAME TO movie; ALTER TABLE movie SET SCHEMA pg_temp; DROP TABLE pg_temp.movie",
        "DROP SCHEMA public CASCADE",
        "DO $$ BEGIN END $$",
        "op.get_bind().execute(sa.text('SELECT 1'))",
        "op.execute(undefined)",
    ],
)
def test_refused_with_rows(code: str, url: str, tmp_path: Path) -> None:
    """And nothing of the list is run: neither what comes before nor the version table."""
    revisions = folder(tmp_path, "CREATE TABLE before (id int)", code)
    with pytest.raises(BlockedError) as caught:
        run(revisions, url)
    assert (caught.value.code, caught.value.exit_code) == ("A009", 3)
    assert caught.value.message.startswith("r2 may lose rows")
    assert "2 rows" in "".join(caught.value.details)
    assert "--accept-data-loss r2" in str(caught.value.hint)
    assert postgres(url, "SELECT to_regclass('before'), to_regclass('alembic_version')") == [(None, None)]
    assert postgres(url, "SELECT count(*) FROM film") == [(2,)]


@pytest.mark.parametrize(
    "code",
    [
        "DROP TABLE empty",
        "op.alter_column('empty', 'name', nullable=False)",
        "op.alter_column('film', 'title', type_=sa.String(20))",
        "op.alter_column('film', 'length', type_=sa.BigInteger())",
        "ALTER TABLE film ALTER COLUMN length TYPE int USING length::int",
        "op.bulk_insert(sa.table('film', sa.column('id', sa.Integer)), [{'id': 3}])",
        "CREATE TABLE made (id int); INSERT INTO made VALUES (1); UPDATE made SET id = 2",
        "op.create_table('x', sa.Column('id', sa.Integer, primary_key=True), sa.Column('at', sa.DateTime,"
        " server_default=sa.func.now()))",
    ],
)
def test_passes_with_rows(code: str, url: str, tmp_path: Path) -> None:
    revisions = folder(tmp_path, code)
    assert run(revisions, url).ran == ("r1",)


def test_a_table_that_an_earlier_revision_renames(url: str, tmp_path: Path) -> None:
    revisions = folder(tmp_path, "op.rename_table('film', 'movie')", "DROP TABLE movie")
    with pytest.raises(BlockedError) as caught:
        run(revisions, url)
    assert "public.film has 2 rows" in caught.value.details[0]


def test_unjudged_on_a_database_without_rows(url: str, tmp_path: Path) -> None:
    postgres(url, "TRUNCATE film")
    revisions = folder(tmp_path, "DO $$ BEGIN END $$", "op.get_bind().scalar(sa.text('SELECT 1'))")
    assert run(revisions, url).ran == ("r1", "r2")


def test_validated_or_accepted(url: str, tmp_path: Path) -> None:
    """For exactly this text, in this direction; a changed one is refused again."""
    revisions = folder(tmp_path, "DELETE FROM film WHERE id = 1")
    path = revision(tmp_path, "r1", "DELETE FROM film WHERE id = 1", "DELETE FROM film")
    revisions = Folder.open(str(tmp_path))
    record(revisions, made(revisions.revision("r1"), ["up"], {"public.film": 2}, "postgresql://h/d", "17.5"))
    path.write_text(path.read_text() + "# another text\n")
    with pytest.raises(BlockedError):
        run(revisions, url)
    path.write_text(path.read_text().removesuffix("# another text\n"))
    assert run(revisions, url).ran == ("r1",)
    assert postgres(url, "SELECT id FROM film") == [(2,)]
    with pytest.raises(BlockedError, match="r1 may lose rows"):
        revert(revisions, url)
    assert states(revisions, url) == {"r1": "applied"}
    assert revert(revisions, url, "-1", "r1").ran == ("r1",)
    assert postgres(url, "SELECT count(*) FROM film") == [(0,)]


def test_only_the_accepted_one_passes(url: str, tmp_path: Path) -> None:
    revisions = folder(tmp_path, "DELETE FROM film", "DROP TABLE film")
    with pytest.raises(BlockedError) as caught:
        run(revisions, url, "head", "r1")
    assert caught.value.message.startswith("r2 may lose rows")
    assert run(revisions, url, "head", "r1", "r2").ran == ("r1", "r2")


def test_rows_that_row_security_hides_are_no_reason_to_pass(url: str, tmp_path: Path) -> None:
    postgres(url, "CREATE ROLE gate_keeper LOGIN")
    try:
        postgres(url, "ALTER TABLE film OWNER TO gate_keeper; GRANT CREATE ON SCHEMA public TO gate_keeper")
        postgres(url, "ALTER TABLE film ENABLE ROW LEVEL SECURITY; ALTER TABLE film FORCE ROW LEVEL SECURITY")
        revisions = folder(tmp_path, "DROP TABLE film")
        with pytest.raises(Exception, match="row-level security"):
            run(revisions, url.replace("postgres@", "gate_keeper@"))
    finally:
        postgres(url, "DROP OWNED BY gate_keeper")
        postgres(url, "DROP ROLE gate_keeper")
