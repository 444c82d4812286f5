"""What needs no server: addresses, names, escapes, expressions, error documents."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converge.cli.many import look_at
from converge.codes import Code
from converge.errors import BlockedError, ConvergeError, TargetError, UsageError
from converge.model.catalog import Column
from converge.model.check import CheckResult
from converge.model.endpoint import parse
from converge.model.event import silent
from converge.model.finding import Finding
from converge.model.plan import Outcome
from converge.model.quote import Namespace, fit, mysql_members
from converge.model.result import (
    Difference,
    Named,
    NotCompared,
    Result,
    Results,
    TableResult,
    Verdict,
    ViewResult,
)
from converge.mysql.connect import connect as from_source
from converge.planner.load.constraints import on_source
from converge.planner.rows import TargetValue
from converge.postgres.connect import connect as to_target
from converge.postgres.copy import encode
from converge.report.document import Grid, Mark
from converge.report.errors import error_json, error_text
from converge.report.markdown import to_markdown
from converge.report.run import run_document
from converge.report.run_text import run_text
from converge.report.several import results_document, results_text
from converge.report.words import visible
from converge.run.relation import window
from converge.settings.addresses import Chosen
from converge.settings.file import Database
from converge.types import Value
from converge.types.sql import as_bytes


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mysql://root@127.0.0.1:3306/shop", ("mysql", "127.0.0.1", 3306, "root", "", "shop")),
        ("mysql+pymysql://a%40b:p%2Fw%3A@db/shop%20two", ("mysql", "db", None, "a@b", "p/w:", "shop two")),
        ("postgres://u:k9!z@[::1]:5433/x?sslmode=disable", ("postgres", "::1", 5433, "u", "k9!z", "x")),
        ("postgresql:///x?host=/var/run", ("postgres", "/var/run", None, "", "", "x")),
        ("postgresql+psycopg2://u@db/x", ("postgres", "db", None, "u", "", "x")),
        ("mysql://a@%2Frun%2FMy.sock/b", ("mysql", "", None, "a", "", "b")),
        ("postgresql://h?dbname=x&user=u&password=p%40&port=5433", ("postgres", "h", 5433, "u", "p@", "x")),
        ("postgresql://u@h:5433/x?dbname=x&user=u&host=h&port=", ("postgres", "h", 5433, "u", "", "x")),
    ],
)
def test_addresses(url: str, expected: tuple[object, ...]) -> None:
    at = parse(url)
    assert (at.kind, at.host, at.port, at.user, at.password, at.database) == expected
    assert at.password == "" or (at.password not in str(at) and at.password not in repr(at))
    assert not {"dbname", "user", "password", "host", "port"} & dict(at.options).keys()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("shop", "has no scheme"),
        ("redis://h/0", "begins with 'redis'"),
        ("mysql://root@h:99999/db", "a number up to 65535"),
        ("mysql://root:canary/@h/db", "percent-encoded"),
        ("postgresql://a,b:5432,5433/db", "several hosts"),
        ("postgresql://h/db?dbname=other", "two values of dbname"),
        ("postgresql://h:5432/db?port=5432,5433", "two values of port"),
        ("postgresql://u:canary@h/db?password=canary2", "two values of password"),
    ],
)
def test_an_address_that_cannot_be_used_says_why(url: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as raised:
        parse(url)
    assert "canary" not in error_text(raised.value)


def test_a_pattern_is_shown_as_it_is_written() -> None:
    assert str(parse("mysql://a:b@db/tenant_*")) == "mysql://a@db/tenant_*"


@pytest.mark.parametrize("host", ["db..example.com", f"{'a' * 64}.example.com"])
def test_a_host_that_cannot_be_one_is_not_reached(host: str) -> None:
    """Python's own encoding of names refuses an empty label, and one that is too long."""
    for connect, kind in ((from_source, "mysql"), (to_target, "postgresql")):
        with pytest.raises(ConvergeError) as raised:
            connect(parse(f"{kind}://u:canary@{host}:1/x"))
        assert raised.value.code in ("S001", "T001"), raised.value


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("mysql://a@localhost/b", True),
        ("mysql://a@127.8.0.1/b", True),
        ("postgresql://a@[::1]/b", True),
        ("mysql://a@db.example/b", False),
        ("mysql://a@10.0.0.1/b", False),
        ("mysql:///b?unix_socket=/run/my.sock", True),
        ("mysql://a@%2Frun%2Fmy.sock/b", True),
    ],
)
def test_only_loopback_is_local(url: str, local: bool) -> None:
    assert parse(url).local is local


@given(st.text(min_size=1))
def test_names_fit_and_stay_apart(name: str) -> None:
    assert len(fit(name).encode()) <= 63
    names = Namespace({name})
    made = [names.take(name, "t_" + name) for _ in range(3)]
    assert len({name, *made}) == 4 or len(name.encode()) > 63


