"""All that a plan follows from, and the names with which it begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from sqlglot import exp

from converge.codes import Code
from converge.errors import UsageError, did_you_mean
from converge.mapping.rules import Map, setting
from converge.model.catalog import Catalog, Table, View
from converge.model.evidence import NOTHING_KNOWN, Evidence
from converge.model.plan import Finding
from converge.model.quote import Namespace, fit
from converge.planner.draft import Draft
from converge.planner.load.match import Loading, match
from converge.translate import Untranslatable, parse_query

NEWEST = "17.5"
"""The version that is planned for when no target is named."""


@dataclass(frozen=True, slots=True)
class Selection:
    """--include and --exclude: globs over table names; no include means all."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...] | None:
        """The tables, where --include names each of them and matches nothing that could be unseen."""
        if not self.include or any(set(glob) & set("*?[") for glob in self.include):
            return None
        return tuple(filter(self.takes, self.include))

    def takes(self, name: str) -> bool:
        included = not self.include or any(fnmatchcase(name, glob) for glob in self.include)
        return included and not any(fnmatchcase(name, glob) for glob in self.exclude)


@dataclass(frozen=True, slots=True)
class Inputs:
    """All that a plan follows from."""

    catalog: Catalog
    map: Map
    source: str = ""
    target: str = ""
    target_version: str = NEWEST
    schema: str = "public"
    schema_exists: bool = True
    selection: Selection = Selection()
    taken: frozenset[str] = frozenset()
    """Names that the target schema has already."""
    taken_functions: frozenset[str] = frozenset()
    """The same of functions without arguments."""
    left_over: tuple[tuple[str, str, str], ...] = ()
    """What an earlier run has made and nothing uses: kind, quoted name, bare name."""
    collations: Mapping[str, str] = field(default_factory=dict)
    """ICU locales of the target's nondeterministic collations, by their quoted names."""
    extensions: Mapping[str, str] | None = None
    """The target's extensions with their schemas, empty for one that could be made; None without a target."""
    functions: frozenset[str] = frozenset()
    """Functions of newer versions that the target has all the same."""
    refused_checks: Mapping[str, str] = field(default_factory=dict)
    """Why the target cannot understand the queries of checks, by their places."""
    lacking: tuple[Finding, ...] = ()
    """What either side lacks for a run: rights, mostly."""
    snapshot: str = ""
    """What the source user's rights allow, in words."""
    temporary: str = "--target URL"
    """What lets translations be tried."""
    evidence: Evidence = NOTHING_KNOWN
    strict: bool = False
    """Whether a rule that matches nothing blocks."""
    may_hold_rows: bool = False
    """Whether planned tables may exist, and hold rows: an interrupted run's, or to be removed."""


def begin(inputs: Inputs) -> tuple[Draft, list[Table]]:
    """A draft that only has names, and the tables that are taken into it."""
    catalog = inputs.catalog
    if "tables" not in catalog.unreadable:
        require_matches(inputs.selection, [table.name for table in catalog.tables])
    held = [table.name for table in catalog.tables] + [view.name for view in catalog.views]
    names = Namespace(inputs.taken - set(held), held)
    draft = Draft(catalog, inputs.map, inputs.schema, names, inputs.evidence, inputs.target_version)
    draft.functions = Namespace(inputs.taken_functions)
    draft.loose.update(inputs.collations)
    draft.extensions = inputs.extensions
    tables = [
        table
        for table in catalog.tables
        if inputs.selection.takes(table.name) and not setting(draft.map.for_table(table), "skip")[0]
    ]
    if inputs.evidence.existing is not None:
        return _load_into(draft, match(catalog, tables, inputs.map, inputs.evidence.existing), tables)
    for table in tables:
        wish = setting(draft.map.for_table(table), "rename")[0]
        draft.targets[table.name] = draft.names.take(wish or table.name, held=True)
    return draft, tables


def _load_into(draft: Draft, loading: Loading, tables: Sequence[Table]) -> tuple[Draft, list[Table]]:
    """The same draft over what the target asks of the rows."""
    seen = {table.name: table for table in loading.catalog.tables}
    targets = {name: one.own.name for name, one in loading.matches.items()}
    draft = replace(draft, catalog=loading.catalog, map=loading.map, loading=loading, targets=targets)
    return draft, [seen[table.name] for table in tables]


def own_names(inputs: Inputs) -> set[str]:
    """What the plan calls its tables and views: what has these names in the target is an earlier run's."""
    draft, tables = begin(inputs)
    absent = {table.name for table in inputs.catalog.tables} - {table.name for table in tables}
    views = {view.name: _mentioned(view) if absent else set() for view in inputs.catalog.views}
    # A view of what is left out is left out, and so are the views of that one.
    while more := {name for name, read in views.items() if read & absent} - absent:
        absent |= more
    return {*draft.targets.values(), *(fit(name) for name in views.keys() - absent)}


def _mentioned(view: View) -> set[str]:
    """The tables and views that it reads; none where its text is not understood."""
    try:
        return {one.name for one in parse_query(view.definition).find_all(exp.Table)}
    except Untranslatable:
        return set()


def target_tables(inputs: Inputs) -> list[str]:
    """The tables that the plan will make, by the target's names."""
    return list(begin(inputs)[0].targets.values())


def loaded_tables(inputs: Inputs) -> list[str]:
    """Those of them that get rows: the others are the application's, and a map keeps their rows."""
    draft, tables = begin(inputs)
    kept = {table.name for table in tables if setting(draft.map.for_table(table), "rows")[0] == "target"}
    return [target for source, target in draft.targets.items() if source not in kept]


def require_matches(selection: Selection, names: Sequence[str]) -> None:
    """A pattern that no table matches is a slip that would look like success. Raises UsageError."""
    for option, globs in (("include", selection.include), ("exclude", selection.exclude)):
        for glob in globs:
            if not any(fnmatchcase(name, glob) for name in names):
                raise UsageError(
                    f"--{option} {glob}: the source has no such table{did_you_mean(glob, names)}",
                    code=Code.U010,
                    hint="`converge plan` lists the tables; names keep their case",
                )
