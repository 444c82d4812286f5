"""Shards of one schema merged into one: with a shard column or disjoint keys, proven, or not at all."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from conftest import NewDatabase
from support import Ran, converge, mysql, postgres

from converge.sandbox import Server

ROOT = Path(__file__).parents[1]
NAMES = ("tenant_a", "tenant_b", "tenant_c")
NEW = "tenant_new"
PERSON = "SELECT name, born, kind::text, updated FROM {} ORDER BY name"
NOTE = "SELECT id, body, n, flag FROM {} ORDER BY id"
SHARD = """
CREATE TABLE person (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(60) COMMENT 'of birth', born DATE,
    kind ENUM('old', 'new') NOT NULL DEFAULT 'new', UNIQUE KEY (name),
    updated TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP);
CREATE TABLE note (id BIGINT PRIMARY KEY AUTO_INCREMENT, person INT, body TEXT, flag TINYINT(1),
    n INT GENERATED ALWAYS AS (LENGTH(body)) STORED, CHECK (body <> 'no'),
    CONSTRAINT of_person FOREIGN KEY (person) REFERENCES person (id) ON DELETE SET NULL);
CREATE TABLE nothing (id INT PRIMARY KEY);
CREATE VIEW notes AS
    SELECT p.name, COUNT(*) AS n FROM person p JOIN note o ON o.person = p.id GROUP BY p.name;
INSERT INTO person (id, name, born) VALUES ({0} + 1, 'Anna {0}', '2024-01-01'), ({0} + 2, 'Bob {0}', NULL);
INSERT INTO note (id, person, body, flag)
    VALUES ({0} + 1, {0} + 1, 'x\ty', 1), ({0} + 2, {0} + 1, '{0}', 0), ({0} + 3, NULL, NULL, NULL);
