"""What the target would refuse is found in the plan, before anything is written."""

from __future__ import annotations

from pathlib import Path

from support import converge, mysql, postgres

SOURCE = """
CREATE TABLE ok (id INT PRIMARY KEY, ahead TIME NOT NULL DEFAULT '-01:30:00',
  span TIME DEFAULT '36:00:00',
  day_ TIME DEFAULT '23:59:59', nul VARCHAR(9) DEFAULT 'a\\0b', short VARCHAR(9) DEFAULT 'abcdefghi',
  big BIGINT DEFAULT 5000000000,
  d VARCHAR(10) DEFAULT '2023-02-30', u CHAR(36) DEFAULT '') COMMENT 'nul \\0 in it';
INSERT INTO ok (id, ahead, span, day_, nul, short, big, d, u) VALUES
  (1, '01:00:00', '02:00:00', '03:00:00', 'x', 'abc', 5, '2023-02-28',
    '6ccd780c-baba-1026-9564-5b8c656024db');
CREATE TABLE parent (id VARCHAR(9) PRIMARY KEY, j VARCHAR(40),
  UNIQUE KEY j (j));
CREATE TABLE child (id INT PRIMARY KEY, p VARCHAR(9),
  CONSTRAINT p FOREIGN KEY (p) REFERENCES parent (id));
CREATE TABLE plain (id INT PRIMARY KEY, d INT DEFAULT 1);
CREATE TABLE number (id INT PRIMARY KEY);
CREATE TABLE refers (id INT PRIMARY KEY, n INT, CONSTRAINT n FOREIGN KEY (n) REFERENCES number (id));
"""
NARROW = """
[[column]]
match = { table = "ok", column = "short" }
to = "varchar(3)"
[[column]]
match = { table = "ok", column = "big" }
to = "integer"
[[column]]
match = { table = "ok", column = "d" }
to = "date"
[[column]]
match = { table = "ok", column = "u" }
to = "uuid"
"""
REFUSED = """
[[column]]
match = { table = "parent", column = "j" }
to = "json"
[[column]]
match = { table = "parent", column = "id" }
collation = "C"
[[column]]
match = { table = "plain", column = "d" }
default = "seven"
[[column]]
match = { table = "refers", column = "n" }
to = "numeric(20,0)"
"""


def test_defaults_that_a_type_cannot_hold(both_databases: tuple[str, str], tmp_path: Path) -> None:
    """They make another type, where the data leaves the choice, or are dropped as a loss."""
    source, target = both_databases
    mysql(source, SOURCE)
    map_ = tmp_path / "map.toml"
    map_.write_text(NARROW)
    ran = converge("migrate", "--source", source, "--target", target, "--map", str(map_), "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    lost = {one["object"] for one in ran.json["findings"] if one["severity"] == "lossy"}
    assert lost == {"ok.nul", "ok.short", "ok.big", "ok.d", "ok.u"}
    postgres(target, "INSERT INTO ok (id) VALUES (2)")
    made = postgres(
        target, "SELECT ahead::text, span::text, day_::text, nul, short, big, d, u FROM ok WHERE id = 2"
    )
    assert made == [("-01:30:00", "36:00:00", "23:59:59", None, None, None, None, None)]


def test_what_a_map_makes(databases: tuple[str, str], tmp_path: Path) -> None:
    """A key over a type without an order, a default that is none: the plan is blocked."""
    source, target = databases
    mysql(source, SOURCE)
    mysql(source, "CREATE TABLE nul (id INT PRIMARY KEY, e ENUM('a\\0b'), s SET('c\\0d'))")
    map_ = tmp_path / "map.toml"
    map_.write_text(REFUSED)
    addresses = ("--source", source, "--target", target, "--map", str(map_), "--json")
    assert converge("migrate", *addresses).code == 3
    ran = converge("plan", *addresses)
    blocks = {one["object"]: one for one in ran.json["findings"] if one["severity"] == "block"}
    assert (ran.code, set(blocks)) == (3, {"parent", "plain", "plain.d", "refers", "nul.e", "nul.s"}), ran.err
    assert "json" in blocks["parent"]["message"] and "seven" in blocks["plain.d"]["message"]
    assert postgres(target, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]
