"""Views and expressions of indexes are compared on both servers; what differs is named with a row."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree

from expressions import statements
from support import Ran, converge, mysql, postgres
from test_views import SAME

from converge.model.endpoint import parse
from converge.model.result import Difference, ViewResult
from converge.model.table_plan import Computed
from converge.model.work import ViewTask
from converge.mysql.connect import connect
from converge.postgres.connect import connect as connect_target
from converge.run.views import ViewComparison


def both(command: str, source: str, target: str, *more: str) -> Ran:
    return converge(command, "--source", source, "--target", target, "--json", *more)


def views_of(ran: Ran) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in ran.json["views"]}


def differences_of(ran: Ran) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for one in ran.json["differences"]:
        found.setdefault(one["table"], []).append(one)
    return found


def test_all_views_that_are_translated_are_equal(both_databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = both_databases
    views = ["SELECT * FROM t", "SELECT NOW() AS at, CURDATE() AS day, NOW(3) AS at3, id FROM t"]
    views += SAME.strip().splitlines()
    for sql in [*statements(), *(f"CREATE VIEW v{n} AS {select}" for n, select in enumerate(views))]:
        mysql(source, sql)
    report = tmp_path / "report.xml"
    ran = both("migrate", source, target, "--report", str(report))
    assert (ran.code, ran.json["verdict"], ran.json["differences"]) == (0, "verified", []), ran.err
    assert len(views_of(ran)) == len(views)
    states = {views[int(name[1:])]: one for name, one in views_of(ran).items() if one["state"] != "equal"}
    assert not states
    cases = [case.get("classname") for case in ElementTree.parse(report).iter("testcase")]
    assert cases.count("converge.views") == len(views)
    again = both("verify", source, target)
    assert (again.code, again.json["verdict"]) == (0, "verified"), again.out
    assert views_of(again)["v0"]["rows_source"] == views_of(again)["v0"]["rows_target"] == 11


_ROWS = """
CREATE TABLE p (id INT PRIMARY KEY, name VARCHAR(40), price DECIMAL(10,2), at DATETIME(3), tm TIME,
  flag TINYINT(1), doc JSON, bin VARBINARY(20), big BIGINT UNSIGNED, d DOUBLE,
  total DECIMAL(12,2) AS (price * 2) STORED, label VARCHAR(60) AS (CONCAT(name, '!')) VIRTUAL,
  once INT AS (id * 3) VIRTUAL, UNIQUE KEY (once));