@given(st.lists(st.lists(st.none() | st.text(), min_size=1, max_size=4), min_size=1).filter(bool))
def test_copy_text_comes_back(rows: list[list[str | None]]) -> None:
    """COPY's own rules (manual, "Text Format") undo the escapes."""
    width = len(rows[0])
    table = [(row * width)[:width] for row in rows]
    marked = []
    for row in table:
        fields = [b"" if value is None else value.encode("utf-8", "replace") for value in row]
        ends = [b"\xfe" if value is None else b"\xff" for value in row]
        ends[-1] = b"\xfc" if row[-1] is None else b"\xfd"
        marked.append(b"".join(field + end for field, end in zip(fields, ends, strict=True)))
    text = encode(marked)
    assert text.endswith(b"\n")
    back = [[_undo(field) for field in line.split(b"\t")] for line in text[:-1].split(b"\n")]
    assert back == [[v if v is None else v.encode("utf-8", "replace").decode() for v in row] for row in table]


def _undo(field: bytes) -> str | None:
    if field == b"\\N":
        return None
    out, escaped = bytearray(), False
    for byte in field:
        if escaped:
            out += {ord("n"): b"\n", ord("r"): b"\r", ord("t"): b"\t"}.get(byte, bytes([byte]))
            escaped = False
        elif byte == ord("\\"):
            escaped = True
        else:
            out.append(byte)
    return out.decode()


def test_enum_members() -> None:
    assert mysql_members("enum('a','it''s','x,y','(',')','')") == ("a", "it's", "x,y", "(", ")", "")


@pytest.mark.parametrize("kind", [ConvergeError, UsageError, BlockedError, TargetError])
def test_errors_survive_the_way_from_a_worker(kind: type[ConvergeError]) -> None:
    error = pickle.loads(pickle.dumps(kind("m", code=Code.T005, hint="h", details=["d"])))
    assert type(error) is kind
    assert error_text(error) == "error[T005]: m\n  d\n  hint   h"
    assert json.loads(error_json(error, "plan"))["exit_code"] == kind.exit_code


def test_a_count_is_never_reported_as_verified() -> None:
    result = Result("migrate", "s", "t", verdict="migrated", snapshot="none")
    result.tables = [TableResult("a|b", "public.a", 3, 3, rows_source=3, rows_target=3)]
    assert "count only: 3" in run_text(result)
    assert "verified" not in run_text(result)
    result.verdict = "differs"
    result.differences = [
        Difference("a", "id=1", "v", None, "<x>"),
        Difference("a", "id=2", None, "(1)", None),
    ]
    assert "source NULL, target '<x>'" in run_text(result)
    assert "in the source only: (1)" in run_text(result)
    assert "a\\|b" in to_markdown(run_document(result))
    assert "<x>" not in to_markdown(run_document(result))


def test_rows_that_were_only_counted_are_not_said_to_be_compared() -> None:
    result = Result("verify", "s", "t", verdict="differs")
    result.tables = [
        TableResult("a", "public.a", rows_source=10, rows_target=10),
        TableResult("b", "public.b", rows_source=3, rows_target=2),
    ]
    text = to_markdown(run_document(result))
    assert "no row differs" not in text.lower() and "13 rows counted" in text, text
    result.tables[1].rows_target = 3
    result.verdict = "migrated"
    text = to_markdown(run_document(result))
    assert "no values were compared" in text.lower() and "13 rows counted" in text, text
    # A check failed.
    result.verdict = "differs"
    assert "no row differs" not in to_markdown(run_document(result)).lower()
    for table in result.tables:
        table.verified = True
    text = to_markdown(run_document(result)).lower()
    assert "no row differs" in text and "13 rows compared" in text, text


def test_each_command_says_in_its_own_words_what_is_ready() -> None:
    def said(command: str, verdict: Verdict) -> str:
        table = TableResult("t", "public.t", rows_source=3, rows_target=3)
        each = [
            Named(name, Result(command, "s", "t", verdict=verdict, tables=[table])) for name in ("a", "b")
        ]
        return results_text(Results(command, tuple(each))).splitlines()[0]

    assert said("cutover", "ready").startswith("verdict   ready to cut over: all of 2 databases")
    assert said("migrate", "ready").startswith("verdict   ready to migrate: ")
    assert said("sync", "verified").endswith("all of 2 databases · 0 objects not migrated · 0 losses")
    assert said("migrate", "blocked").endswith(" · without a plan, so not counted: a, b")


def test_what_was_not_compared_is_in_the_verdict_of_several() -> None:
    whole, part = (Result("verify", "s", "t", verdict="verified") for _ in range(2))
    part.not_compared = [NotCompared("column", "a.b", "left out"), NotCompared("table", "c", "left out")]
    part.not_migrated = [Outcome("table", "c", "not migrated", "", "left out")]
    part.views = [ViewResult("view", "v", "v", "not compared", "it differs each time")]
    part.checks = [CheckResult("c", "skipped", "")]
    for each in (Named("a", whole), Named("b", part)), (Named("", part),):
        results = Results("verify", each)
        words = "1 column, 1 view not compared · 1 check skipped · 1 object not migrated · 0 losses"
        assert words in results_text(results).splitlines()[0]
        assert results_document(results).verdict.tone == "warn"
    part.not_migrated, part.views, part.checks = [], [], []
    several = results_document(Results("verify", (Named("a", whole), Named("b", part))))
    assert several.verdict.tone == "warn"
    (overview,) = next(one for one in several.sections if one.id == "databases").blocks
    assert isinstance(overview, Grid)
    assert [row[1] for row in overview.rows] == [Mark("verified", "good"), Mark("verified", "warn")]


