"""The gate: what a revision's text does to rows, and that nothing runs until it was validated or named."""

from __future__ import annotations

import ast
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep

import psycopg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from revisions import folder, revert, revision, run, states
from sqlalchemy import DDL, text
from sqlalchemy.dialects.postgresql import dialect
from support import postgres

from converge.errors import BlockedError
from converge.model.endpoint import parse
from converge.model.revision import Applied
from converge.planner.difference.widening import widens
from converge.postgres.held import held
from converge.revisions.folder import Folder
from converge.revisions.gate.judge import Judge
from converge.revisions.gate.source import unknown_python
from converge.revisions.gate.statements import Unreadable, statements
from converge.revisions.validated import record
from converge.revisions.write import executed
from converge.sandbox import Server

KEEPS = """
CREATE TABLE t (a int NOT NULL, b varchar(20) DEFAULT 'x;y', at timestamptz(3) DEFAULT now(), PRIMARY KEY (a))
CREATE TABLE IF NOT EXISTS public.t (a int CHECK (a > 0) REFERENCES public.empty (id) ON DELETE CASCADE)
CREATE UNLOGGED TABLE "t u" (a character varying(9), g int GENERATED ALWAYS AS (length(a)) STORED)
CREATE TABLE p2 PARTITION OF parted FOR VALUES IN (7)
CREATE UNIQUE INDEX CONCURRENTLY i ON film (lower(title)) INCLUDE (id) WHERE length IN (1, 2)
CREATE INDEX i ON public.film USING gin (to_tsvector('simple', title))
CREATE FUNCTION f() RETURNS void AS $$ BEGIN DELETE FROM film; END $$ LANGUAGE plpgsql
CREATE FUNCTION own() RETURNS TABLE (a int) LANGUAGE sql AS 'SELECT 1'
CREATE TYPE e AS ENUM ('drop', 'table')
CREATE DOMAIN short AS text CHECK (length(VALUE) < 9)
CREATE SEQUENCE s START WITH 5
CREATE SCHEMA app
CREATE TRIGGER w BEFORE INSERT ON film FOR EACH ROW EXECUTE FUNCTION fine(1)
CREATE VIEW v AS SELECT delord()
CREATE POLICY p ON film USING (true)
ALTER TABLE film ADD COLUMN c int, ADD d int NOT NULL DEFAULT 0, ADD CONSTRAINT p PRIMARY KEY (id)
ALTER TABLE film ADD CHECK (id > 0), ADD FOREIGN KEY (id) REFERENCES logged (id) NOT VALID
ALTER TABLE ONLY film ADD COLUMN nr bigint GENERATED ALWAYS AS IDENTITY (START WITH 7) NOT NULL
ALTER TABLE film DROP CONSTRAINT p, ALTER id DROP NOT NULL
ALTER TABLE film ALTER COLUMN id SET DEFAULT 1, VALIDATE CONSTRAINT q
ALTER TABLE film ALTER title TYPE text, ALTER length TYPE bigint
ALTER TABLE film RENAME COLUMN id TO b
ALTER FOREIGN TABLE away ADD COLUMN c int
ALTER TABLE film ENABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY
ALTER TABLE film ALTER id DROP EXPRESSION
ALTER TYPE mood ADD VALUE 'x'
ALTER TYPE mood RENAME TO f
ALTER INDEX i RENAME TO j
ALTER SEQUENCE s OWNED BY film.id
ALTER SEQUENCE s AS bigint NO CYCLE CACHE 5
CREATE SEQUENCE s INCREMENT BY -1 CYCLE
CREATE TABLE made (id int); ALTER TABLE public.made ADD n int; INSERT INTO made VALUES (1)
ALTER TABLE film ALTER id SET GENERATED ALWAYS SET NO CYCLE, ALTER b ADD GENERATED ALWAYS AS IDENTITY (CYCLE)
DROP INDEX IF EXISTS i
DROP VIEW shown
DROP FUNCTION f(integer, text)
DROP SCHEMA s
COMMENT ON TABLE film IS 'DROP TABLE film'
INSERT INTO film (id, title) VALUES (1, 'a;b'), (2, upper('c')) ON CONFLICT DO NOTHING
SET LOCAL lock_timeout = '1s'
ALTER TABLE film RENAME TO U&"x"
GRANT DELETE ON film TO r
/* DROP /* nested */ TABLE t */ CREATE VIEW v AS SELECT 1 -- ; DROP TABLE film
""".strip().splitlines()

