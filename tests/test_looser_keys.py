"""A map may make values equal that the source tells apart: unique keys over them are counted before."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from support import converge, mysql, postgres, relations

UPPER, LOWER = "6CCD780C-BABA-1026-9564-5B8C656024DB", "6ccd780c-baba-1026-9564-5b8c656024db"
BARE = LOWER.replace("-", "")
LOOSE = "CREATE COLLATION loose (provider = icu, locale = '{}', deterministic = false)"
CASES = {
    "citext": ("utf8mb4_bin", "", 'to = "citext"', (UPPER, LOWER)),
    "uuid": ("utf8mb4_bin", "", 'to = "uuid"', (UPPER, LOWER)),
    "uuid in two forms": ("ascii_general_ci", "", 'to = "uuid"', (BARE, LOWER)),
    "policy": ("utf8mb4_bin", "", 'to = "varchar(3)"\npolicy = { too_long = "cut" }', ("word", "worry")),
    "using": ("utf8mb4_bin", "", 'using = "LOWER({})"', (UPPER, LOWER)),
    "collation like the source's": ("utf8mb4_general_ci", "", 'collation = "source"', ("Fuß", "fuss")),
    "case": ("utf8mb4_bin", "und-u-ks-level2", 'collation = "public.loose"', ("Été", "été")),
    "accents": ("utf8mb4_bin", "und-u-ks-level1", 'collation = "public.loose"', ("été", "ETE")),
    "case, in a language": ("utf8mb4_bin", "sv-u-ks-level2", 'collation = "public.loose"', ("Å", "å")),
    "forms of Unicode": ("utf8mb4_bin", "und", 'collation = "public.loose"', ("\u00e9", "e\u0301")),
}


@pytest.mark.parametrize("case", CASES)
def test_a_looser_unique_key_stops_the_run(case: str, databases: tuple[str, str], tmp_path: Path) -> None:
    """With count and keys; the hint, pasted before the map, settles it."""
    source, target = databases
    collation, locale, setting, (first, second) = CASES[case]
    mysql(source, f"CREATE TABLE t (id INT PRIMARY KEY, word VARCHAR(36) COLLATE {collation} UNIQUE)")
    mysql(source, f"INSERT INTO t VALUES (1, '{first}'), (2, '{second}'), (3, NULL), (4, NULL)")
    if locale:
        postgres(target, LOOSE.format(locale))
    map_, settled = tmp_path / "map.toml", tmp_path / "settled.toml"
    map_.write_text(f'[[column]]\nmatch = {{ column = "word" }}\n{setting}\n')
    ends = ("--source", source, "--target", target, "--json")
    planned = converge("plan", *ends, "--map", str(map_))
    found = [one for one in planned.json["findings"] if one["code"] == "V032"]
    assert [(one["severity"], one["object"]) for one in found] == [("block", "t.word")], planned.out
    assert found[0]["evidence"] in ("rows id 1, 2", "rows id 2, 1")
    assert "2 rows" in found[0]["message"]
    assert converge("migrate", *ends, "--map", str(map_)).code == 3
    assert relations(target) == []
    settled.write_text(found[0]["hint"])
    ran = converge("migrate", *ends, "--map", str(settled), "--map", str(map_))
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err


KEYS = """
CREATE TABLE pair (id INT PRIMARY KEY, a VARCHAR(9) COLLATE utf8mb4_bin, b INT, UNIQUE KEY (a, b));
CREATE TABLE begin (id INT PRIMARY KEY, a TEXT COLLATE utf8mb4_bin, UNIQUE KEY (a(2)));
CREATE TABLE plain (id INT PRIMARY KEY, a VARCHAR(9) COLLATE utf8mb4_bin, KEY (a));
CREATE TABLE swedish (id INT PRIMARY KEY, s VARCHAR(9) COLLATE utf8mb4_bin UNIQUE);
INSERT INTO pair VALUES (1, 'a', 1), (2, 'A', 2), (3, 'A', NULL), (4, 'a', NULL);
INSERT INTO begin VALUES (1, 'ab'), (2, 'bc'), (3, 'cAx');
INSERT INTO plain VALUES (1, 'a'), (2, 'A');
INSERT INTO swedish VALUES (1, 'a'), (2, 'å');
"""


def test_a_looser_key_without_equal_rows_arrives(databases: tuple[str, str], tmp_path: Path) -> None:
    """The other columns of a key count, NULLs do not, and neither do keys that are not unique."""
    source, target = databases
    mysql(source, KEYS)
    postgres(target, LOOSE.format("sv-u-ks-level1"))
    map_ = tmp_path / "map.toml"
    map_.write_text(
        '[[column]]\nmatch = { column = "a" }\nto = "citext"\n'
        '[[column]]\nmatch = { column = "s" }\ncollation = "public.loose"\n'
    )
    ends = ("--source", source, "--target", target, "--map", str(map_), "--json")
    ran = converge("migrate", *ends)
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    with pytest.raises(psycopg.errors.UniqueViolation):
        postgres(target, "INSERT INTO begin VALUES (9, 'AB of another case')")
    mysql(source, "INSERT INTO begin VALUES (4, 'BCD'), (5, 'cay')")
    found = [one for one in converge("plan", *ends).json["findings"] if one["code"] == "V032"]
    assert [(one["object"], one["message"].split()[0]) for one in found] == [("begin.a", "4")]
    assert sorted(found[0]["evidence"].removeprefix("rows id ").split(", ")) == ["2", "3", "4", "5"]


def test_a_deterministic_collation_compares_bytes(databases: tuple[str, str], tmp_path: Path) -> None:
    """A foreign key whose parent differs in case has no parent in the target, whatever orders it."""
    source, target = databases
    mysql(
        source,
        "CREATE TABLE parent (word VARCHAR(9) PRIMARY KEY); "
        "CREATE TABLE child (id INT PRIMARY KEY, word VARCHAR(9),"
        " FOREIGN KEY (word) REFERENCES parent (word)); "
        "INSERT INTO parent VALUES ('a'); INSERT INTO child VALUES (1, 'A')",
    )
    map_ = tmp_path / "map.toml"
    map_.write_text('[[type]]\nmatch = { type = "varchar" }\ncollation = "C"\n')
    planned = converge("plan", "--source", source, "--target", target, "--map", str(map_), "--json")
    (found,) = [one for one in planned.json["findings"] if one["code"] == "V030"]
    assert found["evidence"] == "rows id 1"
    assert "1 of them have one that differs in what MySQL's collation ignores" in found["message"]
    # The hint keeps the row and the key.
    cure = tmp_path / "cure.toml"
    cure.write_text(found["hint"])
    maps = ("--map", str(cure), "--map", str(map_))
    assert converge("migrate", "--source", source, "--target", target, *maps, "--json").code == 0


TWO_CODES = {
    "cp932": "81CA FA54", "eucjpms": "A2C0 ADFC", "sjis": "5C 815F", "ujis": "5C A1C0", "armscii8": "27 FF",
}  # fmt: skip
"""By character set, the codes of two characters that MySQL converts to the same one of Unicode."""


def test_characters_that_become_the_same_one_are_asked_about(
    both_databases: tuple[str, str], tmp_path: Path
) -> None:
    source, target = both_databases
    map_ = tmp_path / "map.toml"
    map_.write_text("")
    for charset, codes in TWO_CODES.items():
        one, other = codes.split()
        text = f"VARCHAR(9) CHARACTER SET {charset} COLLATE {charset}_bin"
        mysql(source, f"CREATE TABLE {charset} (id INT PRIMARY KEY, s {text} UNIQUE)")
        mysql(source, f"INSERT INTO {charset} VALUES (1, x'61{one}'), (2, x'61{other}'), (3, x'62')")
    ends = ("--source", source, "--target", target, "--json")
    planned = converge("plan", *ends)
    found = {one["object"]: one for one in planned.json["findings"] if one["code"] == "V032"}
    assert {name for name, one in found.items() if one["severity"] == "block"} == {
        f"{charset}.s" for charset in TWO_CODES
    }, planned.err
    map_.write_text("\n".join(one["hint"] for one in found.values()))
    ran = converge("migrate", *ends, "--map", str(map_))
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
