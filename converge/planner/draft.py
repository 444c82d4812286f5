"""What the planner's parts share while a plan grows: the inputs, and the lists that they add to."""

from __future__ import annotations

from collections import defaultdict
from copy import copy
from typing import Protocol, cast

from converge.codes import Code, explained
from converge.errors import UsageError
from converge.mapping.rules import setting
from converge.mapping.sql import expression
from converge.model.catalog import Column, Table
from converge.model.evidence import Count, Evidence
from converge.model.finding import Finding, Severity
from converge.model.plan import Outcome, Phase, State, Statement, Trial
from converge.model.port import Port
from converge.model.quote import Namespace, my_name, pg_name, pg_text
from converge.model.table_plan import ColumnPlan, Computed, Counter, Identity, TablePlan
from converge.model.words import said
from converge.mysql.capabilities import capabilities
from converge.planner.decision import ColumnName, Decision, Decisions
from converge.planner.inputs import Inputs
from converge.planner.load.match import Loading, match
from converge.translate.context import Context
from converge.types import NUMBERS

Alike = defaultdict[tuple[Code, Severity, str], list[Finding]]
"""Findings of many objects with one cause, by code, severity and the cause in words."""
MANY = 10
"""Findings with one cause that are shown one by one; more are one finding."""


class Answers(Protocol):
    """What the target says while a plan is made; the answers are kept as evidence."""

    def refusal(self, draft: Draft, trial: Trial) -> str | None:
        """Why the target refuses a translation when it is tried; None where it does not."""

    def printed(self, expression: str, columns: str) -> str | None:
        """How the target prints an expression, named as in `Evidence.printed`, of the one generated column of
        a table of these columns; None where it cannot be asked, or refuses it."""

    def rows(self, draft: Draft) -> Evidence:
        """The evidence with what is known of rows that are in the target's own tables."""


