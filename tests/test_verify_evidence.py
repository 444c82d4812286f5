"""What `converge verify` leaves: counts, first rows by key, a file of all, reports, the ledger's entry."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from conftest import NewDatabase
from support import converge, mysql, postgres

from converge.model.endpoint import parse
from converge.sandbox import Server

ROWS = 20_000
SOURCE = f"""
SET SESSION cte_max_recursion_depth = {ROWS};
CREATE TABLE item (id INT PRIMARY KEY, v INT, name VARCHAR(20));
INSERT INTO item WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})
    SELECT i, i, CONCAT('item ', i) FROM n;
CREATE TABLE loose (k INT, j JSON);
INSERT INTO loose SELECT id DIV 3, IF(id = 7, '1e300', NULL) FROM item WHERE id <= 30
"""
CHANGES = (
    "UPDATE item SET v = v + 1 WHERE id > 15000",
    "DELETE FROM item WHERE id IN (1, 2, 700)",
    "INSERT INTO item VALUES (0, 0, NULL), (20001, 0, NULL)",
    "DELETE FROM loose WHERE k = 3",
    "INSERT INTO loose VALUES (77, NULL)",
)


def test_all_that_differs_is_counted_and_kept(
    mysql_8015: Server,
    postgres_14: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
    tmp_path: Path,
) -> None:
    source, target = new_mysql_database(mysql_8015), new_postgres_database(postgres_14)
    mysql(source, SOURCE)
    ends = ("--source", source, "--target", target)
    assert converge("migrate", *ends).code == 0
    assert "2 of 2 counts equal" in converge("verify", *ends, "--level", "counts").out
    postgres(target, "DELETE FROM converge.verification")
    assert "level full" not in converge("status", "--target", target).out
    for statement in CHANGES:
        postgres(target, statement)
    page, file = tmp_path / "verify.md", tmp_path / "rows.jsonl"
    ran = converge("verify", *ends, "--json", "--report", str(page), "--differences", str(file))
    assert ran.code == 1, ran.err
    counts = {
        one["source"]: (one["rows_missing"], one["rows_extra"], one["rows_different"])
        for one in ran.json["tables"]
    }
    assert counts == {"item": (3, 2, 5000), "loose": (3, 1, 0)}
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    found = Counter((one["table"], one["column"]) for one in lines)
    assert found == {("item", "v"): 5000, ("item", None): 5, ("loose", None): 2}
    assert {one["key"] for one in lines if one["column"] == "v"} == {f"id={i}" for i in range(15001, 20001)}
    assert file.stat().st_mode & 0o777 == 0o600

    text = converge("verify", *ends).out
    assert (
        "item: 3 rows missing in the target, 2 rows only in the target, 5,000 rows with other values" in text
    )
    keys = [
        line.split()[2].rstrip(":") for line in text.splitlines() if line.startswith("differs   item id=")
    ]
    assert keys[:6] == ["id=0", "id=1", "id=2", "id=700", "id=15001", "id=15002"]
    assert "5,000 rows with other values" in page.read_text()
    status = converge("status", "--target", target)
    assert "differs, level full" in status.out
    for options, words in (((), "verified again"), (("--verify",), "converge verify: differs")):
        assert converge("report", "--target", target, "-o", str(page), *options).code == 0
        assert words in page.read_text()
    refused = converge("verify", *ends, "--level", "counts", "--differences", str(file))
    assert refused.code == 2 and "U110" in refused.err

    # A role that may only read compares by the same plan, and leaves no entry.
    postgres(target, "CREATE ROLE verify_reader LOGIN PASSWORD 'p'")
    try:
        for schema in ("public", "converge"):
            postgres(target, f"GRANT USAGE ON SCHEMA {schema} TO verify_reader")
            postgres(target, f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO verify_reader")
        at = parse(target)
        reader = f"postgresql://verify_reader:p@{at.host}:{at.port}/{at.database}"
        entries = postgres(target, "SELECT count(*) FROM converge.verification")
        read = converge("verify", "--source", source, "--target", reader, "--json")
        codes = {one["code"] for one in read.json["findings"]}
        assert read.code == 1 and {"V110", "V116"} <= codes, read.out + read.err
        assert postgres(target, "SELECT count(*) FROM converge.verification") == entries
        # One that may not see the ledger says by what it plans.
        postgres(target, "REVOKE USAGE ON SCHEMA converge FROM verify_reader")
        blind = converge("verify", "--source", source, "--target", reader, "--json")
        assert "V113" in {one["code"] for one in blind.json["findings"]}
        assert ("schema", "public") in {(one["kind"], one["name"]) for one in blind.json["not_compared"]}
    finally:
        postgres(target, "DROP OWNED BY verify_reader")
        postgres(target, "DROP ROLE verify_reader")


def test_a_null_is_not_taken_for_the_number_before_a_text(databases: tuple[str, str]) -> None:
    """A column of the target that allows NULL where the source does not: the field that is missing shows."""
    source, target = databases
    mysql(source, "CREATE TABLE c (id INT PRIMARY KEY, a INT NOT NULL, b VARCHAR(20) NOT NULL)")
    mysql(source, "INSERT INTO c VALUES (1, 3, 'x'), (2, 1, 'y')")
    addresses = ("--source", source, "--target", target)
    assert converge("migrate", *addresses).code == 0
    for other in ("1|x", "1;|x", "1;x", "x"):
        postgres(target, "ALTER TABLE c ALTER a DROP NOT NULL")
        postgres(target, "UPDATE c SET a = NULL, b = %s WHERE id = 1", other)
        ran = converge("verify", *addresses, "--json")
        assert ran.code == 1
        assert {one["column"] for one in ran.json["differences"]} >= {"a"}, ran.out


def test_a_sequence_that_the_role_may_not_read_is_named(databases: tuple[str, str], tmp_path: Path) -> None:
    """SELECT ON ALL TABLES leaves sequences out, and what nobody has looked at is no part of the verdict."""
    source, target = databases
    mysql(source, "CREATE TABLE film (id INT AUTO_INCREMENT PRIMARY KEY); INSERT INTO film VALUES (7)")
    mysql(source, "CREATE TABLE film_seq (next_val INT); INSERT INTO film_seq VALUES (9)")
    map_ = tmp_path / "map.toml"
    map_.write_text('[[column]]\nmatch = { table = "film_seq", column = "next_val" }\nnext_value = "{}"\n')
    assert converge("migrate", "--source", source, "--target", target, "--map", str(map_)).code == 0
    postgres(target, "ALTER TABLE film ALTER id RESTART; ALTER SEQUENCE film_seq RESTART")
    role = f"{parse(target).database}_looker"
    postgres(target, f"CREATE ROLE {role} LOGIN")
    try:
        for schema in ("public", "converge"):
            postgres(target, f"GRANT USAGE ON SCHEMA {schema} TO {role}")
            postgres(target, f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}")
        ends = ("--source", source, "--target", target.replace("postgres@", f"{role}@"), "--json")
        ran = converge("verify", *ends)
        unread = {one["name"]: one["why"] for one in ran.json["not_compared"] if one["kind"] == "sequence"}
        assert unread.keys() == {"film.id", "film_seq"}, ran.out + ran.err
        grant = f'GRANT SELECT ON SEQUENCE "public"."film_id_seq" TO {role};'
        assert grant in unread["film.id"]
        for why in unread.values():
            postgres(target, why[why.index("GRANT") :])
        ran = converge("verify", *ends)
        low = {one["object"] for one in ran.json["findings"] if one["code"] == "V112"}
        assert (ran.code, low) == (1, {"film.id", "film_seq"}), ran.out + ran.err
        # What lets it read tables lets it read their sequences, too.
        postgres(target, f"REVOKE SELECT ON ALL TABLES IN SCHEMA public FROM {role}")
        ran = converge("verify", *ends)
        assert f'GRANT SELECT ON ALL SEQUENCES IN SCHEMA "public" TO "{role}";' in ran.err + ran.out
    finally:
        postgres(target, f"DROP OWNED BY {role}; DROP ROLE {role}")