"""


@dataclass(frozen=True)
class Shards:
    folder: Path
    source: str
    """Of any of them, but for the name."""
    target: str

    def write(self, merge: str) -> None:
        """The example of the page, with this merge."""
        (example,) = re.findall(r"```toml\n(.*?)```", (ROOT / "docs/shards.md").read_text("utf-8"), re.S)
        assert example.count("merge = ") == 1
        (self.folder / "converge.toml").write_text(re.sub("merge = .*", f"merge = {merge}", example))

    def run(self, *arguments: str) -> Ran:
        where = {"MYSQL": self.source, "PG": self.target, "HOME": str(self.folder)}
        return converge(*arguments, folder=str(self.folder), **where)

    def migrate(self, *arguments: str) -> Ran:
        return self.run("migrate", "--json", "--jobs", "2", *arguments)

    def merged(self) -> list[str]:
        tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'app' ORDER BY 1"
        return [name for (name,) in postgres(self.target, tables)]


@pytest.fixture
def shards(
    mysql_8033: Server, postgres_175: Server, new_postgres_database: NewDatabase, tmp_path: Path
) -> Iterator[Shards]:
    urls = [mysql_8033.create_database(name) for name in NAMES]
    yield Shards(tmp_path, urls[0].rpartition("/")[0], new_postgres_database(postgres_175))
    mysql(urls[0], f"DROP DATABASE IF EXISTS {NEW}")
    for name in NAMES:
        mysql_8033.drop_database(name)


def fill(shards: Shards, apart: int) -> None:
    """Shards whose numbers begin so far apart."""
    for number, name in enumerate(NAMES):
        mysql(f"{shards.source}/{name}", SHARD.format(number * apart))


def test_with_a_shard_column(shards: Shards) -> None:
    fill(shards, 0)
    shards.write('{ schema = "app", column = "tenant" }')
    planned = shards.run("plan", "--json", "-o", "plan.json")
    assert planned.code == 0, planned.err
    assert [one["name"] for one in planned.json["databases"]] == [*NAMES, "tenants"]
    ran = shards.migrate("--plan", "plan.json", "--report", "all.html")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    result = ran.json["databases"][3]
    assert [(one["source"], one["rows_source"], one["rows_target"]) for one in result["tables"]] == [
        ("note", 9, 9), ("nothing", 0, 0), ("person", 6, 6),
    ]  # fmt: skip
    assert [(one["kind"], one["name"]) for one in result["not_migrated"]] == [("view", "notes")]
    for query, table in ((PERSON, "person"), (NOTE, "note")):
        for name in NAMES:
            own = postgres(shards.target, query.format(f"{name}.{table}"))
            part = f"(SELECT * FROM app.{table} WHERE tenant = '{name}') AS part"
            assert own and postgres(shards.target, query.format(part)) == own
    # What is merged is left alone, and needs its shards no more.
    postgres(shards.target, "DROP SCHEMA tenant_a CASCADE")
    again = shards.migrate("--resume")
    assert (again.code, again.json["databases"][3]) == (0, result), again.err
    databases = shards.run("status", "--json").json["databases"]
    status = databases[3]
    assert (status["name"], status["run"]["state"]) == ("tenants", "finished")
    assert status["run"]["rows"] == sum(one["run"]["rows"] for one in databases[:3]) > 0
    # Keys hold within a shard, and one that forgets its parent keeps its shard; numbers go on behind all.
    postgres(shards.target, "DELETE FROM app.person WHERE (tenant, id) = ('tenant_b', 1)")
    left = "SELECT tenant, count(person) FROM app.note GROUP BY 1 ORDER BY 1"
    assert postgres(shards.target, left) == [("tenant_a", 2), ("tenant_b", 0), ("tenant_c", 2)]
    inserted = "INSERT INTO app.note (tenant, body) VALUES ('tenant_c', 'new') RETURNING id"
    assert postgres(shards.target, inserted) == [(4,)]
    comment = (
        "SELECT col_description('app.person'::regclass, attnum) FROM pg_attribute WHERE attname = 'name' "
    )
    assert postgres(shards.target, comment + "AND attrelid = 'app.person'::regclass") == [("of birth",)]
    index = "SELECT pg_get_indexdef('app.of_person'::regclass)"
    assert "(tenant, person)" in postgres(shards.target, index)[0][0]
    assert not [one for one in result["findings"] if one["code"] == "F003"]
    # With other rows it is no longer what was verified, nor merged as another column would have it.
    changed = shards.migrate("--resume")
    assert (changed.code, "error[V125]: tenants: note: " in changed.err) == (5, True), changed.err
    ran = shards.run("verify", "--json", "--database", "tenants", "--exclude", "person")
    assert (ran.code, ran.json["databases"][3]["verdict"]) == (1, "differs"), ran.err
    (found,) = ran.json["databases"][3]["findings"]
    assert found["code"] == "V126" and "note: the merged rows have changed" in found["message"], found
    assert [one["source"] for one in ran.json["databases"][3]["tables"]] == ["note", "nothing"]
    assert "T012" not in changed.err
    postgres(shards.target, "ALTER TABLE app.note RENAME body TO words")
    merged = shards.run("verify", "--json", "--database", "tenants").json["databases"][3]
    # As of a table that is gone, no number of rows is said.
    assert [one["source"] for one in merged["tables"]] == ["nothing", "person"]
    (found,) = merged["findings"]
    assert (found["code"], 'note: the merged table has changed: column "body"' in found["message"]) == (
        "V126", True,
    ), found  # fmt: skip
    shards.write('{ schema = "app", column = "shop" }')
    other = shards.migrate("--resume").err
    assert "error[T005]: tenants: " in other and "error[T012]: tenant_a: " in other, other
    shards.write('{ schema = "app", column = "tenant" }')
    assert shards.migrate("--recreate").err.count("U181") == len(NAMES) - 1
    anew = shards.migrate("--recreate", "--yes")
    assert (anew.code, anew.json["verdict"]) == (0, "verified"), anew.err
    assert postgres(shards.target, left) == [(name, 2) for name in NAMES]
    ran = shards.run("verify")
    assert ran.code == 0 and "all of 4 databases" in ran.out, ran.out
    # What sync brings to a shard is not merged, which every command says.
    mysql(f"{shards.source}/tenant_b", "UPDATE note SET body = 'later' WHERE id = 1")
    ran = shards.run("sync", "--json")
    assert [one["verdict"] for one in ran.json["databases"]] == ["verified"] * 3 + ["differs"], ran.err
    assert (ran.code, "V126", "1 shard has changed") == (
        1, ran.json["databases"][3]["findings"][0]["code"],
        re.findall("1 shard has changed", ran.json["databases"][3]["findings"][0]["message"])[0],
    )  # fmt: skip
    ran = shards.run("status", "--json")
    assert ran.json["verdict"] == "differs" and "tenant_b" in ran.json["databases"][3]["run"]["out_of_date"]
    ran = shards.run("report", "-o", "run.xml", "--json")
    assert [one["verdict"] for one in ran.json["databases"]] == ["verified"] * 3 + ["differs"], ran.err
    ran = shards.run("migrate", "--resume")
    assert (ran.code, "error[T005]" in ran.err, "next" in ran.out) == (3, True, False), ran.out


def test_a_part_of_a_merge_says_nothing_of_the_rest(shards: Shards) -> None:
    fill(shards, 0)
    shards.write('{ schema = "app", column = "tenant" }')
    ran = shards.migrate()
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    postgres(shards.target, "UPDATE app.note SET body = 'other'")
    assert shards.run("verify", "--json").json["databases"][3]["verdict"] == "differs"
    part = shards.run("verify", "--include", "person", "--json").json["databases"][3]
    assert part["verdict"] == "verified" and [one["source"] for one in part["tables"]] == ["person"]
    left = [one["name"] for one in part["not_compared"] if one["kind"] == "table"]
    assert left == ["note", "nothing"]
    status = shards.run("status", "--json").json["databases"][3]
    assert status["verdict"] == "differs" and status["run"]["verification"]["level"] == "full, 1 of 3 tables"


def test_keys_that_are_not_disjoint(shards: Shards) -> None:
    """Nothing is merged; with a column what is left is done, but not where a shard was written meanwhile."""
    fill(shards, 0)
    shards.write('{ schema = "app" }')
    ran = shards.migrate()
    assert (ran.code, ran.json["verdict"], shards.merged()) == (5, "failed", []), ran.err
    assert "error[T046]: tenants: note: " in ran.err and re.search(
        r"\(id\) = \([123]\) is in tenant_a, tenant_b, tenant_c", ran.err
    )
    assert 'merge = { schema = "app", column = "shard" }' in ran.err
    # There is no merge that they would differ from, which is said.
    merged = shards.run("verify", "--json").json["databases"][3]
    assert (merged["verdict"], merged["not_compared"][0]["why"]) == ("migrated", "nothing is merged into it")
    shards.write('{ schema = "app", column = "tenant" }')
    postgres(shards.target, "UPDATE tenant_b.note SET body = 'other' WHERE id = 1")
    ran = shards.migrate("--resume")
    assert (ran.code, "error[V125]: tenants: note: " in ran.err, shards.merged()) == (5, True, []), ran.err
    postgres(shards.target, "UPDATE tenant_b.note SET body = E'x\\ty' WHERE id = 1")
    ran = shards.migrate("--resume")
    assert (ran.code, shards.merged()) == (0, ["note", "nothing", "person"]), ran.err


def test_numbers_that_are_texts_go_on_behind_all_shards(shards: Shards) -> None:
    """As texts 9 is larger than 10."""
    for number, name in enumerate(NAMES):
        mysql(
            f"{shards.source}/{name}",
            "CREATE TABLE note (id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, n INT);"
            f"INSERT INTO note VALUES ({9 + number}, 1)",
        )
    (shards.folder / "map.toml").write_text('[[column]]\nmatch = { column = "id" }\nto = "text"\n')
    shards.write('{ schema = "app", column = "tenant" }')
    ran = shards.migrate("--map", "map.toml")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    inserted = "INSERT INTO app.note (tenant, n) VALUES ('tenant_c', 2) RETURNING id"
    assert postgres(shards.target, inserted) == [("12",)]
    postgres(shards.target, "SELECT setval(pg_get_serial_sequence('tenant_c.note', 'id'), 10)")
    ran = shards.run("verify", "--json", "--database", "tenant_c")
    low = [one["message"] for one in ran.json["databases"][0]["findings"] if one["code"] == "V112"]
    assert ran.code == 1 and "has to be 12 or more" in low[0], ran.out


def test_keys_that_are_disjoint(shards: Shards) -> None:
    fill(shards, 10)
    shards.write('{ schema = "tenant_b" }')
    ran = shards.run("plan")
    assert (ran.code, "error[U031]" in ran.err) == (2, True), ran.err
    shards.write('{ schema = "app" }')
    ran = shards.migrate()
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    every = " UNION ALL ".join(f"SELECT * FROM {name}.note" for name in NAMES)
    assert postgres(shards.target, NOTE.format("app.note")) == postgres(
        shards.target, NOTE.format(f"({every}) AS every")
    )
    assert postgres(shards.target, "SELECT sum(n), count(*) FROM app.notes") == [(6, 3)]
    digests = [
        [int(table["digest"], 16) for table in one["tables"]] for one in json.loads(ran.out)["databases"]
    ]
    assert [sum(shard) for shard in zip(*digests[:3], strict=True)] == digests[3]
    postgres(shards.target, "DROP SCHEMA app CASCADE")
    ran = shards.migrate("--resume")
    assert (ran.code, shards.merged()) == (0, ["note", "nothing", "person"]), ran.err
    # What is merged of shards that were others is not verified; neither is a table merged that a shard lacks.
    for number, name in enumerate(NAMES):
        mysql(
            f"{shards.source}/{name}",
            f"CREATE TABLE later (id INT PRIMARY KEY); INSERT later VALUES ({number})",
        )
    ran = shards.run("sync", "--database", "tenant_a")
    assert ran.code == 0, ran.err
    ran = shards.migrate("--resume")
    assert (ran.code, "error[T005]: tenants: " in ran.err, ran.json["verdict"]) == (3, True, "blocked"), (
        ran.err
    )
    postgres(shards.target, "DROP SCHEMA app CASCADE")
    ran = shards.migrate("--resume")
    assert (ran.code, shards.merged()) == (3, []) and "error[T011]: tenants: tenant_b: " in ran.err, ran.err
    assert "table later: not there → 1 column" in ran.err
    ran = shards.run("sync", "--json")
    verdicts = [one["verdict"] for one in ran.json["databases"]]
    assert (ran.code, verdicts) == (1, ["verified"] * 3 + ["differs"])
    ((found,),) = [one["findings"] for one in ran.json["databases"][3:]]
    assert (found["code"], "note: the merged table is gone" in found["message"]) == ("V126", True), found
    assert found["hint"] == "converge migrate --resume"
    ran = shards.migrate("--resume")
    assert (ran.code, ran.json["databases"][3]["verdict"]) == (0, "verified"), ran.err
    assert postgres(shards.target, "SELECT * FROM app.later ORDER BY id") == [(0,), (1,), (2,)]
    # A shard that is new is not in what is merged.
    mysql(f"{shards.source}/{NAMES[0]}", f"CREATE DATABASE {NEW}; CREATE TABLE {NEW}.later LIKE later")
    mysql(f"{shards.source}/{NEW}", SHARD.format(30))
    ran = shards.migrate("--resume")
    assert (ran.code, "error[T005]: tenants: " in ran.err, ran.json["verdict"]) == (3, True, "blocked"), (
        ran.err
    )


def test_keys_that_are_equal_with_other_texts(shards: Shards) -> None:
    """The index takes them for equal, as texts they are not; NULL is equal to nothing."""
    for name, number, text in (("tenant_a", "0e0", "7"), ("tenant_b", "-0e0", "8"), ("tenant_c", "1", "8")):
        mysql(
            f"{shards.source}/{name}",
            "CREATE TABLE one (id DOUBLE, u INT, UNIQUE KEY (u), UNIQUE KEY (id));"
            f"INSERT INTO one VALUES ({number}, {text}), (NULL, NULL), (NULL, NULL)",
        )
    shards.write('{ schema = "app" }')
    ran = shards.migrate()
    assert (ran.code, "error[T046]: tenants: one: " in ran.err, shards.merged()) == (5, True, []), ran.err
    assert re.search(r"\(id\) = \(-?0\), \(-?0\) is in tenant_a, tenant_b\n|\(u\) = \(8\) is in ", ran.err)


@pytest.mark.parametrize("merge", ['{ schema = "app" }', '{ schema = "app", column = "tenant" }'])
def test_counts_are_those_of_all_shards(shards: Shards, merge: str) -> None:
    for number, name in enumerate(NAMES):
        mysql(
            f"{shards.source}/{name}",
            "CREATE TABLE p (id INT PRIMARY KEY); SET foreign_key_checks = 0;"
            "CREATE TABLE c (id INT PRIMARY KEY, p INT, CONSTRAINT of_p FOREIGN KEY (p) REFERENCES p (id));"
            + f"INSERT INTO c VALUES ({number}, 1);"
            * bool(number),
        )
    (shards.folder / "map.toml").write_text('[[foreign_key]]\nmatch = { table = "c" }\nvalidate = false\n')
    shards.write(merge)
    plan = shards.run("plan", "--json", "--map", "map.toml").json["databases"][3]
    assert [one["message"][:6] for one in plan["findings"] if one["object"] == "c.of_p"] == ["2 rows"]


def test_keys_that_forget_their_parent_keep_the_shard(shards: Shards) -> None:
    """Whatever the map calls the shard's column; what an UPDATE would set to NULL cannot spare it."""
    child = (
        "CREATE TABLE c (id INT PRIMARY KEY, p INT, "
        "CONSTRAINT of_p FOREIGN KEY (p) REFERENCES p (id) ON DELETE {} ON UPDATE {})"
    )
    for name in NAMES:
        mysql(f"{shards.source}/{name}", "CREATE TABLE p (id INT PRIMARY KEY)")
        mysql(f"{shards.source}/{name}", child.format("SET NULL", "CASCADE"))
    (shards.folder / "map.toml").write_text('[[table]]\nmatch = { table = "*" }\nnames = "lower"\n')
    shards.write('{ schema = "app", column = "Tenant" }')
    ran = shards.migrate("--map", "map.toml")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    key = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE confrelid = 'app.p'::regclass"
    ((made,),) = postgres(shards.target, key)
    assert "(tenant, p) REFERENCES" in made and "ON DELETE SET NULL (p)" in made
    for name in NAMES:
        mysql(f"{shards.source}/{name}", "DROP TABLE c;" + child.format("RESTRICT", "SET NULL"))
    ran = shards.run("plan", "--json")
    assert ran.code == 3 and "error[P171]: tenants: c: " in ran.err, ran.err


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ("ALTER TABLE note MODIFY body VARCHAR(9)", "P170", "column note.body: text → varchar(9)"),
        ("ALTER TABLE note ADD tenant INT", "P171", "note: has a column tenant already"),
        # As MySQL compares names; PostgreSQL would have both.
        ("ALTER TABLE note ADD Tenant VARCHAR(20)", "P171", "note: has a column tenant already"),
    ],
)
def test_shards_that_cannot_be_merged(shards: Shards, change: str, code: str, words: str) -> None:
    for name in NAMES:
        mysql(f"{shards.source}/{name}", "CREATE TABLE note (id INT PRIMARY KEY, body TEXT)")
    mysql(f"{shards.source}/tenant_b", change)
    shards.write('{ schema = "app", column = "tenant" }')
    ran = shards.migrate()
    assert (ran.code, f"error[{code}]: tenants: " in ran.err, words in ran.err) == (3, True, True), ran.err
    assert [one["verdict"] for one in ran.json["databases"]] == ["ready"] * 3 + ["blocked"]
    assert postgres(shards.target, "SELECT count(*) FROM pg_tables WHERE schemaname ~ '^tenant'") == [(0,)]
    assert shards.run("plan").code == 3


