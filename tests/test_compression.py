"""Long values: compressed by lz4 where the server was built with it, unless nobody wants that."""

from __future__ import annotations

import pytest
from conftest import NewDatabase
from support import converge, mysql, postgres

from converge.sandbox import Server

SOURCE = """
CREATE TABLE doc (id INT PRIMARY KEY, long_ LONGTEXT NOT NULL, j JSON NOT NULL);
INSERT INTO doc VALUES (1, REPEAT('abc ', 9000), JSON_ARRAY(REPEAT('x y ', 9000)));
"""
_HAS = "SELECT 'lz4' = ANY (enumvals) FROM pg_settings WHERE name = 'default_toast_compression'"
_USED = "SELECT pg_column_compression(long_), pg_column_compression(j), attcompression::text FROM doc, " \
    "pg_attribute WHERE attrelid = 'doc'::regclass AND attname = 'long_'"  # fmt: skip


@pytest.mark.parametrize("options", [(), ("--compression", "default")])
@pytest.mark.parametrize("server", ["postgres_14", "postgres_15", "postgres_175"])
def test_long_values_are_compressed_by_lz4(
    server: str,
    options: tuple[str, ...],
    request: pytest.FixtureRequest,
    mysql_8033: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
) -> None:
    """The table is what it is otherwise: only the session that writes is set."""
    source = new_mysql_database(mysql_8033)
    target = new_postgres_database(request.getfixturevalue(server))
    mysql(source, SOURCE)
    addresses = ("--source", source, "--target", target)
    ((has,),) = postgres(target, _HAS)
    lz4 = has and not options
    plan = converge("plan", *addresses, *options, "--json").json
    assert plan["plan"]["compression"] == ("lz4" if lz4 else "default")
    assert ("lz4 for long values" in converge("plan", *addresses, *options, "--show", "facts").out) == lz4
    run = converge("migrate", *addresses, *options, "--yes")
    assert run.code == 0, run.err
    assert postgres(target, _USED) == [(*["lz4" if lz4 else "pglz"] * 2, "")]
