"""What is not the same on all versions. Rows and digests decide; plans and catalogs are told."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from converge.codes import Code
from converge.matrix.result import DIGESTS, Cell, Matrix, State, Step, Varied
from converge.model.finding import Finding
from converge.model.plan import Plan
from converge.model.words import counted, said

_SHOWN = 20
_MOVED = "a source that is written to meanwhile moves between the versions: --source-dump holds it still"
_OTHERWISE = (
    "a revision that asks for the version or the time, or takes random values, gives each version others; so "
    "do values whose text a newer version writes in another way"
)
# Since 18 the catalog has a constraint for each NOT NULL, which the column's own text tells already.
_NOT_NULL = re.compile("NOT NULL ")
# Since 15 the schema public belongs to a role of the server's.
_OF_PUBLIC: tuple[str, ...] = ("owner", "rights")
# They are null since 17, and were -1.
_UNSET = ("statistics", "target")


def compared(matrix: Matrix) -> Matrix:
    """With what differs between its cells, and a last step for each: its digests."""
    cells = matrix.cells
    reached = {cell.name: cell.tables for cell in cells if cell.tables}
    revised = {cell.name: cell.revised for cell in cells if cell.revised}
    matrix = replace(
        matrix,
        contents=_varied(reached),
        revised=_varied(revised),
        plans=_varied({cell.name: decisions(cell.plan) for cell in cells if cell.plan}),
        catalog=tuple(
            map(_differing, _varied({cell.name: _normal(cell.catalog) for cell in cells if cell.catalog}))
        ),
    )
    for cell in cells:
        reason = None
        # The rows as they arrived decide first: what becomes of others can be no better.
        if wrong := [one for one in matrix.contents if _unusual(one, cell.name)]:
            reason = _reason(wrong, Code.X027, "differ from other versions", _MOVED)
        elif wrong := [one for one in matrix.revised if _unusual(one, cell.name)]:
            after = "differ from other versions after the revisions"
            reason = _reason(wrong, Code.X030, after, _OTHERWISE)
        state: State = "not run" if cell.name not in reached else "red" if reason else "green"
        words = _same(cell, len(cells), len(reached), len(revised)) if state == "green" else ""
        cell.steps.append(Step(DIGESTS, state, 0.0, words, reason))
    return matrix


def _same(cell: Cell, cells: int, reached: int, revised: int) -> str:
    if reached == 1:
        return "no other to compare with"
    others = "all" if reached == cells else f"{reached:,} of {cells:,}"
    words = f"{counted(len(cell.tables), 'table')}, the same on {others} versions"
    return words + (f", {len(cell.revised):,} after the revisions on {revised:,}" if cell.revised else "")


def decisions(plan: Plan) -> dict[str, str]:
    """Object of the source → what becomes of it, columns with their types, and what blocks or is lost."""
    made = {f"{one.kind} {one.name}": f"{one.state}: {one.becomes}" for one in plan.outcomes}
    for table in plan.tables:
        for column in table.columns:
            made[f"column {table.source}.{column.source}"] = _column(column)
    for finding in plan.findings:
        made[f"finding {finding.code} {finding.object}: {finding.message}"] = finding.severity
    return made


def _column(column: Any) -> str:
    words = [column.target_type, "" if column.nullable else "not null"]
    words += [f"default {column.default}"] * bool(column.default)
    words += [f"generated {column.generated}"] * bool(column.generated)
    words += [f"collation {column.collation}"] * bool(column.collation)
    return " ".join(filter(None, words))


def _varied(each: Mapping[str, Mapping[str, Any]]) -> tuple[Varied, ...]:
    """Objects whose texts are not the same in all cells."""
    names = sorted({name for one in each.values() for name in one})
    every = (Varied(name, {cell: str(one.get(name, "")) for cell, one in each.items()}) for name in names)
    return tuple(one for one in every if len(set(one.cells.values())) > 1)


def _differing(one: Varied) -> Varied:
    """Of a definition in JSON only what is not the same everywhere; all of what some versions do not have."""
    contents = {name: json.loads(text) for name, text in one.cells.items() if text}
    first, *others = contents.values()
    alike = {key for key, value in first.items() if all(own.get(key) == value for own in others)}
    if len(contents) < len(one.cells):
        alike = set()
    return replace(one, cells={name: _words(contents.get(name), alike) for name in one.cells})


def _words(content: Mapping[str, Any] | None, alike: Collection[str]) -> str:
    if content is None:
        return ""
    told = [
        f"{key}: {value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for key, value in content.items()
        if key not in alike
    ]
    return "\n".join(told) or "there"


def _unusual(one: Varied, cell: str) -> bool:
    """Whether a cell has not what most have; all have not, where two contents are as frequent."""
    (usual, most), (_, second) = Counter(one.cells.values()).most_common(2)
    return cell in one.cells and (most == second or one.cells[cell] != usual)


def _reason(wrong: Sequence[Varied], code: Code, words: str, hint: str) -> Finding:
    """Why a cell is not like most others: its tables, and what each version has."""
    told = [
        "\n".join([one.object, *(f"  {names}: {text or 'none'}" for text, names in one.grouped)])
        for one in wrong[:_SHOWN]
    ]
    names = ", ".join(one.object for one in wrong[:_SHOWN])
    message = f"{said(len(wrong), words, 'table')}: {names}"
    return Finding(code, "block", DIGESTS, message, hint, evidence="\n".join(told))


def _normal(catalog: Mapping[str, str]) -> dict[str, str]:
    """The catalog without what every server of a version has, whatever was made there."""
    normal = {}
    for name, text in catalog.items():
        content = json.loads(text)
        if name.startswith("constraint ") and _NOT_NULL.match(content.get("definition", "")):
            continue
        left_out = _OF_PUBLIC if name.startswith("schema ") else ()
        left_out += tuple(key for key in _UNSET if content.get(key) == -1)
        content = {key: value for key, value in content.items() if key not in left_out}
        normal[name] = json.dumps(content, ensure_ascii=False, sort_keys=True)
    return normal