def test_tables_that_are_left_out_may_have_the_column(shards: Shards) -> None:
    """Also as the parents of keys, which go with them."""
    for name in NAMES:
        mysql(
            f"{shards.source}/{name}",
            "CREATE TABLE log (id INT PRIMARY KEY, Tenant INT, UNIQUE KEY (Tenant));"
            "CREATE TABLE note (id INT PRIMARY KEY, log INT, FOREIGN KEY (log) REFERENCES log (Tenant));"
            "CREATE TABLE old (id INT PRIMARY KEY, tenant VARCHAR(9));"
            "INSERT INTO log VALUES (1, 7); INSERT INTO note VALUES (1, 7)",
        )
    (shards.folder / "map.toml").write_text('[[table]]\nmatch = { table = "old" }\nskip = true\n')
    shards.write('{ schema = "app", column = "tenant" }')
    ran = shards.migrate("--exclude", "log", "--map", "map.toml")
    assert ran.code == 0, ran.err
    assert (ran.code, ran.json["verdict"], shards.merged()) == (0, "verified", ["note"]), ran.err
    notes = [(name, 1, 7) for name in NAMES]
    assert postgres(shards.target, "SELECT * FROM app.note ORDER BY tenant") == notes


def test_a_reviewed_plan_is_one_of_the_merge_too(shards: Shards) -> None:
    """Of its column, and of each database that was to be merged."""
    for name in NAMES:
        mysql(f"{shards.source}/{name}", "CREATE TABLE note (id INT PRIMARY KEY)")
    shards.write('{ schema = "app", column = "tenant" }')
    assert shards.run("plan", "-o", "plan.json").code == 0
    picked = ["--database", "tenant_a", "--database", "tenant_b"]
    assert shards.run("plan", "-o", "two.json", *picked).code == 0
    shards.write('{ schema = "app", column = "shop" }')
    ran = shards.migrate("--plan", "plan.json")
    assert (ran.code, "error[P005]: tenants: " in ran.err) == (3, True), ran.err
    assert "note.shop" in ran.err and "note.tenant" in ran.err
    shards.write('{ schema = "app", column = "tenant" }')
    mysql(f"{shards.source}/tenant_c", "DROP DATABASE tenant_c")
    for names in ([], ["--database", "tenants"]):
        ran = shards.migrate("--plan", "plan.json", *names)
        assert (ran.code, "error[U006]: " in ran.err, "tenant_c" in ran.err) == (2, True, True), ran.err
    assert shards.merged() == []
    # What is picked is meant alone, and a plan of one database is none of the merge.
    ran = shards.migrate("--plan", "plan.json", "--database", "tenant_a")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    ran = shards.migrate("--resume", "--plan", "two.json")
    assert (ran.code, "error[U006]: the plan file has no plan of the database tenants" in ran.err) == (
        2,
        True,
    )