class Draft:
    """A plan in the making. Every part adds statements, findings and exactly one outcome an object."""

    def __init__(self, inputs: Inputs, answers: Answers | None = None) -> None:
        """A draft that only has names."""
        self.inputs = inputs
        self.answers = answers
        """The target, where it can be asked now; else the evidence says what it has answered."""
        self.schema, self.evidence = inputs.schema, inputs.evidence
        self.catalog, self.map = inputs.catalog, inputs.map
        """The source and the maps; in load mode with what the target asks of the rows."""
        self.loading: Loading | None = None
        """The target's own schema in load mode."""
        held = [self.named(table, table.name) for table in self.catalog.tables]
        held += [view.name for view in self.catalog.views]
        facts = inputs.facts
        self.names = Namespace(facts.foreign_names(inputs.own) - set(held) if facts else (), held)
        """Of the schema's tables, views, indexes, sequences and types, which share one namespace."""
        self.functions = Namespace(facts.foreign_functions(inputs.own) if facts else ())
        """Names of the schema's functions without arguments."""
        self.targets: dict[str, str] = {}
        """The target's name of every source table that is taken."""
        self.counters: dict[str, Counter] = {}
        """By source table: those that are sequences in the target."""
        self.taken = self._take()
        """The source's tables of the plan, as `catalog` has them."""
        names = {table.name for table in self.taken}
        self.decisions = Decisions(self.catalog, self.map, self.evidence, names)

        self.tables: dict[str, TablePlan] = {}
        self.kept: dict[str, TablePlan] = {}
        """Tables whose rows in the target stay as they are."""
        self.kept_losses: dict[str, list[Finding]] = {}
        """What the comparison of these rows takes for equal: values that a policy or the type changes."""
        self.statements: list[Statement] = []
        self.by_object: defaultdict[str, list[Statement]] = defaultdict(list)
        """The same, by the name of their object."""
        self.identities: list[Identity] = []
        self.findings: list[Finding] = []
        self.outcomes: list[Outcome] = []
        self.computed: list[Computed] = []
        self.ports: list[Port] = []
        self.untranslated: dict[str, str] = {}
        """Why triggers are not translated, by their names."""
        self.trials: list[Trial] = []
        """Translations that the target should try, or has tried."""

        self.local_times: list[str] = []
        """What takes or shows the time of day by the clock of the session's time zone."""
        self.noted: set[str] = set()
        """Names of objects about which there is something to know."""
        self.alike: Alike = defaultdict(list)
        self.making: defaultdict[str, list[str]] = defaultdict(list)
        """What makes each table with its types, keys and CHECKs, as far as it is drafted; all share ''."""
        self.in_schema: set[str] = set()
        """Quoted names, with the schema, of all that is made in it."""
        self.enums: dict[tuple[frozenset[ColumnName], tuple[str, ...]], str] = {}
        """Quoted names of native enums, by the columns that foreign keys join and the labels."""
        self.loose = dict(facts.collations) if facts else {}
        """Quoted names of nondeterministic collations that the target has or gets, with their ICU locales."""
        self.unique: defaultdict[str, list[frozenset[str]]] = defaultdict(list)
        """Columns of each source table's unique keys that the target gets, in lower case."""
        self._sources = {table.name: table for table in self.catalog.tables}
        self._by_name: dict[str, dict[str, ColumnPlan]] = {}
        self._constraints: dict[str, Namespace] = {}
        self._renamed: defaultdict[str, dict[str, str]] = defaultdict(dict)

    def _take(self) -> list[Table]:
        """The tables that the plan is about, with their names in the target."""
        taken = [table for table in self.catalog.tables if self.inputs.takes(table.name)]
        if self.evidence.existing is not None:
            self.loading = loading = match(self.catalog, taken, self.map, self.evidence.existing)
            self.catalog, self.map = loading.catalog, loading.map
            self.targets = {name: one.own.name for name, one in loading.matches.items()}
            names = {table.name for table in taken}
            taken = [table for table in loading.catalog.tables if table.name in names]
        else:
            for table in taken:
                name = setting(self.map.for_table(table), "rename")[0] or self.named(table, table.name)
                self.targets[table.name] = self.names.take(name, held=True)
        if any("next_value" in rule.settings for rule in self.map.rules):
            self.counters = {table.name: found for table in taken if (found := self._counter(table))}
        return [table for table in taken if table.name not in self.counters]

    def _counter(self, table: Table) -> Counter | None:
        """The sequence that a map makes of the table; in load mode where the target has one, and no table."""
        for column in table.columns:
            text = setting(self.map.for_column(table, column, identity=False), "next_value")[0]
            if text is None:
                continue
            name = self.targets.get(table.name, "")
            if self.loading is not None:
                own = None if name else self.loading.sequence(self.schema, table)
                name = own["name"] if own else ""
            if column.type not in NUMBERS:
                what = f"{table.name}.{column.name} is {column.raw_type}, not a number"
                raise UsageError(f"next_value = {text!r}: {what}", code=Code.M006)
            return Counter(table.name, name, expression(text, my_name(column.name))) if name else None
        return None

    def quiet(self) -> Draft:
        """A copy that keeps to itself what it finds."""
        other = copy(self)
        other.findings, other.outcomes, other.identities, other.trials = [], [], [], []
        other.noted, other.alike, other.local_times = set(), defaultdict(list), []
        return other

    def source(self, table: str) -> Table | None:
        """The source's table of this name, planned or not."""
        return self._sources.get(table)

    def constraints(self, table: Table) -> Namespace:
        """Names of the table's constraints: MySQL keeps those of keys, foreign keys and CHECKs apart."""
        if table.name not in self._constraints:
            held = [key.name for key in table.foreign_keys] + [check.name for check in table.checks]
            self._constraints[table.name] = Namespace(held=[self.named(table, name) for name in held])
        return self._constraints[table.name]

    def named(self, table: Table, name: str) -> str:
        """The name of the table, or of something in it, in the case that the maps want."""
        return name.lower() if setting(self.map.for_table(table), "names")[0] == "lower" else name

    def called(self, table: Table, kind: str, name: str, target: str) -> None:
        """Notes what an object of the table is called in the target."""
        if target != self.named(table, name):
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

    def decision(self, table: Table, column: str | Column) -> Decision:
        """What becomes of a column's values. Raises UsageError where the maps do not say, or not rightly."""
        return self.decisions.of(table, table.column(column) if isinstance(column, str) else column)

    def column(self, table: str, name: str) -> ColumnPlan:
        """The plan of a source column. Raises KeyError."""
        return self._columns(table)[name.lower()]

    def has(self, table: str, *names: str) -> bool:
        """Whether all these columns of a planned table arrive."""
        return all(name.lower() in self._columns(table) for name in names)

    def _columns(self, table: str) -> dict[str, ColumnPlan]:
        """By their names in the source, in lower case."""
        if table not in self._by_name:
            self._by_name[table] = {one.source.lower(): one for one in self.tables[table].columns}
        return self._by_name[table]

    def do(
        self, phase: Phase, object_: str, sql: str, why: str, *, makes: str = "", optional: bool = False
    ) -> None:
        statement = Statement(phase, object_, sql, why, makes, optional)
        self.statements.append(statement)
        self.by_object[object_].append(statement)
        if phase in ("shared", "create") or (phase == "index" and not optional):
            self.making["" if phase == "shared" else object_].append(sql)

    def comment(self, object_: str, kind: str, name: str, text: str) -> None:
        """One COMMENT ON; `name` is quoted already."""
        self.do("finish", object_, comment_sql(kind, name, text), "the source's comment")

    def share(self, object_: str, sql: str, why: str) -> bool:
        """A statement for what several objects use: made once, before them. Whether it is a new one."""
        if new := sql not in self.making[""]:
            self.do("shared", object_, sql, why)
        return new

    def context(self, *, immutable: bool = False, exact: bool = False) -> Context:
        """The circumstances of a translation between these two servers."""
        only_ascii = self.inputs.facts is not None and self.inputs.facts.only_ascii
        last_second = capabilities(self.catalog.version).last_second
        return Context(immutable, exact, only_ascii=only_ascii, last_second=last_second)

    def refusal(self, kind: str, name: str, sql: str, tables: tuple[str, ...] = ()) -> str | None:
        """Why the target refuses to make this object, or None.

        `sql` is what to try, `tables` the source tables and views that must be there for it.
        """
        trial = Trial(f"{kind} {name}", sql, tables)
        self.trials.append(trial)
        if self.answers is None:
            return self.evidence.refused.get(trial.object)
        return self.answers.refusal(self, trial)

    def printed(self, name: str, sql: str, columns: str) -> str | None:
        """How the target prints the expression `sql` of a generated column; None where that is not known."""
        expression = f"{name} AS {sql}"
        if self.answers is None:
            return self.evidence.printed.get(expression)
        return self.answers.printed(expression, columns)

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
        cause: str = "",
    ) -> None:
        """Adds a finding; a severity is only said of a code that the registry has with several.

        Of findings that many objects may have by one `cause`, `note_alike` makes one for all.
        """
        self.noted.add(object_)
        absent = explained(code).severity == ("absent",)
        if severity is None:
            (known,) = explained(code).severity
            severity = "lossy" if absent else cast(Severity, known)
        found = Finding(code, severity, object_, message, hint, evidence, absent)
        (self.alike[code, severity, cause] if cause else self.findings).append(found)

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

    def left(self, code: Code, kind: str, name: str, why: str, hint: str = "") -> None:
        """An object that does not arrive: an outcome and a finding."""
        self.outcomes.append(Outcome(kind, name, "not migrated", "", why))
        self.noted.add(name)
        severity: Severity = "note" if explained(code).severity == ("note",) else "lossy"
        message = f"{kind} is not migrated: {why}"
        self.findings.append(Finding(code, severity, name, message, hint, not_migrated=True))

    def left_out(self, table: Table, why: str) -> None:
        """Outcomes for a table and all that belongs to it."""
        self.outcomes += [
            Outcome(kind, name, "not migrated", "", why, kind != "table") for kind, name in table.objects()
        ]

    def block(self, code: Code, kind: str, name: str, why: str, hint: str = "") -> None:
        """An object that must be settled before anything is written."""
        self.outcomes.append(Outcome(kind, name, "not migrated", "", why))
        self.find(code, name, why, hint or f"--exclude {name.partition('.')[0]}")


def comment_sql(kind: str, name: str, text: str) -> str:
    """COMMENT ON what has this quoted name. No text of PostgreSQL holds a NUL."""
    text = pg_text(text.replace("\0", ""))
    return f"COMMENT ON {kind} {name} IS {text}"


def rows_words(table: Table, count: Count) -> str:
    """``rows id 17, 204, …``: the keys that the scan has kept."""
    if not count.keys:
        return ""
    columns = table.primary_key.columns if table.primary_key else ()
    more = ", …" if count.rows > len(count.keys) else ""
    return f"rows {'/'.join(columns)} {', '.join(map(_printable, count.keys))}{more}"


def _printable(key: str) -> str:
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in key)