UNKNOWN = r"""
DROP TABLE IF EXISTS empty, public.film
ALTER TABLE IF EXISTS ONLY public.film DROP COLUMN IF EXISTS title
ALTER TABLE film DROP title, ADD COLUMN b int
alter table film alter id set not null
ALTER TABLE film ADD COLUMN a int NOT NULL
ALTER TABLE film ALTER COLUMN length SET DATA TYPE "char"
ALTER TABLE film ALTER COLUMN title TYPE varchar(3)
ALTER TABLE film ALTER COLUMN title TYPE varchar(20) USING upper(title)
DROP TABLE empty
ALTER TABLE empty DROP name
ALTER TABLE film ALTER COLUMN length TYPE int USING length::int
CREATE TABLE a AS WITH gone AS (DELETE FROM film RETURNING *) SELECT * FROM gone
CREATE TABLE a (id) AS SELECT delord()
CREATE TABLE a (id) WITH (fillfactor = 70) AS TABLE film
SELECT 1 INTO a FROM film
CREATE TEMP TABLE film (id int)
CREATE MATERIALIZED VIEW a AS SELECT delord()
CREATE INDEX a ON empty (fine(id))
CREATE INDEX a ON empty ("check"(id))
CREATE INDEX a ON empty (id) WHERE fine(id)
CREATE INDEX a ON empty (key(id))
CREATE TABLE a (id int DEFAULT public.delord())
CREATE TABLE a (id int DEFAULT pg_terminate_backend(1)::int)
CREATE TABLE a (x xml DEFAULT query_to_xml('DELETE FROM film', true, true, ''))
CREATE TABLE a (LIKE film INCLUDING DEFAULTS, CHECK (fine(id)))
CREATE STATISTICS a ON (fine(id)), id FROM film
CREATE DOMAIN d AS int CHECK (fine(VALUE))
CREATE EVENT TRIGGER a ON ddl_command_end EXECUTE FUNCTION wipe()
CREATE OPERATOR <<< (LEFTARG = int, RIGHTARG = int, FUNCTION = two)
CREATE CAST (mood AS int) WITH FUNCTION cast_it(mood) AS ASSIGNMENT
CREATE RULE r AS ON INSERT TO empty DO ALSO DELETE FROM film
CREATE SCHEMA s CREATE TABLE x (a int DEFAULT delord())
CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; END
CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT t.case FROM t; END; DROP TABLE film; SELECT 1 END
ALTER TABLE film ADD COLUMN z int DEFAULT delord()
ALTER TABLE film ADD CHECK ("fine"(id))
ALTER TABLE film ADD CHECK (film.whole)
ALTER TABLE film ADD CHECK ((film).whole)
CREATE INDEX a ON film ((film.whole))
ALTER TABLE film ALTER title TYPE varchar(20) USING delord()::text, ALTER id SET DEFAULT delord()
ALTER TABLE checked ALTER id TYPE bigint
ALTER TABLE checked VALIDATE CONSTRAINT checked_id_check
ALTER TABLE indexed ALTER id TYPE bigint
ALTER TABLE indexed SET LOGGED
ALTER TABLE gone ALTER id TYPE int
ALTER TABLE gone ADD COLUMN c int
INSERT INTO gone VALUES (1)
INSERT INTO away VALUES (1)
ALTER TABLE film ALTER id SET DEFAULT delord()
ALTER TABLE film ALTER COLUMN id SET EXPRESSION AS (length + 1)
ALTER TABLE film SET UNLOGGED
ALTER TABLE film FROBNICATE
ALTER TABLE film INHERIT base, NO INHERIT base
ALTER TABLE parted DETACH PARTITION part
ALTER TABLE parted ATTACH PARTITION film DEFAULT
ALTER TYPE mood RENAME VALUE 'good' TO 'bad'
ALTER TYPE c DROP ATTRIBUTE a
ALTER SCHEMA public RENAME TO t
ALTER FUNCTION fine(int) RENAME TO lower
ALTER DOMAIN d ADD CHECK (fine(VALUE) = 1)
DROP TABLE film CASCADE
DROP SEQUENCE counter
ALTER SEQUENCE counter INCREMENT BY -1
ALTER SEQUENCE counter CYCLE
ALTER TABLE film ALTER id SET INCREMENT BY 2
ALTER TABLE film ADD c int, ALTER id SET CYCLE
DROP TABLE postgres.public.film
DROP VIEW shown CASCADE
DROP TYPE mood CASCADE
DROP SCHEMA public CASCADE
DROP OWNED BY postgres
DROP DATABASE d
INSERT INTO empty SELECT * FROM film
INSERT INTO empty VALUES ((SELECT delord()))
INSERT INTO empty VALUES (delord())
INSERT INTO empty (id) VALUES (1) RETURNING delord()
INSERT INTO empty VALUES (1) ON CONFLICT (id) DO UPDATE SET id = 2
WITH d AS (DELETE FROM film RETURNING *) INSERT INTO empty SELECT * FROM d
INSERT INTO logged VALUES (1)
INSERT INTO ruled VALUES (1)
INSERT INTO filling (id) VALUES (1)
INSERT INTO checked VALUES (1)
INSERT INTO above VALUES (1)
INSERT INTO shown VALUES (1)
UPDATE empty SET id = 1
DELETE FROM empty
TRUNCATE empty
MERGE INTO empty USING film ON true WHEN MATCHED THEN DELETE
DO $$ BEGIN DELETE FROM film; END $$
CALL p()
SELECT delord()
SELECT count(*) FROM film
SELECT setval('s', delord())
SELECT setval('s', (SELECT max(id) FROM film))
SELECT setval('s', 1), delord()
SELECT setval('s', (SELECT max(id) FROM shown))
SELECT setval('s', (SELECT max(id) FROM film, shown))
SELECT setval('s', 1) INTO x
SELECT set_config('search_path', 'elsewhere', false)
COMMIT
BEGIN
ROLLBACK
SET search_path TO elsewhere
SET LOCAL search_path = app
RESET search_path
SET session_replication_role = replica
SET lock_timeout = '1s'; RESET ALL
COPY film FROM PROGRAM 'id'
PREPARE p AS DELETE FROM film
EXECUTE p
EXPLAIN ANALYZE DELETE FROM film
REFRESH MATERIALIZED VIEW m
COMMENT ON TABLE film IS '\'; DROP TABLE film; --'
COMMENT ON TABLE film IS 'a' '\'; DROP TABLE film; --'
DROP TABLE U&"\0066ilm"
ALTER TABLE U&"film" DROP COLUMN title
COMMENT ON TABLE film IS NULL; DROP TABLE film
COMMENT ON TABLE film IS $a$ $b$ $a$; DROP TABLE film; --$a$
COMMENT ON TABLE film IS NULL; -- \rDROP TABLE film
COMMENT ON TABLE film IS E'\\'; DROP TABLE film --'
COMMENT ON TABLE film IS 'x' /* /* */ */; DROP TABLE film
""".strip().splitlines()