@pytest.mark.parametrize("merge", ['{ schema = "app" }', '{ schema = "app", column = "tenant" }'])
def test_shards_of_one_schema_with_other_values(shards: Shards, merge: str) -> None:
    """Odd values that a policy changes, and long ones for which an index is made otherwise."""
    for number, name in enumerate(NAMES):
        mysql(
            f"{shards.source}/{name}",
            "SET sql_mode = '';"
            "CREATE TABLE doc (id INT PRIMARY KEY, born DATE, body TEXT, KEY of_body (body(100)));"
            f"INSERT INTO doc VALUES ({number}, '{'2024-01-01' if number else '0000-00-00'}', "
            f"REPEAT('x', {5000 if number == 1 else 50}))",
        )
    (shards.folder / "map.toml").write_text(
        '[[column]]\nmatch = { column = "born" }\npolicy = { zero_date = "null" }\n'
    )
    shards.write(merge)
    ran = shards.migrate("--map", "map.toml")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    merged = postgres(shards.target, "SELECT id, born::text, length(body) FROM app.doc ORDER BY 1")
    assert merged == [(0, None, 50), (1, "2024-01-01", 5000), (2, "2024-01-01", 50)]
    assert "left" in postgres(shards.target, "SELECT pg_get_indexdef('app.of_body'::regclass)")[0][0].lower()
    (loss,) = [one for one in ran.json["databases"][3]["findings"] if one["object"] == "doc.born"]
    assert loss["message"].startswith("1 row"), loss


