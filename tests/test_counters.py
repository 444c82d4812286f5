"""Tables that are counters in MySQL, as Hibernate's and Spring Batch's, and sequences in PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import converge, mysql, postgres
from test_load import found, load, plan, shape, written

import converge as api
from converge.errors import TargetError
from converge.run import attempt

SOURCE = """
CREATE TABLE Customer (id BIGINT PRIMARY KEY);
CREATE TABLE Customer_SEQ (next_val BIGINT, note VARCHAR(9));
INSERT INTO Customer VALUES (7);
INSERT INTO Customer_SEQ VALUES (151, NULL)
"""
OWN = "CREATE TABLE customer (id bigint PRIMARY KEY); CREATE SEQUENCE customer_seq INCREMENT 50"
NEXT = "SELECT nextval('customer_seq')"
ORM = (Path(__file__).parents[1] / "docs" / "orm.md").read_text("utf-8").split("## Hibernate")[1]


@pytest.fixture
def loaded(databases: tuple[str, str], tmp_path: Path) -> tuple[str, str, str]:
    """The tables on both sides, and the rule that the plan proposes."""
    source, target = databases
    mysql(source, SOURCE)
    postgres(target, OWN)
    (finding,) = found(plan(source, target), "L140")
    assert (finding["object"], finding["severity"]) == ("Customer_SEQ", "lossy")
    assert 'next_value = "{}"' in finding["hint"] and 'column = "next_val"' in finding["hint"]
    return source, target, written(tmp_path, finding["hint"])


def test_a_sequence_goes_on_where_its_table_stands(loaded: tuple[str, str, str]) -> None:
    source, target, map_ = loaded
    before = shape(target)
    ran = load(source, target, "--map", map_)
    assert (ran.code, ran.json["verdict"], ran.json["losses"]) == (0, "verified", 0), ran.err
    assert ran.json["findings"] == found(ran, "L021") and shape(target) == before
    assert postgres(target, NEXT + " UNION ALL " + NEXT) == [(151,), (201,)]
    postgres(target, "SELECT setval('customer_seq', 100)")
    again = converge("verify", "--source", source, "--target", target, "--json")
    (finding,) = found(again, "V112")
    assert (finding["object"], again.code) == ("Customer_SEQ", 1) and "151 or more" in finding["message"]


def test_recover_sets_it_back(loaded: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    source, target, map_ = loaded

    def stop(*_: object) -> None:
        raise TargetError("stopped")

    postgres(target, "SELECT setval('customer_seq', 3); CREATE SEQUENCE other")
    monkeypatch.setattr(attempt, "record_schema", stop)
    with pytest.raises(TargetError):
        options = api.Options(maps=(map_,), mode="load")
        api.migrate(source, target, api.MigrateOptions(common=options))
    postgres(target, "SELECT nextval('other')")
    assert postgres(target, "SELECT last_value FROM customer_seq") == [(151,)]
    assert converge("recover", "--target", target, "--yes").code == 0
    assert postgres(target, "SELECT last_value, is_called FROM customer_seq") == [(3, True)]
    assert postgres(target, "SELECT last_value FROM other") == [(1,)]


def test_a_sequence_of_another_role_blocks(loaded: tuple[str, str, str]) -> None:
    source, target, map_ = loaded
    name = target.rpartition("/")[2]
    postgres(
        target,
        f"CREATE ROLE {name} LOGIN; GRANT CREATE ON DATABASE {name} TO {name};"
        f" ALTER TABLE customer OWNER TO {name}; GRANT SELECT ON customer_seq TO {name}",
    )
    try:
        (finding,) = found(plan(source, target.replace("postgres@", f"{name}@"), "--map", map_), "L009")
        assert finding["object"] == "Customer_SEQ" and "only its owner can set it" in finding["message"]
    finally:
        postgres(target, f"DROP OWNED BY {name}; DROP ROLE {name}")


def test_the_rule_of_the_page_makes_a_sequence(databases: tuple[str, str], tmp_path: Path) -> None:
    """Without a schema of the application: made, made again, and not in the way of another sequence."""
    source, target = databases
    mysql(source, "CREATE TABLE a (id INT PRIMARY KEY); CREATE TABLE a_seq (next_val INT)")
    mysql(source, "CREATE TABLE b_seq (next_val INT)")
    mysql(source, "CREATE VIEW v AS SELECT next_val FROM a_seq; INSERT INTO a_seq VALUES (1001)")
    map_ = written(tmp_path, ORM.split("```toml\n")[1].split("```")[0])
    options = ("--source", source, "--target", target, "--map", map_, "--json")
    ran = converge("migrate", *options)
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    assert postgres(target, "SELECT nextval('a_seq'), nextval('b_seq')") == [(1001, 1)]
    assert [one["object"] for one in ran.json["findings"] if one["not_migrated"]] == ["v"]
    again = converge("migrate", *options)
    assert "a_seq is the name of a sequence" in str(found(again, "T005"))
    mysql(source, "UPDATE a_seq SET next_val = 2000")
    assert converge("migrate", *options, "--recreate", "--yes").code == 0
    assert postgres(target, "SELECT nextval('a_seq')") == [(2000,)]
    copy = str(tmp_path / "copy.toml")
    converge("plan", *options, "--write-map", copy)
    assert Path(copy).read_text("utf-8").count('next_value = "{}"') == 2


def test_a_counter_is_a_number(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE a_seq (next_val VARCHAR(9))")
    map_ = written(tmp_path, '[[column]]\nmatch = { table = "a_seq" }\nnext_value = "{}"\n')
    ran = converge("plan", "--source", source, "--target", target, "--map", map_)
    assert ran.code == 2 and "a_seq.next_val is varchar(9), not a number" in ran.err
