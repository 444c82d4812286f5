"""The proof itself: change one thing in a verified target and `verify` names it; undo it, and all is well."""

from __future__ import annotations

from dataclasses import dataclass

from conftest import NewDatabase
from support import mysql, postgres

from converge.model.endpoint import parse
from converge.model.result import Result
from converge.run.attempt import MigrateOptions
from converge.run.migrate import migrate
from converge.run.options import Options
from converge.run.verify import verify
from converge.sandbox import Server

SOURCE = """
CREATE TABLE kind (id INT PRIMARY KEY, name VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin UNIQUE);
CREATE TABLE film (
    id INT AUTO_INCREMENT PRIMARY KEY,
    kind INT NOT NULL,
    title VARCHAR(40) NOT NULL DEFAULT 'none' COMMENT 'as it is shown',
    price DECIMAL(8, 2) CHECK (price >= 0),
    rating ENUM('good', 'bad'),
    doubled DECIMAL(10, 2) AS (price * 2) STORED,
    changed TIMESTAMP NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
    INDEX by_title (title),
    CONSTRAINT of_kind FOREIGN KEY (kind) REFERENCES kind (id) ON DELETE CASCADE
) COMMENT 'all films';
CREATE VIEW dear AS SELECT id, title FROM film WHERE price > 5;
INSERT INTO kind VALUES (1, 'a'), (2, 'b');
INSERT INTO film (id, kind, title, price, rating, changed) VALUES
    (1, 1, 'one', 1, 'good', '2001-01-01 00:00:00'), (2, 2, 'two', 2, 'bad', '2001-01-01 00:00:00'),
    (70, 1, 'three', 30, NULL, NULL)
"""


@dataclass(frozen=True)
class Mutation:
    object: str
    """What `verify` names."""
    change: str
    undo: str


