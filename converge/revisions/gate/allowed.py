"""The statements that are known to keep every row. What is not among them needs a validated trial."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

from converge.revisions.gate.words import Statement, set_of

Kind = Literal[
    "keeps",  # changes no row and evaluates nothing
    "evaluates",  # runs the functions that it names
    "rewrites",  # runs those of the table's constraints and indexes, too
    "inserts",  # runs what hangs on the table, and gives it rows
    "reads",  # asks tables
    "alters",  # as each of its parts
    "arms",  # more hangs on a table afterwards
    "moves",  # a name means another table afterwards
    "renames",  # a name means another column afterwards
    "takes",  # loses rows where there are some
    "retypes",  # loses values unless the new type holds all of the old
]


@dataclass(frozen=True, slots=True)
class Effect:
    """What one statement, or one part of an ALTER TABLE, does."""

    kind: Kind
    statement: Statement
    relations: tuple[tuple[str, ...], ...] = ()
    """Names as written, with a schema where it is written."""
    reason: str = ""
    column: str = ""


_NAME = r'(?:"[^"]*"|[^\W\d][^\s.,()]*)'
_QUALIFIED = rf"{_NAME}(?: \. {_NAME})?"
_IF = r"(?:if (?:not )?exists )?"
_TABLE = rf"(?P<relation>{_QUALIFIED})"
_INDEX = (
    rf"create (?:unique )?index (?:concurrently )?(?:{_IF}{_NAME} )?on (?:only )?{_QUALIFIED}"
    rf"(?: using {_NAME})?"
)
_OTHERS = "(?:index|sequence|view|materialized view)"
_SETTINGS = (
    "lock_timeout|statement_timeout|idle_in_transaction_session_timeout|client_min_messages"
    "|check_function_bodies|maintenance_work_mem|work_mem|max_parallel_maintenance_workers"
)

# Each pattern is for the whole statement without what is in parentheses. Where it ends with `.*`, the grammar
# of PostgreSQL lets nothing follow that would do anything else: no query, no second statement.
_STATEMENTS: Mapping[str, Kind] = {
    r"(?:comment on|grant|revoke|lock) .*": "keeps",
    rf"set (?:local |session )?(?:{_SETTINGS}) .*": "keeps",
    rf"create (?:unlogged )?table {_IF}{_QUALIFIED} \(\)(?: inherits \(\))?(?: partition by {_NAME} \(\))?"
    rf"(?: with \(\))?(?: tablespace {_NAME})?": "evaluates",
    rf"create (?:unlogged )?table {_IF}{_QUALIFIED} partition of {_TABLE}(?: \(\))?"
    rf" (?:default|for values .*)": "rewrites",
    rf"{_INDEX} \(\).*": "evaluates",
    rf"create type {_QUALIFIED} as (?:enum )?\(\)": "keeps",
    rf"create domain {_QUALIFIED} .*": "evaluates",
    r"create (?:unlogged )?sequence .*": "keeps",
    r"create (?:collation|extension) .*": "keeps",
    r"create statistics .*": "evaluates",
    rf"create schema {_IF}{_NAME}(?: authorization {_NAME})?": "keeps",
    rf"create (?:or replace )?(?:recursive )?view {_QUALIFIED}(?: \(\))?(?: with \(\))? as .*": "arms",
    rf"create materialized view {_IF}{_QUALIFIED} .* with no data": "arms",
    rf"create (?:or replace )?(?:function|procedure|aggregate) {_QUALIFIED} \(\) .*": "keeps",
    r"create (?:or replace )?(?:constraint )?trigger .*": "arms",
    r"create policy .*": "arms",
    # Only tables have rows: others are restored with nothing but their definition.
    r"drop (?:index|view|materialized view|function|procedure|routine|aggregate|trigger|policy|rule|type"
    r"|domain|collation|statistics|schema) .*(?<! cascade)": "keeps",
    rf"drop (?P<what>table|sequence) {_IF}(?P<relations>{_QUALIFIED}(?: , {_QUALIFIED})*)(?: restrict)?"
    "": "takes",
    rf"alter type {_QUALIFIED} add value .*": "keeps",
    rf"alter type {_QUALIFIED} (?:rename to|set schema|owner to) {_NAME}": "keeps",
    rf"alter domain {_QUALIFIED} (?:add|set|validate|drop) .*(?<! cascade)": "evaluates",
    rf"alter {_OTHERS} {_IF}{_QUALIFIED} (?:rename to|set schema) .*": "moves",
    rf"alter {_OTHERS} {_IF}{_QUALIFIED} .*": "keeps",
    rf"alter (?:foreign )?table {_IF}(?:only )?{_TABLE}(?: \*)? .*": "alters",
    rf"insert into {_TABLE}(?: \(\))?(?: overriding (?:system|user) value)?"
    r" (?:values \(\)(?: , \(\))*|default values)(?: on conflict(?: \(\))? do nothing)?": "inserts",
    rf"select (?:pg_catalog \. )?setval \(\)(?: from {_QUALIFIED})?": "reads",
}  # fmt: skip

_COLUMN = rf"(?:column )?{_IF}(?P<column>{_NAME})"
_FILLED = r"(?:default|generated|serial|bigserial|smallserial)"
_ACTIONS: Mapping[str, Kind] = {
    rf"add (?:constraint {_NAME} )?(?:primary key|unique|foreign key|check|exclude|not null) .*": "rewrites",
    rf"add {_COLUMN} (?!.*\b{_FILLED}\b).*\b(?:not null|primary key)\b.*": "takes",
    rf"add {_COLUMN} .*": "rewrites",
    rf"drop constraint {_IF}{_NAME}(?: restrict)?": "keeps",
    rf"drop {_COLUMN}(?: restrict)?": "takes",
    rf"alter {_COLUMN} (?:set data )?type .*": "retypes",
    rf"alter {_COLUMN} set not null": "takes",
    rf"alter {_COLUMN} set default .*": "evaluates",
    rf"alter {_COLUMN} drop (?:default|not null|identity(?: if exists)?|expression(?: if exists)?)": "keeps",
    rf"alter {_COLUMN} (?:add generated|restart|set (?:statistics|storage|compression|generated|increment"
    rf"|minvalue|maxvalue|start|cache|cycle|no|\(\))|reset \(\)).*": "keeps",
    rf"alter constraint {_NAME} .*": "keeps",
    rf"validate constraint {_NAME}": "rewrites",
    rf"rename to {_NAME}": "moves",
    rf"rename (?:column |constraint )?{_NAME} to {_NAME}": "renames",
    rf"set schema {_NAME}": "moves",
    r"(?:owner to|cluster on|set (?:without cluster|tablespace|logged|\(\))|replica identity|reset \(\)).*"
    "": "keeps",
    r"(?:disable|enable|force|no force) row level security": "arms",
    r"(?:disable|enable) (?:(?:always|replica) )?(?:trigger|rule) .*": "arms",
}  # fmt: skip

_TAKES = {
    "table": "drops the table",
    "sequence": "drops the sequence and its position",
    "add": "adds the column {}, which must not be NULL and has no default",
    "drop": "drops the column {}",
    "alter": "makes {} NOT NULL",
    "retypes": "changes the type of {} to one that may not hold every value",
}

# Reserved words and those of types: none can be a function's name, unless it is quoted.
_NO_CALLS = set_of("""
    all and any array as bigint bit case cast char character check coalesce current_time current_timestamp dec
    decimal default else extract float from greatest in interval least localtime localtimestamp nchar not null
    nullif numeric on or overlay position row some substring then time timestamp to trim unique using values
    varchar when where with
