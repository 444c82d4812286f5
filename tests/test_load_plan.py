"""What would stop a load at its end, or would be said without need: the plan says it, or nobody."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from support import converge, mysql, postgres
from test_load import found, load, plan, shape, written
from test_load_field import blocks
from test_load_values import columns

from converge.errors import UsageError
from converge.mapping.sql import expression
from converge.postgres.existing import read_existing
from converge.postgres.saved import is_whole


def test_an_index_that_would_be_printed_in_other_words_stays(databases: tuple[str, str]) -> None:
    """`IN` over varchar: the server reads what it has printed as other casts."""
    source, target = databases
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY, status VARCHAR(20) NOT NULL, n INT)")
    mysql(source, "INSERT INTO t VALUES (1, 'open', 1), (2, 'done', 3)")
    postgres(
        target,
        "CREATE TABLE t (id int PRIMARY KEY, status varchar(20) NOT NULL, n int);"
        "CREATE INDEX many ON t (n) WHERE status IN ('open', 'waiting');"
        "CREATE UNIQUE INDEX \"one ON it\" ON t (n, (status IN ('open', 'waiting')));"
        "CREATE INDEX plain ON t (lower(status)) WHERE n > 0 AND status = 'open'; CREATE INDEX n ON t (n)",
    )
    before = shape(target)
    assert {one["object"] for one in found(plan(source, target), "L014")} == {"t.many", "t.one ON it"}
    ran = load(source, target)
    assert (ran.json["verdict"], found(ran, "L050")) == ("verified", []), ran.err
    assert shape(target) == before


def test_keys_that_a_map_leaves_unchecked_are_part_of_the_expected_catalog(
    databases: tuple[str, str], tmp_path: Path
) -> None:
    source, target = databases
    mysql(
        source,
        "CREATE TABLE p (id INT PRIMARY KEY); CREATE TABLE c (id INT PRIMARY KEY, p_id INT, q_id INT);"
        "INSERT INTO p VALUES (1); INSERT INTO c VALUES (1, 1, 1), (2, 9, 9)",
    )
    mysql(
        source,
        "SET foreign_key_checks = 0; ALTER TABLE c ADD CONSTRAINT Fk FOREIGN KEY (p_id) REFERENCES p (id)",
    )
    postgres(
        target,
        "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE q (id int PRIMARY KEY); INSERT INTO q VALUES (1);"
        'CREATE TABLE c (id int PRIMARY KEY, p_id int CONSTRAINT "Fk" '
        "REFERENCES p, q_id int CONSTRAINT only_there REFERENCES q);"
        """COMMENT ON CONSTRAINT "Fk" ON c IS 'the "parent"'""",
    )
    map_ = written(
        tmp_path,
        '[[foreign_key]]\nmatch = { foreign_key = "Fk" }\nvalidate = false\n'
        '[[foreign_key]]\nmatch = { foreign_key = "only_there" }\nvalidate = false\n'
        '[[target]]\nmatch = { table = "q" }\nkeep = true\n',
    )
    ran = load(source, target, "--map", map_)
    assert (ran.code, ran.json["verdict"], found(ran, "L050")) == (0, "verified", []), ran.err
    assert [one["object"] for one in found(ran, "V030")] == ["c.Fk"]
    assert [one["object"] for one in found(ran, "P043")] == ["c.only_there"]
    (told,) = found(ran, "L021")
    assert "but for 2 foreign keys" in told["message"]
    ends = ("--source", source, "--target", target)
    verified = converge("verify", *ends)
    assert verified.code == 0, verified.err
    # Whoever validates them later is asked nothing, and they stay valid.
    mysql(source, "DELETE FROM c WHERE id = 2")
    postgres(target, 'DELETE FROM c WHERE id = 2; ALTER TABLE c VALIDATE CONSTRAINT "Fk"')
    assert converge("verify", *ends).code == 0
    mysql(source, "INSERT INTO c VALUES (3, 1, 1)")
    assert converge("follow", *ends, "--once").code == 0
    keys = "conrelid = 'c'::regclass AND contype = 'f'"
    valid = f"SELECT conname, convalidated FROM pg_constraint WHERE {keys} ORDER BY 1"
    assert postgres(target, valid) == [("Fk", False), ("only_there", False)]
    cut = converge("cutover", *ends, "--stop", "true")
    assert cut.code == 0, cut.err
    assert postgres(target, valid) == [("Fk", True), ("only_there", False)]
    postgres(target, "ALTER TABLE c DROP CONSTRAINT only_there")
    verified = converge("verify", *ends, "--json")
    assert [one["object"] for one in found(verified, "V111")] == ["constraint only_there on public.c"]


def test_a_role_that_may_not_try_indexes(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY, n INT)")
    postgres(
        target,
        "CREATE TABLE t (id int PRIMARY KEY, n int); CREATE INDEX few ON t (n) WHERE n > 0;"
        "CREATE ROLE no_temp LOGIN; ALTER TABLE t OWNER TO no_temp; CREATE SCHEMA converge AUTHORIZATION "
        "no_temp; DO $$ BEGIN EXECUTE format('REVOKE TEMP ON DATABASE %I FROM public', current_database()); "
        "EXECUTE format('GRANT CREATE ON DATABASE %I TO no_temp', current_database()); END $$",
    )
    try:
        role = target.replace("postgres@", "no_temp@")
        assert [one["object"] for one in found(plan(source, role), "L014")] == ["t.few"]
    finally:
        postgres(target, "DROP OWNED BY no_temp; DROP ROLE no_temp")


def test_what_only_the_target_has_is_a_note_where_it_is_empty(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY)")
    postgres(
        target,
        "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE empty (id int); CREATE TABLE full_ (id int);"
        "INSERT INTO full_ VALUES (1); CREATE TABLE parts (id int) PARTITION BY LIST (id);"
        'CREATE TABLE "DATABASECHANGELOG" (id int); INSERT INTO "DATABASECHANGELOG" VALUES (1)',
    )
    told = {one["object"]: one["severity"] for one in found(plan(source, target), "L004")}
    assert told == {"empty": "note", "full_": "block", "parts": "block", "DATABASECHANGELOG": "note"}


def test_a_key_over_a_column_without_a_conversion_blocks(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(
        source,
        "CREATE TABLE p (id BINARY(16) PRIMARY KEY); CREATE TABLE c (id INT PRIMARY KEY, x BINARY(16), "
        "UNIQUE (x), FOREIGN KEY (x) REFERENCES p (id)); INSERT INTO p VALUES ('1');"
        "INSERT INTO c VALUES (1, '1')",
    )
    postgres(
        target,
        "CREATE TABLE p (id macaddr PRIMARY KEY);"
        "CREATE TABLE c (id int PRIMARY KEY, x macaddr UNIQUE REFERENCES p (id))",
    )
    assert blocks(source, target) == {
        ("L003", "p.id"), ("L003", "c.x"), ("P004", "p"), ("L029", "c.c_x_fkey")
    }  # fmt: skip


def test_two_tables_for_one_of_the_target(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    for name in "ab":
        mysql(source, f"CREATE TABLE {name} (id INT PRIMARY KEY); INSERT INTO {name} VALUES (1)")
    postgres(target, "CREATE TABLE a (id int PRIMARY KEY)")
    map_ = written(tmp_path, '[[table]]\nmatch = { table = "b" }\nrename = "a"\n')
    assert blocks(source, target, "--map", map_) == {("L160", "b")}


def test_a_table_whose_rows_stay_asks_for_nothing(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY, gone INT, other BINARY(3), n INT)")
    mysql(source, "INSERT INTO t VALUES (1, 1, 'abc', NULL)")
    postgres(target, "CREATE TABLE t (id int PRIMARY KEY, other inet, n int NOT NULL, more int NOT NULL);"
                     "INSERT INTO t VALUES (1, NULL, 1, 1)")  # fmt: skip
    map_ = written(tmp_path, '[[table]]\nmatch = { table = "t" }\nrows = "target"\n')
    assert blocks(source, target, "--map", map_) == set()
    assert load(source, target, "--map", map_).code == 0
    assert postgres(target, "SELECT n, more FROM t") == [(1, 1)]


def test_a_table_whose_rows_stay_lacks_what_it_lacks(databases: tuple[str, str], tmp_path: Path) -> None:
    """What rows are written later is the same for it as for a table that is loaded."""
    source, target = databases
    mysql(
        source,
        "CREATE TABLE p (id INT PRIMARY KEY, code INT UNIQUE); CREATE TABLE t (id INT PRIMARY KEY, "
        "e ENUM('x', 'y') NOT NULL, a INT, b INT, c INT, n INT DEFAULT 7, UNIQUE once (a), UNIQUE twice (b), "
        "CONSTRAINT gone FOREIGN KEY (a) REFERENCES p (id), "
        "CONSTRAINT stays FOREIGN KEY (b) REFERENCES p (id) ON DELETE CASCADE, "
        "CONSTRAINT positive CHECK (c > 0)); INSERT INTO p VALUES (1, 1); INSERT INTO t (id) VALUES (1)",
    )
    postgres(
        target,
        "CREATE TABLE p (id int PRIMARY KEY, code int); INSERT INTO p VALUES (1, 1);"
        "CREATE TABLE t (id int PRIMARY KEY, e text, a int, b int REFERENCES p, c int, n int);"
        "INSERT INTO t VALUES (1, 'x', NULL, NULL, NULL, 7), (2, 'x', 5, 1, 1, 7), (3, 'x', 5, 1, 1, 7)",
    )
    with pytest.raises(psycopg.errors.UniqueViolation):
        postgres(target, "CREATE UNIQUE INDEX CONCURRENTLY broken ON t (a)")
    map_ = written(tmp_path, '[[table]]\nmatch = { table = "*" }\nrows = "target"\n')
    ran = plan(source, target, "--map", map_)
    told = {(one["code"], one["object"]) for one in ran.json["findings"] if one["code"][0] == "L"}
    assert told == {
        ("L011", "p"), ("L011", "t"), ("L017", "p.code"), ("L017", "t.once"), ("L017", "t.twice"),
        ("L018", "t.gone"), ("L032", "t"), ("L035", "t.stays"), ("L036", "t"),
    }  # fmt: skip
    assert found(ran, "L036")[0]["evidence"] == "NOT NULL: e; DEFAULT: e, n"
    assert [one["name"] for one in ran.json["not_migrated"]] == ["p", "t"]


def test_a_column_that_is_not_compared_is_a_loss(databases: tuple[str, str], tmp_path: Path) -> None:
    """Of rows that stay in the target: what cannot be converted is in neither digest."""
    source, target = databases
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY, other BINARY(3), twice INT AS (id * 2))")
    mysql(source, "INSERT INTO t (id, other) VALUES (1, 'abc')")
    postgres(target, "CREATE TABLE t (id int PRIMARY KEY, other inet); INSERT INTO t VALUES (1, NULL)")
    map_ = written(tmp_path, '[[table]]\nmatch = { table = "t" }\nrows = "target"\n')
    (finding,) = found(plan(source, target, "--map", map_), "L011")
    assert (finding["severity"], finding["evidence"].partition("; ")[2]) == ("lossy", "not compared: other")


def test_losses_of_values_that_are_equal_in_the_plan_are_told(
    databases: tuple[str, str], tmp_path: Path
) -> None:
    """Of rows that stay: the comparison takes what a policy makes of a value for the value."""
    source, target = databases
    mysql(
        source,
        "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, day DATE, doc TEXT) AUTO_INCREMENT = 40000",
    )
    mysql(
        source,
        "SET sql_mode = ''; INSERT INTO t VALUES (1, '0000-00-00', '{\"a\":  1}'), (2, NULL, NULL)",
    )
    postgres(
        target,
        "CREATE TABLE t (id smallserial PRIMARY KEY, day date, doc jsonb);"
        "INSERT INTO t VALUES (1, NULL, '{\"a\": 1}'), (2, NULL, NULL)",
    )
    map_ = written(
        tmp_path,
        '[[table]]\nmatch = { table = "t" }\nrows = "target"\n'
        '[[column]]\nmatch = { table = "t", column = "day" }\npolicy = { zero_date = "null" }\n',
    )
    (finding,) = found(plan(source, target, "--map", map_), "L011")
    assert (finding["severity"], finding["evidence"]) == (
        "lossy",
        "by key: 2 equal, 0 differ, 0 only in the source, 0 only in the target; "
        "t.day: 1 row holds a date whose year, month or day is zero; the map's policy: null; "
        "t.doc: is parsed: spaces, doubled keys, their order and the spelling of numbers are not kept",
    )


@pytest.mark.parametrize("rows", ["source", "target"])
def test_rows_without_a_key_are_counted(databases: tuple[str, str], tmp_path: Path, rows: str) -> None:
    """What is there several times is lost where the other side has it once."""
    source, target = databases
    several = "INSERT INTO log VALUES ('a'), ('a'), ('a'), ('a'), ('a'), (NULL)"
    for run, side in ((mysql, source), (postgres, target)):
        run(side, "CREATE TABLE log (v VARCHAR(9))")
        run(side, several)
    map_ = written(tmp_path, f'[[table]]\nmatch = {{ table = "log" }}\nrows = "{rows}"\n')
    (finding,) = found(plan(source, target, "--map", map_), "L011")
    assert (finding["severity"], finding["evidence"][:15]) == ("note", "by key: 6 equal")
    fewer, side = (mysql, source) if rows == "source" else (postgres, target)
    fewer(side, "DELETE FROM log")
    fewer(side, "INSERT INTO log VALUES ('a'), (NULL)")
    (finding,) = found(plan(source, target, "--map", map_), "L011")
    theirs, ours = (4, 0) if rows == "source" else (0, 4)
    assert (finding["severity"], finding["evidence"]) == (
        "lossy", f"by key: 2 equal, 0 differ, {ours} only in the source, {theirs} only in the target",
    )  # fmt: skip


def test_an_index_that_is_invalid_blocks(databases: tuple[str, str]) -> None:
    """A CREATE INDEX CONCURRENTLY that has failed leaves one that keeps no rows apart."""
    source, target = databases
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY, email VARCHAR(9) UNIQUE)")
    mysql(source, "INSERT INTO t VALUES (1, 'a')")
    postgres(target, "CREATE TABLE t (id int PRIMARY KEY, email varchar(9)); INSERT INTO t VALUES (1), (2)")
    postgres(target, "UPDATE t SET email = 'twice'")
    with pytest.raises(psycopg.errors.UniqueViolation):
        postgres(target, "CREATE UNIQUE INDEX CONCURRENTLY once ON t (email)")
    with psycopg.connect(target, autocommit=True) as connection:
        indexes = {one.name: one for one in read_existing(connection, "public").by_name["t"].indexes}
    assert [is_whole(indexes[name]) for name in ("t_pkey", "once")] == [True, False]
    postgres(target, "TRUNCATE t")
    (finding,) = found(plan(source, target), "L008")
    assert (finding["severity"], finding["object"]) == ("block", "t") and "once" in finding["message"]
    postgres(target, finding["hint"])
    ran = load(source, target)
    assert (ran.json["verdict"], found(ran, "L017")) == ("verified", []), ran.err


def test_foreign_keys_are_the_same_by_what_they_refer_to_and_do(
    databases: tuple[str, str], tmp_path: Path
) -> None:
    source, target = databases
    mysql(
        source,
        "CREATE TABLE customer (Id INT PRIMARY KEY, code INT NOT NULL UNIQUE, UNIQUE (id, code));"
        "CREATE TABLE o (id INT PRIMARY KEY, other INT, code INT, deletes INT, late INT, same INT, x INT, "
        "y INT, up INT, `over` INT,"
        "CONSTRAINT up FOREIGN KEY (up) REFERENCES o (id) ON UPDATE CASCADE,"
        "CONSTRAINT `over` FOREIGN KEY (`over`) REFERENCES o (id) ON UPDATE CASCADE,"
        "CONSTRAINT other FOREIGN KEY (other) REFERENCES customer (ID) ON DELETE RESTRICT,"
        "CONSTRAINT code FOREIGN KEY (code) REFERENCES customer (id),"
        "CONSTRAINT deletes FOREIGN KEY (deletes) REFERENCES customer (id) ON DELETE RESTRICT,"
        "CONSTRAINT late FOREIGN KEY (late) REFERENCES customer (id) ON DELETE SET NULL ON UPDATE CASCADE,"
        "CONSTRAINT same FOREIGN KEY (same) REFERENCES customer (ID) ON UPDATE RESTRICT,"
        "CONSTRAINT pair FOREIGN KEY (x, y) REFERENCES customer (id, code))",
    )
    postgres(
        target,
        "CREATE TABLE party (id int PRIMARY KEY);"
        'CREATE TABLE client ("ID" int PRIMARY KEY, code int NOT NULL UNIQUE, UNIQUE ("ID", code));'
        "CREATE TABLE o (id int PRIMARY KEY, other int REFERENCES party ON DELETE CASCADE,"
        "code int REFERENCES client (code), deletes int REFERENCES client ON DELETE CASCADE, late int,"
        "same int REFERENCES client DEFERRABLE INITIALLY DEFERRED, x int, y int, up int REFERENCES o,"
        "over int REFERENCES o ON UPDATE CASCADE,"
        'FOREIGN KEY (y, x) REFERENCES client (code, "ID"));'
        "ALTER TABLE o ADD FOREIGN KEY (late) REFERENCES client ON DELETE SET NULL ON UPDATE CASCADE "
        "NOT VALID",
    )
    map_ = written(tmp_path, '[[table]]\nmatch = { table = "customer" }\nrename = "client"\n')
    # The parents are the same where they are not loaded.
    for options in ((), ("--include", "o")):
        ran = plan(source, target, "--map", map_, *options)
        told = {one["object"]: one["message"] for one in found(ran, "L018")}
        assert told == {
            "o.other": "foreign key is not migrated: it refers to customer (Id), and o_other_fkey of the "
            "target is FOREIGN KEY (other) REFERENCES public.party(id) ON DELETE CASCADE",
            "o.code": "foreign key is not migrated: it refers to customer (Id), and o_code_fkey of the "
            "target is FOREIGN KEY (code) REFERENCES public.client(code)",
        }
        differ = {one["object"]: (one["severity"], one["message"]) for one in found(ran, "L035")}
        assert differ == {
            "o.deletes": ("lossy", "ON DELETE is RESTRICT in the source and CASCADE in the target"),
            "o.late": ("lossy", "the target's key is NOT VALID, so its rows are not checked"),
            "o.over": ("lossy", "ON UPDATE is NO ACTION in the source and CASCADE in the target"),
        }


@pytest.mark.parametrize("off", ["child", "parent"])
def test_a_foreign_key_that_is_switched_off_blocks(databases: tuple[str, str], off: str) -> None:
    """Dropped for the load it would come back enforced: nobody but a superuser can restore it so."""
    source, target = databases
    mysql(
        source,
        "CREATE TABLE parent (id INT PRIMARY KEY); CREATE TABLE child (id INT PRIMARY KEY, p INT, "
        "FOREIGN KEY (p) REFERENCES parent (id));"
        "INSERT INTO parent VALUES (1); INSERT INTO child VALUES (1, 1)",
    )
    postgres(
        target,
        "CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (id int PRIMARY KEY, "
        f"p int CONSTRAINT fk REFERENCES parent); ALTER TABLE {off} DISABLE TRIGGER ALL",
    )
    for table in ("child", "parent"):
        # Also where only one of both is loaded.
        (finding,) = found(plan(source, target, "--include", table), "L008")
        assert (finding["severity"], finding["object"]) == ("block", table)
        assert "fk on public.child is switched off" in finding["message"].replace('"', "")
    ran = load(source, target)
    assert ran.code == 3, ran.err
    postgres(target, found(plan(source, target), "L008")[0]["hint"])
    ran = load(source, target)
    assert (ran.json["verdict"], found(ran, "L050")) == ("verified", []), ran.err
    assert converge("verify", "--source", source, "--target", target).code == 0


def test_a_foreign_key_that_the_role_could_not_add_again(databases: tuple[str, str]) -> None:
    """Its parent, or the table that has it, is another role's: nothing is dropped before that is settled."""
    source, target = databases
    mysql(
        source,
        "CREATE TABLE orders (id INT PRIMARY KEY, country INT); INSERT INTO orders VALUES (1, 7)",
    )
    postgres(
        target,
        "DROP ROLE IF EXISTS orderer; CREATE ROLE orderer LOGIN; CREATE SCHEMA ref; "
        "CREATE TABLE ref.country (id int PRIMARY KEY); INSERT INTO ref.country VALUES (7); "
        "CREATE TABLE orders (id int PRIMARY KEY, country int CONSTRAINT where_to REFERENCES ref.country); "
        "ALTER TABLE orders OWNER TO orderer; "
        "CREATE TABLE ref.audit (order_id int CONSTRAINT of_order REFERENCES orders); "
        "GRANT USAGE, CREATE ON SCHEMA public TO orderer; "
        "DO $$BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO orderer', current_database()); END$$",
    )
    limited = target.replace("postgres@", "orderer@")
    denied = found(plan(source, limited), "T004")
    assert sorted(one["message"].split(", once")[0] for one in denied) == [
        'the role may not add the foreign key of_order on "ref"."audit" again',
        'the role may not add the foreign key where_to on "public"."orders" again',
    ]
    for one in denied:
        postgres(target, one["hint"])
    ran = load(source, limited)
    assert ran.json["verdict"] == "verified", ran.err
    postgres(target, "REASSIGN OWNED BY orderer TO postgres; DROP OWNED BY orderer; DROP ROLE orderer")


