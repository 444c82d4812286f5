"""What a revision's statements do to rows: an allow-list over PostgreSQL's own parse trees.

pgparse has the parser of PostgreSQL 17; what an older server reads at all, it reads alike. `DROP TABLE a` is
``{"DropStmt": {"objects": [{"List": {"items": [{"String": {"sval": "a"}}]}}], "removeType": "OBJECT_TABLE",
"behavior": "DROP_RESTRICT"}}``: a tag in capitals for each node, and no field that is zero, false or empty.
What is not listed here needs a validated trial.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import pgparse

from converge.errors import ConvergeError
from converge.model.quote import pg_name
from converge.revisions.failures import one_line

Kind = Literal[
    "keeps",  # changes no row and evaluates nothing
    "evaluates",  # runs the functions that it names
    "rewrites",  # runs those of the table's constraints and indexes, too
    "inserts",  # runs what the table's triggers, rules and defaults name, and gives it rows
    "arms",  # more runs with a table's rows afterwards
    "moves",  # a name means another table afterwards
    "renames",  # a name means another column afterwards
    "retypes",  # loses values unless the new type holds all of the old
    "loses",  # rows or values, or fails where there are some, and nothing else
]
Tree = Mapping[str, Any]
Fields = Mapping[str, Sequence[object]]
"""What the fields of a node may be, by their paths; None for one that is missing."""

_SETTINGS = (
    "check_function_bodies", "client_min_messages", "idle_in_transaction_session_timeout", "lock_timeout",
    "maintenance_work_mem", "max_parallel_maintenance_workers", "statement_timeout", "work_mem",
)  # fmt: skip
_TABLES = ("OBJECT_TABLE", "OBJECT_FOREIGN_TABLE")
_OTHERS = ("OBJECT_INDEX", "OBJECT_SEQUENCE", "OBJECT_VIEW", "OBJECT_MATVIEW")
# Only tables have rows, and only sequences a position: of all others the definition restores everything.
_DROPPED = (
    "OBJECT_INDEX", "OBJECT_VIEW", "OBJECT_MATVIEW", "OBJECT_FUNCTION", "OBJECT_PROCEDURE", "OBJECT_ROUTINE",
    "OBJECT_AGGREGATE", "OBJECT_TRIGGER", "OBJECT_POLICY", "OBJECT_RULE", "OBJECT_TYPE", "OBJECT_DOMAIN",
    "OBJECT_COLLATION", "OBJECT_STATISTIC_EXT", "OBJECT_SCHEMA",
)  # fmt: skip
_NO = (None,)
_RESTRICT = ("DROP_RESTRICT",)

Rules = Mapping[str, Sequence[tuple[Kind, Fields]]]


def _always(kind: Kind, *tags: str) -> Rules:
    return {tag: [(kind, {})] for tag in tags}


# By its tag, in which cases a statement is of which kind; the first that fits counts.
_STATEMENTS: Rules = {
    **_always(
        "keeps", "CommentStmt", "GrantStmt", "GrantRoleStmt", "LockStmt", "CreateExtensionStmt",
        "CreateEnumStmt", "CompositeTypeStmt", "CreateSeqStmt", "AlterSeqStmt",
    ),
    **_always("evaluates", "CreateDomainStmt", "CreateStatsStmt", "IndexStmt"),
    **_always("arms", "ViewStmt", "CreateTrigStmt", "CreatePolicyStmt"),
    "VariableSetStmt": [("keeps", {"name": _SETTINGS, "kind": ("VAR_SET_VALUE", "VAR_SET_DEFAULT")})],
    "CreateSchemaStmt": [("keeps", {"schemaElts": _NO})],
    "CreateFunctionStmt": [("keeps", {"sql_body": _NO})],
    "DefineStmt": [("keeps", {"kind": ("OBJECT_AGGREGATE", "OBJECT_COLLATION")})],
    "CreateStmt": [
        ("evaluates", {"partbound": _NO, "ofTypename": _NO, "accessMethod": _NO}),
        ("rewrites", {"ofTypename": _NO, "accessMethod": _NO}),  # the default partition is looked through
    ],
    "CreateTableAsStmt": [("arms", {"objtype": ("OBJECT_MATVIEW",), "into.skipData": (True,)})],
    "AlterEnumStmt": [("keeps", {"oldVal": _NO})],
    "AlterDomainStmt": [("evaluates", {"behavior": _RESTRICT})],
    "AlterOwnerStmt": [("keeps", {"objectType": ("OBJECT_TYPE",)})],
    "AlterObjectSchemaStmt": [
        ("keeps", {"objectType": ("OBJECT_TYPE",)}),
        ("moves", {"objectType": (*_TABLES, *_OTHERS)}),
    ],
    "RenameStmt": [
        ("keeps", {"renameType": ("OBJECT_TYPE",)}),
        ("moves", {"renameType": (*_TABLES, *_OTHERS)}),
        ("renames", {"renameType": ("OBJECT_COLUMN", "OBJECT_TABCONSTRAINT"), "behavior": _RESTRICT}),
    ],
    "DropStmt": [
        ("keeps", {"removeType": _DROPPED, "behavior": _RESTRICT}),
        ("loses", {"removeType": ("OBJECT_TABLE", "OBJECT_SEQUENCE"), "behavior": _RESTRICT}),
    ],
    "InsertStmt": [("inserts", {
        "withClause": _NO, "returningList": _NO, "onConflictClause.action": (None, "ONCONFLICT_NOTHING"),
        "selectStmt.SelectStmt.op": (None, "SETOP_NONE"), "selectStmt.SelectStmt.targetList": _NO,
        "selectStmt.SelectStmt.fromClause": _NO, "selectStmt.SelectStmt.withClause": _NO,
    })],
}  # fmt: skip

# The same for the parts of an ALTER TABLE.
_ACTIONS: Rules = {
    **_always(
        "keeps", "AT_DropConstraint", "AT_DropNotNull", "AT_AddIdentity", "AT_SetIdentity",
        "AT_DropExpression", "AT_SetStatistics", "AT_SetStorage", "AT_SetCompression", "AT_SetOptions",
        "AT_ResetOptions", "AT_AlterConstraint", "AT_ChangeOwner", "AT_ClusterOn", "AT_DropCluster",
        "AT_SetTableSpace", "AT_SetRelOptions", "AT_ResetRelOptions", "AT_ReplicaIdentity",
    ),
    **_always(
        "arms", "AT_EnableRowSecurity", "AT_DisableRowSecurity", "AT_ForceRowSecurity",
        "AT_NoForceRowSecurity", "AT_EnableTrig", "AT_EnableAlwaysTrig", "AT_EnableReplicaTrig",
        "AT_DisableTrig", "AT_EnableTrigAll", "AT_DisableTrigAll", "AT_EnableTrigUser", "AT_DisableTrigUser",
        "AT_EnableRule", "AT_DisableRule", "AT_EnableAlwaysRule", "AT_EnableReplicaRule",
    ),
    **_always("rewrites", "AT_AddColumn", "AT_AddConstraint", "AT_ValidateConstraint", "AT_SetLogged"),
    **_always("loses", "AT_SetNotNull", "AT_DropColumn", "AT_DropIdentity"),
    "AT_ColumnDefault": [("keeps", {"def": _NO}), ("evaluates", {})],
    "AT_AlterColumnType": [("retypes", {"def.ColumnDef.raw_default": _NO, "def.ColumnDef.collClause": _NO})],
}  # fmt: skip

# What a statement that evaluates may be made of: expressions without queries; its only SelectStmt is VALUES.
_EVALUATED = {
    "A_ArrayExpr", "A_Const", "A_Expr", "A_Indices", "A_Indirection", "BitString", "BoolExpr", "Boolean",
    "BooleanTest", "CaseExpr", "CaseWhen", "CoalesceExpr", "CollateClause", "ColumnRef", "Float", "FuncCall",
    "Integer", "List", "MinMaxExpr", "NamedArgExpr", "NullTest", "RowExpr", "SQLValueFunction",
    "SetToDefault", "String", "TypeCast", "TypeName",
    "AlterDomainStmt", "AlterTableCmd", "AlterTableStmt", "ColumnDef", "Constraint", "CreateDomainStmt",
    "CreateStatsStmt", "CreateStmt", "DefElem", "IndexElem", "IndexStmt", "InsertStmt", "PartitionElem",
    "PartitionRangeDatum", "RangeVar", "ReplicaIdentityStmt", "ResTarget", "RoleSpec", "SelectStmt",
    "StatsElem", "TableLikeClause",
}  # fmt: skip


# What belongs to the server and to none of its databases: in a copy of one it is done to the original's, too.
_OF_SERVER = {
    "AlterDatabaseRefreshCollStmt", "AlterDatabaseSetStmt", "AlterDatabaseStmt", "AlterRoleSetStmt",
    "AlterRoleStmt", "AlterSubscriptionStmt", "AlterSystemStmt", "AlterTableSpaceOptionsStmt",
    "CreateRoleStmt", "CreateSubscriptionStmt", "CreateTableSpaceStmt", "CreatedbStmt", "DropOwnedStmt",
    "DropRoleStmt", "DropSubscriptionStmt", "DropTableSpaceStmt", "DropdbStmt", "GrantRoleStmt",
    "ReassignOwnedStmt",
}  # fmt: skip
_OBJECTS_OF_SERVER = (
    "OBJECT_DATABASE", "OBJECT_PARAMETER_ACL", "OBJECT_ROLE", "OBJECT_SUBSCRIPTION", "OBJECT_TABLESPACE",
)  # fmt: skip


class Unreadable(ConvergeError):
    """What a revision does is not to be had without running it; the message says why."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What one statement, or one part of an ALTER TABLE, does."""

    kind: Kind
    relation: tuple[str, ...] = ()
    """The table's name as written, with its schema where that is written."""
    column: str = ""
    type: str = ""
    """The column's new type; empty for one that is not understood."""


