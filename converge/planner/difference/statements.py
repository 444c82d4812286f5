"""The statements that make an object, remove it, and set what CREATE does not say.

Of most kinds the server itself writes the definition. What remains are the kinds that can be changed as they
stand, because rows depend on them (`alter`): these are put together here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from converge.model.definitions import Definition
from converge.model.quote import pg_name, pg_text

RANKS = (
    "schema", "extension", "collation", "enum", "domain", "composite", "range", "sequence", "function",
    "aggregate", "table", "column", "default", "ownership", "constraint", "index", "statistics", "view",
    "materialized view", "foreign key", "rule", "trigger", "policy",
)  # fmt: skip
"""All kinds: of objects that do not need one another, those of the earlier kind are made first."""
TYPED = frozenset({"collation", "enum", "domain", "composite", "range"})
"""Columns have them as their type: such a one is replaced under them, not dropped."""
PUBLIC = "public"
_WORDS = {"enum": "TYPE", "composite": "TYPE", "range": "TYPE", "ownership": "SEQUENCE"}
_SETTINGS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "table": {
        "unlogged": ("SET UNLOGGED", "SET LOGGED"),
        "method": ("SET ACCESS METHOD {}", "SET ACCESS METHOD heap"),
        "row security": ("ENABLE ROW LEVEL SECURITY", "DISABLE ROW LEVEL SECURITY"),
        "forced": ("FORCE ROW LEVEL SECURITY", "NO FORCE ROW LEVEL SECURITY"),
    },
    "column": {
        "storage": ("SET STORAGE {}", "SET STORAGE {usual}"),
        "compression": ("SET COMPRESSION {}", "SET COMPRESSION DEFAULT"),
        "statistics": ("SET STATISTICS {}", "SET STATISTICS -1"),
    },
    "sequence": {"unlogged": ("SET UNLOGGED", "SET LOGGED")},
    "domain": {"default": ("SET DEFAULT {}", "DROP DEFAULT")},
    "statistics": {"target": ("SET STATISTICS {}", "SET STATISTICS -1")},
    "rule": {"enabled": ("{} RULE {name}", "ENABLE RULE {name}")},
    "trigger": {"enabled": ("{} TRIGGER {name}", "ENABLE TRIGGER {name}")},
}
"""By kind and fact: what `altered` says where there is one, and where there is none any more."""
_MARKS = {
    "clustered": ("CLUSTER ON {name}", "SET WITHOUT CLUSTER"),
    "replica identity": ("REPLICA IDENTITY USING INDEX {name}", "REPLICA IDENTITY DEFAULT"),
}
"""What a table says of one of its indexes (or of itself): facts of which it has one at a time."""
_CREATED = {
    "table": {"unlogged", "method", "options"},
    "column": {"compression"},
    "sequence": {"unlogged"},
    "domain": {"default"},
    "view": {"options"},
    "materialized view": {"options"},
}
"""Facts that the statement which makes an object has said already."""


def rank(definition: Definition) -> int:
    return RANKS.index(definition.kind)


def own_name(definition: Definition) -> str:
    return pg_name(definition.facts["schema"], definition.facts["name"])


def holder(definition: Definition) -> str:
    """The table, view or domain that something hangs on."""
    return pg_name(definition.facts["schema"], definition.facts.get("domain") or definition.facts["table"])


def named(definition: Definition) -> str:
    """As COMMENT ON and DROP call it."""
    facts, name = definition.facts, pg_name(definition.facts["name"])
    match definition.kind:
        case "schema" | "extension":
            return f"{definition.kind.upper()} {name}"
        case "column":
            return f"COLUMN {holder(definition)}.{name}"
        case "constraint" | "foreign key":
            return f"CONSTRAINT {name} ON {'DOMAIN ' if 'domain' in facts else ''}{holder(definition)}"
        case "trigger" | "rule" | "policy":
            return f"{definition.kind.upper()} {name} ON {holder(definition)}"
        case "function":
            word = "PROCEDURE" if "procedure" in facts else "FUNCTION"
            return f"{word} {own_name(definition)}({', '.join(facts.get('types', ()))})"
        case "aggregate":
            return f"AGGREGATE {own_name(definition)}({facts['identity'] or '*'})"
    return f"{word_of(definition)} {own_name(definition)}"


def word_of(definition: Definition) -> str:
    """The kind as DROP names it."""
    return _WORDS.get(definition.kind, definition.kind.upper())


def altered(definition: Definition) -> str:
    """The beginning of the statement that changes its settings."""
    match definition.kind:
        case "column" | "default":
            return f"ALTER TABLE {holder(definition)} ALTER COLUMN {pg_name(definition.facts['name'])}"
        case "index" | "constraint" | "foreign key" | "rule" | "trigger":
            return f"ALTER {'DOMAIN' if 'domain' in definition.facts else 'TABLE'} {holder(definition)}"
    return f"ALTER {named(definition)}"


def make(definition: Definition, parts: Sequence[Definition]) -> Iterator[str]:
    """Statements that make it, with the parts that are made in the same statement."""
    facts, kind = definition.facts, definition.kind
    if kind == "schema":
        if facts["name"] != PUBLIC:
            yield f"CREATE {named(definition)}"
        elif "comment" not in facts:
            yield f"COMMENT ON {named(definition)} IS NULL"
        return
    if kind == "extension" and not _everywhere(facts["schema"]) and not definition.needs:
        # It is neither a schema of every database nor the one that is described.
        yield f"CREATE SCHEMA IF NOT EXISTS {facts['schema']}"
    yield _create(definition, parts)


def _everywhere(schema: str) -> bool:
    """Whether each database has it: pg_catalog among those that nobody may make."""
    return schema == PUBLIC or schema.startswith("pg_")


def _create(definition: Definition, parts: Sequence[Definition]) -> str:
    facts = definition.facts
    match definition.kind:
        case "extension":
            return f"CREATE EXTENSION IF NOT EXISTS {pg_name(facts['name'])} WITH SCHEMA {facts['schema']}"
        case "enum":
            return f"CREATE TYPE {own_name(definition)} AS ENUM ({', '.join(map(pg_text, facts['labels']))})"
        case "domain":
            return _domain(definition, parts)
        case "composite":
            lines = [attribute(one) for one in facts.get("attributes", ())]
            return f"CREATE TYPE {own_name(definition)} AS {_bracketed(lines)}"
        case "sequence":
            return _sequence(definition)
        case "table":
            return _table(definition, parts)
        case "column":
            default = parts[0] if parts else None
            return f"ALTER TABLE {holder(definition)} ADD COLUMN {_column(definition, default)}"
        case "default":
            return f"{altered(definition)} SET DEFAULT {facts['expression']}"
        case "ownership":
            column = pg_name(facts["table schema"], facts["table"], facts["column"])
            return f"{altered(definition)} OWNED BY {column}"
        case "constraint" | "foreign key":
            return f"{altered(definition)} ADD {_constraint(definition)}"
        case "view" | "materialized view":
            return view(definition)
    statement: str = facts["definition"]
    return statement


def set_after(definition: Definition) -> Iterator[str]:
    """What the statement that makes it cannot say, without comments."""
    yield from changed_settings(
        None, definition, definition.facts.keys() - _CREATED.get(definition.kind, set())
    )
    statistics = definition.facts.get("statistics", {}) if definition.kind == "index" else {}
    for number, target in statistics.items():
        yield f"ALTER INDEX {own_name(definition)} ALTER COLUMN {number} SET STATISTICS {target}"


def drop(definition: Definition) -> Iterator[str]:
    match definition.kind:
        case "schema" if definition.facts["name"] == PUBLIC:
            yield f"COMMENT ON {named(definition)} IS 'standard public schema'"
        case "column":
            yield f"ALTER TABLE {holder(definition)} DROP COLUMN {pg_name(definition.facts['name'])}"
        case "default":
            yield f"{altered(definition)} DROP DEFAULT"
        case "ownership":
            yield f"{altered(definition)} OWNED BY NONE"
        case "constraint" | "foreign key":
            yield f"{altered(definition)} DROP CONSTRAINT {pg_name(definition.facts['name'])}"
        case _:
            yield f"DROP {named(definition)}"


def marks(objects: Mapping[str, Definition]) -> dict[tuple[str, str], tuple[str, str, str]]:
    """By table and fact: the object that has the mark, and the statements that set it and take it away."""
    found = {}
    for one in objects.values():
        for fact, (set_, reset) in _MARKS.items():
            if value := one.facts.get(fact):
                words = f"REPLICA IDENTITY {value}" if one.kind == "table" else set_
                statements = (words.format(name=pg_name(one.facts["name"])), reset)
                first, last = (f"{altered(one)} {statement}" for statement in statements)
                found[one.facts.get("of", one.object), fact] = (one.object, first, last)
    return found


def made_with(definition: Definition) -> str | None:
    """The object whose statement can make this one, too."""
    of: str | None = definition.facts.get("of")
    if definition.kind == "constraint":
        return None if definition.facts["definition"].endswith(" NOT VALID") else of
    return (
        of
        if definition.kind == "column" or (definition.kind == "default" and of and of.startswith("column "))
        else None
    )


def gone_with(definition: Definition) -> str | None:
    """The object with which the server drops it."""
    of: str | None = definition.facts.get("sequence" if definition.kind == "ownership" else "of")
    return of


def comments(definition: Definition) -> dict[str, str | None]:
    """By what COMMENT ON calls them: those of the object and of what has no definition of its own."""
    if definition.kind in ("default", "ownership", "extension"):
        return {}
    facts = definition.facts
    found = {named(definition): facts.get("comment")}
    match definition.kind:
        case "column" if "sequence" in facts:
            found[f"SEQUENCE {sequence_name(definition)}"] = facts.get("sequence comment")
        case "constraint" if facts["form"] in "pux":
            found[f"INDEX {own_name(definition)}"] = facts.get("index comment")
        case "composite" | "view" | "materialized view":
            names = [one["name"] for one in facts.get("attributes", ())]
            names += [name for name, *_ in facts.get("columns", ())]
            said = facts.get("column comments", {})
            found |= {f"COLUMN {own_name(definition)}.{pg_name(name)}": said.get(name) for name in names}
    return found


def changed_settings(old: Definition | None, new: Definition, names: Collection[str]) -> Iterator[str]:
    """The statements for those settings that are named, of which a fact that is missing means the usual."""
    for fact, (set_, reset) in _SETTINGS.get(new.kind, {}).items():
        if fact in names:
            words = set_ if fact in new.facts else reset
            usual, name = new.facts.get("usual storage", "EXTENDED"), pg_name(new.facts["name"])
            yield f"{altered(new)} {words.format(new.facts.get(fact), usual=usual, name=name)}"
    if "options" in names:
        before, after = options(old), options(new)
        start = f"ALTER INDEX {own_name(new)}" if new.kind == "constraint" else altered(new)
        if gone := [name for name in before if name not in after]:
            yield f"{start} RESET ({', '.join(gone)})"
        if other := {name: value for name, value in after.items() if before.get(name) != value}:
            yield f"{start} SET {_listed(other)}"


def settings_of(definition: Definition) -> set[str]:
    """The facts that `changed_settings` and `marks` can change."""
    return {*_SETTINGS.get(definition.kind, ()), *_MARKS, "options"}


def view(definition: Definition, verb: str = "CREATE") -> str:
    method = f" USING {definition.facts['method']}" if "method" in definition.facts else ""
    empty = "\n WITH NO DATA" if "empty" in definition.facts else ""
    return f"{verb} {named(definition)}{method}{_with(definition)} AS\n{definition.facts['query']}{empty}"


def attribute(one: Mapping[str, Any]) -> str:
    """Of a composite type."""
    collation = f" COLLATE {one['collation']}" if one.get("collation") else ""
    return f"{pg_name(one['name'])} {one['type']}{collation}"


WHOLE = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}
"""The types that columns with sequences have, each with its highest value."""
SEQUENCE_WORDS = {
    "increment": "INCREMENT BY",
    "min": "MINVALUE",
    "max": "MAXVALUE",
    "start": "START WITH",
    "cache": "CACHE",
}


def sequence_options(facts: Mapping[str, Any]) -> list[str]:
    """Options of a sequence that CREATE SEQUENCE would not give it unasked, without its type."""
    up, most = facts["increment"] > 0, WHOLE[facts["type"]]
    least = 1 if up else -most - 1
    greatest = most if up else -1
    start = facts["min"] if up else facts["max"]
    usual = {"increment": 1, "min": least, "max": greatest, "start": start, "cache": 1}
    clauses = [f"{SEQUENCE_WORDS[name]} {facts[name]}" for name in usual if facts[name] != usual[name]]
    return clauses + (["CYCLE"] if facts["cycle"] else [])


def sequence_name(definition: Definition) -> str:
    """Of the sequence of an identity column."""
    return pg_name(definition.facts["sequence"]["schema"], definition.facts["sequence"]["name"])


def identity(definition: Definition) -> str:
    """``GENERATED … AS IDENTITY``, with the options that the server would not choose by itself."""
    of = definition.facts["sequence"]
    usual = (
        of["name"] == f"{definition.facts['table']}_{definition.facts['name']}_seq"
        and of["schema"] == definition.facts["schema"]
    )
    clauses = ([] if usual else [f"SEQUENCE NAME {sequence_name(definition)}"]) + sequence_options(of)
    brackets = f" ({' '.join(clauses)})" if clauses else ""
    return f"GENERATED {definition.facts['identity']} AS IDENTITY{brackets}"


def options(definition: Definition | None) -> dict[str, str]:
    """Storage parameters by their names."""
    return dict(one.split("=", 1) for one in (definition.facts.get("options", ()) if definition else ()))


def _listed(found: Mapping[str, str]) -> str:
    """``(fillfactor = '80')``"""
    return "(" + ", ".join(f"{name} = {pg_text(value)}" for name, value in found.items()) + ")"


def _with(definition: Definition) -> str:
    return f" WITH {_listed(options(definition))}" if "options" in definition.facts else ""


def _domain(definition: Definition, parts: Sequence[Definition]) -> str:
    words = [f"CREATE DOMAIN {own_name(definition)} AS {definition.facts['base']}"]
    facts = {"collation": "COLLATE", "default": "DEFAULT"}
    words += [f"{word} {definition.facts[fact]}" for fact, word in facts.items() if fact in definition.facts]
    words += [definition.facts["not null"]] if "not null" in definition.facts else []
    return " ".join([*words, *map(_constraint, parts)])


def _sequence(definition: Definition) -> str:
    unlogged = "UNLOGGED " if "unlogged" in definition.facts else ""
    type_ = [] if definition.facts["type"] == "bigint" else [f"AS {definition.facts['type']}"]
    return " ".join(
        [f"CREATE {unlogged}SEQUENCE {own_name(definition)}", *type_, *sequence_options(definition.facts)]
    )


def _table(definition: Definition, parts: Sequence[Definition]) -> str:
    defaults = {part.facts["name"]: part for part in parts if part.kind == "default"}
    lines = [_column(part, defaults.get(part.facts["name"])) for part in parts if part.kind == "column"]
    lines += [_constraint(part) for part in parts if part.kind == "constraint"]
    unlogged = "UNLOGGED " if "unlogged" in definition.facts else ""
    method = f" USING {definition.facts['method']}" if "method" in definition.facts else ""
    return f"CREATE {unlogged}TABLE {own_name(definition)} {_bracketed(lines)}{method}{_with(definition)}"


def _bracketed(lines: Sequence[str]) -> str:
    return "(\n" + ",\n".join(f"    {line}" for line in lines) + "\n)" if lines else "()"


def _constraint(definition: Definition) -> str:
    return f"CONSTRAINT {pg_name(definition.facts['name'])} {definition.facts['definition']}"


def _column(definition: Definition, default: Definition | None) -> str:
    """As CREATE TABLE and ADD COLUMN write it."""
    facts = definition.facts
    words = [pg_name(facts["name"]), facts["type"]]
    words += [text.format(facts[fact]) for fact, text in _OF_COLUMNS.items() if fact in facts]
    words += [identity(definition)] if "identity" in facts else []
    words += [f"DEFAULT {default.facts['expression']}"] if default is not None else []
    return " ".join([*words, "NOT NULL"] if "not null" in facts else words)


_OF_COLUMNS = {
    "compression": "COMPRESSION {}",
    "collation": "COLLATE {}",
    "generated": "GENERATED ALWAYS AS ({}) STORED",
}