IN_TURN = """
ALTER TABLE film RENAME TO x; DROP TABLE film
ALTER TABLE app.film RENAME TO x; DROP TABLE film
ALTER TABLE film SET SCHEMA app; DROP TABLE app.film
ALTER INDEX film RENAME TO x; DROP TABLE x
ALTER TABLE film RENAME length TO x, RENAME id TO length; ALTER TABLE film ALTER length TYPE int
CREATE VIEW v AS SELECT * FROM film; INSERT INTO v VALUES (1)
CREATE TRIGGER w BEFORE INSERT ON empty EXECUTE FUNCTION wipe(); INSERT INTO empty VALUES (1)
ALTER TABLE logged ENABLE ALWAYS TRIGGER t; INSERT INTO empty VALUES (1)
CREATE FUNCTION lower(varchar) RETURNS text LANGUAGE sql AS ''; CREATE INDEX a ON film (lower(title))
INSERT INTO film VALUES (3, 'long'); ALTER TABLE film ALTER title TYPE varchar(20)
INSERT INTO empty VALUES (1); DROP TABLE empty
CREATE TABLE a (LIKE empty INCLUDING DEFAULTS); INSERT INTO a VALUES (1)
CREATE TABLE a () INHERITS (empty); INSERT INTO a VALUES (1)
CREATE TABLE made (id int); ALTER TABLE gone ALTER id TYPE int
ALTER TABLE film ADD FOREIGN KEY (id) REFERENCES logged ON DELETE CASCADE; DELETE FROM logged
""".strip().splitlines()


