"""A rule of a map that matches nothing is named, with what may have been meant; --strict blocks."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import Ran, converge, mysql, postgres, relations

MAP = """
[map]
extends = ["friendly"]
[[type]]
match = { type = "geometry" }
to = "bytea"
[[type]]
match = { type = "varchar", length = 36, fits = true }
to = "uuid"
[[column]]
match = { table = "flim", column = "title" }
skip = true
[[column]]
match = { table = "film", column = "titel" }
skip = true
[[column]]
match = { table = "fi*", column = "title" }
why = "this one matches"
to = "text"
[[table]]
match = { table = "actr" }
rename = "actors"
[[index]]
match = { table = "film", index = "by_titel" }
skip = true
[[index]]
match = { kind = "FULLTEXT" }
method = "gin"
[[foreign_key]]
match = { table = "film", foreign_key = "nobody" }
skip = true
[[target]]
match = { table = "seedz" }
keep = true
"""


@pytest.fixture
def ends(databases: tuple[str, str], tmp_path: Path) -> tuple[str, ...]:
    source, target = databases
    mysql(source, "CREATE TABLE film (id int PRIMARY KEY, title varchar(36), KEY by_title (title))")
    mysql(source, "CREATE TABLE actor (id int PRIMARY KEY)")
    (tmp_path / "own.toml").write_text(MAP)
    return ("--source", source, "--target", target, "--map", str(tmp_path / "own.toml"))


def unmatched(ran: Ran) -> dict[str, str]:
    found = [one for one in ran.json["findings"] if one["code"] == "M180"]
    return {one["object"]: one["message"].removeprefix("the rule matches nothing: ") for one in found}


def test_each_slip_is_named(ends: tuple[str, ...]) -> None:
    ran = converge("plan", *ends, "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "ready"), ran.err
    assert unmatched(ran) == {
        "own [[type]] #1": "no type of the source has all of: type = geometry",
        "own [[column]] #1": "the source has no table 'flim'; did you mean 'film'?",
        "own [[column]] #2": "the source has no column 'titel'; did you mean 'title'?",
        "own [[table]] #1": "the source has no table 'actr'; did you mean 'actor'?",
        "own [[index]] #1": "the source has no index 'by_titel'; did you mean 'by_title'?",
        "own [[index]] #2": "no index of the source has all of: kind = FULLTEXT",
        "own [[foreign_key]] #1": "the source has no foreign key 'nobody'",
    }
    # The summary has each in a line of its own.
    text = converge("plan", *ends).out
    assert (
        "\nunmatched own [[column]] #1: the rule matches nothing: the source has no table 'flim'; did" in text
    )
    # Shipped maps have rules for all the databases of the world.
    assert unmatched(converge("plan", *ends[:4], "--map", "friendly", "--map", "kratos", "--json")) == {}


def test_strict_blocks_before_anything_is_written(ends: tuple[str, ...]) -> None:
    for command in ("doctor", "plan", "migrate"):
        ran = converge(command, *ends, "--strict")
        assert ran.code == 3 and "M180" in ran.out + ran.err, (command, ran.out, ran.err)
    assert relations(ends[3]) == []


def test_in_load_mode_the_target_s_own_names_count(ends: tuple[str, ...]) -> None:
    postgres(ends[3], "CREATE TABLE film (id int PRIMARY KEY, title text)")
    postgres(ends[3], "CREATE TABLE actor (id int PRIMARY KEY)")
    postgres(ends[3], "CREATE TABLE seeds (id int PRIMARY KEY)")
    found = unmatched(converge("plan", *ends, "--mode", "load", "--json"))
    assert found["own [[target]] #1"] == "the target has no table 'seedz'; did you mean 'seeds'?"
    assert "own [[column]] #3" not in found