@dataclass(frozen=True)
class Statement:
    tag: str
    node: Tree
    text: str
    """As messages show it."""

    @property
    def effects(self) -> Sequence[Effect]:
        """What it does; nothing for one that is not known to keep every row."""
        if any((key, value) == ("relpersistence", "t") or key == "catalogname" for key, value in self._all):
            return ()  # a temporary table would hide another one
        if self.tag == "AlterSeqStmt" and _gives_again(self.node):
            return ()
        if any(isinstance(value, str) and _may_be_cut(value) for _, value in self._all):
            return ()
        if self.tag == "AlterTableStmt":
            return _alters(self.node)
        kind = _first(_STATEMENTS.get(self.tag, ()), self.node)
        # A new partition has no rows; those of the table that it belongs to are looked through.
        parents = [one["RangeVar"] for one in self.node.get("inhRelations", ())]
        relation = parents[0] if parents else self.node.get("relation")
        effects = [Effect(kind, _name(relation) if relation else ())] if kind else []
        if (
            kind
            and self.tag == "CreateStmt"
            and (parents or any("TableLikeClause" in x for x in self.node.get("tableElts", ())))
        ):
            # It has defaults, CHECKs or triggers that stand in another table.
            effects.append(Effect("arms"))
        return effects

    @property
    def is_of_server(self) -> bool:
        """Whether it changes what all databases of the server share, as roles and settings are."""
        kinds = (self.node.get(key) for key in ("objtype", "objectType", "renameType"))
        return self.tag in _OF_SERVER or any(kind in _OBJECTS_OF_SERVER for kind in kinds)

    @cached_property
    def words(self) -> frozenset[str]:
        """All names and constants in it, in lower case."""
        return frozenset(value.lower() for _, value in self._all if isinstance(value, str))

    @property
    def function(self) -> str:
        """The name of the function that the statement makes; empty where it makes none."""
        name = {"CreateFunctionStmt": "funcname", "DefineStmt": "defnames"}.get(self.tag)
        return _strings(self.node[name])[-1] if name else ""

    @property
    def table(self) -> str:
        """The name of the table that the statement makes; empty where it makes none."""
        return _name(self.node["relation"])[-1] if self.tag == "CreateStmt" else ""

    def unknown(self, functions: Set[str]) -> str:
        """Why its expressions may do anything; empty when they only call these functions."""
        called = {_strings(value["funcname"])[-1] for key, value in self._all if key == "FuncCall"}
        if unknown := sorted(called - functions):
            return f"calls {unknown[0]}()"
        for key, value in self._all:
            if key[:1].isupper() and key not in _EVALUATED:
                return f"contains {key}"
            # `film.name` and `(film).name` may be a call of name(film).
            if (key == "fields" and len(value) > 1) or (
                key == "indirection" and any("String" in x for x in value)
            ):
                return "has a name with a dot, which may call a function"
        return ""

    @cached_property
    def _all(self) -> list[tuple[str, Any]]:
        return list(_fields({self.tag: self.node}))