def test_statements_are_shown_as_they_are_written() -> None:
    parts = [
        "SELECT ';', $a$;$$;$a$, E'\\';'",
        "SELECT 'é'",
        'SELECT ";", "a""b"',
        "END",
        "VALUES (1) -- ;\r",
    ]
    shown = [" ".join(part.split()) for part in parts]
    assert [one.text for one in statements(";".join(parts) + " ;; ")] == shown


@pytest.mark.parametrize(
    "sql", ["SELECT (1; 2)", "COMMENT ON TABLE a IS NULL; \0 DROP TABLE b", "SELEC", f"SELECT {'(' * 9999}1"]
)
def test_what_is_not_read(sql: str) -> None:
    with pytest.raises(Unreadable):
        list(statements(sql))


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
@example('\n"""')
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


PYTHON = """
op.add_column('t', sa.Column('a', sa.String(length=3), server_default=sa.text('now()'), nullable=True))
op.create_table('t', sa.Column('e', sa.Enum('a'), nullable=False), sa.PrimaryKeyConstraint('e'))
op.create_index(op.f('ix'), 't', [sa.text('lower(a)')], unique=False, postgresql_where=sa.text('a > 1'))
with op.batch_alter_table('t', schema=None) as batch: batch.add_column(sa.Column('b', postgresql.JSONB()))
with op.get_context().autocommit_block(): op.execute('SELECT 1')
for table in ('a', 'b'): op.execute(f'COMMENT ON TABLE {table} IS NULL')
op.execute(sa.text('SELECT :a').bindparams(a=1))
raise NotImplementedError('no way back')
raise NotImplementedError
helper()
"""
OTHER_PYTHON = """
if op.get_context().opts.get("as_sql"): op.execute('SELECT 1')
op.get_context().as_sql or op.drop_table('film')
[op.drop_table('film') for _ in range(1)]
op.execute('a' if context.is_offline_mode() else 'b')
op.get_bind().execute(sa.text('x'))
op.migration_context.connection.execute('x')
op.impl.execute('x')
op.invoke(x)
open('x')
eval('1')
__import__('os')
sa.create_engine('x')
sa.event.listen(x, 'y', helper)
sa.inspect(op)
seen.append(1)
seen[0] = 1
helper.seen = 1
op.create_table('t', listeners=[('before_create', helper)])
op.bulk_insert(sa.table('t'), [{'a': helper}])
op.execute(op.drop_table)
for one in seen: op.drop_table(one)
for one in seen + []: op.drop_table(one)
for seen[0] in ('a', 'b'): op.drop_table('film')
for one in sa.MetaData().tables: op.drop_table(one)
try: op.drop_table('film')\nexcept Exception: pass
while True: pass
import os
from os import path
from .other import x
from alembic import context as c; c.is_offline_mode()
op = None
global seen
lambda: 1
assert op.drop_table('film')
print(op.__class__)
''.__class__
undefined
"""
FRAME = """
from collections.abc import Sequence
from typing import Union
from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

revision: str = "r1"
down_revision: Union[str, Sequence[str], None] = None
converge = {{"restores": "all"}}
seen = ["a"]


def helper() -> None:
    op.drop_index("i")


def upgrade() -> None:
    {}
"""


