"""docs/settings.md and docs/maps.md: every key with its type and meaning, from the models of the files.

python -m tools.keys_page settings > docs/settings.md
python -m tools.keys_page maps > docs/maps.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from converge.mapping.grammar import json_schema
from converge.settings.file import Project

_TABLE = "| key | value | what |\n|---|---|---|\n"
_SETTINGS = """\
# Settings: `converge.toml`

Made from the code, by `python -m tools.keys_page settings > docs/settings.md`. The file is read from the
working folder, or from `--config FILE`. Options of the command line come first. An unknown key is an error
that names the nearest one. Editors complete and check keys by
[its JSON Schema](schemas/converge.toml.schema.json): name it in the first line as `#:schema PATH`.

One database:

```toml
source = "mysql://reader:${MYSQL_PASSWORD}@my.example/shop"
target = "postgresql://shop:${SHOP_PASSWORD}@pg.example/shop"
```

Several databases, with provisioning ([how-to](databases.md)):

```toml
admin = "postgresql://postgres:${PGADMIN_PASSWORD}@pg.example/postgres"

[[database]]
name = "shop"
source = "mysql://reader:${MYSQL_PASSWORD}@my.example/shop"
target = "postgresql://shop:${SHOP_PASSWORD}@pg.example/shop"
map = ["strict"]
mode = "create"
schema = "public"
include = ["*"]
exclude = ["tmp_*"]
alembic = "migrations"

[database.provision]
database = "shop"
role = "shop"
password_env = "SHOP_PASSWORD"
template = "template0"
encoding = "UTF8"
collate = "C"
ctype = "C"
extensions = ["citext"]
```

One entry may stand for many databases, and `merge` them: [how-to](shards.md).

