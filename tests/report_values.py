"""Hand-made plans and results for the reports: as large and as hostile as a test needs."""

from __future__ import annotations

from collections.abc import Iterator

from converge.codes import Code
from converge.matrix.report import matrix_document
from converge.matrix.result import Cell, Matrix, Step, Varied
from converge.model.check import CheckResult
from converge.model.endpoint import parse
from converge.model.facts import Diagnosis
from converge.model.finding import Finding, Severity
from converge.model.plan import Outcome, Plan, Statement
from converge.model.rehearsal import Forecast
from converge.model.result import (
    Changed,
    Difference,
    GoingBack,
    Named,
    NotCompared,
    Pace,
    Reject,
    Result,
    Results,
    TableResult,
    ViewResult,
)
from converge.model.table_plan import Change, ColumnPlan, Identity, TablePlan
from converge.model.validation import Affected, Compared, Deviation, Validation
from converge.planner.rehearsal import fingerprint
from converge.report.doctor import doctor_document
from converge.report.document import Document
from converge.report.plan import plan_document
from converge.report.run import run_document
from converge.report.several import results_document
from converge.report.validation import validation_document

SCRIPT = "<script>alert(1)</script>"
STYLE = "a message with </style><b>markup</b>"
ROUTINE = "code is not translated: BEGIN\n" + "  -- a line of the routine\n" * 20 + "  -- its last line\nEND"


def column(name: str, **more: object) -> ColumnPlan:
    """A column that becomes text."""
    return ColumnPlan(name, name, "varchar(200)", "text", True, "mysql8 [[type]] #9", "holds all", **more)  # type: ignore[arg-type]


def table(name: str, columns: int = 10) -> TablePlan:
    """A table with a key and more columns."""
    rest = (column(f"column_{number}") for number in range(1, columns))
    return TablePlan(
        name, name, (column("id", identity=True), *rest), ("id",), 1000, 64_000, key_types=("int",)
    )


def plan(tables: int = 2, findings: int = 3, *, severity: Severity = "note", first: str = "film") -> Plan:
    """Tables of ten columns and findings of seven codes, spread over them."""
    made = tuple(table(first if number == 0 else f"table_{number}") for number in range(tables))
    change = Change("zero_date", "null", "`made` = 0", "hold a zero date")
    changed = column("made", changes=(change,), evidence="3 of 1,000 rows hold a zero date")
    made = (
        TablePlan(first, first, (*made[0].columns, changed), ("id",), 1000, 64_000, key_types=("int",)),
        *made[1:],
    )
    return Plan(
        source="mysql://app@db.example:3306/shop",
        source_version="8.0.33",
        target="postgresql://app@pg.example:5432/shop",
        target_version="17.5",
        schema="public",
        schema_exists=True,
        mode="create",
        tables=made,
        statements=tuple(
            Statement("create", one.source, f'CREATE TABLE "{one.target}" (…)', "a table of the source")
            for one in made
        ),
        identities=(Identity(first, "id", 1001),),
        findings=tuple(finding(number, made, severity) for number in range(findings)),
        outcomes=(
            *(outcome for one in made for outcome in _outcomes(one)),
            Outcome("trigger", "film_insert", "not migrated", "", ROUTINE),
        ),
        scan="2 tables, 2,000 rows",
        forecast=Forecast(724, 7_000_000_000, "as measured on two cores"),
        digest="d1ge57",
    )