def test_python_that_does_the_same_each_time() -> None:
    for line in PYTHON.strip().splitlines():
        assert unknown_python(FRAME.format(line)) == "", line
    for line in OTHER_PYTHON.strip().splitlines():
        assert unknown_python(FRAME.format(line.replace("\\n", "\n    "))), line
    for whole in ("def (", "\0", "def f(a=[]): pass", "@x\ndef f(): pass", "class X: pass"):
        assert unknown_python(whole), whole


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
        "DROP TABLE empty",
        "op.drop_column('film', 'length')",
        "op.alter_column('film', 'title', nullable=False)",
        "op.alter_column('film', 'title', type_=sa.String(3))",
        "ALTER TABLE film ALTER length TYPE integer USING length * 2",
        "UPDATE film SET length = 3",
        "op.rename_table('film', 'movie')\nop.drop_table('movie')",
        "if op.get_context().opts.get('as_sql'):\n    pass\nelse:\n    op.drop_table('film')",
        "CREATE TABLE a AS WITH gone AS (DELETE FROM film RETURNING *) SELECT * FROM gone",
        "ALTER TABLE film RENAME TO movie; ALTER TABLE movie SET SCHEMA pg_temp; DROP TABLE pg_temp.movie",
        "DROP SCHEMA public CASCADE",
        "DO $$ BEGIN END $$",
        "op.get_bind().execute(sa.text('SELECT 1'))",
        "op.execute(undefined)",
        "op.execute('COMMIT')",
        "CREATE VIEW seen AS SELECT * FROM film; ALTER VIEW seen RENAME TO v; DELETE FROM v",
        "CREATE RULE r AS ON INSERT TO empty DO ALSO DELETE FROM film; INSERT INTO empty VALUES (1)",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'DELETE FROM film RETURNING 1';"
        " ALTER TABLE film ADD COLUMN z int DEFAULT f()",
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
        "op.alter_column('film', 'title', type_=sa.String(20))",
        "op.alter_column('film', 'length', type_=sa.BigInteger())",
        "op.bulk_insert(sa.table('film', sa.column('id', sa.Integer)), [{'id': 3}])",
        "CREATE TABLE made (id int); INSERT INTO made VALUES (1); CREATE INDEX ON made (id)",
        "CREATE TYPE e AS ENUM ('a'); ALTER TABLE film ADD COLUMN e e DEFAULT 'a'",
        "with op.get_context().autocommit_block():\n"
        "    op.execute('CREATE INDEX CONCURRENTLY i ON film (id)')",
        "op.create_table('x', sa.Column('id', sa.Integer, primary_key=True), sa.Column('at', sa.DateTime,"
        " server_default=sa.func.now()))",
    ],
)
def test_passes_with_rows(code: str, url: str, tmp_path: Path) -> None:
    revisions = folder(tmp_path, code)
    assert run(revisions, url).ran == ("r1",)


