"""Compares one pair of tables: rows are paired by their key, or counted as a multiset where there is none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .catalog import Table
from .errors import JudgeError
from .names import pair_names
from .report import Difference, Key, Missing, TableResult
from .rows import Row, source_rows, target_rows
from .rules import Rule, make_rule
from .servers import Source, Target


def compare_tables(
    source: Source, target: Target, schema: str, source_table: Table, target_table: Table, cap: int
) -> TableResult:
    result = TableResult(source_table.name, cap)
    rules, key_length = _rules(source_table, target_table, result)
    waiting: dict[Key, list[Row]] = {}
    for row in target_rows(target, schema, target_table.name, rules):
        result.rows_target += 1
        waiting.setdefault(row[:key_length], []).append(row[key_length:])
    unmatched: dict[Key, list[Row]] = {}
    for row in source_rows(source, source_table.name, rules):
        result.rows_source += 1
        key, rest = row[:key_length], row[key_length:]
        candidates = waiting.get(key, [])
        if rest in candidates:
            candidates.remove(rest)
            if not candidates:
                del waiting[key]
        else:
            unmatched.setdefault(key, []).append(rest)
    names = [rule.source_name for rule in rules[key_length:]]
    for difference in _leftovers(result.name, names, unmatched, waiting):
        result.add(difference)
    return result


def _rules(source: Table, target: Table, result: TableResult) -> tuple[list[Rule], int]:
    """The key's columns come first; without a key on both sides the whole row is the key."""
    source_columns = {column.name: column for column in source.columns}
    target_columns = {column.name: column for column in target.columns}
    pairing = pair_names(source_columns, target_columns)
    result.missing += [Missing(source.name, name, "source") for name in pairing.source_only]
    result.missing += [Missing(source.name, name, "target") for name in pairing.target_only]
    if not pairing.pairs:
        raise JudgeError(f"{source.name}: the two tables have no column in common")
    key = source.key if all(name in pairing.pairs for name in source.key) else []
    order = [*key, *(name for name in pairing.pairs if name not in key)]
    rules = [
        make_rule(source.name, source_columns[name], target_columns[pairing.pairs[name]]) for name in order
    ]
    return rules, len(key) or len(rules)


def _leftovers(
    table: str, columns: Sequence[str], source: dict[Key, list[Row]], target: dict[Key, list[Row]]
) -> Iterable[Difference]:
    """Rows that share a key are told apart column by column; the rest are on one side only."""
    for key, rows in source.items():
        others = target.get(key, [])
        for row, other in zip(rows, others, strict=False):
            for column, left, right in zip(columns, row, other, strict=True):
                if left != right:
                    yield Difference(table, key, column, left, right)
        for row in rows[len(others) :]:
            yield Difference(table, key, None, key + row, None)
    for key, others in target.items():
        for other in others[len(source.get(key, [])) :]:
            yield Difference(table, key, None, None, key + other)