def statements(text: str) -> Iterator[Statement]:
    """The statements of a text. Raises Unreadable for one that PostgreSQL does not read."""
    if "\0" in text:
        raise Unreadable("has a NUL, where the parser would stop")
    try:
        trees = pgparse.parse(text)
    except (pgparse.PGQueryError, RecursionError, ValueError) as error:
        raise Unreadable(f"is not read as PostgreSQL's SQL: {error}") from error
    raw = text.encode()
    for tree in trees:
        start = tree.get("stmt_location", 0)
        end = start + tree["stmt_len"] if "stmt_len" in tree else len(raw)
        ((tag, node),) = tree["stmt"].items()
        yield Statement(tag, node, one_line(raw[start:end].decode()))


def _may_be_cut(name: str) -> bool:
    """Whether the parser may have cut the name at 63 bytes of UTF-8; other encodings have other bytes."""
    return not name.isascii() and 60 <= len(name.encode()) <= 63


def _alters(node: Tree) -> Sequence[Effect]:
    if node["objtype"] in _OTHERS:
        return [Effect("keeps")]
    actions = [_action(part["AlterTableCmd"], _name(node["relation"])) for part in node["cmds"]]
    known = [one for one in actions if one]
    return known if len(known) == len(actions) and node["objtype"] in _TABLES else ()