HANGING = """
CREATE FUNCTION wipe() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN DELETE FROM film; RETURN NULL; END';
CREATE FUNCTION delord() RETURNS int LANGUAGE sql AS 'DELETE FROM film RETURNING 1';
CREATE FUNCTION fine(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE TYPE mood AS ENUM ('good');
CREATE TABLE logged (id int PRIMARY KEY, parent int REFERENCES logged);
CREATE TRIGGER t AFTER INSERT OR DELETE ON logged EXECUTE FUNCTION wipe();
CREATE TABLE ruled (id int);
CREATE RULE r AS ON INSERT TO ruled DO ALSO DELETE FROM film;
CREATE TABLE filling (id int, n int DEFAULT delord());
CREATE TABLE checked (id int CHECK (fine(id)));
CREATE TABLE above (id int);
CREATE TABLE below () INHERITS (above);
CREATE TRIGGER t AFTER INSERT ON below FOR EACH ROW EXECUTE FUNCTION wipe();
CREATE VIEW shown AS SELECT * FROM empty;
CREATE TABLE parted (id int) PARTITION BY LIST (id);
CREATE TABLE part PARTITION OF parted DEFAULT;
INSERT INTO parted VALUES (1);
CREATE TABLE base (id int);
CREATE TABLE indexed (id int);
CREATE INDEX ON indexed (fine(id));
CREATE SEQUENCE counter;
SELECT nextval('counter');
CREATE SCHEMA app;
CREATE TABLE app.film (id int);
CREATE FUNCTION two(int, int) RETURNS bool LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION cast_it(mood) RETURNS int LANGUAGE sql AS 'SELECT delord()';
CREATE FUNCTION gap(int, int) RETURNS float IMMUTABLE LANGUAGE sql AS 'SELECT 1.0::float';
CREATE FUNCTION hashed(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION whole(film) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION evt() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE FUNCTION key(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1';
ALTER TABLE film INHERIT base;
CREATE FOREIGN DATA WRAPPER nowhere;
CREATE SERVER far FOREIGN DATA WRAPPER nowhere;
CREATE FOREIGN TABLE away (id int) SERVER far;
"""


def test_what_is_known_to_keep_rows(url: str) -> None:
    """In a database where users' own functions hang on almost everything."""
    postgres(url, HANGING)

    for path, cases in (("public",), KEEPS + UNKNOWN), (("app", "public"), IN_TURN):
        at = Applied((), ("public", "alembic_version"), ("pg_catalog", *path))
        with held(parse(url), at.path) as database:
            for sql in cases:
                judge = Judge(database, at)
                judge.judge(sql.replace("\\r", "\r"))
                assert (sql in KEEPS) == (not judge.dangers), (sql, judge.dangers)


@pytest.mark.parametrize(
    "more",
    [
        "CREATE OPERATOR <<< (LEFTARG = int, RIGHTARG = int, FUNCTION = two)",
        "CREATE CAST (mood AS int) WITH FUNCTION cast_it(mood) AS ASSIGNMENT",
        "CREATE DOMAIN d AS int CHECK (fine(VALUE))",
        "CREATE TYPE r AS RANGE (subtype = int, subtype_diff = gap)",
        "CREATE OPERATOR CLASS c FOR TYPE int USING hash AS FUNCTION 1 hashed(int)",
        "CREATE EVENT TRIGGER e ON ddl_command_start EXECUTE FUNCTION evt()",
    ],
)
def test_functions_that_run_without_being_named(url: str, more: str) -> None:
    postgres(url, HANGING)
    postgres(url, more)
    at = Applied((), ("public", "alembic_version"), ("pg_catalog", "public"))
    with held(parse(url), at.path) as database:
        judge = Judge(database, at)
        judge.judge("ALTER TABLE film ADD COLUMN z int DEFAULT 1")
    assert len(judge.dangers) == 1


def test_rows_that_come_after_the_gate_has_looked(url: str, tmp_path: Path) -> None:
    """An INSERT that nobody has committed yet: DROP TABLE would wait for it, and take its row."""
    postgres(url, 'TRUNCATE film; CREATE TABLE "a%b" (id int)')
    revisions = folder(tmp_path, "CREATE TABLE x ()", 'CREATE TABLE before (); DROP TABLE "a%b" ')
    with psycopg.connect(url) as writer:
        writer.execute('INSERT INTO "a%b" VALUES (1)')
        # Committed when a revision waits for it, and the gate has passed both.
        with ThreadPoolExecutor(1) as pool:
            ran = pool.submit(run, revisions, url)
            for _ in range(200):
                if ran.done() or postgres(url, "SELECT 1 FROM pg_locks WHERE NOT granted"):
                    break
                sleep(0.05)
            writer.commit()
            with pytest.raises(BlockedError) as caught:
                ran.result()
    assert (caught.value.code, caught.value.exit_code) == ("A009", 3)
    assert caught.value.message.startswith("upgrade r2: public.a%b had no rows")
    assert postgres(url, 'SELECT id FROM "a%b"') == [(1,)]
    assert postgres(url, "SELECT to_regclass('before')") == [(None,)]
    assert states(revisions, url) == {"r1": "applied", "r2": "pending"}
    assert run(revisions, url, "head", "r2").ran == ("r2",)


