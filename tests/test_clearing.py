"""What is removed before a run is named first, and only removed when somebody said so."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from support import ENVIRONMENT, converge, mysql, postgres

TABLES = """
CREATE TABLE a (id int PRIMARY KEY, note varchar(20)); INSERT INTO a VALUES (1, 'one'), (2, 'two');
CREATE TABLE b (id int PRIMARY KEY); INSERT INTO b VALUES (7);
CREATE TABLE c (id int PRIMARY KEY);
"""


@pytest.fixture
def full(databases: tuple[str, str]) -> tuple[str, ...]:
    """The options of both addresses; a table of each side is there already, with rows of the target's own."""
    source, target = databases
    mysql(source, TABLES)
    postgres(target, "CREATE TABLE a (id int PRIMARY KEY, note varchar(20))")
    postgres(target, "INSERT INTO a SELECT i, 'mine' FROM generate_series(1, 5) i")
    postgres(target, "CREATE TABLE b (id int PRIMARY KEY)")
    return ("--source", source, "--target", target)


def test_doctor_plan_and_migrate_find_the_same(full: tuple[str, ...]) -> None:
    for command in ("doctor", "plan"):
        ran = converge(command, *full, "--json")
        (found,) = [one for one in ran.json["findings"] if one["severity"] == "block"]
        assert (ran.code, ran.json["verdict"], found["code"]) == (3, "blocked", "T005"), command
        assert found["message"].startswith("2 of 3 tables and views exist in the target already")
        assert found["evidence"] == "public.a has rows, public.b is empty"
        assert "--recreate" in found["hint"]
        assert converge(command, *full, "--recreate").code == 0
    ran = converge("migrate", *full)
    assert ran.code == 3 and "error[T005]: 2 of 3 tables and views exist" in ran.err
    # In load mode the table that only the source has, and the rows, are what is wrong.
    load = (*full, "--mode", "load")
    codes = [
        {
            one["code"]
            for one in converge(command, *load, "--json").json["findings"]
            if one["severity"] == "block"
        }
        for command in ("doctor", "plan")
    ]
    assert codes[0] == codes[1] and "L010" in codes[0]


def test_views_of_tables_that_are_left_out_are_not_in_the_way(full: tuple[str, ...]) -> None:
    mysql(full[1], "CREATE VIEW v AS SELECT id FROM a; CREATE VIEW w AS SELECT id FROM v")
    postgres(full[3], "CREATE TABLE v (id int); CREATE TABLE w (id int)")
    assert converge("plan", *full, "--include", "c").code == 0
    (found,) = [
        one
        for one in converge("plan", *full, "--include", "a", "--json").json["findings"]
        if one["severity"] == "block"
    ]
    assert found["message"].startswith("3 of 3 tables and views exist")


def test_nothing_is_dropped_unless_somebody_says_so(full: tuple[str, ...]) -> None:
    target = full[-1]
    ran = converge("migrate", *full, "--recreate")
    assert ran.code == 2
    assert "error[U181]: would drop 2 tables with 5 rows in postgresql://" in ran.err
    assert '"public"."a": 5 rows' in ran.err and '"public"."b": 0 rows' in ran.err and "--yes" in ran.err
    assert postgres(target, "SELECT count(*) FROM a WHERE note = 'mine'") == [(5,)]
    assert postgres(target, "SELECT to_regnamespace('converge')") == [(None,)]
    ran = converge("migrate", *full, "--recreate", "--yes", "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    assert postgres(target, "SELECT count(*) FROM a") == [(2,)]


def test_truncate_empties_only_what_is_loaded(full: tuple[str, ...], tmp_path: Path) -> None:
    target = full[-1]
    map_ = tmp_path / "load.toml"
    map_.write_text('[map]\n[[table]]\nmatch = { table = "c" }\nskip = true\n'
                    '[[table]]\nmatch = { table = "b" }\nrows = "target"\n')  # fmt: skip
    postgres(target, "INSERT INTO b VALUES (99)")
    load = ("migrate", *full, "--mode", "load", "--map", str(map_), "--truncate")
    ran = converge(*load)
    assert ran.code == 2 and "error[U181]: would empty 1 table with 5 rows" in ran.err
    assert '"b"' not in ran.err
    assert postgres(target, "SELECT count(*) FROM a") == [(5,)]
    ran = converge(*load, "--yes")
    assert ran.code == 0, ran.err
    assert postgres(target, "SELECT (SELECT count(*) FROM a), (SELECT id FROM b)") == [(2, 99)]


@pytest.mark.parametrize(("mode", "option"), [("create", "--truncate"), ("load", "--recreate")])
def test_each_mode_has_its_option(full: tuple[str, ...], mode: str, option: str) -> None:
    for command in ("migrate", "plan"):
        ran = converge(command, *full, "--mode", mode, option)
        assert ran.code == 2 and "error[U180]" in ran.err, ran.err
    assert postgres(full[-1], "SELECT count(*) FROM a") == [(5,)]


def test_a_terminal_is_asked_with_tables_and_rows(full: tuple[str, ...]) -> None:
    main, side = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "converge", "migrate", *full, "--recreate", "-q"],
        stdin=side, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=ENVIRONMENT,
    )  # fmt: skip
    os.write(main, b"n\n")
    _, said = process.communicate(timeout=60)
    os.close(main)
    os.close(side)
    assert b'"public"."a": 5 rows' in said and b"Drop 2 tables with 5 rows in postgresql://" in said
    assert process.returncode == 2 and b"error[U181]: not confirmed: nothing was changed" in said
    assert postgres(full[-1], "SELECT count(*) FROM a") == [(5,)]


def test_recover_names_what_it_removes(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1), (2), (3)")
    mysql(source, "CREATE TABLE z (id int PRIMARY KEY); INSERT INTO z VALUES (1)")
    postgres(target, "CREATE TABLE a (id int PRIMARY KEY)")
    postgres(target, "CREATE FUNCTION no(int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN false; END'")
    postgres(target, "CREATE TABLE z (id int PRIMARY KEY CHECK (no(id)))")
    load = ("migrate", "--source", source, "--target", target, "--mode", "load", "--jobs", "1")
    assert converge(*load).code == 5
    assert postgres(target, "SELECT count(*) FROM a") == [(3,)]
    ran = converge("recover", "--target", target)
    assert ran.code == 2 and "error[U181]: would remove rows from 1 table with 3 rows" in ran.err, ran.err
    assert postgres(target, "SELECT count(*) FROM a") == [(3,)]
    assert converge("recover", "--target", target, "--yes").code == 0
    assert postgres(target, "SELECT count(*) FROM a") == [(0,)]
    # Nothing is left to remove, so nobody has to say so.
    assert converge("recover", "--target", target).code == 0
