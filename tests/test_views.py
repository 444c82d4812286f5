"""Views show the same rows on both servers, or are listed; trials leave nothing behind."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conftest import NewDatabase
from expressions import Answer, Pair, plain
from support import converge, load_dump, postgres
from support import mysql as run_mysql
from test_plan import read

from converge.mapping.read import load
from converge.model.catalog import Catalog
from converge.model.endpoint import parse
from converge.model.plan import Plan, Trial
from converge.planner.inputs import Inputs
from converge.planner.plan import draft_plan, make_plan
from converge.postgres.connect import connect
from converge.postgres.trial import Trials
from converge.run.evidence import ask_target
from converge.sandbox import Server

SAME = """
SELECT e, COUNT(*) AS cnt, SUM(i) AS total, AVG(n) AS mean FROM t GROUP BY e ORDER BY cnt DESC, e
SELECT YEAR(day) AS yy, COUNT(*) AS cnt FROM t GROUP BY yy HAVING cnt > 0 ORDER BY yy
SELECT id, IF(i > 0, 100, n) AS mixed FROM t
SELECT flag, MAX(i) AS most, MIN(day) AS first FROM t GROUP BY flag
SELECT id, s, COUNT(*) AS cnt FROM t GROUP BY id
SELECT id, CONCAT(s, i) AS z, SUM(n) AS total FROM t GROUP BY id ORDER BY z
SELECT IF(i > 0, 'pos', 'neg') AS sgn, SUM(i) AS total FROM t GROUP BY IF(i > 0, 'pos', 'neg')
SELECT CASE WHEN flag THEN 'on' ELSE 'off' END AS state, COUNT(*) AS cnt FROM t GROUP BY state
SELECT id, COALESCE(SUM(n), 0) AS total FROM t GROUP BY id HAVING total > 1 ORDER BY total DESC
SELECT (SELECT SUM(q.i) FROM t q WHERE q.flag = t.flag) AS total, flag FROM t GROUP BY flag
SELECT COUNT(*) AS cnt FROM t WHERE i IS NOT NULL GROUP BY flag ORDER BY NULL
SELECT DISTINCT e, flag FROM t ORDER BY e DESC, flag
SELECT DISTINCT i % 3 AS r FROM t ORDER BY r
SELECT i AS a, NULL AS b FROM t UNION ALL SELECT n, s FROM t
SELECT u AS a FROM t UNION SELECT 0 ORDER BY a
SELECT avg(d * 1e200) AS a FROM t
(SELECT id FROM t WHERE id < 3) UNION ALL (SELECT id FROM t WHERE id > 8 ORDER BY id LIMIT 1)
SELECT id, s FROM t ORDER BY id LIMIT 2, 3
SELECT * FROM (SELECT id, i + 1 AS more FROM t WHERE i > 0) AS q WHERE more > 2
WITH q AS (SELECT id, i FROM t) SELECT a.id, b.i FROM q a JOIN q b ON a.id = b.id
WITH RECURSIVE q (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM q WHERE n < 5) SELECT n FROM q
SELECT a.id, b.s FROM t a LEFT JOIN t b ON b.id = a.id + 1
SELECT a.id, b.s FROM t a JOIN t b USING (id)
SELECT a.id FROM t a LEFT JOIN (t b JOIN t c ON b.id = c.id) ON a.id = b.id AND c.i > 0
SELECT STRAIGHT_JOIN a.id FROM t a JOIN t b ON a.id = b.id
SELECT a.e, b.total FROM t a JOIN (SELECT e, SUM(n) AS total FROM t GROUP BY e) b ON a.e = b.e
SELECT id, (SELECT COUNT(*) FROM t b WHERE b.id < t.id) AS cnt FROM t
SELECT id, (SELECT 1 / 3) * 1000000 AS z FROM t
SELECT id FROM t WHERE n > (SELECT AVG(n) FROM t)
SELECT id FROM t WHERE id IN (SELECT MAX(id) FROM t GROUP BY flag)
SELECT id FROM t WHERE (i, u) IN (SELECT i, u FROM t WHERE flag)
SELECT a.id FROM t a WHERE EXISTS (SELECT 1 FROM t b WHERE b.id = a.id AND b.flag)
SELECT a.id FROM t a WHERE NOT EXISTS (SELECT 1 FROM t c WHERE c.i = a.i AND c.id <> a.id)
SELECT GROUP_CONCAT(s ORDER BY id SEPARATOR ', ') AS l FROM t
SELECT flag, GROUP_CONCAT(DISTINCT i ORDER BY i) AS l FROM t GROUP BY flag
SELECT COUNT(DISTINCT i, u) AS a, COUNT(s) AS b, SUM(flag) AS c, SUM(i > 0) AS d FROM t
SELECT ANY_VALUE(s) AS s, e FROM t WHERE id = 3 GROUP BY e
SELECT BIT_OR(u) AS b, BIT_AND(flag) AS a FROM t
SELECT AVG(i) * 2 AS a, SUM(n) / COUNT(*) AS b, SUM(i) / SUM(u) * 100 AS c, ROUND(AVG(i), 1) AS d FROM t
SELECT SUM(CASE WHEN e = 'small' THEN n ELSE 0 END) AS a, COUNT(IF(i > 0, 1, NULL)) AS b FROM t
SELECT id, SUM(n) OVER (PARTITION BY flag ORDER BY id) AS r, ROW_NUMBER() OVER (ORDER BY id DESC) AS k FROM t
SELECT id, RANK() OVER w AS r, SUM(i) OVER w AS z FROM t WINDOW w AS (PARTITION BY flag ORDER BY id)
SELECT s AS `we``ird "name"` FROM t
SELECT 1 AS one, 'x' AS a, NULL AS b, 1.5 AS c
SELECT flag, COUNT(*) AS a, COUNT(*) / (SELECT COUNT(*) FROM t WHERE tiny > 0) AS b FROM t GROUP BY flag
SELECT COUNT(*) AS a, (SELECT MAX(t.u) FROM t WHERE t.tiny > 0) AS b FROM t
SELECT e, (SELECT COUNT(*) FROM (t b JOIN t ON b.id = t.id) WHERE t.i > 0) AS z FROM t GROUP BY e
SELECT flag, COUNT(*) AS a FROM t GROUP BY flag HAVING EXISTS (SELECT 1 FROM t WHERE i = 7 ORDER BY n)
SELECT UPPER(s) AS z, COUNT(*) AS a FROM t WHERE s = 'abc' GROUP BY u > 0
SELECT a.st, a.e, COUNT(*) AS z FROM t a JOIN t b ON a.id = b.id GROUP BY b.id
SELECT q.z, COUNT(*) AS a FROM (SELECT u > 0 AS p, UPPER(s) AS z FROM t WHERE s = 'abc') q GROUP BY q.p, q.z
SELECT SUM(yr) * SUM(yr) * SUM(yr) * SUM(yr) * SUM(yr) AS a, SUM(1) * 9223372036854775807 AS b FROM t
SELECT CAST(SUM(i) * 4194305 AS SIGNED) AS a, ROUND(SUM(i) * 4194305) AS b FROM t WHERE id = 7
SELECT SUM(DISTINCT tiny) * 9223372036854775807 AS a, SUM(flag) * 9223372036854775807 AS b FROM t
SELECT id, SUM(i) OVER (ORDER BY id) * 9223372036854775807 AS a, ROUND(SUM(i) OVER (), 1) AS b FROM t
SELECT id, ROW_NUMBER() OVER (ORDER BY tiny / i, id) AS a, RANK() OVER (ORDER BY tiny / i) AS b FROM t
SELECT id, COUNT(*) OVER (PARTITION BY tiny / i) AS a, LAG(n / 7) OVER (ORDER BY id) * 1000000 AS b FROM t
SELECT id FROM t WHERE i > 1000 OR i < -1000 ORDER BY tiny / i, id LIMIT 1
SELECT flag, GROUP_CONCAT(id ORDER BY tiny / i, id) AS a FROM t GROUP BY flag
SELECT a.flag, (SELECT COUNT(*) FROM t b WHERE b.i = a.i) AS z FROM t a WHERE a.i = 7 GROUP BY a.flag
SELECT q.z, q.s, COUNT(*) AS a FROM (SELECT id AS z, s FROM t) q GROUP BY q.z
SELECT GROUP_CONCAT(id ORDER BY 1 DESC) AS a, GROUP_CONCAT(DISTINCT i ORDER BY 1 DESC) AS b FROM t
SELECT GROUP_CONCAT(ABS(i) ORDER BY 1) AS a, GROUP_CONCAT(CONCAT(id, ':', n) ORDER BY 1 DESC) AS b FROM t
SELECT GROUP_CONCAT(i, '/', id ORDER BY 1, 3) AS a, GROUP_CONCAT(id, s, e ORDER BY id) AS b FROM t
SELECT GROUP_CONCAT(id ORDER BY n, id) AS a, GROUP_CONCAT(id ORDER BY d DESC, id) AS b FROM t
SELECT GROUP_CONCAT(id ORDER BY tm, id) AS a, GROUP_CONCAT(DISTINCT id ORDER BY m) AS b FROM t WHERE id <> 1
SELECT GROUP_CONCAT(id ORDER BY k, id DESC) AS a, GROUP_CONCAT(id ORDER BY i > 5, id) AS b FROM t
SELECT GROUP_CONCAT(id ORDER BY day, id) AS a, GROUP_CONCAT(id ORDER BY e, id) AS b FROM t
SELECT s, GROUP_CONCAT(id ORDER BY s, id) AS l FROM t WHERE k <> 'ABC' GROUP BY s
SELECT s, GROUP_CONCAT(DISTINCT UPPER(k) ORDER BY s DESC) AS l FROM t WHERE k <> 'ABC' GROUP BY s
SELECT id, i = 1 AS same, flag, NOT flag AS off, e, st, y, r, d, tm, ts FROM t
"""
REFUSED = (
    ("SELECT e, s FROM t GROUP BY e", "it groups by fewer columns than it shows"),
    ("SELECT e, COUNT(*) FROM t GROUP BY e WITH ROLLUP", "rollup of group"),
    ("SELECT id FROM t ORDER BY s, id LIMIT 3", "LIMIT after texts are sorted"),
    ("SELECT i AS a FROM t UNION SELECT u FROM t", "a UNION of a signed and an UNSIGNED column"),
    ("SELECT min(nullif(tm, '12:34:56')) AS a FROM t", "NULLIF of a date or time"),
    ("SELECT id FROM t ORDER BY nullif(tm, '12:34:56'), id LIMIT 3", "NULLIF of a date or time"),
    ("SELECT 10 AS a UNION SELECT 0.25", "a UNION of a decimal and an integer, which MySQL may cut"),
    ("SELECT yr AS a FROM t UNION SELECT flag FROM t", "a UNION of a YEAR and a TINYINT"),
    ("SELECT u AS a FROM t UNION SELECT flag FROM t", "a UNION of a signed and an UNSIGNED column"),
    ("SELECT 18446744073709551615 AS a UNION SELECT 1 > 2", "a UNION of a signed and an UNSIGNED column"),
    ("SELECT q.x FROM (SELECT i / 3 AS x FROM t) q", "a quotient in a subquery"),
    ("SELECT SUM(i / 3) AS x FROM t", "sum of a quotient"),
    ("SELECT MAX(s) AS x FROM t", "texts are ordered by utf8mb4_0900_ai_ci"),
    ("SELECT flag, JSON_ARRAYAGG(id) AS x FROM t GROUP BY flag", "json_arrayagg is not on the list"),
    ("SELECT GROUP_CONCAT(DISTINCT i, id ORDER BY 2) AS a FROM t", "DISTINCT of several parts"),
    ("SELECT id FROM t WHERE i > ALL (SELECT u FROM t)", "all is not on the list"),
)


@pytest.fixture(scope="module")
def answers(pair: Pair) -> dict[str, Answer]:
    selects = SAME.strip().split("\n")
    answers = pair.ask({f"v{number}": select for number, select in enumerate(selects)})
    return {select: answers[f"v{number}"] for number, select in enumerate(selects)}


@pytest.mark.parametrize("select", SAME.strip().split("\n"))
def test_views_show_the_same_rows(select: str, answers: dict[str, Answer]) -> None:
    answer = answers[select]
    assert not answer.refused
    assert sorted(answer.got, key=str) == sorted(answer.expected, key=str), answer.sql


@pytest.mark.parametrize(("select", "reason"), REFUSED)
def test_views_that_might_differ_are_refused(pair: Pair, select: str, reason: str) -> None:
    answer = pair.ask({"v": select})["v"]
    assert reason in answer.refused
    assert "; its text is select" in answer.refused


def test_a_note_says_where_texts_are_compared_otherwise(pair: Pair) -> None:
    run_mysql(pair.source, "CREATE VIEW v AS SELECT DISTINCT s FROM t WHERE s = 'abc' OR s LIKE 'A%'")
    notes = {one.message for one in pair.plan().findings if one.code == "P053"}
    run_mysql(pair.source, "DROP VIEW v")
    # Said once, of the equality, of LIKE and of DISTINCT.
    (note,) = (note for note in notes if "the target ignores only the case of ASCII letters" in note)
    assert note.startswith("utf8mb4_0900_ai_ci ignores case and accents")


def test_a_note_says_where_a_group_has_several_spellings(pair: Pair) -> None:
    run_mysql(pair.source, """
        CREATE VIEW v_fixed AS SELECT s, COUNT(*) AS a FROM t WHERE s = 'abc' GROUP BY u > 0;
        CREATE VIEW v_one AS SELECT id, s, COUNT(*) AS a FROM t WHERE s = 'abc' GROUP BY id;
        CREATE VIEW v_rows AS SELECT s, id AS k FROM t AS r;
        CREATE VIEW v_same AS SELECT k, s, COUNT(*) AS a FROM v_rows GROUP BY k""")  # fmt: skip
    plan = pair.plan()
    run_mysql(pair.source, "DROP VIEW v_fixed, v_one, v_rows, v_same")
    noted = {one.object for one in plan.findings if "may show another one" in one.message}
    assert noted == {"v_fixed"}
    grouped = {one.object: one.sql.rpartition(" GROUP BY ")[2] for one in plan.statements}
    assert grouped["v_one"] == '"t"."id", "t"."s"'
    assert grouped["v_same"] == '"v_rows"."k", "v_rows"."s"'


# ---- whole databases -----------------------------------------------------------------------------------


def test_all_views_of_sakila_show_the_same_rows(both_databases: tuple[str, str], shared_data: Path) -> None:
    source, target = both_databases
    load_dump(source, shared_data / "sakila" / "mysql.sql.gz")
    ran = converge("migrate", "--source", source, "--target", target, "--json")
    assert ran.code == 0, ran.err
    views = [name for (name,) in run_mysql(source, "SELECT TABLE_NAME FROM information_schema.VIEWS "
                                               "WHERE TABLE_SCHEMA = DATABASE()")]  # fmt: skip
    assert len(views) == 7
    for view in views:
        here = run_mysql(source, f"SET group_concat_max_len = 1000000; SELECT * FROM {view}") or run_mysql(
            source, f"SELECT * FROM {view}"
        )
        expected = sorted(_loose(row) for row in here)
        got = sorted(_loose(row) for row in postgres(target, f"SELECT * FROM public.{view}"))
        assert len(expected) > 0
        assert got == expected, view


def _loose(row: tuple[Any, ...]) -> str:
    """A row as text; lists of names have no order of their own, and MySQL cuts them at 1024 bytes."""
    values = (plain(value) for value in row)
    return json.dumps([sorted(v.split(", ")) if isinstance(v, str) else str(v) for v in values])[:900]


def test_views_on_views_renames_rights_and_check_options(
    mysql_8015: Server,
    postgres_14: Server,
    postgres_175: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
) -> None:
    source = new_mysql_database(mysql_8015)
    long = "t" * 64
    for sql in (
        f"CREATE TABLE {long} (id INT PRIMARY KEY, ctid INT)",
        f"INSERT INTO {long} VALUES (1, 10), (2, 20)",
        "CREATE SQL SECURITY INVOKER VIEW z_base AS "
        f"SELECT id, ctid FROM {long} WHERE id < 9 WITH CHECK OPTION",
        "CREATE VIEW a_top AS SELECT z_base.ctid AS c, z_base.id FROM z_base",
        "CREATE TABLE gone (id INT)",
        "CREATE VIEW broken AS SELECT id FROM gone",
        "CREATE VIEW on_broken AS SELECT id FROM broken",
        "DROP TABLE gone",
    ):
        run_mysql(source, sql)
    for server, invoker in ((postgres_14, False), (postgres_175, True)):
        target = new_postgres_database(server)
        assert converge("migrate", "--source", source, "--target", target).code == 0
        assert postgres(target, "SELECT c, id FROM public.a_top ORDER BY id") == [(10, 1), (20, 2)]
        options = postgres(target, "SELECT reloptions FROM pg_class WHERE relname = 'z_base'")
        assert options == [(["security_invoker=true"] if invoker else None,)]
    messages = [one.message for one in make_plan(Inputs(read(source), load())).findings]
    assert any("CHECK OPTION is left out" in message for message in messages)
    assert any("it reads gone, which is not migrated; its text is select" in message for message in messages)
    assert any("it reads broken, which is not migrated" in message for message in messages)


# ---- trials --------------------------------------------------------------------------------------------


def _catalog(source: str) -> Catalog:
    run_mysql(source, "CREATE TABLE p (id INT PRIMARY KEY, e ENUM('a', 'b'), s VARCHAR(20))")
    run_mysql(source, "CREATE TABLE unread (id INT PRIMARY KEY)")
    run_mysql(source, "CREATE VIEW v AS SELECT id, s, COUNT(*) AS n FROM p GROUP BY id")
    run_mysql(source, "CREATE VIEW w AS SELECT n FROM v")
    return read(source)


def test_a_trial_leaves_nothing_and_needs_only_temp(
    mysql_8015: Server,
    postgres_14: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
) -> None:
    catalog = _catalog(new_mysql_database(mysql_8015))
    target = new_postgres_database(postgres_14)
    database = target.rpartition("/")[2]
    postgres(target, "CREATE ROLE only_temp LOGIN")
    postgres(target, "REVOKE ALL ON SCHEMA public FROM PUBLIC")
    role = target.replace("postgres@", "only_temp@")
    inputs = Inputs(catalog, load())
    before = (
        postgres(target, "SELECT count(*) FROM pg_class"),
        postgres(target, "SELECT count(*) FROM pg_type"),
    )
    with connect(parse(role)) as connection:
        evidence = ask_target(inputs, connection)[1]
        assert (evidence.tried, evidence.refused) == (True, {})
        query = "SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()"
        found = connection.execute(query).fetchone()
        assert found == (0,)
    assert before == (
        postgres(target, "SELECT count(*) FROM pg_class"), postgres(target, "SELECT count(*) FROM pg_type"),
    )  # fmt: skip
    postgres(target, f"REVOKE TEMP ON DATABASE {database} FROM PUBLIC")
    with connect(parse(role)) as connection:
        assert ask_target(inputs, connection)[1].tried is False
    with psycopg.connect(target, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = on")
        assert ask_target(inputs, connection)[1].tried is False
    postgres(target, "DROP OWNED BY only_temp")
    postgres(target, "DROP ROLE only_temp")


def test_a_table_that_is_called_as_the_schema_is_tried(
    mysql_8015: Server,
    postgres_175: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
    tmp_path: Path,
) -> None:
    """In a trial the schema's names mean temporary objects; a table's alias of the same name does not."""
    source, target = new_mysql_database(mysql_8015), new_postgres_database(postgres_175)
    columns = "id INT AUTO_INCREMENT PRIMARY KEY, e ENUM('a', 'b'), `it's` INT, v INT"
    run_mysql(source, f"CREATE TABLE `it's` ({columns})")
    run_mysql(source, "CREATE VIEW v AS SELECT id, CONCAT(e, 'x') AS n, `it's`, v FROM `it's` WHERE e = 'a'")
    run_mysql(source, "CREATE VIEW w AS SELECT `it's`.`it's`, n FROM v AS `it's`")
    (tmp_path / "m.toml").write_text('[[column]]\nmatch = { column = "id" }\nto = "numeric(9)"\n')
    with connect(parse(target)) as connection:
        plan, evidence = ask_target(
            Inputs(read(source), load([str(tmp_path / "m.toml")]), schema="it's"), connection
        )
    assert (evidence.tried, evidence.refused) == (True, {})
    states = {one.name: one.state for one in plan.outcomes}
    assert (states["v"], states["w"]) == ("translated", "translated")
    assert not plan.blocks
    assert not any("\0" in one.sql for one in plan.statements)
    assert any("""nextval('"it''s"."it''s_id_seq"'::regclass)""" in one.sql for one in plan.statements)
    assert postgres(target, "SELECT 1 FROM pg_namespace WHERE nspname = 'it''s'") == []


def test_what_the_target_refuses_is_listed_with_its_text(
    mysql_8015: Server,
    postgres_175: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
) -> None:
    catalog = _catalog(new_mysql_database(mysql_8015))
    inputs = Inputs(catalog, load(), schema="pg_temp")
    draft = draft_plan(inputs, None)
    target = new_postgres_database(postgres_175)
    wrong = Trial("view v", 'CREATE VIEW "pg_temp"."v" AS SELECT nothing FROM "pg_temp"."p"', ("p",))
    index = Trial("index p.i", 'CREATE INDEX "i" ON "pg_temp"."p" ((now()::text || "s"))', ("p",))
    good = Trial("check p.c", 'ALTER TABLE "pg_temp"."p" ADD CONSTRAINT "c" CHECK ("id" > 0)', ("p",))
    alone = Trial("default p.s", 'CREATE TABLE "pg_temp"."x" (a integer DEFAULT (nope()))')
    with connect(parse(target)) as connection:
        refused = _refused(connection, draft.making, [wrong, index, good, alone])
    assert refused == {
        "view v": 'column "nothing" does not exist',
        "index p.i": "functions in index expression must be marked IMMUTABLE",
        "default p.s": "function nope() does not exist",
    }
    plan = _with_refusal(inputs, "view v", refused["view v"])
    outcomes = {one.name: one for one in plan.outcomes if one.kind == "view"}
    assert outcomes["v"].state == outcomes["w"].state == "not migrated"
    assert 'the target refuses it: column "nothing" does not exist; its text is select' in outcomes["v"].why
    assert "it reads v, which is not migrated" in outcomes["w"].why


def _refused(
    connection: psycopg.Connection[Any], making: Mapping[str, Sequence[str]], trials: Iterable[Trial]
) -> dict[str, str]:
    with Trials(connection, "pg_temp") as live:
        reasons = {trial.object: live.refusal(trial, making, ()) for trial in trials}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def _with_refusal(inputs: Inputs, object_: str, reason: str) -> Plan:
    evidence = replace(inputs.evidence, refused={object_: reason}, tried=True)
    return make_plan(replace(inputs, evidence=evidence))


def test_trials_of_many_tables_are_cut_into_transactions(
    postgres_14: Server, new_postgres_database: NewDatabase
) -> None:
    """A transaction holds several locks a table, of which a server has some thousands."""
    making, trials = {}, []
    for number in range(450):
        table, name = f'"pg_temp"."t{number}"', f"t{number}"
        key = f"ALTER TABLE {table} ADD CONSTRAINT k{number} PRIMARY KEY (id)"
        view = f'CREATE VIEW "pg_temp"."v{number}" AS SELECT id, s FROM {table} GROUP BY id'
        making[name] = [f"CREATE TABLE {table} (id int, s text)", key]
        trials.append(Trial(f"view v{number}", view, (name,)))
    trials.append(Trial("view last", 'CREATE VIEW "pg_temp"."last" AS SELECT * FROM "pg_temp"."v0"', ("v0",)))
    with connect(parse(new_postgres_database(postgres_14))) as connection:
        assert _refused(connection, making, trials) == {}


def test_a_view_whose_definer_is_gone(
    mysql_any: Server,
    postgres_175: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
) -> None:
    """As after loading a dump elsewhere: the servers then say less of the view, each in its way."""
    source, target = new_mysql_database(mysql_any), new_postgres_database(postgres_175)
    run_mysql(
        source,
        "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1), (2); "
        "CREATE DEFINER=gone@'%' VIEW v AS SELECT id + 1 AS n FROM t",
    )
    ran = converge("migrate", "--source", source, "--target", target, "--json")
    assert ran.json["verdict"] == "verified", ran.err
    assert postgres(target, "SELECT n FROM v ORDER BY n") == [(2,), (3,)]


def test_a_view_through_which_rows_are_no_longer_changed_has_a_note(both_databases: tuple[str, str]) -> None:
    """MySQL changes rows of joined tables through a view; PostgreSQL only those of a view of one table."""
    source, target = both_databases
    views = {
        "joined": "SELECT a.id, a.n, b.m FROM a JOIN b ON a.id = b.id",
        "over_joined": "SELECT id, n FROM joined WHERE n > 0",
        "alone": "SELECT id, n FROM a WHERE n < 9",
        "over_alone": "SELECT n FROM alone",
        "outer_joined": "SELECT a.id, b.m FROM a LEFT JOIN b ON a.id = b.id",
        "grouped": "SELECT COUNT(*) AS n FROM a JOIN b ON a.id = b.id",
        "derived": "WITH c AS (SELECT a.id FROM a JOIN b ON a.id = b.id) SELECT id FROM c",
    }
    run_mysql(source, "CREATE TABLE a (id INT PRIMARY KEY, n INT); INSERT INTO a VALUES (1, 1)")
    run_mysql(source, "CREATE TABLE b (id INT PRIMARY KEY, m INT); INSERT INTO b VALUES (1, 1)")
    for name, query in views.items():
        run_mysql(source, f"CREATE VIEW {name} AS {query}")
    ran = converge("migrate", "--source", source, "--target", target, "--json")
    assert (ran.code, ran.json["losses"], ran.json["not_migrated"]) == (0, 0, []), ran.err
    readonly = {one["object"] for one in ran.json["findings"] if one["code"] == "P157"}
    assert readonly == {"joined", "over_joined"}
    for name in ("joined", "over_joined", "alone", "over_alone"):
        update = f"UPDATE {name} SET n = n + 1"
        run_mysql(source, update)
        if name in readonly:
            with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
                postgres(target, update)
        else:
            postgres(target, update)