def test_a_message_of_a_server_cannot_command_a_terminal() -> None:
    def look(_: Chosen) -> tuple[dict[str, Any], str]:
        raise TargetError("no\x1b[2J\nway", code=Code.T005)

    entry = Database(name="a")
    _, text = look_at("status", [Chosen((None, None), entry)], look, silent)
    assert "\x1b" not in text and "no␛[2J␊way" in text, text


def test_a_difference_of_long_values_shows_where_they_begin_to_differ() -> None:
    long = "x" * 5000
    left, right = window(long + "a" + long, long + "b" + long)
    assert left is not None and right is not None
    assert left.startswith("[character 4961] " + "x" * 40 + "a")
    assert right.startswith("[character 4961] " + "x" * 40 + "b")
    assert len(left) < 1100
    assert window("a", None) == ("a", None)
    assert window(long, long + "b")[1] == "[character 4961] " + "x" * 40 + "b"


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("((n = 1) OR (n = 2))", "((`n`=1) OR (`n`=2))"),
        ("(n IS NOT NULL)", "(`n` IS NOT NULL)"),
        ("(NOT (n IS NULL))", "(NOT (`n` IS NULL))"),
        ("(n > '-1'::integer)", "(`n`>-1)"),
        ("(n = ANY (ARRAY[1, 2]))", "((`n`=1) OR (`n`=2))"),
        ("((t)::text <> ''::text)", "(CAST(`t` AS BINARY)<>CAST('' AS BINARY))"),
        ("(length((t)::text) > 0)", "(CHAR_LENGTH(`t`)>0)"),
        ("(n <> ALL (ARRAY[1, 2]))", "((`n`<>1) AND (`n`<>2))"),
        ("(n <> some_function(n))", None),
        (
            "((t)::public.citext OPERATOR(public.<>) 'a'::public.citext)",
            "(CAST(LOWER(`t`) AS BINARY)<>CAST(LOWER('a') AS BINARY))",
        ),
        ("((t)::public.citext OPERATOR(other.<>) 'a'::public.citext)", None),
        ("((t)::text > 'a'::text)", None),  # by a collation
        ("((t)::text ~ 'x'::text)", None),
        ("((t)::text !~~ 'x'::text)", None),
        ("(n IS DISTINCT FROM 3)", None),
        ("(lower((t)::text) = 'a'::text)", None),
        ("((n)::numeric = 2.5)", "(`n`=2.5)"),
        # Casts that round, cut or compare as another type.
        ("((n)::integer = 2)", None),
        ("((n)::numeric(5,0) <> (2)::numeric)", None),
        ("((n)::text = '1'::text)", None),
        ("(((t)::character varying(2))::text <> 'ab'::text)", None),
        ("((t)::text <> ('abc'::character varying(2))::text)", None),
        ("(length(((t)::character varying(2))::text) > 0)", None),
        ("(n = (1.5)::integer)", None),
        (
            "((t)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[]))",
            "((CAST(`t` AS BINARY)=CAST('a' AS BINARY)) OR (CAST(`t` AS BINARY)=CAST('b' AS BINARY)))",
        ),
        ("((t)::text = ANY (ARRAY[('ab'::character varying(1))::text]))", None),
        ("(x = 1)", None),  # no column of the source
        ("((n)::boolean)", None),
    ],
)
def test_conditions_of_the_target_are_asked_of_the_source_or_not_at_all(
    theirs: str, ours: str | None
) -> None:
    columns = {
        "n": Column("n", "int", "int", nullable=True),
        "t": Column("t", "varchar(9)", "varchar", nullable=True, charset="utf8mb4"),
    }
    values = {name: TargetValue(Value(column, "text" if name == "t" else "integer"))
              for name, column in columns.items()}  # fmt: skip
    assert on_source(theirs, values, as_bytes("LOWER({})")) == ours


def test_texts_that_turn_lines_around_are_seen() -> None:
    """Whoever can name a table must not write what a terminal or a page shows in another order."""
    for code in ("\u202e", "\u2066", "\u200f", "\u061c", "\u2028", "\u200b", "\ufeff"):
        assert visible(f"a{code}b") == f"a\\u{ord(code):04x}b"
    assert visible("\x1b[31mé\u200d\u05d0") == "␛[31mé\u200d\u05d0"


def test_a_new_attempt_reports_nothing_of_the_one_before() -> None:
    result = Result("migrate", "a", "b", next_command="converge verify")
    result.not_compared.append(NotCompared("column", "t.c", "no text"))
    result.begin_again(Finding(Code.R003, "note", "run", "went on"))
    assert (result.next_command, result.not_compared) == ("", [])