def test_a_shard_that_differed_is_merged_once_it_is_equal(shards: Shards) -> None:
    for number, name in enumerate(NAMES):
        mysql(
            f"{shards.source}/{name}",
            f"CREATE TABLE note (id INT PRIMARY KEY, body TEXT); INSERT INTO note VALUES (1, '{number}')",
        )
    hook = "UPDATE note SET body = 'other' WHERE body <> '0'"
    (shards.folder / "map.toml").write_text(f'[[hook]]\nphase = "after_copy"\nsql = "{hook}"\n')
    shards.write('{ schema = "app", column = "tenant" }')
    ran = shards.migrate("--map", "map.toml")
    verdicts = [one["verdict"] for one in ran.json["databases"]]
    assert (ran.code, verdicts[:3], shards.merged()) == (1, ["verified", "differs", "differs"], []), ran.err
    ran = shards.run("verify", "--repair", "--yes", "--database", "tenant_b")
    assert ran.code == 0, ran.out
    assert (shards.migrate("--resume").code, shards.merged()) == (1, [])
    ran = shards.run("verify", "--repair", "--yes", "--database", "tenant_c")
    assert ran.code == 0, ran.err
    # Rows of some tables that differ later are more than an earlier proof of all.
    mysql(f"{shards.source}/tenant_c", "UPDATE note SET body = 'later'")
    assert shards.run("verify", "--include", "note", "--database", "tenant_c").code == 1
    assert (shards.migrate("--resume").code, shards.merged()) == (1, [])
    mysql(f"{shards.source}/tenant_c", "UPDATE note SET body = '2'")
    assert shards.run("verify", "--database", "tenant_c").code == 0
    ran = shards.migrate("--resume")
    assert ran.json["databases"][3]["verdict"] == "verified", ran.err
    notes = [(name, 1, str(number)) for number, name in enumerate(NAMES)]
    assert postgres(shards.target, "SELECT * FROM app.note ORDER BY tenant") == notes


