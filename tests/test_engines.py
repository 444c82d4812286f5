"""Tables of other engines than InnoDB, and unique keys that a collation makes wider than bytes do."""

from __future__ import annotations

import pytest
from conftest import NewDatabase
from support import converge, mysql, postgres

SOURCE = """
CREATE TABLE log_1 (id INT NOT NULL, m CHAR(20), `a``b` INT, KEY (id)) ENGINE=MyISAM;
CREATE TABLE `log ``2, x` (id INT NOT NULL, m2 CHAR(20), `a``b` INT, KEY (id)) ENGINE=MyISAM;
CREATE TABLE log_all (id INT NOT NULL, m CHAR(20), `a``b` INT, KEY (id)) ENGINE=MERGE
  UNION=(log_1, `log ``2, x`) INSERT_METHOD=LAST;
CREATE TABLE log_none (id INT) ENGINE=MERGE;
INSERT INTO log_1 VALUES (1, 'a', 1);
INSERT INTO log_all VALUES (2, 'b', 2), (2, 'b', 2);
CREATE VIEW over_all AS SELECT COUNT(*) AS n FROM log_all;
CREATE TABLE hole (id INT PRIMARY KEY) ENGINE=BLACKHOLE;
INSERT INTO hole VALUES (1);
CREATE TABLE animals (grp ENUM('fish', 'bird') NOT NULL, id INT NOT NULL AUTO_INCREMENT,
  PRIMARY KEY (grp, id))
  ENGINE=MyISAM;
INSERT INTO animals (grp) VALUES ('fish'), ('bird'), ('bird');
CREATE TABLE counted (grp INT NOT NULL, id INT NOT NULL AUTO_INCREMENT,
  PRIMARY KEY (grp, id), KEY (id)) ENGINE=MyISAM;
CREATE TABLE w (id INT PRIMARY KEY, bin VARCHAR(9) COLLATE utf8mb4_bin,
  ci VARCHAR(9) COLLATE utf8mb4_0900_ai_ci,
  general VARCHAR(9) CHARACTER SET latin1 COLLATE latin1_general_cs,
  as_cs VARCHAR(9) COLLATE utf8mb4_0900_as_cs,
  plain VARBINARY(9), old TEXT COLLATE utf8mb4_general_ci, n INT,
  UNIQUE KEY bin (bin), UNIQUE KEY ci (ci), UNIQUE KEY general (general), UNIQUE KEY as_cs (as_cs),
  UNIQUE KEY plain (plain),
  UNIQUE KEY old (old(3)), UNIQUE KEY n (n), KEY loose (ci));
INSERT INTO w VALUES (1, 'a', 'b', 'c', 'd', 'e', 'f', 1);
"""
FUNCTIONAL = "ALTER TABLE w ADD UNIQUE KEY expressed ((LOWER(ci)))"


@pytest.mark.parametrize(("my", "pg"), [("mysql_8015", "postgres_14"), ("mysql_8033", "postgres_175")])
def test_engines_and_collations(
    my: str,
    pg: str,
    request: pytest.FixtureRequest,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
) -> None:
    source = new_mysql_database(request.getfixturevalue(my))
    target = new_postgres_database(request.getfixturevalue(pg))
    mysql(source, SOURCE)
    if my == "mysql_8033":
        mysql(source, FUNCTIONAL)
    ran = converge("migrate", "--source", source, "--target", target, "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    rows = 'SELECT id, m, "a`b" FROM log_all ORDER BY 1'
    assert postgres(target, rows) == [(1, "a", 1), (2, "b", 2), (2, "b", 2)]
    postgres(target, """INSERT INTO "log `2, x" VALUES (3, 'c', 3)""")
    assert postgres(target, "SELECT n FROM over_all") == [(4,)]
    lost = {(one["code"], one["object"]) for one in ran.json["findings"] if one["severity"] == "lossy"}
    assert lost == {
        ("P157", "log_all"), ("P050", "log_none"), ("P152", "hole"), ("P153", "animals.id")
    }  # fmt: skip
    assert postgres(target, "INSERT INTO animals (grp) VALUES ('fish') RETURNING id") == [(3,)]
    weaker = {one["code"]: one["message"] for one in ran.json["findings"] if one["code"] in ("F001", "F004")}
    assert weaker["F001"].endswith(
        ": case and accents in ci (unique); case, accents and trailing spaces in old (unique)"
    )
    expressed = ", w.lower(`ci`) (unique; accents)" * (my == "mysql_8033")
    assert weaker["F004"].partition(": ")[2] == (
        "w.bin (unique; trailing spaces), w.general (unique; the form of accents and trailing spaces), "
        f"w.as_cs (unique; the form of accents){expressed}"
    )