def _action(node: Tree, table: tuple[str, ...]) -> Effect | None:
    kind = _first(_ACTIONS.get(node["subtype"], ()), node)
    if kind is None or node["behavior"] not in _RESTRICT:
        return None
    if node["subtype"] == "AT_SetIdentity" and _gives_again(node):
        return None
    if kind == "retypes":
        return Effect(kind, table, node["name"], _type(node["def"]["ColumnDef"]["typeName"]))
    if node["subtype"] == "AT_AddColumn" and _has_no_value(node["def"]["ColumnDef"]):
        return Effect("loses", table)
    return Effect(kind, table)


def _gives_again(node: Tree) -> bool:
    """Whether options may let a sequence that is there give numbers again."""
    options = [value for key, value in _fields(node) if key == "DefElem"]
    return any(
        one["defname"] in ("restart", "increment")
        or (one["defname"] == "cycle" and one["arg"]["Boolean"]["boolval"])
        for one in options
    )


def _has_no_value(column: Tree) -> bool:
    """Whether a new column must have a value in the rows that are there, and says none."""
    its = {one["Constraint"]["contype"] for one in column.get("constraints", ())}
    serial = _strings(column["typeName"]["names"])[-1] in ("serial", "bigserial", "smallserial")
    filled = serial or its & {"CONSTR_DEFAULT", "CONSTR_GENERATED", "CONSTR_IDENTITY"}
    return not filled and bool(its & {"CONSTR_NOTNULL", "CONSTR_PRIMARY"})


def _type(node: Tree) -> str:
    """As SQL; empty for what is more than a name, sizes, and the brackets of an array."""
    sizes = [_field(one, "A_Const.ival") for one in node.get("typmods", ())]
    if None in sizes or not node.keys() <= {"names", "typmods", "arrayBounds", "typemod", "location"}:
        return ""
    written = f"({', '.join(str(size.get('ival', 0)) for size in sizes)})" if sizes else ""
    return pg_name(*_strings(node["names"])) + written + "[]" * len(node.get("arrayBounds", ()))


def _first(rules: Sequence[tuple[Kind, Fields]], node: Tree) -> Kind | None:
    """The kind of the first rule that the node's fields fit."""
    fits = (kind for kind, fields in rules if all(_field(node, at) in may for at, may in fields.items()))
    return next(fits, None)


def _field(node: Any, path: str) -> Any:
    for name in path.split("."):
        node = node.get(name) if isinstance(node, dict) else None
    return node


def _fields(tree: Any) -> Iterator[tuple[str, Any]]:
    """All fields at any depth, each with its name."""
    for key, value in tree.items() if isinstance(tree, dict) else ():
        yield key, value
        yield from _fields(value)
    for one in tree if isinstance(tree, list) else ():
        yield from _fields(one)


def _strings(nodes: Sequence[Tree]) -> tuple[str, ...]:
    return tuple(node["String"]["sval"] for node in nodes)


def _name(node: Tree) -> tuple[str, ...]:
    return (node["schemaname"], node["relname"]) if "schemaname" in node else (node["relname"],)