def test_unjudged_on_a_database_without_rows(url: str, tmp_path: Path) -> None:
    postgres(url, "TRUNCATE film")
    revisions = folder(tmp_path, "DO $$ BEGIN END $$", "op.get_bind().scalar(sa.text('SELECT 1'))")
    assert run(revisions, url).ran == ("r1", "r2")


def test_the_position_of_a_sequence_is_at_stake_without_rows(url: str, tmp_path: Path) -> None:
    postgres(url, "TRUNCATE film; CREATE SEQUENCE invoice")
    revisions = folder(tmp_path, "ALTER SEQUENCE invoice RESTART", "DROP SEQUENCE invoice")
    postgres(url, "SELECT nextval('invoice')")
    with pytest.raises(BlockedError) as caught:
        run(revisions, url)
    assert caught.value.code == "A009"
    assert "the sequence public.invoice was used" in caught.value.details[-1]
    postgres(url, "DROP SEQUENCE invoice; CREATE SEQUENCE invoice")
    assert run(revisions, url).ran == ("r1", "r2")


def test_validated_or_accepted(url: str, tmp_path: Path) -> None:
    """For exactly this text, in this direction; a changed one is refused again."""
    revisions = folder(tmp_path, "DELETE FROM film WHERE id = 1")
    path = revision(tmp_path, "r1", "DELETE FROM film WHERE id = 1", "DELETE FROM film")
    revisions = Folder.open(str(tmp_path))
    record(revisions, revisions.revision("r1"), {"up": {"public.film": 2}}, "postgresql://h/d", "17.5")
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


def test_names_that_the_server_does_not_cut(url: str, tmp_path: Path) -> None:
    """The parser reads UTF-8 and cuts a name after 63 bytes: 31 letters, of 40 that LATIN1 has room for."""
    server, cut, whole = url.rpartition("/")[0], "ä" * 31, "ä" * 40
    latin = "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    postgres(f"{server}/postgres", f"CREATE DATABASE gate_latin {latin}")
    try:
        database = f"{server}/gate_latin"
        postgres(
            database, f'CREATE TABLE "{cut}" (at timestamptz(0)); CREATE TABLE "{whole}" (at timestamptz)'
        )
        postgres(database, f"INSERT INTO \"{whole}\" VALUES ('2020-01-01 00:00:00.7')")
        revisions = folder(tmp_path, f'ALTER TABLE "{whole}" ALTER at TYPE timestamptz(0)')
        with pytest.raises(BlockedError) as caught:
            run(revisions, database)
        assert caught.value.code == "A009"
    finally:
        postgres(f"{server}/postgres", "DROP DATABASE gate_latin WITH (FORCE)")


PATH_LATE = """
from alembic import context
import sqlalchemy as sa

context.configure(connection=context.config.attributes["connection"], target_metadata=sa.MetaData(), {})
with context.begin_transaction():
    context.execute("SET search_path TO app")
    context.run_migrations()
"""


