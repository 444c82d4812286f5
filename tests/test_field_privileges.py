"""Found in the field: privileges that are missing and that no finding names."""

from __future__ import annotations

from conftest import NewDatabase
from support import converge, mysql, postgres

from converge.sandbox import Server


def test_routines_that_the_source_user_may_not_see(
    mysql_8033: Server, new_mysql_database: NewDatabase
) -> None:
    """As with views, triggers and events, the plan says that it cannot list them."""
    source = new_mysql_database(mysql_8033)
    name = source.rsplit("/", 1)[1]
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY)")
    mysql(source, "CREATE PROCEDURE bill() SELECT 1")
    mysql(source, "CREATE USER IF NOT EXISTS blind@'%' IDENTIFIED WITH mysql_native_password BY 'x'")
    mysql(source, f"GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON `{name}`.* TO blind@'%'")
    planned = converge("plan", "--source", source.replace("root@", "blind:x@"), "--json")
    assert planned.code == 0, planned.err
    named = " ".join(f"{one['code']} {one['object']}" for one in planned.json["findings"])
    assert "bill" in named or "routines" in named, named


def test_a_schema_that_the_role_may_not_use(databases: tuple[str, str]) -> None:
    """CREATE on a schema without USAGE is not enough: the plan is blocked, before anything is written."""
    source, target = databases
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY)")
    postgres(
        target,
        "DO $$ BEGIN CREATE ROLE unused LOGIN PASSWORD 'x'; EXCEPTION WHEN duplicate_object THEN END $$",
    )
    postgres(target, "CREATE SCHEMA app")
    postgres(target, "GRANT CREATE ON SCHEMA app TO unused")
    postgres(target, f'GRANT CREATE ON DATABASE "{target.rsplit("/", 1)[1]}" TO unused')
    limited = target.replace("postgres@", "unused:x@")
    planned = converge("plan", "--source", source, "--target", limited, "--schema", "app", "--json")
    assert planned.code == 3, planned.err
    assert "USAGE" in " ".join(one["hint"] for one in planned.json["findings"] if one["code"] == "T004")
