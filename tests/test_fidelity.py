"""No false alarm and no false pass: every type family with generated values, and every mutation found.

The long form is ``make fidelity``; this is a bounded one, and what it has found so far.
"""

from __future__ import annotations

from pathlib import Path

from conftest import NewDatabase
from judge import compare
from support import converge, postgres
from support import mysql as ask

from bench.fidelity.copies import copy
from bench.fidelity.families import FAMILIES
from bench.fidelity.mutations import mutate
from converge import types
from converge.model.endpoint import parse
from converge.run.options import Options
from converge.run.verify import verify
from converge.sandbox import Server

VALUES = 20_000
MUTATIONS = 1_500


def test_no_value_is_lost_and_no_copy_slandered(mysql_8033: Server, postgres_175: Server) -> None:
    done = copy(mysql_8033, postgres_175, [*FAMILIES], VALUES)
    assert done.values >= VALUES * len(FAMILIES)
    assert done.differences == []
    assert not done.failed, f"only the drill-down says that these are equal: {done.drilled}"


def test_every_family_has_its_tables() -> None:
    assert {type(family).__name__ for family in types.FAMILIES} == set(FAMILIES)


def test_every_mutation_is_found(mysql_8033: Server, postgres_175: Server) -> None:
    tally = mutate(mysql_8033, postgres_175, MUTATIONS)
    assert tally.wrong == []
    assert tally.made.total() >= MUTATIONS
    assert {"real", "double precision", "text[]", "jsonb", "uuid", "interval", "(| moved)"} <= set(tally.made)


NUMBERS = (
    "1.2345678901234567e-222", "-1.2345678901234567e-222", "-1.4765311789233238e-4",
    "-0.00012345678901234567", "-1.1754942106924411e-38", "1.7976931348623157e308",
    "-2.2250738585072014e-308", "-0e0", "0.1e0", "1e15",
)  # fmt: skip
DOUBLE_MAP = '[[column]]\nmatch = { column = "wide" }\nto = "double precision"\n'


def test_numbers_whose_text_is_long(
    mysql_any: Server,
    postgres_175: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
    tmp_path: Path,
) -> None:
    """MySQL gives the text of an expression 22 characters: doubles lost digits, floats seemed to differ."""
    source, target = new_mysql_database(mysql_any), new_postgres_database(postgres_175)
    rows = [
        f"({n}, ABS({value}), ABS({value}) % 1e9, IF(ABS({value}) < 1e38, {value}, 0), f, 'x')"
        for n, value in enumerate(NUMBERS)
    ]
    ask(
        source,
        "CREATE TABLE n "
        "(id INT PRIMARY KEY, z DOUBLE ZEROFILL, d DOUBLE(255,30), f FLOAT, wide FLOAT, t TEXT); "
        f"INSERT INTO n VALUES {', '.join(rows)}; CREATE TABLE plain SELECT id, z, d, f, wide FROM n",
    )
    rules = tmp_path / "wide.toml"
    rules.write_text(DOUBLE_MAP)
    run = converge("migrate", "--source", source, "--target", target, "--map", str(rules), "--json")
    assert (run.code, run.json["verdict"]) == (0, "verified"), run.err + run.out[-2000:]
    judged = compare(source, target)
    assert judged.equal, str(judged)


ODD_ARRAYS = ("{NULL}", '{""}', "{a,NULL}", '{"a,b"}', "{b,a}", "{~}", "{a|b}", "{{a},{b}}")


def test_arrays_that_look_like_a_set(
    mysql_8015: Server,
    postgres_14: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
) -> None:
    """Joined with commas they are the same text; nothing but the CHECK forbids them in the target."""
    source, target = new_mysql_database(mysql_8015), new_postgres_database(postgres_14)
    values = ("''", "'a'") * len(ODD_ARRAYS)
    rows = ",".join(f"({key}, {value}, {key % 8})" for key, value in enumerate(values))
    ask(
        source,
        f"CREATE TABLE s (id INT PRIMARY KEY, c SET('a','b'), e SET('','a','~')); "
        f"INSERT INTO s VALUES {rows}; "
        f"CREATE TABLE w (id INT PRIMARY KEY, c ENUM('{'x' * 64}')); INSERT INTO w VALUES (1, NULL), (2, 1)",
    )
    run = converge("migrate", "--source", source, "--target", target, "--json")
    assert run.json["verdict"] == "verified", run.err
    for table in "s", "w":
        postgres(target, f"ALTER TABLE public.{table} DROP CONSTRAINT c_check")
    for key in range(len(values)):
        postgres(target, "UPDATE public.s SET c = %s::text[] WHERE id = %s", ODD_ARRAYS[key // 2], key)
    postgres(target, "UPDATE public.w SET c = '~' WHERE id = 1")
    result = verify(parse(source), parse(target), Options(), "full", lambda _: None)
    found = {(one.table, one.key, one.column) for one in result.differences}
    assert found == {("w", "id=1", "c"), *(("s", f"id={key}", "c") for key in range(len(values)))}


def test_the_stored_geometry_has_its_longitude_first(mysql_any: Server) -> None:
    """What the copy keeps of a geographic value is ST_AsBinary with axis-order=long-lat."""
    rows = ask(
        mysql_any.url,
        "SELECT SUBSTRING(HEX(g), 9) = HEX(ST_AsBinary(g, 'axis-order=long-lat')), "
        "SUBSTRING(HEX(g), 9) = HEX(ST_AsBinary(g)) FROM ("
        "SELECT ST_GeomFromText('POINT(48 11)', 4326) AS g "
        "UNION ALL SELECT ST_GeomFromText('POLYGON((48 11,50 12,51 10,48 11))', 4326) "
        "UNION ALL SELECT ST_GeomFromText('GEOMETRYCOLLECTION(POINT(48 11),MULTIPOINT(1 2,3 4))', 4258) "
        "UNION ALL SELECT ST_GeomFromText('POINT(48 11)', 3857)) AS shapes",
    )
    assert rows == [(1, 0), (1, 0), (1, 0), (1, 1)]
