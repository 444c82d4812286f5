"""`collation = "source"`: which letters the target takes for equal, beside what the source does."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import converge, mysql, postgres

from converge.types.collations import compared_like, counterpart

_LETTERS = (
    "a á à â ã ä å ą ă æ ae b c ç č ć ĉ ch cs d ď ð đ dz e é ę ě ë f g ğ ĝ h ĥ i í \u0131 İ j ĵ k l ł ľ ll "
    "lj n ñ ň nj o ó ö ø ő õ ô oe œ ơ q r ř rr s ś š ş ŝ ș ss ß t ť ţ ț th þ u ü ů ű ŭ ú ue v w "
    "x y ý z ž ź ż ij И Й й и \u0435 ё \u0456 ї \u0433 ґ A B Ñ Ø Ü Å あ ア か が"
)
LETTERS = _LETTERS.split()
Pairs = set[tuple[str, str]]


def _in_source(source: str, charset: str, collation: str, compared: str = "{}") -> tuple[set[str], Pairs]:
    """The letters that a character set has, and those that MySQL takes for equal."""
    mysql(source, "DROP TABLE IF EXISTS letter")
    declared = f"CHARACTER SET {charset} COLLATE {collation}"
    mysql(source, f"CREATE TABLE letter (i INT, t VARCHAR(9) {declared})")
    rows = ", ".join(f"({number}, '{letter}')" for number, letter in enumerate(LETTERS))
    mysql(source, f"SET sql_mode = ''; INSERT INTO letter VALUES {rows}")
    stored = mysql(source, "SELECT i, CONVERT(t USING utf8mb4) FROM letter")
    there = {text for number, text in stored if text == LETTERS[number]}
    same = f"{compared.format('x.t')} = {compared.format('y.t')}"
    pairs = mysql(source, f"SELECT x.i, y.i FROM letter x JOIN letter y ON {same} AND x.i < y.i")
    return there, {(LETTERS[a], LETTERS[b]) for a, b in pairs}


def _in_target(target: str, locale: str) -> Pairs:
    """The letters that PostgreSQL takes for equal."""
    how = f"provider = icu, locale = '{locale}', deterministic = false"
    letters = ", ".join(f"({number}, '{letter}')" for number, letter in enumerate(LETTERS))
    postgres(
        target,
        f"DROP TABLE IF EXISTS letter; DROP COLLATION IF EXISTS c; CREATE COLLATION c ({how}); "
        f"CREATE TABLE letter (i INT, t TEXT COLLATE c); INSERT INTO letter VALUES {letters}",
    )
    pairs = postgres(target, "SELECT x.i, y.i FROM letter x JOIN letter y ON x.t = y.t AND x.i < y.i")
    return {(LETTERS[a], LETTERS[b]) for a, b in pairs}


def test_the_same_letters_are_equal_or_it_is_said(both_databases: tuple[str, str]) -> None:
    source, target = both_databases
    known: dict[str, Pairs] = {}
    differing = {}
    exact = set()
    query = "SELECT collation_name, character_set_name FROM information_schema.collations"
    for collation, charset in mysql(source, query):
        like = counterpart(collation)
        if like is None or not like.locale:
            continue
        if like.locale not in known:
            known[like.locale] = _in_target(target, like.locale)
        there, equal = _in_source(source, charset, collation)
        pairs = {pair for pair in equal ^ known[like.locale] if there.issuperset(pair)}
        if pairs and not like.letters:
            differing[collation] = (like.locale, sorted(pairs))
        if not like.letters:
            exact.add(collation)
    assert differing == {}
    assert {"utf8mb4_es_0900_ai_ci", "utf8mb4_sv_0900_ai_ci", "utf8mb4_de_pb_0900_ai_ci"} <= exact
    # The scan asks MySQL which rows the target takes for equal. No collation of MySQL has ICU's œ of Danish,
    # and none of a language ignores case alone.
    for locale, pairs in known.items():
        _, equal = _in_source(source, "utf8mb4", "utf8mb4_bin", compared_like(locale))
        assert {pair for pair in equal ^ pairs if not {"œ", "İ", "ア"}.intersection(pair)} == set(), locale


NAMES = {
    "utf8mb4_es_0900_ai_ci": ("peña", "pena", ""),
    "utf8mb4_spanish_ci": ("peña", "pena", "letters beyond ASCII"),
    "latin1_danish_ci": ("ål", "al", "letters beyond ASCII"),
    "latin1_general_ci": ("José", "jose", "letters beyond ASCII"),
    "utf8mb4_0900_ai_ci": ("peña", "pina", ""),
}


@pytest.mark.parametrize("collation", NAMES)
def test_what_the_source_tells_apart_the_target_does(
    collation: str, databases: tuple[str, str], tmp_path: Path
) -> None:
    source, target = databases
    name, other, said = NAMES[collation]
    mysql(
        source,
        f"CREATE TABLE person (id INT PRIMARY KEY, name VARCHAR(60) CHARACTER SET {collation.split('_')[0]} "
        f"COLLATE {collation} UNIQUE, CONSTRAINT c CHECK (name <> 'nobody')); "
        f"INSERT INTO person VALUES (1, '{name}'), (2, '{other}')",
    )
    map_ = tmp_path / "map.toml"
    map_.write_text('[[column]]\nmatch = { column = "name" }\ncollation = "source"\n')
    ran = converge("migrate", "--source", source, "--target", target, "--map", str(map_), "--json", "--yes")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.out + ran.err
    assert postgres(target, f"SELECT id FROM person WHERE name = '{other.upper()}'") == [(2,)]
    found = {one["code"]: one["message"] for one in ran.json["findings"]}
    assert said in found.get("P037", "")
    assert bool(said) == ("letters beyond ASCII" in found.get("P062", "")), found
    assert "person.name (unique; accents" not in found.get("F004", "")
