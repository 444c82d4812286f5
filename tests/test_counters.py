"""Tables that are counters in MySQL, as Hibernate's and Spring Batch's, and sequences in PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import converge, mysql, postgres
from test_load import found, load, plan, shape, written

import converge as api
from converge.errors import TargetError
from converge.postgres.made import Record

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
    # The server may have had more connections in other tests.
    assert {one["code"] for one in ran.json["findings"]} - {"F009"} == {"L021"} and shape(target) == before
    assert postgres(target, NEXT + " UNION ALL " + NEXT) == [(151,), (201,)]
    (left,) = ran.json["not_compared"]
    assert left["name"] == "Customer_SEQ" and "only the next value counts" in left["why"]
    postgres(target, "SELECT setval('customer_seq', 100)")
    again = converge("verify", "--source", source, "--target", target, "--json")
    (finding,) = found(again, "V112")
    assert (finding["object"], again.code) == ("Customer_SEQ", 1) and "151 or more" in finding["message"]
    assert again.json["not_compared"] == [left]


def test_recover_sets_it_back(loaded: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    source, target, map_ = loaded

    def stop(*_: object, **__: object) -> None:
        raise TargetError("stopped")

    postgres(target, "SELECT setval('customer_seq', 3); CREATE SEQUENCE other")
    monkeypatch.setattr(Record, "keep", stop)
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


MORE = """
CREATE TABLE a_seq (next_val BIGINT); INSERT INTO a_seq VALUES (-7);
CREATE TABLE b_seq (next_val DECIMAL(5, 1)); INSERT INTO b_seq VALUES (2.5);
CREATE TABLE c_seq (next_val BIGINT UNSIGNED); INSERT INTO c_seq VALUES (9223372036854775808);
CREATE TABLE d_seq (next_val INT, note CHAR(9), more INT, doubled INT AS (next_val * 2));
INSERT INTO d_seq (next_val, note) VALUES (901, 'keep me');
CREATE TABLE e_seq (sequence_name VARCHAR(9) PRIMARY KEY, next_val BIGINT);
INSERT INTO e_seq VALUES ('orders', 5), ('users', 900);
CREATE TABLE q (id INT PRIMARY KEY)
"""
LOST = {
    "a_seq": ("P160", "the next value is not a whole number from 1 on"),
    "b_seq": ("P160", "the next value is not a whole number from 1 on"),
    "c_seq": ("P158", "the next value is beyond 9,223,372,036,854,775,807"),
    "d_seq": ("P160", "a sequence cannot keep the values of note"),
    "e_seq": ("P160", "a sequence takes the place of one row, and the table has 2"),
}
SEQUENCES = '[[column]]\nmatch = { table = "*_seq", column = "next_val" }\nnext_value = "{}"\n'


def test_a_counter_has_nothing_but_its_next_value(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    mysql(source, MORE)
    map_ = written(tmp_path, SEQUENCES)
    options = ("--source", source, "--target", target, "--map")
    planned = converge("plan", *options, map_, "--json")
    found_ = {one["object"]: one for one in planned.json["findings"] if one["code"] in ("P158", "P160")}
    assert found_.keys() == LOST.keys()
    for name, (code, words) in LOST.items():
        assert found_[name]["code"] == code and words in found_[name]["message"], found_[name]
    assert planned.json["verdict"] == "blocked"
    unseen = converge("plan", *options, map_, "--no-scan", "--json")
    assert {one["object"] for one in found(unseen, "P160")} == LOST.keys()
    # What the hint says makes the loss one that is declared.
    mysql(source, "UPDATE a_seq SET next_val = 1; DROP TABLE b_seq; DROP TABLE c_seq; DROP TABLE e_seq")
    map_ = written(tmp_path, SEQUENCES + found_["d_seq"]["hint"])
    copy = str(tmp_path / "copy.toml")
    assert converge("plan", *options, map_, "--write-map", copy).code == 0
    ran = converge("migrate", *options, copy, "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    assert [one["object"] for one in ran.json["findings"] if one["not_migrated"]] == ["d_seq.note"]
    assert postgres(target, "SELECT nextval('a_seq'), nextval('d_seq')") == [(1, 901)]


def test_the_applications_sequence_has_to_reach_the_next_value(
    databases: tuple[str, str], tmp_path: Path
) -> None:
    source, target = databases
    mysql(source, MORE + ";DROP TABLE b_seq; DROP TABLE c_seq")
    postgres(target, "CREATE SEQUENCE a_seq MINVALUE -7; CREATE SEQUENCE d_seq MAXVALUE 500;"
                     "CREATE SEQUENCE e_seq; CREATE TABLE q (id int PRIMARY KEY)")  # fmt: skip
    proposed = {one["object"]: one["hint"] for one in found(plan(source, target), "L140")}
    assert proposed.keys() == {"a_seq", "d_seq", "e_seq"}
    assert "next_value" not in proposed["e_seq"] and "2 rows" in proposed["e_seq"]
    assert 'column = "note" }\nskip = true' in proposed["d_seq"] and "more" not in proposed["d_seq"]
    map_ = written(tmp_path, proposed["a_seq"] + "\n" + proposed["d_seq"])
    planned = plan(source, target, "--map", map_)
    (finding,) = found(planned, "P158")
    assert finding["object"] == "d_seq" and "beyond 500" in finding["message"]
    assert found(planned, "P160") == []
    postgres(target, finding["hint"])
    mysql(source, "DROP TABLE e_seq")
    ran = load(source, target, "--map", map_)
    assert (ran.code, ran.json["verdict"], found(ran, "P158")) == (0, "verified", []), ran.err
    assert postgres(target, "SELECT nextval('a_seq'), nextval('d_seq')") == [(-7, 901)]