QUIETLY = "SET session_replication_role = replica; "
TITLE = "ALTER TABLE film ALTER title"
DROP_KEY = "ALTER TABLE film DROP CONSTRAINT IF EXISTS of_kind"
KEY = f"{DROP_KEY}, ADD CONSTRAINT of_kind FOREIGN KEY (kind) REFERENCES kind (id)"
TRIGGER = "trigger on_update_changed on public.film"
DROP_TRIGGER = "DROP TRIGGER IF EXISTS on_update_changed ON film"
BODY = """
CREATE OR REPLACE FUNCTION film_changed_on_update() RETURNS trigger LANGUAGE plpgsql
AS $function$BEGIN NEW.changed := {}; RETURN NEW; END$function$
"""
ADD_TRIGGER = "CREATE TRIGGER {} ON kind FOR EACH ROW EXECUTE FUNCTION film_changed_on_update()"
VIEW = "CREATE OR REPLACE VIEW dear AS SELECT id, title FROM film film WHERE price > 5::numeric"
ROWS = (
    Mutation("film id=1 title", f"{QUIETLY}UPDATE film SET title = 'onE' WHERE id = 1",
             f"{QUIETLY}UPDATE film SET title = 'one' WHERE id = 1"),
    Mutation("film id=70", "DELETE FROM film WHERE id = 70",
             "INSERT INTO film (id, kind, title, price, changed) VALUES (70, 1, 'three', 30, NULL)"),
    Mutation("kind id=9", "INSERT INTO kind VALUES (9, 'z')", "DELETE FROM kind WHERE id = 9"),
)  # fmt: skip
SCHEMA = (
    Mutation("view public.dear", f"{VIEW} AND id > 0", VIEW),
    Mutation("view public.dear", "DROP VIEW dear", VIEW),
    Mutation("view public.dear", "ALTER VIEW dear SET (security_barrier)",
             "ALTER VIEW dear RESET (security_barrier)"),
    Mutation("index public.by_title", "DROP INDEX by_title", "CREATE INDEX by_title ON film (title)"),
    Mutation("index public.by_title", "DROP INDEX by_title; CREATE INDEX by_title ON film (title DESC)",
             "DROP INDEX by_title; CREATE INDEX by_title ON film (title)"),
    Mutation("constraint film_pkey on public.film", "ALTER TABLE film DROP CONSTRAINT film_pkey",
             "ALTER TABLE film ADD PRIMARY KEY (id)"),
    Mutation("constraint name on public.kind", "ALTER TABLE kind DROP CONSTRAINT name",
             "ALTER TABLE kind ADD CONSTRAINT name UNIQUE (name)"),
    Mutation("constraint of_kind on public.film", DROP_KEY, f"{KEY} ON DELETE CASCADE"),
    Mutation("constraint of_kind on public.film", f"{KEY} ON DELETE RESTRICT", f"{KEY} ON DELETE CASCADE"),
    Mutation("constraint of_kind on public.film", f"{KEY} ON DELETE CASCADE NOT VALID",
             "ALTER TABLE film VALIDATE CONSTRAINT of_kind"),
    Mutation("constraint of_kind on public.film", "ALTER TABLE film DISABLE TRIGGER ALL",
             "ALTER TABLE film ENABLE TRIGGER ALL"),
    Mutation("constraint film_chk_1 on public.film", "ALTER TABLE film DROP CONSTRAINT film_chk_1",
             "ALTER TABLE film ADD CONSTRAINT film_chk_1 CHECK (price >= 0)"),
    Mutation("constraint film_chk_1 on public.film", "ALTER TABLE film DROP CONSTRAINT film_chk_1, "
             "ADD CONSTRAINT film_chk_1 CHECK (price >= -1)",
             "ALTER TABLE film DROP CONSTRAINT film_chk_1, ADD CONSTRAINT film_chk_1 CHECK (price >= 0)"),
    Mutation("column public.film.title", f"{TITLE} SET DEFAULT 'nothing'", f"{TITLE} SET DEFAULT 'none'"),
    Mutation("column public.film.title", f"{TITLE} DROP NOT NULL", f"{TITLE} SET NOT NULL"),
    Mutation("column public.kind.name", "ALTER TABLE kind ALTER name TYPE text",
             "ALTER TABLE kind ALTER name TYPE varchar(20)"),
    Mutation("column public.kind.name", 'ALTER TABLE kind ALTER name TYPE varchar(20) COLLATE "C"',
             "ALTER TABLE kind ALTER name TYPE varchar(20)"),
    Mutation("column public.film.title", "COMMENT ON COLUMN film.title IS NULL",
             "COMMENT ON COLUMN film.title IS 'as it is shown'"),
    Mutation("table public.film", "COMMENT ON TABLE film IS 'some films'",
             "COMMENT ON TABLE film IS 'all films'"),
    Mutation("table public.film", "ALTER TABLE film SET UNLOGGED", "ALTER TABLE film SET LOGGED"),
    Mutation("film.id", "ALTER SEQUENCE film_id_seq RESTART WITH 70",
             "ALTER SEQUENCE film_id_seq RESTART WITH 72"),
    Mutation("column public.film.id", "ALTER TABLE film ALTER id DROP IDENTITY",
             "ALTER TABLE film ALTER id ADD GENERATED BY DEFAULT AS IDENTITY; "
             "ALTER SEQUENCE film_id_seq RESTART WITH 72"),
    Mutation("column public.film.id", "ALTER TABLE film ALTER id SET GENERATED ALWAYS",
             "ALTER TABLE film ALTER id SET GENERATED BY DEFAULT"),
    Mutation("sequence public.film_id_seq", "ALTER SEQUENCE film_id_seq INCREMENT BY 2",
             "ALTER SEQUENCE film_id_seq INCREMENT BY 1"),
    Mutation(TRIGGER, DROP_TRIGGER, ""),
    Mutation(TRIGGER, f"{DROP_TRIGGER}; CREATE TRIGGER on_update_changed AFTER UPDATE ON film "
             "FOR EACH ROW EXECUTE FUNCTION film_changed_on_update()", ""),
    Mutation(TRIGGER, "ALTER TABLE film DISABLE TRIGGER on_update_changed",
             "ALTER TABLE film ENABLE TRIGGER on_update_changed"),
    Mutation("function public.film_changed_on_update()", BODY.format("OLD.changed"), ""),
    Mutation("column public.film.doubled", "ALTER TABLE film ALTER doubled DROP EXPRESSION", ""),
    Mutation("type public.film_rating", "ALTER TYPE film_rating RENAME VALUE 'bad' TO 'worse'",
             "ALTER TYPE film_rating RENAME VALUE 'worse' TO 'bad'"),
    Mutation("trigger quiet on public.kind", ADD_TRIGGER.format("quiet BEFORE INSERT"),
             "DROP TRIGGER quiet ON kind"),
    Mutation("rule quiet on public.kind", "CREATE RULE quiet AS ON DELETE TO kind DO INSTEAD NOTHING",
             "DROP RULE quiet ON kind"),
    Mutation("policy quiet on public.kind", "CREATE POLICY quiet ON kind USING (id > 1)",
             "DROP POLICY quiet ON kind"),
    Mutation("table public.kind", "ALTER TABLE kind ENABLE ROW LEVEL SECURITY",
             "ALTER TABLE kind DISABLE ROW LEVEL SECURITY"),
    Mutation("constraint more on public.kind", "ALTER TABLE kind ADD CONSTRAINT more CHECK (id < 9)",
             "ALTER TABLE kind DROP CONSTRAINT more"),
    Mutation("constraint more on public.film", "ALTER TABLE film ADD CONSTRAINT more "
             "FOREIGN KEY (id) REFERENCES film (id)", "ALTER TABLE film DROP CONSTRAINT more"),
    Mutation("constraint titles on public.film", "ALTER TABLE film ADD CONSTRAINT titles UNIQUE (title)",
             "ALTER TABLE film DROP CONSTRAINT titles"),
    Mutation("index public.more_titles", "CREATE UNIQUE INDEX more_titles ON film (lower(title))",
             "DROP INDEX more_titles"),
    Mutation("film: cannot be compared", "ALTER TABLE film RENAME title TO name",
             "ALTER TABLE film RENAME name TO title"),
    Mutation("kind: cannot be compared", "ALTER TABLE kind RENAME TO kinds",
             "ALTER TABLE kinds RENAME TO kind"),
)  # fmt: skip
OF_THE_OWNER = (
    "CREATE INDEX more ON film (price)",
    "CREATE TABLE other (id integer PRIMARY KEY, kind integer REFERENCES kind (id))",
    "CREATE VIEW cheap AS SELECT id FROM film WHERE price < 5",
    "GRANT SELECT ON film TO PUBLIC",
    "ALTER TABLE film SET (autovacuum_enabled = false)",
    "ALTER TABLE film ALTER title SET STATISTICS 500",
    "SELECT nextval('film_id_seq')",
)


