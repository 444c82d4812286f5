"""What translations refuse, and what they write, without any server: each reason has an example.

That both servers give the same is for test_expressions.py, test_views.py and test_fuzz.py. Here a change of
the code must neither lose a refusal nor refuse more.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from converge.model.catalog import Column, Table
from converge.model.quote import mysql_members, pg_name
from converge.model.table_plan import ColumnPlan
from converge.translate import (
    Context,
    Relation,
    TableColumns,
    Untranslatable,
    column_term,
    translate,
    translate_stored,
    translate_view,
)

# Name, MySQL's type and collation, and what the target has.
COLUMNS = """
id int → integer; i int → integer; u int unsigned → bigint; b bigint → bigint;
ub bigint unsigned → numeric(20,0); flag tinyint(1) → smallint; tiny tinyint → smallint;
zf int(6) unsigned zerofill → bigint; n decimal(10,2) → numeric(10,2); m decimal(12,6) → numeric(12,6);
w decimal(30,0) unsigned → numeric(30,0); d double → double precision; r float → real;
bit1 bit(1) → boolean; yr year → smallint; s varchar(40) utf8mb4_0900_ai_ci → varchar(40);
g varchar(40) utf8mb4_general_ci → varchar(40); k varchar(40) utf8mb4_bin → varchar(40);
x varchar(40) utf8mb4_0900_as_cs → varchar(40); l varchar(40) latin1_general_cs → varchar(40);
lb varchar(40) latin1_bin → varchar(40); c char(12) utf8mb4_bin → varchar(12);
tx text utf8mb4_unicode_ci → text; day date → date; at datetime → timestamp(0);
at6 datetime(6) → timestamp(6); ts timestamp → timestamp(0) with time zone;
ts6 timestamp(6) → timestamp(6) with time zone; tm time → interval(0); tc time → time(0);
e enum('small','Medium','it''s') utf8mb4_0900_ai_ci → r_e;
e1 enum('10','1','2','') utf8mb4_0900_ai_ci → r_e1; et enum('10','1','2') utf8mb4_0900_ai_ci → text;
s1 set('10','1','2') utf8mb4_0900_ai_ci → text[];
st set('red','green','blue') utf8mb4_0900_ai_ci → text[]; j json → jsonb; y varbinary(20) → bytea;
y4 binary(4) → bytea
"""
_COLUMN = re.compile(r"(\w+) ((\w+)(?:\((.*)\))?( unsigned)?( zerofill)?)(?: (\w+))? → (.+)")


def _column(text: str) -> tuple[Column, ColumnPlan]:
    found = _COLUMN.fullmatch(text)
    assert found, text
    name, raw, kind, inside, unsigned, zerofill, collation, target = found.groups()
    sizes = [int(size) for size in (inside or "").split(",") if size.isdigit()]
    number, moment = kind == "decimal", kind in ("datetime", "timestamp", "time")
    column = Column(
        name, raw, kind, True,
        precision=sizes[0] if number else None,
        scale=sizes[1] if number else None,
        fsp=sizes[0] if moment and sizes else 0,
        labels=mysql_members(raw) if kind in ("enum", "set") else (),
        unsigned=bool(unsigned),
        zerofill=bool(zerofill),
        charset=collation and collation.partition("_")[0],
        collation=collation,
    )  # fmt: skip
    return column, ColumnPlan(name, name, raw, target, True, "", "")


@cache
def _table() -> tuple[Table, dict[str, ColumnPlan]]:
    made = [_column(" ".join(text.split())) for text in COLUMNS.split(";")]
    return Table("r", "InnoDB", tuple(column for column, _ in made)), {plan.source: plan for _, plan in made}


def _translated(kind: str, text: str) -> str:
    table, plans = _table()
    if kind.startswith("into_"):
        plan = plans[kind.removeprefix("into_")]
        column = table.column(plan.source)
        return translate_stored(text, plan.target_type, column, TableColumns(table, plans), Context())
    if kind != "query":
        return translate(text, TableColumns(table, plans), Context(immutable=kind == "immutable")).sql
    columns = {name: column_term(table.column(name), plan, pg_name(name)) for name, plan in plans.items()}
    relation = Relation("r", columns)
    return translate_view(text, lambda database, name: relation, covered=False, context=Context()).sql


def _examples(name: str) -> list[tuple[str, str, str]]:
    text = (Path(__file__).parent / name).read_text("utf-8")
    found = re.findall(r"^(\w+): (.+)\n    (.+)$", text, re.MULTILINE)
    assert len(found) == len([line for line in text.splitlines() if line.startswith("    ")])
    return found


@pytest.mark.parametrize(("kind", "text", "reason"), _examples("refusals.txt"))
def test_what_is_not_surely_the_same_is_refused(kind: str, text: str, reason: str) -> None:
    with pytest.raises(Untranslatable) as refused:
        _translated(kind, text)
    assert str(refused.value) == reason


@pytest.mark.parametrize(("kind", "text", "sql"), _examples("translations.txt"))
def test_what_is_surely_the_same_is_translated(kind: str, text: str, sql: str) -> None:
    assert _translated(kind, text) == sql
