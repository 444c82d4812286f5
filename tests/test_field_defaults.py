"""Defaults: the target stores what MySQL stores when an INSERT leaves a column out."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import NewDatabase
from support import converge, mysql, postgres

from converge.sandbox import Server

LITERALS = """
    seen TIMESTAMP NOT NULL DEFAULT '2001-02-03 08:00:00',
    seen6 TIMESTAMP(6) NULL DEFAULT '2001-02-03 08:00:00.123456',
    wall DATETIME(3) DEFAULT '2001-02-03 08:00:00.123', day DATE DEFAULT '2001-02-03', y YEAR DEFAULT 70,
    smile VARCHAR(20) DEFAULT 'x😀?', plain VARCHAR(20) DEFAULT 'é€''"\\\\?', spaces VARCHAR(5) DEFAULT 'a ',
    latin VARCHAR(20) CHARACTER SET latin1 DEFAULT 'é€?', ucs VARCHAR(9) CHARACTER SET ucs2 DEFAULT 'é€',
    utf CHAR(9) CHARACTER SET utf16 DEFAULT 'é€😀', sjis VARCHAR(9) CHARACTER SET sjis DEFAULT 'あ?',
    none VARCHAR(5) DEFAULT '', bytes VARBINARY(8) DEFAULT 0xFF0000AA, zero VARBINARY(8) DEFAULT 0x00,
    blank VARBINARY(8) DEFAULT '', question VARBINARY(9) DEFAULT '?', padded BINARY(4) DEFAULT 0xFF00,
    letters BINARY(4) DEFAULT 'ab', zeros BINARY(4) DEFAULT 0x00, bits BIT(10) DEFAULT b'101',
    f FLOAT DEFAULT 16777216, f1 FLOAT DEFAULT -0.1, f2 FLOAT(10,2) DEFAULT 1234567.89,
    d DOUBLE DEFAULT 0.1234567890123456789, tiny_ DOUBLE DEFAULT 1.2345678901234567e-222,
    n DECIMAL(20,4) ZEROFILL DEFAULT 1.5, big BIGINT UNSIGNED ZEROFILL DEFAULT 7,
    face ENUM('a','😀','q?') DEFAULT '😀', faces SET('a','😀','b') DEFAULT 'a,😀',
    used ENUM('x','👍') DEFAULT 'x',
    label ENUM('a?','ü') DEFAULT 'a?', members SET('a','ü?','b') DEFAULT 'a,ü?',
    raw ENUM('unknown','audio') CHARACTER SET binary DEFAULT 'unknown',
    raws SET('x','y') CHARACTER SET binary DEFAULT 'x,y',
    implied ENUM('new','paid','void') NOT NULL, implied2 ENUM('','x') NOT NULL, maybe ENUM('x')
"""
EXPRESSIONS = r"""
    t TEXT DEFAULT ('é😀''\\ );"`'), cut VARCHAR(20) DEFAULT (CONCAT('é','😀')),
    `b``)` BLOB DEFAULT (0xFF00AA), bt BLOB DEFAULT ('abc'), nothing TEXT DEFAULT (NULL),
    doc JSON DEFAULT (JSON_OBJECT('on',TRUE,'n',1)), list JSON DEFAULT (JSON_ARRAY(FALSE,NULL,'x')),
    filled BINARY(3) DEFAULT ('a'),
    longer BINARY(20) DEFAULT (UUID_TO_BIN('6ccd780c-baba-1026-9564-5b8c656024db')),
    up DATE DEFAULT ('2020-12-31 23:59:59.7'), down DATE DEFAULT (TIMESTAMP('2020-12-31 23:59:59.4')),
    written JSON DEFAULT ('{"a": [true, 1.5, "é"]}')
"""


@pytest.mark.parametrize("row", ["", "INSERT INTO literals (id, used) VALUES (1, '👍')"])
@pytest.mark.parametrize("servers", [("mysql_8015", "postgres_14"), ("mysql_8033", "postgres_175")])
def test_defaults_are_what_an_insert_stores(
    servers: tuple[str, str], row: str, request: pytest.FixtureRequest,
    new_mysql_database: NewDatabase, new_postgres_database: NewDatabase,
) -> None:  # fmt: skip
    from_, to = (request.getfixturevalue(name) for name in servers)
    source, target = new_mysql_database(from_), new_postgres_database(to)
    mysql(source, f"SET time_zone='+08:00'; CREATE TABLE literals (id INT PRIMARY KEY,{LITERALS})")
    mysql(source, f"CREATE TABLE expressions (id INT PRIMARY KEY,{EXPRESSIONS})")
    if row:
        mysql(source, row)
    where = ("--source", source, "--target", target)
    ran = converge("migrate", *where, "--json")
    assert ran.code == 0, ran.err
    assert not [one for one in ran.json["findings"] if one["code"] in ("P010", "P011", "P012")]
    for table in "literals", "expressions":
        mysql(source, f"INSERT INTO {table} (id) VALUES (2)")
        postgres(target, f"INSERT INTO {table} (id) VALUES (2)")
    verified = converge("verify", *where)
    assert verified.code == 0, verified.out
    assert postgres(target, "SELECT seen, smile, bytes, f FROM literals WHERE id = 2")[0][1:] == (
        "x😀?", bytes.fromhex("FF0000AA"), 16777216.0,
    )  # fmt: skip


def test_a_map_can_drop_an_expression_default(
    mysql_8033: Server, new_mysql_database: NewDatabase, tmp_path: Path
) -> None:
    """And a column that it leaves out takes its comment along."""
    source, map_ = new_mysql_database(mysql_8033), tmp_path / "map.toml"
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY, u CHAR(36) DEFAULT (UUID()), s INT COMMENT 'gone')")
    map_.write_text(
        '[[column]]\nmatch = { column = "u" }\ndefault = false\n'
        '[[column]]\nmatch = { column = "s" }\nskip = true\n'
    )
    planned = converge("plan", "--source", source, "--map", str(map_), "--sql", "-")
    assert planned.code == 0, planned.err
    assert '"u"' in planned.out
    assert "DEFAULT" not in planned.out
    assert "COMMENT" not in planned.out