def test_one_change_at_a_time(
    mysql_8033: Server,
    postgres_175: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
) -> None:
    source, target = new_mysql_database(mysql_8033), new_postgres_database(postgres_175)
    mysql(source, SOURCE)
    ends = parse(source), parse(target)

    def look() -> Result:
        return verify(*ends, Options(jobs=2), "full", lambda _: None)

    result = Result("migrate", source, target)
    migrate(*ends, MigrateOptions(common=Options(jobs=2)), lambda _: None, result)
    assert (result.verdict, look().verdict) == ("verified", "verified")
    for statement in OF_THE_OWNER:
        postgres(target, statement)
    assert look().verdict == "verified"
    ((body,),) = postgres(target, "SELECT pg_get_functiondef('film_changed_on_update'::regproc)")
    ((doubled,),) = postgres(
        target, "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef JOIN pg_attribute a "
        "ON a.attrelid = adrelid AND a.attnum = adnum WHERE attname = 'doubled'"
    )  # fmt: skip
    ((trigger,),) = postgres(
        target, "SELECT sql FROM converge.step WHERE sql LIKE 'CREATE TRIGGER _on\\_update\\_changed_ %'"
    )
    exact = {
        TRIGGER: f"{DROP_TRIGGER}; {trigger}",
        "function public.film_changed_on_update()": body,
        "column public.film.doubled": "ALTER TABLE film DROP doubled; ALTER TABLE film "
        f"ADD doubled numeric(10, 2) GENERATED ALWAYS AS ({doubled}) STORED",
    }
    before = "nothing"
    for mutation in (*ROWS, *SCHEMA):
        postgres(target, mutation.change)
        found = look()
        named = [f"{one.object}: {one.message}" for one in found.findings if one.severity == "block"]
        named += [str(one) for one in found.differences]
        assert found.verdict == "differs", mutation
        assert any(one.startswith(mutation.object) for one in named), (mutation, named)
        postgres(target, mutation.undo or exact[mutation.object])
        # What was changed before is right again.
        assert before == mutation.object or not any(one.startswith(before) for one in named), named
        before = mutation.object
    assert look().verdict == "verified"
    (counted,) = postgres(
        target, "SELECT count(*), count(*) FILTER (WHERE verdict = 'differs') FROM converge.verification"
    )
    changes = len(ROWS) + len(SCHEMA)
    assert counted == (changes + 3, changes)
    postgres(target, "UPDATE converge.plan SET made = (made::jsonb - 'reader')::json")
    (left_out,) = (one for one in look().not_compared if one.kind == "schema")
    assert left_out.why == "run 1 was recorded by another version of converge, whose texts cannot be compared"
