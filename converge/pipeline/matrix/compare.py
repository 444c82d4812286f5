"""What is not the same on all versions. Rows and digests decide; plans and catalogs are told."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from converge.model.matrix import DIGESTS, Cell, Content, Matrix, Step, Varied
from converge.model.plan import Finding, Plan

_SHOWN = 20
# Since 18 the catalog has a constraint for each NOT NULL, which the column's own text tells already.
_NOT_NULL = re.compile("NOT NULL ")
# Since 15 the schema public belongs to a role of the server's.
_OF_PUBLIC = ("owner", "rights")


def compared(matrix: Matrix) -> Matrix:
    """With what differs between its cells, and a last step for each that came so far: its digests."""
    reached = [cell for cell in matrix.cells if cell.tables]
    contents = _varied(reached, [cell.tables for cell in reached])
    wrong = _wrong(reached)
    planned = [cell for cell in matrix.cells if cell.decisions]
    loaded = [cell for cell in matrix.cells if cell.catalog]
    return replace(
        matrix,
        cells=tuple(cell.with_step(_digests(cell, wrong, len(reached))) for cell in matrix.cells),
        contents=contents,
        plans=_varied(planned, [cell.decisions for cell in planned]),
        catalog=tuple(map(_differing, _varied(loaded, [_normal(cell.catalog) for cell in loaded]))),
    )


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


def _varied(cells: Sequence[Cell], each: Sequence[Mapping[str, Any]]) -> tuple[Varied, ...]:
    """Objects whose texts are not the same in all of `each`."""
    found = []
    for name in sorted({name for one in each for name in one}):
        texts = tuple((cell.name, str(one.get(name, ""))) for cell, one in zip(cells, each, strict=True))
        if len({text for _, text in texts}) > 1:
            found.append(Varied(name, texts))
    return tuple(found)


def _differing(one: Varied) -> Varied:
    """Of a definition in JSON only what is not the same everywhere; all of what some versions do not have."""
    contents = {name: json.loads(text) for name, text in one.texts if text}
    first = next(iter(contents.values()))
    alike = [key for key, value in first.items() if all(own.get(key) == value for own in contents.values())]
    left_out = alike if len(contents) == len(one.texts) else []
    words = {name: _words(content, left_out) for name, content in contents.items()}
    return replace(one, texts=tuple((name, words.get(name, "")) for name, _ in one.texts))


def _words(content: Mapping[str, Any], without: Sequence[str]) -> str:
    told = [f"{key}: {_text(value)}" for key, value in content.items() if key not in without]
    return "\n".join(told) or "there"


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _wrong(cells: Sequence[Cell]) -> dict[str, list[str]]:
    """Cell → tables that are not what most cells have: of all cells, where two are as frequent."""
    wrong: dict[str, list[str]] = {cell.name: [] for cell in cells}
    for table in sorted({name for cell in cells for name in cell.tables}):
        held: dict[str, Content | None] = {cell.name: cell.tables.get(table) for cell in cells}
        ranked = Counter(held.values()).most_common(2)
        usual = ranked[0][0] if len(ranked) < 2 or ranked[0][1] > ranked[1][1] else ...
        for name, content in held.items():
            if content != usual:
                wrong[name].append(table)
    return wrong


def _digests(cell: Cell, wrong: Mapping[str, Sequence[str]], count: int) -> Step:
    if cell.name not in wrong:
        return Step(DIGESTS, "not run")
    tables = wrong[cell.name]
    if not tables:
        words = f"{len(cell.tables):,} tables as on all versions" if count > 1 else "no other to compare with"
        return Step(DIGESTS, "green", 0.0, words)
    message = f"{len(tables):,} tables are not what they are on other versions: {', '.join(tables[:_SHOWN])}"
    hint = "a source that is written to meanwhile moves between the versions: --source-dump holds it still"
    return Step(DIGESTS, "red", 0.0, "", Finding("X027", "block", DIGESTS, message, hint))


def _normal(catalog: Mapping[str, str]) -> dict[str, str]:
    """The catalog without what every server of a version has, whatever was made there."""
    return dict(_kept(catalog))


def _kept(catalog: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, text in catalog.items():
        content = json.loads(text)
        if name.startswith("constraint ") and _NOT_NULL.match(content.get("definition", "")):
            continue
        if name.startswith("schema "):
            content = {key: value for key, value in content.items() if key not in _OF_PUBLIC}
        if content.get("statistics") == -1:  # null since 17
            del content["statistics"]
        if content.get("target") == -1:
            del content["target"]
        yield name, json.dumps(content, ensure_ascii=False, sort_keys=True)
