"""SQL in a map: what reaches a server is one expression of known functions, read as the parser read it."""

from __future__ import annotations

from typing import Literal

import pytest

from converge.errors import UsageError
from converge.mapping.grammar import check
from converge.mapping.rules import Rule
from converge.mapping.sql import default, expression, one_query
from converge.model.catalog import Column

EVERY = [
    "1; DROP TABLE x", "1 -- x", "1 /* x */", "1 # x", "(SELECT 1)", "EXISTS(SELECT 1)", "1, 2", "1) , (2",
    "1 UNION SELECT 1", "CASE WHEN 1 THEN (SELECT 1) END", "'open", "1 WHERE 2", "max(1)",
    "row_number() over ()", "'\0'", "'\x1b'",
]  # fmt: skip
OF_MYSQL = [
    "sleep(5)", "load_file('/etc/passwd')", "benchmark(1, 1)", "get_lock('a', 1)", "@a := 1", "@@version",
    "{} INTO OUTFILE '/tmp/x'", "{} + `other`", "evil.f({})", "sys_exec('x')", "{{ 7*7 }}", "{% x %}",
    "'\\' + sleep(1) + '\\'", "n'\\' + sleep(1) + '\\'", "$$ + sleep(1) + $$", "updatexml({}, '/a', 'b')",
]  # fmt: skip
OF_POSTGRES = [
    "pg_sleep(1)", "pg_read_file('/etc/passwd')", "lo_import('/etc/passwd')", "set_config('a', 'b', false)",
    "query_to_xml('select 1', true, true, '')", "dblink('x', 'y')", "evil.upper('x')", "$$x$$", "$a$x$a$",
    "` || pg_sleep(1) || `", "1 + ` 1), evil int DEFAULT (pg_sleep(1) + ` + 1",
    "U&'\\' UESCAPE '!' || pg_sleep(1)",
    "'\\' || pg_sleep(1) || '\\'", "E'\\'' || pg_sleep(1) || ''",
    "``({})", "{{ 7*7 }}", "1) CHECK (pg_sleep(1) IS NULL",
]  # fmt: skip


@pytest.mark.parametrize("text", EVERY + OF_MYSQL)
def test_using_that_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        expression(text, "`c`")
    assert raised.value.code == "M006"


@pytest.mark.parametrize("text", EVERY + OF_POSTGRES)
def test_a_default_that_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        default(text)
    assert raised.value.code == "M006"


def test_what_is_allowed() -> None:
    assert expression("NULLIF({}, '1000-01-01')", "`c`") == "(NULLIF(`c`, '1000-01-01'))"
    assert expression("IF({} = 'a', {}, \"b\")", "`c`") == "(IF(`c` = 'a', `c`, \"b\"))"
    assert default("nextval('s'::regclass)") == "(nextval('s'::regclass))"
    assert default("'{}'::jsonb") == "('{}'::jsonb)"
    assert default("gen_random_uuid()") == "(gen_random_uuid())"
    assert default("'a''b\\c'") == "('a''b\\c')"


def test_a_columns_name_cannot_end_a_text() -> None:
    """Braces inside a text are no column: its name would be pasted between the quotes."""
    made = expression("COALESCE({}, '{}', 'a {} b')", "`x' or sleep(5) or '`")
    assert made == "(COALESCE(`x' or sleep(5) or '`, '{}', 'a {} b'))"


NO_QUERY = [
    "SELECT 1) AS a UNION SELECT 'x' INTO OUTFILE '/tmp/x'", "SELECT 1 INTO OUTFILE '/tmp/x'",
    "SELECT 1 INTO @a",
    "SELECT 1) AS a UNION (SELECT 2", "SELECT 1 /*!50000 ) AS a UNION SELECT 2 */",
    "SELECT /*+ NO_ICP(t) */ 1", "SELECT 1; SELECT 2",
    "SELECT 1 FOR UPDATE", "SELECT 1 FOR SHARE", "WITH a AS (SELECT 1) DELETE FROM t", "DELETE FROM t",
    "CALL p()",
    "SET @a = 1", "DO 1", "EXPLAIN ANALYZE SELECT 1", "(SELECT 1) UNION (SELECT 2 INTO OUTFILE '/x')",
    "", ";", "SELECT `a", "SELECT '\0'",
]  # fmt: skip
NO_QUERY_OF = {
    "mysql": [
        "SELECT 1 --1) AS a UNION SELECT 'x' INTO OUTFILE '/tmp/x'",
        "SELECT 1 LOCK IN SHARE MODE", "SELECT $$ ) $$",
    ],
    "postgres": [
        "WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d", "COPY t TO '/tmp/x'", "SELECT 1 INTO x",
        "SELECT $$)$$", "SELECT $a$)$a$", "SELECT U&'\\' UESCAPE '!'", "SELECT `)`",
    ],
}  # fmt: skip
QUERIES = [
    "SELECT count(*) FROM t WHERE a LIKE ')%'",
    "WITH RECURSIVE x AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM x WHERE n < 9) SELECT * FROM x;",
    "(SELECT 1) UNION ALL (SELECT 2)", "SELECT '--', '/*', ';' FROM t",
]  # fmt: skip


@pytest.mark.parametrize("dialect", ["mysql", "postgres"])
def test_a_query_of_a_map_is_one_select(dialect: Literal["mysql", "postgres"]) -> None:
    """What the server would run as something else is refused before it sees it."""
    for text in NO_QUERY + NO_QUERY_OF[dialect]:
        with pytest.raises(UsageError) as raised:
            one_query(text, dialect, "here")
        assert raised.value.code == "M002", text
    for text in QUERIES:
        assert one_query(text, dialect, "here") == text.rstrip(";")
    assert one_query("/* a */ SELECT -- b\n1 /* c */ ; -- d", dialect, "here") == "SELECT 1"


@pytest.mark.parametrize(
    "to",
    [
        "integer; drop table x", "varchar(10); drop table x; --", "numeric(10; drop table x; --)",
        "numeric(1",
        'text collate "x"', "text default pg_sleep(1)/*", "{length.__class__}", "{0}", "{length:>99999999}",
        "varchar({length}", "numeric(10, 2, 3)", "text -- ", "public.evil", '"Evil"', "text\n", "",
    ],
)  # fmt: skip
def test_a_type_is_words_and_numbers(to: str) -> None:
    column = Column(name="c", raw_type="varchar(9)", type="varchar", nullable=True, length=9)
    with pytest.raises(UsageError) as raised:
        Rule("column", "map [[column]] #1", {}, {"to": to}, "").target_type(column)
    assert raised.value.code == "M002"


def test_types_that_are_allowed() -> None:
    column = Column(
        name="c", raw_type="decimal(9,2)", type="decimal", nullable=True, precision=9, scale=2, fsp=3
    )
    for to, made in (
        ("numeric({precision},{scale})", "numeric(9,2)"),
        ("timestamp({fsp}) with time zone", "timestamp(3) with time zone"),
        ("double precision", "double precision"),
        ("text[]", "text[]"),
    ):
        assert Rule("column", "map", {}, {"to": to}, "").target_type(column) == made


def test_no_nul_anywhere() -> None:
    with pytest.raises(UsageError) as raised:
        check("map", {"column": [{"match": {"column": "c"}, "rename": "a\0b"}]})
    assert raised.value.code == "M002"
