"""Found in the field (Temporal's visibility): a multi-valued index, which MySQL has since 8.0.17."""

from __future__ import annotations

from conftest import NewDatabase
from support import converge, mysql

from converge.sandbox import Server


def test_a_multi_valued_index_is_listed(mysql_8033: Server, new_mysql_database: NewDatabase) -> None:
    """The plan names it, and does not crash over CAST(… AS CHAR(64) ARRAY)."""
    source = new_mysql_database(mysql_8033)
    mysql(
        source, "CREATE TABLE t (id INT PRIMARY KEY, tags JSON, KEY by_tag ((CAST(tags AS CHAR(64) ARRAY))))"
    )
    planned = converge("plan", "--source", source, "--json")
    assert planned.code == 0, planned.err
    assert "by_tag" in " ".join(one["object"] for one in planned.json["findings"])
