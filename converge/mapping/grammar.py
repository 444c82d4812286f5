"""What may stand in a map file, as models; its JSON Schema is made from them.

python -m converge.mapping.grammar > schema_maps/map.schema.json
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, create_model, model_validator

from converge.codes import Code
from converge.toml import Table, Text, Texts, checked
from converge.types.traps import KINDS, Kind

Glob = Annotated[Text, Field(description="a name, or a pattern with * and ?")]


Why: Any = Field(default=None, description="the reason, for people")
Note: Any = Field(default=None, description="what plan and report say of it, as a note")
Rename: Any = Field(default=None, description="the name in the target")


class Replace(Table):
    replace: Text


class Entry(Table):
    """One entry of a section: a rule that sets something where it matches."""

    why: Text | None = Why
    note: Text | None = Note

    @classmethod
    def settings(cls) -> tuple[str, ...]:
        """The keys that set something."""
        names = (field.alias or name for name, field in cls.model_fields.items())
        return tuple(name for name in names if name not in ("match", "why", "note"))

    @model_validator(mode="after")
    def _sets_something(self) -> Entry:
        if not self.model_fields_set - {"match", "why", "note"}:
            raise ValueError(f"sets no option; it needs one of: {', '.join(self.settings())}")
        return self


class TableMatch(Table):
    table: Glob | None = None


class TargetMatch(TableMatch):
    column: Glob | None = None


class ColumnMatch(TargetMatch):
    type: Text | Texts | None = Field(default=None, description="MySQL DATA_TYPE, or a list")
    unsigned: bool | None = Field(default=None, description="whether the column is UNSIGNED")
    nullable: bool | None = Field(default=None, description="whether the column takes NULL")
    identity: bool | None = Field(
        default=None, description="AUTO_INCREMENT, or joined to such a column by foreign keys"
    )
    length: int | None = Field(default=None, description="characters, bytes or bits that the column declares")
    width: int | None = Field(default=None, description="display width: tinyint(1) has 1")
    charset: Glob | None = None
    collation: Glob | None = None
    fits: Literal[True] | None = Field(
        default=None, description="only when the scan shows that every value fits `to`"
    )


def _policy(kind: Kind) -> tuple[Any, Any]:
    words = Literal["stop", *(policy for policy in kind.policies if policy != "replace")]  # type: ignore[valid-type]
    allowed = words | Replace if "replace" in kind.policies else words
    return allowed | None, Field(default=None, description=f"rows that {kind.words}")


if TYPE_CHECKING:
    Policies = Table
else:
    Policies = create_model(
        "Policies", __base__=Table, **{name: _policy(kind) for name, kind in KINDS.items()}
    )


class ColumnRule(Entry):
    match: ColumnMatch = Field(default=ColumnMatch(), description="which columns; all without it")
    to: Text | None = Field(
        default=None, description="PostgreSQL type, {length} {precision} {scale} {fsp} from the column"
    )
    using: Text | None = Field(default=None, description="MySQL expression of the value, {} being the column")
    default: Text | Literal[False] | None = Field(
        default=None, description="PostgreSQL expression; false: none"
    )
    next_value: Text | None = Field(
        default=None,
        description="the table is a counter, in the target a sequence of the table's name; MySQL expression"
        " of its next value, {} being the column; one row, and other columns with values need `skip`",
    )
    rename: Text | None = Rename
    skip: bool | None = Field(default=None, description="true: the column is not migrated")
    collation: Text | None = Field(
        default=None, description='a collation of the target, or "source" for one like MySQL\'s'
    )
    policy: Policies | None = Field(
        default=None, description="what becomes of values that the target type cannot hold"
    )


class TableRule(Entry):
    match: TableMatch = Field(default=TableMatch(), description="which tables; all without it")
    rename: Text | None = Rename
    names: Literal["lower"] | None = Field(
        default=None,
        description="the table, its columns, indexes and keys get their names in lower case, which SQL"
        " without quotes finds; load mode finds names in any case without it",
    )
    skip: bool | None = Field(default=None, description="true: the table is not migrated")
    rows: Literal["source", "target", "merge"] | None = Field(
        default=None,
        description="whose rows stay where the target's table has some; merge keeps both, by key",
    )


class TargetRule(Entry):
    match: TargetMatch = Field(default=TargetMatch(), description="which tables or columns of the target")
    keep: Literal[True] | None = Field(default=None, description="what only the target has stays as it is")


class IndexMatch(TableMatch):
    index: Glob | None = None
    kind: Literal["BTREE", "HASH", "FULLTEXT", "SPATIAL"] | None = Field(
        default=None, description="as MySQL calls it"
    )


class IndexRule(Entry):
    match: IndexMatch = Field(default=IndexMatch(), description="which indexes; all without it")
    skip: bool | None = Field(default=None, description="true: the index is not migrated")
    method: Literal["btree", "hash", "gin"] | None = Field(
        default=None, description="the access method in PostgreSQL"
    )


class ForeignKeyMatch(TableMatch):
    foreign_key: Glob | None = None


class ForeignKeyRule(Entry):
    match: ForeignKeyMatch = Field(
        default=ForeignKeyMatch(), description="which foreign keys; all without it"
    )
    skip: bool | None = Field(default=None, description="true: the foreign key is not migrated")
    # "validate" is a method of pydantic's models.
    validate_: bool | None = Field(
        default=None, alias="validate", description="false: rows that are there are not checked"
    )
    deferrable: bool | None = Field(
        default=None,
        description="true: DEFERRABLE INITIALLY DEFERRED, so the key is checked when a transaction ends;"
        " load mode keeps the target's own",
    )


class BackfillMatch(Table):
    target: Text = Field(description="a column of the table")
    source: Text = Field(description="the query's column with the same text")
    ignore_case: bool = Field(default=False, description="true: upper and lower case are equal")


class Backfill(Table):
    name: Text = Field(description="converge backfill NAME")
    table: Text = Field(description="the table of the target")
    column: Text = Field(description="the column to fill")
    key: Text = Field(description="the column that identifies a row in the audit: NOT NULL and unique")
    database: Text = Field(
        alias="from", description="the database that is asked: --from NAME=URL or CONVERGE_NAME_URL"
    )
    query: Text = Field(description="one query of that database, with columns for match and value")
    value: Text = Field(description="the query's column with the values")
    match: BackfillMatch = Field(description="how a row of the table and one of the query belong together")
    show: Text | None = Field(default=None, description="a column of the table by which people know a row")
    existing: Literal["keep", "check", "overwrite"] = Field(
        default="keep",
        description="rows with a value: left alone (the default), failed if it differs, or written",
    )
    shared: bool = Field(default=False, description="true: several rows may have the same value")
    why: Text | None = Why
    note: Text | None = Note


class Check(Table):
    name: Text = Field(description="what reports call it")
    target: Text = Field(description="one query for PostgreSQL")
    source: Text | None = Field(default=None, description="one query for MySQL")
    equals: bool | int | float | Text | None = Field(
        default=None, description="the one value that the queries must give"
    )
    at_least: float | None = Field(default=None, description="the one value that the queries must reach")
    where_source_has: Texts = Field(
        default=(), description="tables of the source without which nothing is checked"
    )
    seconds: int = Field(default=300, description="the most that each query may take; 300 without it")
    why: Text = Field(default="", description="the reason, for people")

    @model_validator(mode="after")
    def _expects_something(self) -> Check:
        if self.equals is not None and self.at_least is not None:
            raise ValueError("equals and at_least exclude each other")
        if self.equals is None and self.at_least is None and self.source is None:
            raise ValueError("expects nothing; it needs one of: equals, at_least, source")
        if self.seconds < 1:
            raise ValueError(f"seconds = {self.seconds} leaves no time")
        return self


HOOK_PHASES: Mapping[str, Literal["after create", "after copy", "after finish"]] = {
    "after_create": "after create", "after_copy": "after copy", "after_finish": "after finish",
}  # fmt: skip


class Hook(Table):
    phase: Literal["after_create", "after_copy", "after_finish"] = Field(
        description="when: the tables are there and empty, the rows are there, or all is there but the proof"
    )
    sql: Text = Field(description="statements for PostgreSQL, in one transaction")
    why: Text = Field(default="", description="the reason, for people")


class Header(Table):
    name: Text | None = Field(default=None, description="what reports call the map or its application")
    about: Text | None = Field(default=None, description="what the map is for")
    extends: Texts = Field(default=(), description="maps that are asked after this one")


class Application(Table):
    tables: Texts = Field(description="tables that the application's own migrations make")
    migrate: Text = Field(default="", description="the command that runs them")


class Provision(Table):
    template: Text | None = Field(default=None, description="the database that CREATE DATABASE copies")
    encoding: Text | None = Field(default=None, description="of the database, as CREATE DATABASE takes it")
    collate: Text | None = Field(default=None, description="a libc locale")
    ctype: Text | None = Field(default=None, description="a libc locale")
    extensions: Texts = Field(default=(), description="extensions that the database needs")


class MapFile(Table):
    """A map of converge."""

    map: Header = Header()
    application: Application | None = None
    provision: Provision = Provision()
    column: tuple[ColumnRule, ...] = Field(default=(), strict=False)
    type: tuple[ColumnRule, ...] = Field(default=(), strict=False)
    table: tuple[TableRule, ...] = Field(default=(), strict=False)
    target: tuple[TargetRule, ...] = Field(default=(), strict=False)
    index: tuple[IndexRule, ...] = Field(default=(), strict=False)
    foreign_key: tuple[ForeignKeyRule, ...] = Field(default=(), strict=False)
    backfill: tuple[Backfill, ...] = Field(default=(), strict=False)
    check: tuple[Check, ...] = Field(default=(), strict=False)
    hook: tuple[Hook, ...] = Field(default=(), strict=False)


SECTIONS: Mapping[str, type[Entry]] = {
    "column": ColumnRule,
    "type": ColumnRule,
    "table": TableRule,
    "target": TargetRule,
    "index": IndexRule,
    "foreign_key": ForeignKeyRule,
}
"""Rules, in the order in which a file's sections are asked."""


def check(file: str, document: Mapping[str, Any]) -> MapFile:
    """The map. Raises UsageError for a key or a value that it may not have, with the nearest that it may."""
    return checked(MapFile, document, file, Code.M002)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a map file, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **MapFile.model_json_schema()}


if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