@pytest.mark.parametrize("more", ['version_table_schema="app", include_schemas=True', ""])
def test_a_path_that_is_set_after_configure(url: str, tmp_path: Path, more: str) -> None:
    """The gate has looked for names by another path, and in the second case for the version table, too."""
    postgres(url, "CREATE SCHEMA app; CREATE TABLE app.payment (amount numeric(10,2))")
    postgres(url, "INSERT INTO app.payment VALUES (12.99)")
    postgres(url, "CREATE TABLE payment (amount int)")
    revisions = folder(tmp_path, "op.alter_column('payment', 'amount', type_=sa.Integer())")
    (tmp_path / "env.py").write_text(PATH_LATE.format(more))
    with pytest.raises(BlockedError) as caught:
        run(revisions, url)
    assert (caught.value.code, caught.value.exit_code) == ("A006", 3)
    assert "app" in caught.value.message
    assert postgres(url, "SELECT amount::text FROM app.payment") == [("12.99",)]
    assert postgres(url, "SELECT to_regclass('app.alembic_version')") == [(None,)]


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
        postgres(url, "GRANT SELECT ON empty TO gate_keeper")
        postgres(url, "ALTER TABLE film ENABLE ROW LEVEL SECURITY; ALTER TABLE film FORCE ROW LEVEL SECURITY")
        revisions = folder(tmp_path, "DROP TABLE film")
        with pytest.raises(Exception, match="row-level security"):
            run(revisions, url.replace("postgres@", "gate_keeper@"))
    finally:
        postgres(url, "DROP OWNED BY gate_keeper")
        postgres(url, "DROP ROLE gate_keeper")


WIPES = "CREATE FUNCTION wipes() RETURNS {} AS $$ BEGIN DELETE FROM keep; RETURN {}; END $$ LANGUAGE plpgsql;"
HOOK = WIPES.format("trigger", "NEW") + (
    "CREATE TRIGGER x AFTER INSERT OR UPDATE ON alembic_version FOR EACH ROW EXECUTE FUNCTION wipes()"
)
POLICY = WIPES.format("boolean", "true") + "CREATE POLICY p ON bare USING (true) WITH CHECK (wipes());"
FORCE = "ALTER TABLE bare ENABLE ROW LEVEL SECURITY; ALTER TABLE bare FORCE ROW LEVEL SECURITY;"


@pytest.mark.parametrize(
    ("before", "sql"),
    [
        ("", HOOK),
        (HOOK, "CREATE TABLE q (a int)"),
        ("", POLICY + FORCE + "INSERT INTO bare VALUES (1)"),
        (POLICY + FORCE, "INSERT INTO bare VALUES (1)"),
        ("", WIPES.format("boolean", "true") + "CREATE POLICY p ON alembic_version USING (wipes());"
         "ALTER TABLE alembic_version ENABLE ROW LEVEL SECURITY"),
        ("", "ALTER TABLE keep ADD FOREIGN KEY (ver) REFERENCES alembic_version ON UPDATE SET NULL"),
        ("", f"ALTER TABLE keep ADD CHECK (ver <> '{'x' * 500}'), ADD CONSTRAINT c FOREIGN KEY (ver) "
         'REFERENCES public."alembic_version" ON UPDATE SET NULL'),
        ("ALTER TABLE keep ADD FOREIGN KEY (ver) REFERENCES alembic_version ON UPDATE SET NULL",
         "CREATE TABLE q (a int)"),
        ("CREATE TABLE hist (version_num text)",
         "ALTER TABLE alembic_version RENAME TO old; ALTER TABLE hist RENAME TO alembic_version"),
        ("SELECT setval('s', 5000, false)", "DROP SEQUENCE s"),
    ],
)  # fmt: skip
def test_what_alembic_itself_writes_can_lose_rows(url: str, tmp_path: Path, before: str, sql: str) -> None:
    """It notes the version after each revision: whatever hangs on that table acts then."""
    revisions = folder(tmp_path, "CREATE TABLE x ()", sql.replace("%", "%%"))
    postgres(url, "CREATE TABLE bare (a int); CREATE SEQUENCE s; CREATE TABLE keep (ver varchar(32))")
    run(revisions, url, "r1")
    postgres(url, "INSERT INTO keep VALUES ('r1')")
    if before:
        postgres(url, before)
    with pytest.raises(BlockedError) as caught:
        run(revisions, url)
    assert caught.value.code == "A009"
    assert postgres(url, "SELECT ver FROM keep") == [("r1",)]
