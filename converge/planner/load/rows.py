"""Rows that are in the target's tables already: seeded by its migrations, or left by a rehearsal."""

from __future__ import annotations

from converge.codes import Code
from converge.mapping.rules import setting
from converge.mapping.write import entry, literally
from converge.model.existing import ROWS_LIMIT, OwnIndex, OwnTable
from converge.model.plan import Rows, Severity
from converge.planner.draft import MANY, Draft
from converge.planner.load.match import Match
from converge.planner.values import said
from converge.postgres.saved import is_whole

_WAYS = ('rows = "source"', '# or: rows = "target"', '# or: rows = "merge"')


def settle_rows(draft: Draft, match: Match, *, may_hold_rows: bool) -> Rows:
    """What the map says of rows that are there; adds the findings."""
    name, own = match.source.name, match.own
    table = draft.source(name)
    assert table is not None
    wish: Rows = setting(draft.map.for_table(table), "rows")[0] or ""
    if wish == "target":
        _keep(draft, match)
    elif wish and own.rows:
        if wish == "merge":
            _require_mergeable(draft, match)
        they = "are replaced by the source's" if wish == "source" else "stay where the source has no such key"
        unsure = wish == "merge" and any(_displaces_unseen(one) for one in own.indexes)
        harm: Severity = "lossy" if unsure or _loses(draft, name, wish) else "note"
        draft.find_alike(
            Code.L011, harm, f"the target's rows {they}", name, f"the target's {counted(own)} {they}", "",
            _words(draft, name),
        )  # fmt: skip
    elif own.rows and not may_hold_rows:
        draft.full[name] = own.rows
    if own.rows and wish != "target" and (wish or may_hold_rows):
        _note_left(draft, name, wish)
    return wish if own.rows or wish == "target" else ""


def counted(own: OwnTable) -> str:
    """How many rows a table of the target has, in words."""
    if own.rows >= ROWS_LIMIT:
        return f"more than {ROWS_LIMIT - 1:,} rows"
    return "1 row" if own.rows == 1 else f"{own.rows:,} rows"


def _displaces_unseen(index: OwnIndex) -> bool:
    """Whether only the server knows, when it is too late to ask, which rows an index does not let back in."""
    whole = is_whole(index) and index.nulls_distinct
    return (index.unique and not whole) or index.restore[0].partition(" EXCLUDE ")[1] != ""


def _require_mergeable(draft: Draft, match: Match) -> None:
    """Rows are merged by the key that both sides have, and where it is known which of them stay."""
    own, key = match.own.key, match.source.primary_key
    ours = {match.columns[name].name for name in key.columns if name in match.columns} if key else set()
    if not own:
        why = "has no primary key in the target, so its rows cannot be merged"
    elif set(own) != ours:
        why = f"has another primary key in the target ({', '.join(own)}), so its rows cannot be merged"
    elif match.source.name not in draft.evidence.seeded:
        draft.find(
            Code.L030, "block", match.source.name,
            "rows cannot be merged unseen: the role may not make temporary tables to compare them",
            f"the privilege TEMPORARY on the target's database; or:\n{_instead(match)}",
        )  # fmt: skip
        return
    else:
        return
    draft.find(Code.L020, "block", match.source.name, why, _instead(match))


def _instead(match: Match) -> str:
    return entry("table", literally(table=match.source.name), *_WAYS[:2])


def _note_left(draft: Draft, name: str, wish: Rows) -> None:
    """Blocks for rows that stay and whose parents go."""
    seeded = draft.evidence.seeded.get(name)
    ways = [way.removeprefix("# or: ") for way in _WAYS if f'"{wish or "source"}"' not in way]
    for key, rows in seeded.left.items() if seeded else ():
        draft.find(
            Code.L019, "block", key,
            said(rows, f"stay without a parent: {name} loses the rows that they refer to"),
            entry("table", literally(table=name), "\n# or: ".join(ways)),
        )  # fmt: skip


def _loses(draft: Draft, name: str, wish: Rows) -> bool:
    """Whether rows of the target are gone afterwards, or may be."""
    seeded = draft.evidence.seeded.get(name)
    gone = seeded.only_target if seeded and wish == "source" else seeded.displaced if seeded else 0
    return seeded is None or bool(seeded.differ or gone)


def note_full(draft: Draft) -> None:
    """Tables with rows about which the map says nothing: each, or all at once when they are many."""
    if len(draft.full) > MANY:
        equal = sum(_all_equal(draft, name) for name in draft.full)
        draft.find(
            Code.L010, "block", draft.schema,
            f"{len(draft.full)} tables have {sum(draft.full.values()):,} rows, which would be doubled",
            "--truncate removes the rows of all loaded tables\n# or, for each table, in a map:\n"
            + entry("table", {"table": "…"}, *_WAYS),
            evidence=f"all rows are equal to the source's in {equal} of them: {', '.join(draft.full)}",
        )  # fmt: skip
        return
    for name, rows in draft.full.items():
        draft.find(
            Code.L010, "block", name,
            f"the target's table has {rows:,} rows, which would be doubled or would be in the way",
            entry("table", literally(table=name), *_WAYS)
            + "\n# or --truncate, which removes the rows of all loaded tables",
            evidence=_words(draft, name),
        )  # fmt: skip


def _all_equal(draft: Draft, name: str) -> bool:
    seeded = draft.evidence.seeded.get(name)
    return seeded is not None and not (seeded.differ or seeded.only_source or seeded.only_target)


def _keep(draft: Draft, match: Match) -> None:
    """The target's rows stay, and the source's are not copied."""
    name = match.source.name
    why = f"the map keeps the target's {counted(match.own)}"
    words = _words(draft, name) or "not compared with the source's"
    lacking = [one.name for one in match.source.columns if not (one.generated or one.name in match.columns)]
    if lacking:
        words += f"; the target lacks {', '.join(lacking)}"
    seeded = draft.evidence.seeded.get(name)
    all_there = seeded is not None and not (seeded.differ or seeded.only_source or lacking)
    harm: Severity = "note" if all_there else "lossy"
    cause = "the map keeps the target's rows; the source's are not copied"
    draft.find_alike(Code.L011, harm, cause, name, f"{why}; the source's are not copied", "", words)
    draft.left_out(match.source, why)


def _words(draft: Draft, name: str) -> str:
    """The comparison by key, in words."""
    seeded = draft.evidence.seeded.get(name)
    if seeded is None:
        return ""
    return (
        f"by key: {seeded.equal:,} equal, {seeded.differ:,} differ, "
        f"{seeded.only_source:,} only in the source, {seeded.only_target:,} only in the target"
        + (f", {seeded.displaced:,} of them displaced by another unique key" if seeded.displaced else "")
    )