def test_a_table_that_was_brought_and_never_compared(shards: Shards) -> None:
    for name in NAMES:
        mysql(f"{shards.source}/{name}", "CREATE TABLE note (id INT PRIMARY KEY)")
    shards.write('{ schema = "app", column = "tenant" }')
    assert shards.migrate().code == 0
    postgres(shards.target, "DROP SCHEMA app CASCADE")
    for number, name in enumerate(NAMES):
        mysql(
            f"{shards.source}/{name}",
            f"CREATE TABLE later (id INT PRIMARY KEY); INSERT INTO later VALUES ({number})",
        )
        assert shards.run("sync", "--database", name).code == 0
    # As a sync that was stopped before it has compared.
    postgres(shards.target, "DELETE FROM converge.verification")
    ran = shards.migrate("--resume")
    assert (ran.code, "error[V125]: tenants: " in ran.err, shards.merged()) == (5, True, []), ran.err
    assert (
        "later" in ran.err and "converge sync --database tenant_a, then converge migrate --resume" in ran.err
    )
    ran = shards.run("sync", "--json")
    assert [one["verdict"] for one in ran.json["databases"]] == ["verified"] * 3 + ["differs"], ran.err
    ran = shards.migrate("--resume")
    assert (ran.code, ran.json["databases"][3]["verdict"]) == (0, "verified"), ran.err
    assert postgres(shards.target, "SELECT id FROM app.later ORDER BY 1") == [(0,), (1,), (2,)]


def test_a_role_that_may_not_make_schemas(shards: Shards) -> None:
    for name in NAMES:
        mysql(f"{shards.source}/{name}", "CREATE TABLE note (id INT PRIMARY KEY)")
    role = "merges_only"
    schemas = ("converge", "app", *NAMES)
    made = "".join(f"CREATE SCHEMA {schema} AUTHORIZATION {role};" for schema in schemas)
    postgres(shards.target, f"CREATE ROLE {role} LOGIN; {made}")
    try:
        limited = replace(shards, target=shards.target.replace("postgres@", f"{role}@"))
        limited.write('{ schema = "app", column = "tenant" }')
        ran = limited.migrate()
        assert (ran.code, ran.json["verdict"], shards.merged()) == (0, "verified", ["note"]), ran.err
    finally:
        postgres(shards.target, f"DROP OWNED BY {role}; DROP ROLE {role}")