def every_document() -> dict[str, Document]:
    """Documents of all kinds, with what each can hold."""
    run = result(20, 30)
    run.rejects = [Reject("film", "id=9", "made", "6162", 2, "22007", "invalid input syntax")]
    run.not_compared = [NotCompared("column", "film.made", "PostgreSQL cannot store the value")]
    run.views = [ViewResult("view", "film_list", "film_list", "not compared", "it reads film")]
    run.pace = Pace()
    for number, table in enumerate(run.tables):
        table.began, table.ended = number / 4, number / 4 + 0.3
        run.pace.add(number / 4, 1000, 64_000)
    failed = Result("migrate", "mysql://a@b/c", "postgresql://d@e/f")
    validation = Validation("4f2c", "fill", "postgresql://a@b/c", verdict="differs", downgrade="differs")
    missing = Deviation("film", "id=7", "made", "1", None)
    validation.compared = [Compared("film", 9, 1, 0, {"made": 3}, (missing,))]
    validation.affected = [Affected("film", "film", ("id",), 3, 0, 0, {"made": 3}, "film.csv")]
    validation.not_restored = ["index film_made"]
    validation.phases = [("copy", 1.0), ("upgrade", 2.0)]
    red = Step("plan", "red", 0.3, reason=finding(1, plan().tables, "block"))
    cells = (
        Cell("15", version="15.18", steps=[Step("start", "green", 2.0), red]),
        Cell("postgresql://a@b:5/c", version="17.5", steps=[Step("start", "green", 1.0)]),
    )
    plans = (Varied("x", {"15": "a", "postgresql://a@b:5/c": "b"}),)
    matrix = Matrix(run.source, "8.0.33", run.started, 3.3, cells, plans=plans)
    doctor = Diagnosis(
        parse(run.source), parse(run.target), None, None, (finding(1, plan().tables, "block"),), 4, None
    )
    results = Results("migrate", (Named("shop", run), Named("it's <b>", failed)))
    return {
        "plan": plan_document(plan(20, 30)),
        "blocked": plan_document(plan(severity="block")),
        "run": run_document(run),
        "failed": run_document(failed),
        "validation": validation_document(validation),
        "matrix": matrix_document(matrix),
        "doctor": doctor_document(doctor),
        "several": results_document(results),
    }


def _outcomes(one: TablePlan) -> Iterator[Outcome]:
    yield Outcome("table", one.source, "translated", one.target, "with all its columns")
    for each in one.columns:
        yield Outcome("column", f"{one.source}.{each.source}", "translated", each.target, "")
    yield Outcome("index", f"{one.source}.PRIMARY", "translated", f"{one.source}_pkey", "in order")


def finding(number: int, tables: tuple[TablePlan, ...], severity: Severity = "note") -> Finding:
    """One of many: every second has a fix, every third evidence, and the message is its own."""
    name = tables[number % len(tables)].source
    hint = f'[[column]]\nmatch = {{ table = "{name}", column = "column_1" }}\nto = "text"'
    return Finding(
        (Code.P000, Code.P001, Code.P003, Code.P004, Code.P005, Code.P006, Code.P007)[number % 7],
        severity,
        f"{name}.column_{number % 9}",
        f"finding {number}: MySQL compares these values without regard to case, PostgreSQL with it",
        hint if number % 2 else "",
        f"{number} rows, the first of them id={number}" if number % 3 == 0 else "",
    )


def result(tables: int = 2, findings: int = 3, *, first: str = "film") -> Result:
    """A run that ended with one table that differs, one declared change, and a trigger left behind."""
    planned = plan(tables, findings, first=first)
    return Result(
        command="migrate",
        source=planned.source,
        target=planned.target,
        source_version="8.0.33",
        target_version="17.5",
        started="2026-03-01T10:20:30+00:00",
        verdict="differs",
        snapshot="locked",
        tables=[
            TableResult(
                one.source, f"public.{one.target}", 1000, 1000, 0, 64_000, 0.25, 1000, 1000, number > 0
            )
            for number, one in enumerate(planned.tables)
        ],
        findings=list(planned.findings),
        differences=[
            Difference(first, "id=7", "column_1", "left", "right"),
            Difference(first, "id=8", None, "(8, 'x')", None),
        ],
        changes=[Changed(first, "made", "zero_date", "null", 3, "hold a zero date")],
        checks=[
            CheckResult("nobody is lost", "ok", "= 0", None, "0", why="orphans", place="own [[check]] #1"),
            CheckResult("as many films", "differs", "as in the source", "7", "6", place="own [[check]] #2"),
        ],
        going_back=GoingBack("moved", "looked at again", (first,), named=True),
        fingerprint=fingerprint(planned, whole=True),
        not_migrated=[one for one in planned.outcomes if one.state == "not migrated"],
        phases=[("plan", 1.5), ("copy", 12.0), ("verify", 6.5)],
        next_command="converge verify",
    )