""")
_CALL = re.compile(rf"({_QUALIFIED}) \(")
_NO_CALL = re.compile(
    rf"^create (?:\w+ )*table {_IF}{_QUALIFIED} \(|^insert into {_QUALIFIED} \("
    rf"|^{_INDEX} \("
    rf"|\breferences {_QUALIFIED} \(|\b(?:primary|foreign) key \(|\bexclude using {_NAME} \("
    rf"|\) (?:include|inherits) \(|\bpartition by {_NAME} \(|\bas identity \(|\bon conflict \("
    r"|\b(?:character|char|bit|nchar) varying \("
)
_QUERY = re.compile(r"\b(?:select|table|with|execute)\b")
_FROM = re.compile(rf" from (?P<relation>{_QUALIFIED})(?= \)|$)")
_SETVAL_CALLS = {"setval", "pg_get_serial_sequence", "max", "min", "count"}
_MADE = re.compile(rf"create (?:or replace )?(?:function|procedure|aggregate) (?:{_NAME} \. )?({_NAME}) \(.*")


def effects(statement: Statement) -> Iterator[Effect] | None:
    """What the statement does; None for one that is not known to keep every row."""
    if not statement.readable:
        return None
    found = _match(_STATEMENTS, statement)
    if found is None or (found.kind == "inserts" and _QUERY.search(statement.all)):
        return None
    if found.kind == "reads":
        return _reads(statement)
    return _actions(statement, found) if found.kind == "alters" else iter((found,))


def calls(statement: Statement) -> set[str]:
    """The names of the functions that its expressions call."""
    names = set(_CALL.findall(_NO_CALL.sub(" (", statement.all))) - _NO_CALLS
    return {_read(name)[-1] for name in names}


def made_function(statement: Statement) -> str:
    """The name of the function that the statement makes; empty where it makes none."""
    made = _MADE.fullmatch(statement.all)
    return _read(made[1])[-1] if made else ""


def _match(patterns: Mapping[str, Kind], statement: Statement) -> Effect | None:
    for pattern, kind in patterns.items():
        if match := re.fullmatch(pattern, statement.flat):
            groups = {name: text for name, text in match.groupdict().items() if text}
            names = (
                groups["relations"].split(" , ") if "relations" in groups else [groups.get("relation", "")]
            )
            column = _read(groups["column"])[-1] if "column" in groups else ""
            what = kind if kind == "retypes" else groups.get("what", statement.words[0].text)
            reason = _TAKES.get(what, "").format(column)
            if kind == "retypes":
                start = re.match(rf"alter {_COLUMN} (?:set data )?type ", statement.all)
                assert start is not None
                statement = statement.after(start[0])
            return Effect(kind, statement, tuple(_read(name) for name in names if name), reason, column)
    return None


def _actions(statement: Statement, altered: Effect) -> Iterator[Effect] | None:
    start = re.match(rf"alter (?:foreign )?table {_IF}(?:only )?{_QUALIFIED}(?: \*)? ", statement.all)
    assert start is not None
    found = [_match(_ACTIONS, part) for part in statement.after(start[0]).parts()]
    known = [
        Effect(one.kind, one.statement, altered.relations, one.reason, one.column) for one in found if one
    ]
    return iter(known) if len(known) == len(found) else None


def _reads(statement: Statement) -> Iterator[Effect] | None:
    """Setting a sequence is all that a query may do."""
    relations = tuple(_read(one["relation"]) for one in _FROM.finditer(statement.all))
    rest = _FROM.sub("", statement.all)
    if re.search(r"\b(?:from|with|table|execute|into)\b", rest) or not calls(statement) <= _SETVAL_CALLS:
        return None
    return iter((Effect("reads", statement, relations),))


def _read(name: str) -> tuple[str, ...]:
    """The parts of a name as patterns see it."""
    return tuple(unquote(part.strip('"')) if part[0] == '"' else part for part in name.split(" . "))


def unknown_call(statement: Statement, functions: Set[str]) -> str:
    """Why its expressions may do anything; empty when they only call these functions."""
    unknown = sorted(calls(statement) - functions)
    return f"calls {unknown[0]}()" if unknown else ""