def test_one_cause_is_one_finding(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY, a DATETIME, b DATETIME, c INT, d INT, e INT, f INT)")
    postgres(
        target,
        "CREATE DOMAIN small AS int CHECK (VALUE < 10); CREATE TABLE t (id int PRIMARY KEY, a timestamptz, "
        "b timestamptz, c small, d small, e int GENERATED ALWAYS AS (id + 1) STORED, "
        "f int GENERATED ALWAYS AS (id + 2) STORED)",
    )
    findings = plan(source, target).json["findings"]
    told = {one["code"]: one["message"] for one in findings if one["code"] in ("L015", "L016", "L025")}
    assert [one["object"] for one in findings if one["code"] in told] == ["t"] * 3
    assert all(text in told["L025"] for text in ("a", "b"))
    assert "c (public.small over integer), d (public.small over integer)" in told["L016"]
    assert told["L015"].endswith("e, f")


def test_a_weaker_target_is_a_loss(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(
        source,
        "CREATE TABLE p (id INT PRIMARY KEY); CREATE TABLE t (id INT PRIMARY KEY, n INT UNIQUE, p INT, "
        "FOREIGN KEY (p) REFERENCES p (id))",
    )
    mysql(source, "ALTER TABLE t ADD CONSTRAINT positive CHECK (n > 0)")
    postgres(target, "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY, n int, p int)")
    findings = plan(source, target).json["findings"]
    lost = [(one["code"], one["severity"]) for one in findings if one["code"] in ("L017", "L018", "L032")]
    assert sorted(lost) == [("L017", "lossy"), ("L018", "lossy"), ("L032", "lossy")]


def test_what_columns_of_the_target_do_not_do(databases: tuple[str, str]) -> None:
    """Their values arrive, and rows that are written later get others than in the source."""
    source, target = databases
    mysql(
        source,
        "CREATE TABLE child (id INT AUTO_INCREMENT PRIMARY KEY, amount INT NOT NULL DEFAULT 1, "
        "upd DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, "
        "g INT AS (amount * 2) STORED, why VARCHAR(9) DEFAULT (CONCAT('a', 'b')), free INT)",
    )
    mysql(source, "INSERT INTO child (amount) VALUES (9)")
    postgres(
        target,
        "CREATE DOMAIN word AS varchar(9) DEFAULT 'ab'; CREATE TABLE child (id serial PRIMARY KEY, "
        "amount int NOT NULL, upd timestamp, g int, why varchar(9), free int);"
        "CREATE FUNCTION now_() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN NEW.upd := localtimestamp; RETURN NEW; END';"
        "CREATE TRIGGER after_ AFTER UPDATE ON child FOR EACH ROW EXECUTE FUNCTION now_();"
        "CREATE TRIGGER added BEFORE INSERT ON child FOR EACH ROW EXECUTE FUNCTION now_();"
        "CREATE TRIGGER once BEFORE UPDATE ON child FOR EACH STATEMENT EXECUTE FUNCTION now_();"
        "CREATE TRIGGER switched_off BEFORE UPDATE ON child FOR EACH ROW EXECUTE FUNCTION now_();"
        "ALTER TABLE child DISABLE TRIGGER switched_off",
    )
    ran = plan(source, target)
    (finding,) = found(ran, "L036")
    assert (finding["severity"], finding["object"]) == ("lossy", "child")
    assert finding["evidence"] == (
        "DEFAULT: amount, upd, why; ON UPDATE CURRENT_TIMESTAMP: upd; NOT NULL: upd; "
        "the generated expression: g"
    )
    outcomes = {one["name"]: one for one in ran.json["plan"]["outcomes"]}
    assert [outcomes[f"child.{name}"]["state"] for name in ("upd", "free")] == [
        "translated with a note", "translated",
    ]  # fmt: skip
    assert outcomes["child.upd"]["why"] == (
        "lossless; the target's column lacks ON UPDATE CURRENT_TIMESTAMP, NOT NULL, DEFAULT"
    )
    postgres(
        target,
        "ALTER TABLE child ENABLE TRIGGER switched_off, ALTER amount SET DEFAULT 1, DROP g, "
        "ADD g int GENERATED ALWAYS AS (amount * 2) STORED, ALTER why TYPE word, "
        "ALTER upd SET DEFAULT now(), ADD CHECK (upd IS NOT NULL) NOT VALID",
    )
    assert found(plan(source, target), "L036") == []
    ran = converge("explain", "child.upd", "--source", source, "--target", target, "--mode", "load")
    assert "default  CURRENT_TIMESTAMP → now()" in ran.out, ran.err


def test_expressions_of_both_sides_are_compared(databases: tuple[str, str]) -> None:
    """Rows that are equal now may be so by chance: those of later are computed otherwise."""
    source, target = databases
    same = {
        "total": ("INT", "a + b", "a + b"),
        "twice": ("DECIMAL(12,2)", "d * 2", "d * 2"),
        "low": ("VARCHAR(20)", "LOWER(name)", "lower(name)"),
        "shown": ("VARCHAR(40)", "CONCAT(name, '-', a)", "name || '-' || a::text"),
        "chosen": ("VARCHAR(20)", "CASE WHEN a = 1 THEN name END", "CASE WHEN a = 1 THEN name END"),
        "price": ("DECIMAL(12,2)", "d * a", "d * a"),
        "product": ("BIGINT", "big * a", "big * a"),
        "sum": ("BIGINT", "big + a", "big + a"),
        "guarded": ("BIGINT", "big * a", "(big::numeric * a::numeric)::bigint"),
        "admin": ("TINYINT(1)", "name = 'admin'", """upper(name COLLATE "C") = 'ADMIN'"""),
    }
    other = {
        "factors": ("INT", "a + b", "a * b"),
        "grouped": ("INT", "a * (b + 1)", "a * b + 1"),
        "rounded": ("INT", "ROUND(d)", "d / 2"),
        "half": ("DECIMAL(10,4)", "a / 2", "a / 2"),
        "whole": ("DECIMAL(12,2)", "d * 2", "d::int * 2"),
        "cut": ("DECIMAL(10,2)", "d", "d::int"),
        "short": ("VARCHAR(40)", "CONCAT(name, 'x')", "name::varchar(3) || 'x'"),
        "larger": ("TINYINT(1)", "a > b", "a::text > b::text"),
        "higher": ("DECIMAL(12,2)", "d * 1.5", "d * 1.5::int"),
    }
    computed = {**same, **other}
    both = "id INT PRIMARY KEY, a INT, b INT, big BIGINT, d DECIMAL(10,2), name VARCHAR(20)"
    ours = "".join(f", {name} {type_} AS ({my}) STORED" for name, (type_, my, _) in computed.items())
    theirs = "".join(
        f", {name} {type_.replace('TINYINT(1)', 'boolean')} GENERATED ALWAYS AS ({pg}) STORED"
        for name, (type_, _, pg) in computed.items()
    )
    mysql(source, f"CREATE TABLE t ({both}{ours})")
    postgres(target, f"CREATE TABLE t ({both}{theirs})")
    (finding,) = found(plan(source, target), "L036")
    assert finding["message"] == "the target computes columns by another expression"
    assert finding["evidence"] == f"another expression: {', '.join(other)}"
    # Without asking once more.
    assert load(source, target).code == 0
    postgres(target, "UPDATE converge.run SET state = 'failed', report = NULL")
    resumed = load(source, target, "--resume")
    assert (resumed.code, found(resumed, "L036")) == (0, [finding]), resumed.err


def test_casts_to_names_of_objects_are_compared(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(
        source,
        "CREATE TABLE t (id INT PRIMARY KEY, body TEXT, sale TINYINT(1) AS (body LIKE '%sale%') STORED)",
    )
    postgres(
        target,
        "CREATE TABLE t (id int PRIMARY KEY, body text, sale boolean GENERATED ALWAYS AS "
        "(to_tsvector('english'::regconfig, body) @@ 'sale'::tsquery) STORED, "
        "CHECK (id <> 'pg_class'::regclass::oid::int))",
    )
    (finding,) = found(plan(source, target), "L036")
    assert finding["evidence"] == "another expression: sale"


def test_the_implied_default_of_an_enum_is_lacking(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY, lacking ENUM('new','paid') NOT NULL, free ENUM('x'), "
                  "has ENUM('new','paid') NOT NULL)")  # fmt: skip
    postgres(target, "CREATE TABLE t (id int PRIMARY KEY, lacking text NOT NULL, free text, "
                     "has text NOT NULL DEFAULT 'new')")  # fmt: skip
    (finding,) = found(plan(source, target), "L036")
    assert finding["evidence"] == "DEFAULT: lacking"


def test_a_default_of_null_is_none(databases: tuple[str, str]) -> None:
    """DEFAULT NULL of a type with a length is kept, as NULL::character varying."""
    source, target = databases
    mysql(
        source,
        "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(9) DEFAULT 'x', b DECIMAL(5,2) DEFAULT 1, "
        "c VARCHAR(9) DEFAULT 'x', d VARCHAR(9) DEFAULT 'NULL::')",
    )
    postgres(
        target,
        "CREATE DOMAIN word AS varchar(9) DEFAULT 'x'; CREATE TABLE t (id int PRIMARY KEY, "
        "a varchar(9) DEFAULT NULL, b numeric(5,2) DEFAULT NULL, c word DEFAULT NULL, "
        "d varchar(9) DEFAULT 'NULL::', more varchar(9) NOT NULL DEFAULT NULL, free varchar(9) DEFAULT NULL)",
    )
    ran = plan(source, target)
    (finding,) = found(ran, "L036")
    assert finding["evidence"] == "DEFAULT: a, b, c"
    more, free = found(ran, "L005")
    assert (more["object"], "has no default" in more["message"]) == ("t.more", True)
    assert (free["object"], free["message"].endswith("rows get NULL")) == ("t.free", True)


def test_columns_of_many_tables_that_do_less(databases: tuple[str, str]) -> None:
    source, target = databases
    for number in range(11):
        mysql(source, f"CREATE TABLE t{number:02} (id INT PRIMARY KEY, n INT DEFAULT {number})")
        postgres(target, f"CREATE TABLE t{number:02} (id int PRIMARY KEY, n int)")
    (finding,) = found(plan(source, target), "L036")
    assert finding["message"].startswith("11 times: ") and "t10 DEFAULT: n" in finding["evidence"]


@pytest.mark.parametrize(
    ("unique", "index", "serves"),
    [
        ("t(5)", "(t)", False),
        ("t(5)", "(left(t, 5))", True),
        ("t(5)", "(left(t, 6))", False),
        ("t(5)", "(lower(left(t, 5)))", False),
        ("n, t(5), b(3)", "(n, left(t, 5), substr(b, 1, 3))", True),
        ("n, t(5), b(3)", "(n, left(t, 5), b)", False),
        ("c(5)", "(left(c, 5))", False),
        ("c(5)", "((left(c, 5)::citext))", True),
        ("t(5), n", "(n)", True),
        ("t(5), n", "(t, n)", False),
        ("t", "(t)", True),
    ],
)
def test_a_unique_prefix_promises_more(
    databases: tuple[str, str], unique: str, index: str, serves: bool
) -> None:
    source, target = databases
    mysql(
        source,
        "CREATE TABLE t (id INT PRIMARY KEY, t VARCHAR(20), b BLOB, n INT, c VARCHAR(20), "
        f"UNIQUE once ({unique}))",
    )
    postgres(target, "CREATE EXTENSION citext")
    postgres(target, "CREATE TABLE t (id int PRIMARY KEY, t varchar(20), b bytea, n int, c citext)")
    postgres(target, f"CREATE UNIQUE INDEX own ON t {index}")
    told = [
        (one["object"], one["message"].partition("key on ")[2]) for one in found(plan(source, target), "L017")
    ]
    assert told == ([] if serves else [("t.once", f"({unique})")])


def test_an_expression_is_not_taken_for_another(databases: tuple[str, str], tmp_path: Path) -> None:
    """An index of the target over some expression says nothing about one of the source's."""
    source, target = databases
    mysql(
        source,
        "CREATE TABLE u (id INT PRIMARY KEY, name VARCHAR(20), email VARCHAR(20), gone DATETIME, tag INT, "
        "UNIQUE live ((CASE WHEN gone IS NULL THEN email END)), UNIQUE both_ (tag, (UPPER(name))), "
        "UNIQUE skipped (name, tag), KEY by_length ((LENGTH(email))), UNIQUE less (id, (tag + 1)))",
    )
    postgres(
        target,
        "CREATE TABLE u (id int PRIMARY KEY, name varchar(20), email varchar(20), gone timestamp);"
        "CREATE UNIQUE INDEX own ON u (lower(btrim(name))); "
        "CREATE UNIQUE INDEX pair ON u (id, lower(btrim(name)))",
    )
    map_ = written(tmp_path, '[[column]]\nmatch = { table = "u", column = "tag" }\nskip = true\n')
    ran = plan(source, target, "--map", map_)
    told = {one["object"]: one["message"] for one in found(ran, "L017")}
    # A row has its own id, so nothing is lost of `less`.
    assert told.keys() == {"u.live", "u.both_", "u.skipped"}
    assert all("no unique key on (" in message for message in told.values())
    assert told["u.live"].endswith("; its unique indexes over expressions are not compared: own, pair")
    assert "not compared" not in told["u.skipped"]
    (missing,) = found(ran, "L031")
    assert missing["message"].startswith("indexes that the target does not have: by_length (")


def test_a_btree_serves_no_search_of_words_or_places(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(
        source,
        "CREATE TABLE t (id INT PRIMARY KEY, a TEXT, b TEXT, c TEXT, g POINT NOT NULL SRID 0, "
        "h POINT NOT NULL SRID 0, FULLTEXT words (a), FULLTEXT named (b), FULLTEXT done (c), "
        "SPATIAL KEY (g), SPATIAL KEY (h))",
    )
    postgres(
        target,
        "CREATE TABLE t (id int PRIMARY KEY, a text, b text, c text, g point, h point);"
        "CREATE INDEX ON t (a); CREATE INDEX named ON t (b); CREATE INDEX ON t USING gist (g);"
        "CREATE INDEX done ON t USING gin (to_tsvector('simple', c))",
    )
    (missing,) = found(plan(source, target), "L031")
    assert missing["message"] == (
        "indexes that the target does not have: SPATIAL h (h(32)), FULLTEXT named (b), FULLTEXT words (a)"
    )
    assert "INDEX" not in missing["hint"]


def test_checks_over_the_same_columns_are_the_same(databases: tuple[str, str]) -> None:
    """Their names and words differ: what Django calls t_chk_1 in MySQL is t_n_check in PostgreSQL."""
    source, target = databases
    mysql(
        source,
        "CREATE TABLE t (id INT PRIMARY KEY, N INT, `the ``m``` INT, CHECK (n >= 0), CHECK (`the ``m``` < n),"
        " CONSTRAINT alone CHECK (`the ``m``` > 0), CONSTRAINT off CHECK (id > 0) NOT ENFORCED)",
    )
    postgres(
        target,
        'CREATE TABLE t (id int PRIMARY KEY, n int CHECK (n >= 0), "the `m`" int, '
        'CONSTRAINT pair CHECK ("the `m`" < n), EXCLUDE USING btree ("the `m`" WITH =))',
    )
    ran = plan(source, target)
    assert [one["name"] for one in ran.json["not_migrated"]] == ["t.alone", "t.off"]
    (finding,) = found(ran, "L032")
    assert finding["message"].endswith(" of alone, off")


def test_the_counter_that_the_application_asks_is_named(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT); INSERT INTO t VALUES (41)")
    postgres(target, "CREATE TABLE t (id int PRIMARY KEY); CREATE SEQUENCE t_seq")
    (finding,) = found(plan(source, target), "L024")
    postgres(target, finding["hint"])
    assert postgres(target, "SELECT nextval('t_seq')") == [(42,)]
    # Hibernate takes the 50 numbers up to the one that it gets.
    postgres(target, "ALTER SEQUENCE t_seq INCREMENT BY 50 RESTART")
    (finding,) = found(plan(source, target), "L024")
    postgres(target, finding["hint"])
    assert postgres(target, "SELECT nextval('t_seq')") == [(91,)]
    # The application may have gone on since, and with rows = "merge" its rows stay.
    postgres(target, "SELECT setval('t_seq', 5001)")
    postgres(target, finding["hint"])
    assert postgres(target, "SELECT nextval('t_seq')") == [(5051,)]


def test_a_sequence_that_counts_by_fifty(databases: tuple[str, str]) -> None:
    """An application may take the numbers before the one that it gets, and the run sets it so, too."""
    source, target = databases
    for name in ("fresh", "used"):
        mysql(source, f"CREATE TABLE {name} (id INT PRIMARY KEY AUTO_INCREMENT)")
        mysql(source, f"INSERT INTO {name} VALUES (41)")
        postgres(target, f"CREATE TABLE {name} (id serial PRIMARY KEY)")
        postgres(target, f"ALTER SEQUENCE {name}_id_seq INCREMENT BY 50")
    postgres(target, "SELECT setval('used_id_seq', 151)")
    assert load(source, target).json["verdict"] == "verified"
    assert converge("sync", "--source", source, "--target", target, "--json").code == 0
    assert postgres(target, "SELECT nextval('fresh_id_seq'), nextval('used_id_seq')") == [(91, 201)]
    # With a next value of 141 it takes 92 to 141.
    mysql(source, "INSERT INTO fresh VALUES (100)")
    postgres(target, "INSERT INTO fresh VALUES (100)")
    (finding,) = found(converge("verify", "--source", source, "--target", target, "--json"), "V112")
    assert finding["object"] == "fresh.id" and finding["message"].endswith("141, and has to be 150 or more")
    postgres(target, finding["hint"])
    assert not found(converge("verify", "--source", source, "--target", target, "--json"), "V112")


def test_next_values_of_tables_that_are_called_like_parts_of_the_query(databases: tuple[str, str]) -> None:
    """A table would hide what the query calls the same, and so would its columns."""
    source, target = databases
    columns = "`last_value` INT, is_called INT, seqmax INT, seqrelid INT, next INT"
    tables = ("q", "n", "pg_sequence")
    for table in tables:
        mysql(source, f"CREATE TABLE {table} (seqincrement INT PRIMARY KEY AUTO_INCREMENT, {columns})")
        mysql(source, f"INSERT INTO {table} VALUES (41, 2, 3, 4, 5, 6)")
    ran = converge("migrate", "--source", source, "--target", target, "--json")
    assert ran.json["verdict"] == "verified", ran.err
    next_values = postgres(target, "SELECT nextval(format('%I.%I', schemaname, sequencename)::regclass) "
                                   "FROM pg_sequences WHERE schemaname <> 'converge'")  # fmt: skip
    assert next_values == [(42,)] * len(tables)


def test_functions_that_are_also_statements(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(9), b VARCHAR(9), c INT)")
    mysql(source, "INSERT INTO t VALUES (1, 'abc', 'abc', 4)")
    ways = {"a": "REPLACE({}, 'a', 'b')", "b": "insert ({}, 1, 1, 'x')", "c": "({}) + (1)"}
    map_ = columns(tmp_path, ways)
    ran = converge("migrate", "--source", source, "--target", target, "--map", map_, "--json")
    assert ran.code == 0, ran.err
    assert postgres(target, "SELECT a, b, c FROM t") == [("bbc", "xbc", 5)]
    for using in (
        "1) UNION SELECT (2",
        "1), (2",
        "1) FROM t WHERE (1",
        "1) INTO OUTFILE ('/x'",
        "REPLACE INTO t",
    ):
        with pytest.raises(UsageError):
            expression(using, "c")


def test_a_parent_that_a_table_of_the_target_lacks(databases: tuple[str, str], tmp_path: Path) -> None:
    """Found before the target's rows are gone, by the target's own comparison of values."""
    source, target = databases
    mysql(
        source,
        "CREATE TABLE c (id INT PRIMARY KEY, kind INT, a INT, b VARCHAR(9), ip VARBINARY(16), other INT);"
        "INSERT INTO c VALUES (1, 1, 1, 'x', INET6_ATON('10.0.0.1'), 7), (2, 9, 1, 'X', "
        "INET6_ATON('10.0.0.2'), 8), (3, NULL, 1, NULL, NULL, NULL), (4, 9, 2, 'x', NULL, 8);"
        "CREATE TABLE kept (id INT PRIMARY KEY); INSERT INTO kept VALUES (7), (8)",
    )
    postgres(
        target,
        "CREATE TABLE kinds (id bigint PRIMARY KEY); INSERT INTO kinds VALUES (1), (2);"
        "CREATE TABLE pairs (a int, b text, UNIQUE (a, b)); INSERT INTO pairs VALUES (1, 'x');"
        "CREATE SCHEMA net; CREATE TABLE net.hosts (ip inet PRIMARY KEY);"
        "INSERT INTO net.hosts VALUES ('10.0.0.1'); CREATE TABLE kept (id int PRIMARY KEY);"
        "INSERT INTO kept VALUES (7); CREATE TABLE c (id int PRIMARY KEY, kind int REFERENCES kinds, a int, "
        "b varchar(9), ip inet REFERENCES net.hosts, other int REFERENCES kept, "
        "FOREIGN KEY (a, b) REFERENCES pairs (a, b)); INSERT INTO c VALUES (100)",
    )
    keep = "".join(
        f'[[target]]\nmatch = {{ table = "{name}" }}\nkeep = true\n' for name in ("kinds", "pairs")
    )
    stay = '[[table]]\nmatch = { table = "kept" }\nrows = "target"\n[[table]]\nmatch = { table = "c" }\n'
    using = '[[column]]\nmatch = { table = "c", column = "ip" }\nusing = "INET6_NTOA({})"\n'
    text = keep + stay + 'rows = "source"\n' + using
    told = {
        one["object"]: (one["message"].split()[0], one["evidence"])
        for one in found(plan(source, target, "--map", written(tmp_path, text)), "L019")
    }
    assert told == {
        "c.c_kind_fkey": ("2", "values 9"),
        "c.c_a_b_fkey": ("2", "values 1/X, 2/x"),
        "c.c_ip_fkey": ("1", "values 10.0.0.2"),
        "c.c_other_fkey": ("2", "values 8"),
    }
    ran = load(source, target, "--map", written(tmp_path, text))
    assert (ran.code, postgres(target, "SELECT id FROM c")) == (3, [(100,)]), ran.err
    unchecked = "".join(
        f'[[foreign_key]]\nmatch = {{ table = "c", foreign_key = "{name[2:]}" }}\nvalidate = false\n'
        for name in told
    )
    assert blocks(source, target, "--map", written(tmp_path, text + unchecked)) == set()


def test_a_merge_that_could_not_end(databases: tuple[str, str], tmp_path: Path) -> None:
    """Keycloak: seeded rows of another id and the same name go, and what refers to them stays."""
    source, target = databases
    mysql(
        source,
        "CREATE TABLE realm (id INT PRIMARY KEY, name VARCHAR(9) UNIQUE);"
        "INSERT INTO realm VALUES (1, 'master');"
        "CREATE TABLE role (id INT PRIMARY KEY, realm INT); INSERT INTO role VALUES (1, 1);"
        "CREATE TABLE code (k VARCHAR(9) PRIMARY KEY, id INT NOT NULL); INSERT INTO code VALUES ('a', 1);"
        "CREATE TABLE big (id INT PRIMARY KEY); INSERT INTO big VALUES (1)",
    )
    postgres(
        target,
        "CREATE TABLE realm (id int PRIMARY KEY, name varchar(9) UNIQUE);"
        "INSERT INTO realm VALUES (50, 'master'), (51, 'own');"
        "CREATE TABLE role (id int PRIMARY KEY, realm int REFERENCES realm);"
        "INSERT INTO role VALUES (60, 50), (61, 51), (1, 50), (62, NULL);"
        "CREATE TABLE code (k varchar(9) UNIQUE, id int PRIMARY KEY); INSERT INTO code VALUES ('b', 7);"
        "CREATE TABLE big (id int PRIMARY KEY); INSERT INTO big VALUES (2); CREATE SCHEMA more;"
        "CREATE TABLE more.log (id int REFERENCES big); INSERT INTO more.log VALUES (2), (2)",
    )
    map_ = written(tmp_path, '[[table]]\nmatch = { table = "*" }\nrows = "merge"\n')
    ran = plan(source, target, "--map", map_)
    told = {(one["code"], one["object"], one["severity"]) for one in ran.json["findings"]}
    wanted = {
        ("L019", "role_realm_fkey", "block"), ("L020", "code", "block"), ("L011", "realm", "lossy"),
    }  # fmt: skip
    assert wanted <= told and [one["message"][:2] for one in found(ran, "L019")] == ["1 "]
    assert "1 of them displaced" in next(
        one["evidence"] for one in found(ran, "L011") if one["object"] == "realm"
    )
    emptied = load(source, target, "--truncate", "--yes")
    assert (emptied.code, "log_id_fkey: 2 rows" in emptied.err) == (3, True), emptied.err
    assert postgres(target, "SELECT count(*) FROM role") == [(4,)]
    mysql(source, "DROP TABLE code, big")
    postgres(target, "DELETE FROM role WHERE id = 60; DROP TABLE code, more.log, big")
    assert load(source, target, "--map", map_).json["verdict"] == "verified"
    assert postgres(target, "SELECT * FROM role ORDER BY id") == [(1, 1), (61, 51), (62, None)]


@pytest.mark.parametrize("rows", ["source", "merge"])
def test_rows_that_could_not_come_back(databases: tuple[str, str], tmp_path: Path, rows: str) -> None:
    """A CHECK spares rows from before it, or has changed its mind; to restore them is to insert them."""
    source, target = databases
    mysql(source, "CREATE TABLE plan (id INT PRIMARY KEY, price INT); INSERT INTO plan VALUES (1, 5)")
    for part in (
        "CREATE FUNCTION most() RETURNS int IMMUTABLE RETURN 9",
        "CREATE TABLE plan (id int PRIMARY KEY, price int, CONSTRAINT most CHECK (price < most()))",
        "INSERT INTO plan VALUES (0, -1), (2, 8), (3, NULL)",
        "ALTER TABLE plan ADD CONSTRAINT least CHECK (price >= 0) NO INHERIT NOT VALID",
        "CREATE OR REPLACE FUNCTION most() RETURNS int IMMUTABLE RETURN 8",
    ):
        postgres(target, part)
    map_ = written(tmp_path, f'[[table]]\nmatch = {{ table = "plan" }}\nrows = "{rows}"\n')
    findings = found(plan(source, target, "--map", map_), "L023")
    assert {(one["severity"], one["object"]) for one in findings} == {
        ("block", "plan.least"), ("block", "plan.most"),
    }  # fmt: skip
    assert [postgres(target, one["hint"]) for one in findings] == [[(0, -1)], [(2, 8)]]
    ran = load(source, target, "--map", map_)
    assert (ran.code, postgres(target, "SELECT count(*) FROM plan")) == (3, [(3,)]), ran.err
    postgres(target, "DELETE FROM plan WHERE price IS NOT NULL")
    assert load(source, target, "--map", map_).json["verdict"] == "verified"


def test_a_table_that_is_left_out_counts_once(databases: tuple[str, str], tmp_path: Path) -> None:
    """And what only the source has of the others is named, a finding for each table."""
    source, target = databases
    keys = "KEY by_a (a), KEY by_b (b, c), KEY (c), KEY few (b, a)"
    wide = f"(id INT PRIMARY KEY, a INT, b VARCHAR(9), c INT CHECK (c > 0), {keys})"
    mysql(source, "; ".join(f"CREATE TABLE {name} {wide}" for name in ("kept", "excluded", "skipped", "t")))
    for name in ("kept", "t"):
        postgres(
            target, f"CREATE TABLE {name} (id int PRIMARY KEY, a int, b varchar(9), c int CHECK (c > 0))"
        )
    postgres(
        target,
        "CREATE INDEX served ON t (c, a); CREATE INDEX ON t (a) WHERE a > 0;"
        "CREATE INDEX few ON t (b) WHERE a > 0",
    )
    map_ = written(
        tmp_path,
        '[[table]]\nmatch = { table = "kept" }\nrows = "target"\n'
        '[[table]]\nmatch = { table = "skipped" }\nskip = true\n',
    )
    ran = plan(source, target, "--map", map_, "--exclude", "excluded")
    tables = [one["name"] for one in ran.json["not_migrated"] if one["kind"] == "table"]
    others = [one["name"] for one in ran.json["not_migrated"] if one["kind"] not in ("table", "check")]
    assert (sorted(tables), others) == (["excluded", "kept", "skipped"], ["t.by_a", "t.by_b"])
    (missing,) = found(ran, "L031")
    assert (missing["object"], missing["severity"]) == ("t", "lossy")
    assert missing["message"] == "indexes that the target does not have: by_a (a), by_b (b, c)"
    words = converge(
        "plan",
        "--source",
        source,
        "--target",
        target,
        "--mode",
        "load",
        "--map",
        map_,
        "--exclude",
        "excluded",
        "--show",
        "findings",
    )
    assert "by_a (a), by_b (b, c)" in words.out, words.out
    verdict = f"{len(ran.json['not_migrated'])} objects not migrated · {ran.json['losses']} loss"
    assert verdict in words.out, words.out


def test_many_findings_with_one_cause_are_one(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    for number in range(24):
        mysql(
            source,
            f"CREATE TABLE t{number} (id INT PRIMARY KEY AUTO_INCREMENT); INSERT INTO t{number} VALUES (2)",
        )
        postgres(target, f"CREATE TABLE t{number} (id int PRIMARY KEY); CREATE SEQUENCE t{number}_seq")
        postgres(target, f"INSERT INTO t{number} VALUES ({2 if number < 12 else 1})")
    map_ = written(tmp_path, '[[table]]\nmatch = { table = "*" }\nrows = "source"\n')
    ran = plan(source, target, "--map", map_)
    (counters,) = found(ran, "L024")
    assert "24 times" in counters["message"]
    assert counters["hint"].count("SELECT setval") == 24
    rows = {one["severity"]: one for one in found(ran, "L011")}
    assert [one["message"].split()[0] for one in rows.values()] == ["12", "12"]
    assert (
        "t0 by key: 1 equal, 0 differ, 0 only in the source, 0 only in the target;"
        in rows["note"]["evidence"]
    )
    assert "t23 by key: 0 equal, 0 differ, 1 only in the source, 1 only" in rows["lossy"]["evidence"]


def test_a_partitioned_table_is_replaced_and_not_left_out(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE e (id INT PRIMARY KEY); INSERT INTO e VALUES (1)")
    postgres(target, "CREATE TABLE e (id int PRIMARY KEY) PARTITION BY RANGE (id)")
    (finding,) = found(plan(source, target), "L008")
    assert finding["hint"].startswith(
        "make it a plain table for the migration, and partition it, or attach it"
    )
    assert finding["hint"].endswith("; --exclude e would leave its rows out")


@pytest.mark.parametrize(
    ("more", "keeps"), [("", True), ("DEFAULT '{a}' NOT NULL", True), ("NOT NULL", False)]
)
def test_a_column_that_is_left_out_stays_in_the_target(
    databases: tuple[str, str], tmp_path: Path, more: str, keeps: bool
) -> None:
    """Both halves at once: the source's column is skipped, and the target's is kept."""
    source, target = databases
    mysql(source, "CREATE TABLE a (id INT PRIMARY KEY, f SET('x', 'y')); INSERT INTO a VALUES (1, 'x')")
    postgres(target, f'CREATE TABLE a (id int PRIMARY KEY, "F" inet[] {more})'.replace("{a}", "{}"))
    (finding,) = found(plan(source, target), "L003")
    map_ = written(tmp_path, finding["hint"])
    assert blocks(source, target, "--map", map_) == (set() if keeps else {("L005", "a.F")})
    assert ("keep = true" in finding["hint"]) is keeps


def test_partitions_that_are_lost_can_be_made_again(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE p (id INT PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 2")
    (finding,) = found(converge("plan", "--source", source, "--target", target, "--json"), "P071")
    assert finding["hint"].startswith('CREATE TABLE … (LIKE "public"."p" INCLUDING ALL) PARTITION BY')


@pytest.mark.parametrize(
    ("rows", "told"),
    [("source", "is replaced by the source's"), ("merge", "stays, but for keys that the source has")],
)
def test_one_row_is_told_in_the_singular(
    databases: tuple[str, str], tmp_path: Path, rows: str, told: str
) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)")
    postgres(target, "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (2)")
    map_ = written(tmp_path, f'[[table]]\nmatch = {{ table = "t" }}\nrows = "{rows}"\n')
    (finding,) = found(plan(source, target, "--map", map_), "L011")
    assert finding["message"] == f"the target's 1 row {told}"


def test_an_extension_that_is_missing_has_its_statement(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(9))")
    postgres(target, "CREATE ROLE plain LOGIN; GRANT USAGE, CREATE ON SCHEMA public TO plain")
    map_ = written(tmp_path, '[[column]]\nmatch = { column = "name" }\nto = "citext"\n')
    try:
        url = target.replace("postgres@", "plain@")
        ran = converge("plan", "--source", source, "--target", url, "--map", map_, "--json")
        (finding,) = found(ran, "P006")
    finally:
        postgres(target, "DROP OWNED BY plain; DROP ROLE plain")
    statement, other, *entry = finding["hint"].splitlines()
    assert statement == 'CREATE EXTENSION IF NOT EXISTS "citext" SCHEMA "pg_catalog"; -- as a superuser'
    assert (other, entry[-1]) == ("# or, in a map:", 'to = "text"')
