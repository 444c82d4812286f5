"""Found in the field: MediaWiki's tables are DEFAULT CHARSET=binary, where MySQL shows a default as 0x…"""

from __future__ import annotations

from support import converge, mysql, postgres

LABELS = "ENUM('unknown', 'audio') DEFAULT 'unknown'"


def test_a_default_of_an_enum_in_the_binary_character_set(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, f"CREATE TABLE t (id INT PRIMARY KEY, e {LABELS}) CHARACTER SET binary")
    ran = converge("migrate", "--source", source, "--target", target, "--json")
    assert ran.code == 0, ran.err
    assert postgres(target, "INSERT INTO t (id) VALUES (1) RETURNING e::text") == [("unknown",)]


def test_a_default_of_a_set_in_the_binary_character_set(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY, s SET('x', 'y') CHARACTER SET binary DEFAULT 'x,y')")
    assert converge("migrate", "--source", source, "--target", target).code == 0
    assert postgres(target, "INSERT INTO t (id) VALUES (1) RETURNING s") == [(["x", "y"],)]