INSERT INTO p (id, name, price, at, tm, flag, doc, bin, big, d) VALUES
  (1, 'a', 1.50, '2024-01-02 03:04:05.600', '-01:00:00', 1, '{"a": 1}', 'x', 18446744073709551615, 0.1),
  (2, 'b', 2.50, '2024-02-03 00:00:00', '100:00:00', 0, '[1, 2.0]', NULL, 0, 0.2),
  (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE late (id INT PRIMARY KEY, seen TIMESTAMP NULL, g INT);
INSERT INTO late VALUES (1, '2024-01-02', 1), (2, '2024-02-03', 2), (3, NULL, 3);
CREATE VIEW v_same AS SELECT id, price, bin, total, label FROM p
"""
# What is shown of a value of more than 64 KB: its beginning and its size.
LONG_JSON = '{"a": "' + "x" * 33 + "… (100,009 bytes)"
_VIEWS = {
    # name: (the source's view, what the target gets in its place, then column, source and target of a row)
    "number": ("SELECT id, price + 1 AS n FROM p", "SELECT id, price + 1 + (id = 2)::int AS n FROM p",
               ("n", "3.5", "4.5")),
    "approximate": ("SELECT id, price + 1 AS n FROM p",
                    "SELECT id, (price + 1)::float8 * (1 + 1e-15) AS n FROM p",
                    ("n", "2.5", "2.5000000000000027")),
    "text": ("SELECT id, UPPER(name) AS s FROM p", "SELECT id, upper(name) || ' ' AS s FROM p",
             ("s", "A", "A ")),
    "time": ("SELECT id, tm FROM p WHERE id = 2", "SELECT id, tm + interval '1 s' AS tm FROM p WHERE id = 2",
             ("tm", "100:00:00", "100:00:01")),
    "moment": ("SELECT at FROM p WHERE id = 1", "SELECT at + interval '1 ms' AS at FROM p WHERE id = 1",
               ("at", "2024-01-02 03:04:05.6", "2024-01-02 03:04:05.601")),
    "day": ("SELECT id, DATE(at) AS d FROM p WHERE id = 1",
            "SELECT id, at::date + 1 AS d FROM p WHERE id = 1", ("d", "2024-01-02", "2024-01-03")),
    "flag": ("SELECT id, flag FROM p", "SELECT id, NOT flag AS flag FROM p", ("flag", "1", "0")),
    "json": ("SELECT id, doc FROM p WHERE id = 1",
             "SELECT id, '{\"a\": true}'::jsonb AS doc FROM p WHERE id = 1",
             ("doc", '{"a": 1}', '{"a": true}')),
    "long_json": ("SELECT id, JSON_OBJECT('a', REPEAT('x', 100000)) AS doc FROM p WHERE id = 1",
                  "SELECT id, jsonb_build_object('a', repeat('x', 99999) || 'y') AS doc FROM p WHERE id = 1",
                  ("doc", LONG_JSON, LONG_JSON)),
    "bytes": ("SELECT id, bin FROM p WHERE id = 1", "SELECT id, bin || '\\x00' AS bin FROM p WHERE id = 1",
              ("bin", "78", "7800")),
    "big": ("SELECT id, big FROM p WHERE id = 1", "SELECT id, big - 1 AS big FROM p WHERE id = 1",
            ("big", "18446744073709551615", "18446744073709551614")),
    "empty": ("SELECT id, name FROM p", "SELECT id, coalesce(name, '') AS name FROM p", ("name", None, "")),
    "more": ("SELECT id FROM p WHERE price > 2", "SELECT id FROM p WHERE price > 1", (None, None, "(1)")),
    "twice": ("SELECT flag FROM p", "SELECT flag FROM p UNION ALL (SELECT flag FROM p ORDER BY id LIMIT 1)",
              (None, None, "(1)")),
    "sorted": ("SELECT id, price FROM p ORDER BY price DESC",
               "SELECT id, price FROM p ORDER BY price NULLS FIRST", ("order", "2.5", "NULL")),
    "top": ("SELECT price FROM p ORDER BY price DESC LIMIT 1", "SELECT 1.5 AS price",
            ("price", "2.5", "1.5")),
    "columns": ("SELECT id FROM p", "SELECT id, 1 AS more FROM p", ("columns", "id", "id, more")),
    "broken": ("SELECT id, d FROM p", "SELECT id, d / (id - 2) AS d FROM p",
               ("rows", "3 rows", "ERROR: division by zero")),
    "gone": ("SELECT id FROM p", "",
             ("rows", "readable", 'ERROR: relation "public.v_gone" does not exist')),
    "far": ("SELECT SUM(d) AS d FROM p", "SELECT sum(d) * (1 + 1e-9) AS d FROM p",
            ("d", "0.30000000000000004", "0.30000000030000007")),
    "near": ("SELECT SUM(d) AS d FROM p", "SELECT sum(d) * (1 + 1e-15) AS d FROM p", ()),
    "list": ("SELECT GROUP_CONCAT(id) AS g FROM p",
             "SELECT string_agg(id::text, ',' ORDER BY id DESC) AS g FROM p", ()),
    "lists": ("SELECT GROUP_CONCAT(id) AS g FROM p", "SELECT '1,2,4'::text AS g", ("g", "1,2,3", "1,2,4")),
    "row": ("SELECT id, ROW_NUMBER() OVER (ORDER BY id) AS r FROM p",
            "SELECT id, row_number() OVER (ORDER BY id DESC) AS r FROM p", ("id", "1", "3")),
    "tied": ("SELECT id, ROW_NUMBER() OVER (ORDER BY flag IS NULL) AS r FROM p",
             "SELECT id, row_number() OVER (ORDER BY id DESC) AS r FROM p", ()),
    "cut": ("SELECT id, SUM(id) OVER (ORDER BY flag IS NULL ROWS UNBOUNDED PRECEDING) AS r FROM p",
            "SELECT id, sum(id) OVER (ORDER BY id DESC ROWS UNBOUNDED PRECEDING) AS r FROM p", ()),
    "cut_by_key": ("SELECT id, SUM(id) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING) AS r FROM p",
                   "SELECT id, sum(id) OVER (ORDER BY id DESC ROWS UNBOUNDED PRECEDING) AS r FROM p",
                   ("r", "1", "6")),
    "uncut": ("SELECT id, COUNT(*) OVER (ORDER BY flag IS NULL ROWS BETWEEN UNBOUNDED PRECEDING AND "
              "UNBOUNDED FOLLOWING) AS r FROM p", "SELECT id, id::bigint AS r FROM p", ("r", "3", "1")),
    "named": ("SELECT id, COUNT(*) OVER w AS r FROM p WINDOW w AS (ORDER BY flag IS NULL ROWS 1 PRECEDING)",
              "SELECT id, id::bigint AS r FROM p", ()),
    "named_by_key": ("SELECT id, LAG(id) OVER w AS r FROM p WINDOW w AS (ORDER BY id)",
                     "SELECT id, id AS r FROM p", ("r", None, "1")),
    "named_by_name": ("SELECT id, SUM(id) OVER w AS r FROM p WINDOW w AS (ORDER BY name)",
                      "SELECT id + 1 AS id, id::numeric AS r FROM p", ("id", "1", "4")),
    "list_of_ties": ("SELECT GROUP_CONCAT(id ORDER BY flag IS NULL SEPARATOR '+') AS g FROM p",
                     "SELECT '2+3+1'::text AS g", ()),
    "list_in_text": ("SELECT CONCAT(1, GROUP_CONCAT(id ORDER BY flag IS NULL)) AS g FROM p",
                     "SELECT '11,2,3'::text AS g", ()),
    "list_by_name": ("SELECT GROUP_CONCAT(id ORDER BY name) AS g FROM p WHERE id < 3",
                     "SELECT '2,1'::text AS g", ()),
    "list_by_key": ("SELECT GROUP_CONCAT(name ORDER BY price, id) AS g FROM p WHERE id < 3",
                    "SELECT 'b,a'::text AS g", ("g", "a,b", "b,a")),
    "list_by_itself": ("SELECT GROUP_CONCAT(a.flag ORDER BY a.flag) AS g FROM p a JOIN p b ON a.id = b.id",
                       "SELECT '1,0'::text AS g", ("g", "0,1", "1,0")),
    "list_by_place": ("SELECT GROUP_CONCAT(id ORDER BY 1 DESC) AS g FROM p", "SELECT '1,2,3'::text AS g",
                      ("g", "3,2,1", "1,2,3")),
    "list_by_places": ("SELECT GROUP_CONCAT(DISTINCT id ORDER BY 1 DESC) AS g FROM p",
                       "SELECT '1,2,3'::text AS g", ("g", "3,2,1", "1,2,3")),
    "ranked": ("SELECT id, RANK() OVER (ORDER BY price) AS r FROM p",
               "SELECT id, rank() OVER (ORDER BY id DESC) AS r FROM p", ("id", "1", "2")),
    "ranked_by_name": ("SELECT id, RANK() OVER (ORDER BY name) AS r FROM p",
                       "SELECT id, rank() OVER (ORDER BY id DESC) AS r FROM p", ()),
    "ranked_by_text": ("SELECT id, DENSE_RANK() OVER (ORDER BY s) AS r FROM v_text",
                       "SELECT id, dense_rank() OVER (ORDER BY id DESC) AS r FROM p", ()),
    "summed_by_name": ("SELECT id, SUM(id) OVER (ORDER BY UPPER(name)) AS r FROM p",
                       "SELECT id, sum(id) OVER (ORDER BY id DESC) AS r FROM p", ()),
    "summed_in_name": ("SELECT id, SUM(id) OVER (PARTITION BY name) AS r FROM p",
                       "SELECT id, sum(id) OVER (ORDER BY id DESC) AS r FROM p", ("r", "1", "6")),
    "uncut_by_name": ("SELECT id, COUNT(*) OVER (ORDER BY name ROWS BETWEEN UNBOUNDED PRECEDING AND "
                      "UNBOUNDED FOLLOWING) AS r FROM p", "SELECT id, id::bigint AS r FROM p",
                      ("r", "3", "1")),
    "open": ("SELECT flag, COUNT(*) AS n, UUID() AS u, GROUP_CONCAT(id ORDER BY name) AS g FROM p GROUP BY 1",
             "SELECT flag, count(*) AS n, ''::text AS u, string_agg(id::text, ',' ORDER BY id DESC) AS g "
             "FROM p GROUP BY 1", ()),
    "beside_open": ("SELECT flag, n FROM v_open", "SELECT flag, n + 1 AS n FROM v_open", ("n", "1", "2")),
    "of_open": ("SELECT n, CONCAT(g, '!') AS h FROM v_open ORDER BY h",
                "SELECT 1::bigint AS n, '' AS h FROM p", ()),
    "by_open": ("SELECT n FROM v_open WHERE g <> ''", "SELECT n + 1 AS n FROM v_open", None),
    "once_open": ("SELECT DISTINCT n, g FROM v_open", "SELECT n, g FROM v_open WHERE flag", None),
    "of_alias": ("SELECT CONCAT(g, '!') AS day, COUNT(*) AS c FROM v_open GROUP BY day",
                 "SELECT ''::text AS day, 9::bigint AS c", None),
    "having_alias": ("SELECT flag, GROUP_CONCAT(id ORDER BY name) AS l FROM p GROUP BY flag HAVING l <> '1'",
                     "SELECT 1::smallint AS flag, '1'::text AS l", None),
    "not_of_alias": ("SELECT UUID() AS n, flag FROM v_open GROUP BY v_open.n, v_open.flag",
                     "SELECT ''::text AS n, 9::smallint AS flag", ("flag", None, "9")),
    "by_moment": ("SELECT COUNT(*) AS n FROM late WHERE UNIX_TIMESTAMP(seen) > 1700000000",
                  "SELECT count(*) + 1 AS n FROM late", ("n", "2", "4")),
    "second_of": ("SELECT id, UNIX_TIMESTAMP() AS u FROM p", "SELECT id, 0::bigint AS u FROM p", ()),
    "like_open": ("SELECT late.id, late.g FROM v_open JOIN late ON v_open.n = late.id",
                  "SELECT id, g + 1 AS g FROM late WHERE id = 1", ("g", "1", "2")),
    "called_open": ("SELECT v_open.n, a.g FROM v_open AS a JOIN v_open ON v_open.flag = a.flag",
                    "SELECT n, ''::text AS g FROM v_open WHERE flag IS NOT NULL", ()),
    "ranked_in": ("SELECT q.id, RANK() OVER (ORDER BY q.price) AS r "
                  "FROM (SELECT id, name AS price FROM p) AS q",
                  "SELECT id, rank() OVER (ORDER BY id DESC) AS r FROM p", ()),
    "ranked_with": ("WITH p AS (SELECT id, name AS price FROM p) "
                    "SELECT p.id, RANK() OVER (ORDER BY p.price) AS r FROM p",
                    "SELECT id, rank() OVER (ORDER BY id DESC) AS r FROM p", ()),
    "ranked_as_is": ("SELECT q.id, RANK() OVER (ORDER BY q.cost) AS r "
                     "FROM (SELECT id, price AS cost FROM p) AS q",
                     "SELECT id, rank() OVER (ORDER BY id DESC) AS r FROM p", ("id", "1", "2")),
    "row_in": ("SELECT q.k, ROW_NUMBER() OVER (ORDER BY q.k) AS r FROM (SELECT id AS k FROM p) AS q",
               "SELECT id AS k, row_number() OVER (ORDER BY id DESC) AS r FROM p", ("k", "1", "3")),
    "row_of_two": ("SELECT p.id, m.n, ROW_NUMBER() OVER (ORDER BY p.id) AS r "
                   "FROM p JOIN (SELECT 1 AS n UNION ALL SELECT 2) AS m",
                   "SELECT id, n, row_number() OVER (ORDER BY id DESC) AS r "
                   "FROM p, (VALUES (1), (2)) m (n)", ()),
    "list_of_outer": ("SELECT id, (SELECT GROUP_CONCAT(x.id ORDER BY p.id) FROM v_same AS x) AS g FROM p",
                      "SELECT id, '2,3,1'::text AS g FROM p", ()),
    "day_of": ("SELECT id, CURDATE() AS d FROM p", "SELECT id, current_date AS d FROM p", ()),
}  # fmt: skip
"""With no difference where the target's view is as good as the source's; None where nothing is compared."""


def test_a_view_with_other_rows_is_named_with_one(both_databases: tuple[str, str]) -> None:
    source, target = both_databases
    mysql(source, _ROWS)
    for name, (select, _, _) in _VIEWS.items():
        mysql(source, f"CREATE VIEW v_{name} AS {select}")
    ran = both("migrate", source, target)
    assert (ran.code, ran.json["differences"], ran.json["not_migrated"]) == (0, [], []), ran.err
    for name, (_, select, _) in _VIEWS.items():
        postgres(target, f"DROP VIEW IF EXISTS v_{name} CASCADE")
        if select:
            postgres(target, f"CREATE VIEW v_{name} AS {select}")
    ran = both("verify", source, target)
    assert (ran.code, ran.json["verdict"]) == (1, "differs")
    found = differences_of(ran)
    for name, (_, _, wanted) in _VIEWS.items():
        given = [(one["column"], one["source"], one["target"]) for one in found.get(f"v_{name}", [])]
        assert given[:1] == [wanted] * bool(wanted), name
        state = "not compared" if wanted is None else "differs" if wanted else "equal"
        assert views_of(ran)[f"v_{name}"]["state"] == state, name
    assert "v_same" not in found
    assert found["v_number"][0]["key"] == "id=2"
    text = converge("verify", "--source", source, "--target", target).out
    assert "differs   v_number id=2 n: source '3.5', target '4.5'" in text
    noted = {one["object"] for one in ran.json["findings"] if one["code"] == "V121"}
    assert noted == {
        "v_second_of", "v_called_open", "v_ranked_in", "v_ranked_with", "v_row_of_two", "v_list_of_outer",
        "v_near", "v_tied", "v_cut", "v_named", "v_list_in_text", "v_ranked_by_name", "v_ranked_by_text",
        "v_summed_by_name", "v_open", "v_of_open",
    }  # fmt: skip


def test_generated_columns_and_expressions_of_indexes_are_compared(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, _ROWS)
    mysql(source, "CREATE TABLE q AS SELECT id, name, price FROM p; ALTER TABLE q ADD PRIMARY KEY (id), "
                  "ADD KEY twice ((price * 2), name), ADD UNIQUE KEY up ((id + 1))")  # fmt: skip
    ran = both("migrate", source, target)
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    assert {name: one["kind"] for name, one in views_of(ran).items()} == {
        "v_same": "view", "q.twice": "index", "q.up": "index",
    }  # fmt: skip
    for sql in (
        "DROP VIEW v_same",
        "ALTER TABLE p DROP COLUMN total, DROP COLUMN label",
        "ALTER TABLE p ADD total numeric(12,2) GENERATED ALWAYS AS (price * 3) STORED",
        "ALTER TABLE p ADD label varchar(60) GENERATED ALWAYS AS (name || '?') STORED",
        "CREATE VIEW v_same AS SELECT id, price, bin, total, label FROM p",
        "DROP INDEX twice, up",
        "CREATE INDEX twice ON q ((price * 2 + (id = 2)::int), name)",
    ):
        postgres(target, sql)
    ran = both("verify", source, target)
    assert (ran.code, ran.json["verdict"]) == (1, "differs")
    found = [(one["table"], one["key"], one["column"], one["source"], one["target"])
             for one in ran.json["differences"]]  # fmt: skip
    assert ("p", "id=1", "total", "3.00", "4.50") in found
    assert ("p", "id=1", "label", "a!", "a?") in found
    assert ("q.twice", "id=2", "expression 1", "5", "6") in found
    views = views_of(ran)
    assert views["q.up"]["why"] == "the target has no such index"
    # What follows from the table's rows is not told twice.
    assert views["v_same"]["why"] == "its rows differ, and it reads p, whose rows differ"
    assert {one[0] for one in found} == {"p", "q.twice"}


def compared(
    source: str, target: str, name: str, seconds: int = 60, limited: Literal["", "limit"] = ""
) -> tuple[ViewResult, list[Difference]]:
    """One view, as a worker compares it."""
    with connect(parse(source)) as here, connect_target(parse(target)) as there:
        task = ViewTask("public", Computed("view", name, name, limited=limited), seconds=seconds)
        return ViewComparison(here, there, task).result()


def test_large_and_slow_views_are_bounded(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE big (id INT PRIMARY KEY, v INT, d DOUBLE)")
    mysql(source, "INSERT INTO big WITH RECURSIVE n (i) AS "
                  "(SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) "
                  "SELECT a.i * 1000 + b.i, a.i, b.i / 3 FROM n a JOIN n b ON a.i <= 60")  # fmt: skip
    mysql(source, "CREATE VIEW v_big AS SELECT v, id, d FROM big")
    ran = both("migrate", source, target)
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    assert views_of(ran)["v_big"]["rows_target"] == 60_000
    postgres(target, "CREATE OR REPLACE VIEW v_big AS SELECT v, id, d + (id = 55555)::int AS d FROM big")
    result, (found, *more) = compared(source, target, "v_big")
    assert (result.state, found.key, found.column, more) == ("differs", "v=55, id=55555", "d", [])
    # Every number is another one, a little: all portions are looked at.
    postgres(target, "CREATE OR REPLACE VIEW v_big AS SELECT v, id, d * (1 + 3e-16) AS d FROM big")
    result, differences = compared(source, target, "v_big")
    assert (result.state, differences) == ("equal", [])
    assert result.why == "approximate numbers differ by no more than 1e-12 of their size"
    # So are documents, of which one server prints 1e300 and the other its 301 digits.
    for change in ("", " + (id = 7777)::int"):
        mysql(source, "CREATE OR REPLACE VIEW j AS SELECT id, "
                      "CAST(CONCAT('[1e300, ', id, ']') AS JSON) AS doc FROM big WHERE v < 17")  # fmt: skip
        document = f"('[1e300, ' || id{change} || ']')::jsonb AS doc"
        postgres(target, f"CREATE OR REPLACE VIEW j AS SELECT id, {document} FROM big WHERE v < 17")
        result, differences = compared(source, target, "j")
        assert (result.state, result.why) == ("differs" if change else "equal", "")
        assert [one.key for one in differences] == ["id=7777"] * bool(change)
    pairs = {
        # Few texts beside numbers that print in another way, of which one differs.
        "few": ("SELECT v % 7 AS g, d FROM big WHERE v <= 40",
                "SELECT v % 7 AS g, d * (1 + 1e-14) + 9 * (id = 7777)::int AS d FROM big WHERE v <= 40"),
        "long": ("SELECT id, REPEAT('äöü€', 400) AS t, d FROM big WHERE v = 1",
                 "SELECT id, repeat('äöü€', 400) AS t, d * (1 + 1e-14) AS d FROM big WHERE v = 1"),
        "limited": ("SELECT id, v FROM big ORDER BY id LIMIT 20000",
                    "SELECT id, v + (id = 7777)::int AS v FROM big ORDER BY id LIMIT 20000"),
    }  # fmt: skip
    for name, (here, there) in pairs.items():
        mysql(source, f"CREATE VIEW v_{name} AS {here}")
        postgres(target, f"CREATE VIEW v_{name} AS {there}")
    result, differences = compared(source, target, "v_few")
    assert (result.state, {one.column for one in differences}) == ("differs", {"d"})
    result, differences = compared(source, target, "v_long")
    assert (result.state, differences) == ("equal", [])
    result, differences = compared(source, target, "v_limited", limited="limit")
    assert (result.state, differences) == ("not compared", [])
    assert result.why == "its rows differ, and 20,000 are too many to look at those that tie"
    slow = "SELECT COUNT(*) AS n FROM big a JOIN big b ON a.v + b.v <> a.id"
    for url, make, a, b in (source, mysql, slow, "SELECT 1 AS n"), (target, postgres, "SELECT 1 AS n", slow):
        make(url, f"CREATE VIEW a AS {a}")
        make(url, f"CREATE VIEW b AS {b}")
    for name, side in (("a", "source"), ("b", "target")):
        result, differences = compared(source, target, name, seconds=1)
        assert (result.state, differences) == ("not compared", [])
        assert result.why == f"a query of it takes more than 1 s on the {side}"
        assert result.seconds < 10


def test_what_need_not_be_equal_is_a_note(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    mysql(source, """
        SET sql_mode = '';
        CREATE TABLE t (id INT PRIMARY KEY, v INT, name VARCHAR(20), day DATE);
        INSERT INTO t VALUES (1, 5, 'a', '2024-01-01'), (2, 5, 'B', '0000-00-00'), (3, 5, '_x', NULL),
                             (4, 9, 'c', NULL);
        CREATE VIEW v_ties AS SELECT v, id FROM t ORDER BY v LIMIT 2;
        CREATE VIEW v_over AS SELECT v FROM v_ties;
        CREATE VIEW v_some AS SELECT id FROM t LIMIT 2;
        CREATE VIEW v_uuid AS SELECT id, UUID() AS u FROM t;
        CREATE VIEW v_names AS SELECT name FROM t ORDER BY name;
        CREATE VIEW v_hidden AS SELECT v FROM t ORDER BY id;
        CREATE VIEW v_zero AS SELECT id, day FROM t;
        CREATE VIEW v_live AS SELECT id FROM t WHERE day IS NULL;
        CREATE DEFINER='gone'@'localhost' VIEW v_gone AS SELECT id FROM t""")  # fmt: skip
    map_ = tmp_path / "map.toml"
    map_.write_text('[[column]]\nmatch = { column = "day" }\npolicy = { zero_date = "null" }\n')
    ran = both("migrate", source, target, "--map", str(map_))
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    text = converge("verify", "--source", source, "--target", target).out
    assert "data verified · 3 views not compared" in text
    assert "note      the view v_zero was not compared: its rows differ" in text
    for sql in (
        "CREATE OR REPLACE VIEW v_ties AS SELECT v, id FROM t ORDER BY v, id DESC LIMIT 2",
        "CREATE OR REPLACE VIEW v_some AS SELECT id FROM t ORDER BY id DESC LIMIT 2",
        "CREATE OR REPLACE VIEW v_hidden AS SELECT v FROM t ORDER BY id DESC",
        'CREATE OR REPLACE VIEW v_names AS SELECT name FROM t ORDER BY name COLLATE "C" DESC',
    ):
        postgres(target, sql)
    ran = both("verify", source, target)
    assert ran.json["differences"] == [], ran.err
    assert {name: (one["state"], one["why"]) for name, one in views_of(ran).items()} == {
        "v_ties": ("equal", "which of the rows that tie LIMIT takes is open"),
        "v_over": ("equal", ""),
        "v_some": ("not compared", "its rows differ, and depend on LIMIT, which leaves open which rows it "
                                   "takes where they tie"),
        "v_uuid": ("equal", "u was not compared: it depends on UUID()"),
        "v_names": ("equal", "its texts are sorted by another collation in the target"),
        "v_hidden": ("equal", "its rows come in another order, and what sorts them is not shown"),
        "v_zero": ("not compared", "its rows differ, and it reads t, of which the map changes values"),
        "v_live": ("not compared", "its rows differ (2 in the source, 3 in the target), and it reads t, "
                                   "of which the map changes values"),
        "v_gone": ("not compared", "the source cannot read it: The user specified as a definer "
                                   "('gone'@'localhost') does not exist"),
    }  # fmt: skip
    codes = {one["object"]: one["code"] for one in ran.json["findings"] if one["code"].startswith("V12")}
    assert codes == {
        "v_ties": "V121", "v_some": "V120", "v_uuid": "V121", "v_names": "V121", "v_hidden": "V121",
        "v_zero": "V120", "v_live": "V120", "v_gone": "V120",
    }  # fmt: skip


def test_a_load_leaves_the_views_of_the_target_alone(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1); "
                  "CREATE VIEW v AS SELECT id FROM t; CREATE VIEW w AS SELECT id FROM t")  # fmt: skip
    postgres(target, "CREATE TABLE t (id int PRIMARY KEY); CREATE VIEW v AS SELECT id + 1 AS id FROM t")
    ran = both("migrate", source, target, "--mode", "load")
    assert (ran.code, ran.json["views"]) == (0, []), ran.err
    (note,) = [one for one in ran.json["findings"] if one["code"] == "V122"]
    assert (note["message"], note["evidence"]) == (
        "1 view that both sides have was not compared: the target's is its own", "v",
    )  # fmt: skip
    (lost,) = [one for one in ran.json["findings"] if one["code"] == "L037"]
    assert (lost["severity"], lost["message"]) == ("lossy", "views that the target does not have: w")
    outcomes = {one["name"]: one["why"] for one in ran.json["not_migrated"]}
    assert outcomes == {"w": "the target has no view of this name"}
