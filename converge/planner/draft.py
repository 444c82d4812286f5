"""What the planner's parts share while a plan grows: the inputs, and the lists that they add to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, cast

from converge.codes import Code, explained
from converge.mapping.rules import Map, entry, literally
from converge.model.catalog import Catalog, Column, Table
from converge.model.evidence import NOTHING_KNOWN, Count, Evidence
from converge.model.plan import (
    ColumnPlan,
    Computed,
    Finding,
    Identity,
    Outcome,
    Phase,
    Severity,
    State,
    Statement,
    TablePlan,
    Trial,
)
from converge.model.quote import Namespace, pg_name, pg_text
from converge.planner.decision import Decision, Decisions
from converge.planner.load.match import Loading

Alike = defaultdict[tuple[Code, Severity, str], list[Finding]]
"""Findings of many objects with one cause, by code, severity and the cause in words."""
MANY = 10
"""Findings with one cause that are shown one by one; more are one finding."""
_SINGULAR = {"are": "is", "have": "has"}


class Answers(Protocol):
    """What the target says while a plan is made; the answers are kept as evidence."""

    def refusal(self, draft: Draft, trial: Trial) -> str | None:
        """Why the target refuses a translation when it is tried; None where it does not."""

    def rows(self, draft: Draft) -> Evidence:
        """The evidence with what is known of rows that are in the target's own tables."""


