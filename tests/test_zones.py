"""VIRTUAL columns over TIMESTAMP arrive as the application sees them, in the server's time zone."""

from __future__ import annotations

from support import converge, mysql, postgres

TABLE = """
CREATE TABLE visit (
  id INT PRIMARY KEY, at TIMESTAMP(3) NULL, site INT,
  day DATE AS (CAST(at AS DATE)) VIRTUAL, hour TINYINT AS (HOUR(at)) VIRTUAL,
  written VARCHAR(20) AS (DATE_FORMAT(at, 'at `at` %Y-%m-%d')) VIRTUAL, wall DATETIME(3) AS (at) VIRTUAL,
  next_day DATE AS (day + INTERVAL 1 DAY) VIRTUAL, moment TIMESTAMP AS (at) VIRTUAL,
  again TIME AS (CAST(moment AS TIME)) VIRTUAL, kept DATE AS (CAST(at AS DATE)) STORED,
  twice INT AS (site * 2) VIRTUAL, UNIQUE KEY once_a_day (site, day));
INSERT INTO visit (id, at, site) VALUES
  (1, '2001-02-03 01:00:00.125', 1), (2, '2001-02-02 10:00:00', 1), (3, NULL, 1),
  (4, '2001-02-04 00:30:00', 1)
"""
COLUMNS = "SELECT id, day, hour, written, wall, next_day, again::text, kept, twice FROM visit ORDER BY id"


def test_values_are_those_of_the_servers_zone(databases: tuple[str, str]) -> None:
    source, target = databases
    ((zone,),) = mysql(source, "SELECT @@GLOBAL.time_zone")
    mysql(source, "SET GLOBAL time_zone = '+08:00'")
    try:
        mysql(source, TABLE)
        ran = converge("migrate", "--source", source, "--target", target, "--json")
        assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
        noted = {one["object"] for one in ran.json["findings"] if one["code"] == "P141"}
        assert noted == {f"visit.{name}" for name in ("day", "hour", "written", "wall", "next_day", "again")}
        seen = mysql(source, COLUMNS.replace("again::text", "CAST(again AS CHAR)"))
        assert postgres(target, COLUMNS) == seen
        # Written by a session in another zone: two rows of one day, which the source's index does not see.
        mysql(
            source,
            "SET time_zone = '-08:00'; INSERT INTO visit (id, at, site) VALUES (5, '2001-02-01 20:00:00', 1)",
        )
        refused = converge("migrate", "--source", source, "--target", target, "--recreate", "--yes")
        assert refused.code == 3 and "V032" in refused.err + refused.out
    finally:
        mysql(source, "SET GLOBAL time_zone = %s", zone)
