"""What is not the same on all versions. Rows and digests decide; plans and catalogs are told."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from converge.codes import Code
from converge.matrix.result import DIGESTS, Content, Matrix, Step, Varied
from converge.model.plan import Finding, Plan

_SHOWN = 20
_Held = Mapping[str, Mapping[str, Content]]
"""By cell, what each table holds."""
_MOVED = "a source that is written to meanwhile moves between the versions: --source-dump holds it still"
_OTHERWISE = (
    "a revision that asks for the version or the time, or takes random values, gives each version others; so "
    "do values whose text a newer version writes in another way"
)
# Since 18 the catalog has a constraint for each NOT NULL, which the column's own text tells already.
_NOT_NULL = re.compile("NOT NULL ")
# Since 15 the schema public belongs to a role of the server's.
_OF_PUBLIC = ("owner", "rights")


def compared(matrix: Matrix) -> Matrix:
    """With what differs between its cells, and a last step for each that came so far: its digests."""
    reached = {cell.name: cell.tables for cell in matrix.cells if cell.tables}
    revised = {cell.name: cell.revised for cell in matrix.cells if cell.revised}
    planned = [cell for cell in matrix.cells if cell.decisions]
    loaded = [cell for cell in matrix.cells if cell.catalog]
    return replace(
        matrix,
        cells=tuple(
            cell.with_step(_digests(cell.name, len(matrix.cells), reached, revised)) for cell in matrix.cells
        ),
        contents=_varied(reached),
        revised=_varied(revised),
        plans=_varied({cell.name: cell.decisions for cell in planned}),
        catalog=tuple(map(_differing, _varied({cell.name: _normal(cell.catalog) for cell in loaded}))),
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


def _varied(each: Mapping[str, Mapping[str, Any]]) -> tuple[Varied, ...]:
    """Objects whose texts are not the same in all cells."""
    found = []
    for name in sorted({name for one in each.values() for name in one}):
        texts = tuple((cell, str(one.get(name, ""))) for cell, one in each.items())
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


def _digests(cell: str, cells: int, reached: _Held, revised: _Held) -> Step:
    """The rows as they arrived decide first: what becomes of others can be no better."""
    if cell not in reached:
        return Step(DIGESTS, "not run")
    if reason := _unlike(cell, reached, Code.X027, "are not what they are on other versions", _MOVED):
        return Step(DIGESTS, "red", 0.0, "", reason)
    after = "are, after the revisions, not what they are on other versions"
    if reason := _unlike(cell, revised, Code.X030, after, _OTHERWISE):
        return Step(DIGESTS, "red", 0.0, "", reason)
    if len(reached) == 1:
        return Step(DIGESTS, "green", 0.0, "no other to compare with")
    others = "all" if len(reached) == cells else f"{len(reached):,} of {cells:,}"
    words = f"{len(reached[cell]):,} tables, the same on {others} versions"
    if cell in revised:
        words += f", {len(revised[cell]):,} after the revisions on {len(revised):,}"
    return Step(DIGESTS, "green", 0.0, words)


def _unlike(cell: str, held: _Held, code: Code, words: str, hint: str) -> Finding | None:
    """Why a cell is not like most others: its tables, and what each version has."""
    wrong = _wrong(held).get(cell)
    if not wrong:
        return None
    shown = wrong[:_SHOWN]
    told = [
        "\n".join([one.object, *(f"  {', '.join(names)}: {text or 'none'}" for text, names in one.grouped)])
        for one in _varied({name: {table: own[table] for table in shown if table in own}
                            for name, own in held.items()})
    ]  # fmt: skip
    message = f"{len(wrong):,} tables {words}: {', '.join(shown)}"
    return Finding(code, "block", DIGESTS, message, hint, evidence="\n".join(told))


def _wrong(held: _Held) -> dict[str, list[str]]:
    """Cell → tables that are not what most cells have: of all cells, where two are as frequent."""
    wrong: dict[str, list[str]] = {cell: [] for cell in held}
    for table in sorted({name for own in held.values() for name in own}):
        ranked = Counter(own.get(table) for own in held.values()).most_common(2)
        usual = ranked[0][0] if len(ranked) < 2 or ranked[0][1] > ranked[1][1] else ...
        for cell, own in held.items():
            if own.get(table) != usual:
                wrong[cell].append(table)
    return wrong


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