`${NAME}` stands for a variable of the environment or of `.env`: [passwords](security.md#passwords).
"""
_MAPS = """\
# Maps

Made from the code, by `python -m tools.keys_page maps > docs/maps.md`. A map is a TOML file of rules, for
`--map FILE`. Several maps may be given; the shipped [defaults](types.md) come last. For each setting the
first rule that matches and has it decides.

```sh
converge plan --write-map shop.toml    # every decision of the plan, as rules to edit
converge plan --map shop.toml          # your rules first
converge explain article.published     # which rule decided, and what else is possible
```

- The sections are asked in the order of this page.
- A pattern has `*` and `?`. Text is compared as it is written, with upper and lower case.
- A rule that matches nothing has a line `unmatched` in the summaries of plan and run. With `--strict` it
  is a blocker (`M180`).
- An unknown key is an error that names the nearest one. Editors know all keys from
  [map.schema.json](../schema_maps/map.schema.json), by `#:schema map.schema.json` in the first line.
- Each rule may have `why` and `note`, which plan and report show.
- Expressions come from an allow-list, and queries only read ([maps and plans](security.md#maps-and-plans)).

The examples are loaded by the tests, and each of them has every key of its section.
"""
EXAMPLES: Mapping[str, tuple[str, str]] = {
    "map": (
        "The file itself. `extends` names shipped maps or files beside this one. They are asked after it.",
        """\
[map]
name = "shop"
about = "The shop's own conventions"
extends = ["friendly"]
""",
    ),
    "column": (
        "What becomes of columns. `[[type]]` takes the same keys and is asked after all of `[[column]]`.",
        """\
[[column]]
match = { table = "article", column = "is_*", type = ["tinyint", "int"], unsigned = false, nullable = true }
to = "boolean"
policy = { not_boolean = "true" }    # a value such as 2 becomes true, and is counted
why = "flags, by convention of the application"
note = "ask the shop's team before this is changed"

[[column]]
match = { table = "article", column = "published" }
using = "NULLIF({}, '1000-01-01')"   # a MySQL expression; {} is the value
rename = "published_at"
default = false                      # no default in the target

[[column]]
match = { table = "article", column = "cache", identity = false }
skip = true                          # is not migrated, and the report says so

[[column]]
match = { table = "customer_seq", column = "next_val" }
next_value = "{}"                    # "{} + 1", where the row has the last value

[[column]]
match = { charset = "utf8mb4", collation = "utf8mb4_*_ci", length = 190 }
collation = "source"                 # an ICU collation like MySQL's

[[column]]
match = { type = "tinyint", width = 1, fits = true }
to = "boolean"                       # only where the scan finds nothing but 0 and 1
""",
    ),
    "type": (
        "",
        """\
[[type]]
match = { type = "char", length = 36, fits = true }
to = "uuid"
""",
    ),
    "table": (
        "New names, tables to leave out, and whose rows stay in [load mode](load.md#rows-that-are-there).",
        """\
[[table]]
match = { table = "Article" }
rename = "article"

[[table]]
match = { table = "tmp_*" }
skip = true
why = "scratch tables"

[[table]]
match = { table = "QRTZ_*" }
names = "lower"                      # the application writes names without quotes

[[table]]
match = { table = "role" }
rows = "merge"
note = "both sides seed it"
""",
    ),
    "target": (
        "Load mode: tables and columns that only the target has, and that stay as they are.",
        """\
[[target]]
match = { table = "audit" }
keep = true

[[target]]
match = { table = "article", column = "search" }
keep = true
why = "the application fills it"
note = "a job of every night"
""",
    ),
    "index": (
        "Indexes to leave out, or to make by another method.",
        """\
[[index]]
match = { kind = "FULLTEXT" }
method = "gin"

[[index]]
match = { table = "article", index = "idx_old" }
skip = true
why = "nothing uses it"
note = "seen in the server's statistics"
""",
    ),
    "foreign_key": (
        "Foreign keys to leave out, to defer, or to add without a check of the rows that are there.",
        """\
[[foreign_key]]
match = { table = "comment", foreign_key = "comment_author" }
validate = false
why = "orphans are repaired later"

[[foreign_key]]
match = { table = "shop_*" }
deferrable = true                    # as Django makes them, which deletes parents before their children

[[foreign_key]]
match = { table = "log_*" }
skip = true
note = "logs outlive what they log"
""",
    ),
    "backfill": (
        "Fills a column from another database: [how-to](backfill.md).",
        """\
[[backfill]]
name = "authentication-id"
table = "user"
column = "authenticationID"
key = "id"
from = "kratos"
query = "SELECT id::text AS id, traits->>'email' AS email FROM identities"
value = "id"
match = { target = "email", source = "email", ignore_case = true }
show = "email"
existing = "keep"
shared = false
why = "logins refer to the identity"
note = "run it again after new registrations"
""",
    ),
    "check": (
        "Questions to both servers after a load: [how-to](checks.md).",
        """\
[[check]]
name = "as many open orders"
source = "SELECT count(*) FROM orders WHERE state = 'open'"
target = "SELECT count(*) FROM orders WHERE state = 'open'"
where_source_has = ["orders"]
seconds = 60
why = "the warehouse works from these"

[[check]]
name = "no line without its order"
target = "SELECT count(*) FROM line l WHERE NOT EXISTS (SELECT FROM orders o WHERE o.id = l.order_id)"
equals = 0

[[check]]
name = "at least a thousand customers"
target = "SELECT count(*) FROM customer"
at_least = 1000
""",
    ),
    "hook": (
        "Statements of your own, which a run executes in the target: [how-to](hooks.md).",
        """\
[[hook]]
phase = "after_copy"
sql = "UPDATE customer SET region = 'none' WHERE region IS NULL"
why = "the new application wants one"
""",
    ),
    "application": (
        "What an application's own migrations make, for `converge doctor`.",
        """\
[application]
tables = ["orders", "customer"]
migrate = "shop db upgrade"
""",
    ),
    "provision": (
        "Defaults for `converge provision`: [how-to](databases.md#converge-provision).",
        """\
[provision]
template = "template0"
encoding = "UTF8"
collate = "C"
ctype = "C"
extensions = ["citext"]
""",
    ),
}
"""By section: what it is for, and an example with each of its keys."""
Schema = Mapping[str, Any]


def settings_markdown() -> str:
    """docs/settings.md."""
    schema = Project.model_json_schema(by_alias=True)
    defs = schema["$defs"]
    entry = defs["Database"]
    parts = [_SETTINGS, "## The file", _keys(schema, defs), "## `[[database]]`", _keys(entry, defs)]
    for name, field in entry["properties"].items():
        with suppress(LookupError):
            parts += [f"## `{name}`", _keys(model(field, defs), defs)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def maps_markdown() -> str:
    """docs/maps.md."""
    schema = json_schema()
    return "\n\n".join(part.strip() for part in (_MAPS, *_sections(schema, schema["$defs"]))) + "\n"


def _sections(schema: Schema, defs: Mapping[str, Schema]) -> Iterator[str]:
    for name, (about, example) in EXAMPLES.items():
        section = schema["properties"][name]
        title = f"`[[{name}]]`" if section.get("type") == "array" else f"`[{name}]`"
        yield f"## {title}"
        if about:
            yield about
        yield f"```toml\n{example}```"
        if name != "type":
            kind = model(section, defs)
            yield _keys(kind, defs)
            for key in ("match", "policy"):
                if key in kind["properties"]:
                    yield f"### `{key}` of {title}"
                    yield _keys(model(kind["properties"][key], defs), defs)


def model(field: Schema, defs: Mapping[str, Schema]) -> Schema:
    """The table that a key holds: itself, an entry of its list, or its one alternative to null."""
    for one in (field, field.get("items", {}), *field.get("anyOf", ())):
        if "$ref" in one:
            return defs[one["$ref"].rpartition("/")[2]]
    raise LookupError(field)


def _keys(table: Schema, defs: Mapping[str, Schema]) -> str:
    required = table.get("required", ())
    fields = sorted(table["properties"].items(), key=lambda pair: pair[0] in ("why", "note"))
    rows = [
        f"| `{key}`{' (required)' * (key in required)} | {_value(field, defs)} | {_what(field)} |\n"
        for key, field in fields
    ]
    return _TABLE + "".join(rows)


def _what(field: Schema) -> str:
    described = [one["description"] for one in (field, *field.get("anyOf", ())) if "description" in one]
    default = field.get("default")
    said = (
        f"; default `{default}`"
        if default not in (None, "", [], False, {}) and not isinstance(default, dict)
        else ""
    )
    return (("; ".join(described) or "") + said).removeprefix("; ").replace("|", "\\|")


def _value(field: Schema, defs: Mapping[str, Schema]) -> str:
    if "anyOf" in field:
        return " or ".join(_value(one, defs) for one in field["anyOf"] if one.get("type") != "null")
    if "const" in field or "enum" in field:
        return ", ".join(f"`{_toml(value)}`" for value in field.get("enum", [field.get("const")]))
    if "$ref" in field:
        return "`{ " + ", ".join(f"{key} = …" for key in list(model(field, defs)["properties"])[:1]) + " }`"
    if field["type"] == "array":
        return "tables" if "$ref" in field["items"] else "list of texts"
    return {"string": "text", "boolean": "true or false", "integer": "whole number", "number": "number"}[
        field["type"]
    ]


def _toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f'"{value}"'


if __name__ == "__main__":
    print({"settings": settings_markdown, "maps": maps_markdown}[sys.argv[1]](), end="")