@dataclass
class Draft:
    """A plan in the making. Every part adds statements, findings and exactly one outcome an object."""

    catalog: Catalog
    map: Map
    schema: str
    names: Namespace
    """Of the schema's tables, views, indexes, sequences and types, which share one namespace."""
    evidence: Evidence = NOTHING_KNOWN
    target_version: str = ""
    """PostgreSQL's version, as far as it changes what can be said there."""
    functions: Namespace = field(default_factory=Namespace)
    """Names of the schema's functions without arguments."""
    targets: dict[str, str] = field(default_factory=dict)
    """The target's name of every source table that is taken."""
    tables: dict[str, TablePlan] = field(default_factory=dict)
    kept: dict[str, TablePlan] = field(default_factory=dict)
    """Tables whose rows in the target stay as they are."""
    enums: dict[tuple[frozenset[tuple[str, str]], tuple[str, ...]], str] = field(default_factory=dict)
    """Quoted names of native enums, by the columns that foreign keys join and the labels."""
    unique: defaultdict[str, list[frozenset[str]]] = field(default_factory=lambda: defaultdict(list))
    """Columns of each source table's unique keys that the target gets, in lower case."""
    statements: list[Statement] = field(default_factory=list)
    identities: list[Identity] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    computed: list[Computed] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)
    """Translations that the target should try, or has tried."""
    answers: Answers | None = None
    """The target, where it can be asked now; else the evidence says what it has answered."""
    making: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """What makes each table with its types, keys and CHECKs, as far as it is drafted; all share ''."""
    in_schema: set[str] = field(default_factory=set)
    """Quoted names, with the schema, of all that is made in it."""
    alike: Alike = field(default_factory=lambda: defaultdict(list))
    suggestions: dict[tuple[str, int, str], list[str]] = field(default_factory=dict)
    """Columns that could have another type, by type, length and that other type."""
    extensions: Mapping[str, str] | None = None
    """The target's extensions with their schemas, empty for one that could be made; None without a target."""
    loose: dict[str, str] = field(default_factory=dict)
    """Quoted names of nondeterministic collations that the target has or gets, with their ICU locales."""
    loading: Loading | None = None
    """The target's own schema in load mode."""
    noted: set[str] = field(default_factory=set)
    """Names of objects about which there is something to know."""

    def __post_init__(self) -> None:
        self.decisions = Decisions(self.catalog, self.map, self.evidence)
        self._sources = {table.name: table for table in self.catalog.tables}
        self._shared: set[str] = set()
        self._constraints: dict[str, Namespace] = {}
        self._renamed: defaultdict[str, dict[str, str]] = defaultdict(dict)

    def source(self, table: str) -> Table | None:
        """The source's table of this name, planned or not."""
        return self._sources.get(table)

    def constraints(self, table: Table) -> Namespace:
        """Names of the table's constraints: MySQL keeps those of keys, foreign keys and CHECKs apart."""
        if table.name not in self._constraints:
            held = [key.name for key in table.foreign_keys] + [check.name for check in table.checks]
            self._constraints[table.name] = Namespace(held=held)
        return self._constraints[table.name]

    def called(self, table: Table, kind: str, name: str, target: str) -> None:
        """Notes what an object of the table is called in the target."""
        if target != name:
            self._renamed[table.name][f"{kind} {name}"] = target

    def note_renamed(self, table: Table) -> None:
        """One finding for all objects of a table that have another name in the target."""
        renamed = ", ".join(f"{name} is {target}" for name, target in self._renamed[table.name].items())
        if renamed:
            message = f"names that PostgreSQL does not keep apart, or that are too long for it: {renamed}"
            self.find(Code.P150, table.name, message)

    def own(self, name: str) -> str:
        """The quoted name of what is made in the target's schema."""
        quoted = pg_name(self.schema, name)
        self.in_schema.add(quoted)
        return quoted

    def qualified(self, table: str) -> str:
        """The quoted target name of a source table."""
        return self.own(self.tables[table].target)

    def decision(self, table: str | Table, column: str | Column) -> Decision:
        """What becomes of a column's values. Raises UsageError where the maps do not say, or not rightly."""
        source = self._sources[table] if isinstance(table, str) else table
        return self.decisions.of(source, source.column(column) if isinstance(column, str) else column)

    def column(self, table: str, name: str) -> ColumnPlan:
        """The plan of a source column. Raises KeyError."""
        for column in self.tables[table].columns:
            if column.source.lower() == name.lower():
                return column
        raise KeyError(f"{table}.{name}")

    def has(self, table: str, *names: str) -> bool:
        """Whether all these columns of a planned table arrive."""
        there = {column.source.lower() for column in self.tables[table].columns}
        return all(name.lower() in there for name in names)

    def do(
        self, phase: Phase, object_: str, sql: str, why: str, *, makes: str = "", optional: bool = False
    ) -> None:
        self.statements.append(Statement(phase, object_, sql, why, makes, optional))
        if phase in ("shared", "create") or (phase == "index" and not optional):
            self.making["" if phase == "shared" else object_].append(sql)

    def comment(self, object_: str, kind: str, name: str, text: str) -> None:
        """One COMMENT ON; `name` is quoted already. No text of PostgreSQL holds a NUL."""
        text = pg_text(text.replace("\0", ""))
        self.do("finish", object_, f"COMMENT ON {kind} {name} IS {text}", "the source's comment")

    def share(self, object_: str, sql: str, why: str, *, makes: str = "") -> bool:
        """A statement for what several objects use: made once, before them. Whether it is a new one."""
        if new := sql not in self._shared:
            self._shared.add(sql)
            self.do("shared", object_, sql, why, makes=makes)
        return new

    def refusal(self, kind: str, name: str, sql: str, tables: tuple[str, ...] = ()) -> str | None:
        """Why the target refuses to make this object, or None.

        `sql` is what to try, `tables` the source tables and views that must be there for it.
        """
        trial = Trial(f"{kind} {name}", sql, tables)
        self.trials.append(trial)
        if self.answers is None:
            return self.evidence.refused.get(trial.object)
        return self.answers.refusal(self, trial)

    @property
    def tried(self) -> bool:
        """Whether translations are tried on the target at all."""
        return self.answers is not None or self.evidence.tried

    def find(
        self,
        code: Code,
        object_: str,
        message: str,
        hint: str = "",
        *,
        severity: Severity | None = None,
        evidence: str = "",
    ) -> None:
        """Adds a finding; a severity is only said of a code that the registry has with several."""
        self.noted.add(object_)
        self.findings.append(Finding(code, severity or _severity(code), object_, message, hint, evidence))

    def find_rows(
        self,
        code: Code,
        object_: str,
        table: Table,
        count: Count | None,
        words: str,
        hint: str = "",
        *,
        severity: Severity | None = None,
    ) -> None:
        """A finding about rows that the scan has counted, with their keys; none where there are none."""
        if count and count.rows:
            shown = rows_words(table, count)
            self.find(code, object_, said(count.rows, words), hint, severity=severity, evidence=shown)

    def find_alike(
        self,
        code: Code,
        severity: Severity,
        cause: str,
        object_: str,
        message: str,
        hint: str,
        evidence: str = "",
    ) -> None:
        """A finding that many objects may have by one cause: `note_alike` says it then once for all."""
        self.noted.add(object_)
        finding = Finding(code, severity, object_, message, hint, evidence)
        self.alike[code, severity, cause].append(finding)

    def note_alike(self) -> None:
        """Each of a few findings with one cause, or one for many."""
        for (code, severity, cause), findings in self.alike.items():
            if len(findings) <= MANY:
                self.findings += findings
                continue
            names = ", ".join(one.object for one in findings)
            hints = "\n".join(dict.fromkeys(one.hint for one in findings if one.hint))
            shown = "; ".join(f"{one.object} {one.evidence}" for one in findings if one.evidence)
            message = f"{len(findings)} times: {cause}: {names}"
            self.find(code, self.schema, message, hints, severity=severity, evidence=shown)

    def done(self, kind: str, name: str, becomes: str, why: str) -> None:
        """An object that arrives; it has a note when there is a finding about it."""
        state: State = "translated with a note" if name in self.noted else "translated"
        self.outcomes.append(Outcome(kind, name, state, becomes, why))

    def left(
        self, code: Code, kind: str, name: str, why: str, hint: str = "", *, harm: Severity = "lossy"
    ) -> None:
        """An object that does not arrive: an outcome and a finding."""
        self.outcomes.append(Outcome(kind, name, "not migrated", "", why))
        self.noted.add(name)
        message = f"{kind} is not migrated: {why}"
        self.findings.append(Finding(code, harm, name, message, hint, not_migrated=True))

    def left_out(self, table: Table, why: str) -> None:
        """Outcomes for a table and all that belongs to it."""
        self.outcomes += [
            Outcome(kind, name, "not migrated", "", why, kind != "table") for kind, name in table.objects()
        ]

    def block(self, code: Code, kind: str, name: str, why: str, hint: str = "") -> None:
        """An object that must be settled before anything is written."""
        self.outcomes.append(Outcome(kind, name, "not migrated", "", why))
        hint = hint or f"--exclude {name.partition('.')[0]}"
        self.find(code, name, why, hint, severity="block")


def column_entry(table: Table, column: Column, *lines: str) -> str:
    """A map's entry for one column, to be pasted."""
    return entry("column", literally(table=table.name, column=column.name), *lines)


def rows_words(table: Table, count: Count) -> str:
    """``rows id 17, 204, …``: the keys that the scan has kept."""
    if not count.keys:
        return ""
    columns = table.primary_key.columns if table.primary_key else ()
    more = ", …" if count.rows > len(count.keys) else ""
    return f"rows {'/'.join(columns)} {', '.join(map(_printable, count.keys))}{more}"


def said(rows: int, words: str) -> str:
    """``3 rows hold …`` or ``1 row holds …``."""
    if rows != 1:
        return f"{rows:,} rows {words}"
    verb, _, rest = words.partition(" ")
    return f"1 row {_SINGULAR.get(verb, verb + 's')} {rest}"


def _printable(key: str) -> str:
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in key)


def _severity(code: Code) -> Severity:
    (known,) = explained(code).severity
    return cast(Severity, known)
