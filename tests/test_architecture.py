"""The walks of ARCHITECTURE.md lead where they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.walk import ARCHITECTURE, REFERENCE, with_lines

WALKS = re.findall(r"^### (The road of .*?)\n(.*?)(?=^#)", ARCHITECTURE.read_text("utf-8"), re.M | re.S)


def test_every_reference_has_the_line_of_its_definition() -> None:
    text = ARCHITECTURE.read_text("utf-8")
    assert text == with_lines(text), "python -m tools.walk"


def test_there_are_three_walks() -> None:
    assert [title for title, _ in WALKS] == [
        f"The road of a {what}" for what in ("row", "decision", "finding")
    ]


@pytest.mark.parametrize(("title", "text"), WALKS)
def test_a_walk_names_at_most_seven_modules(title: str, text: str) -> None:
    modules = {match["module"] for match in REFERENCE.finditer(text)}
    assert 3 <= len(modules) <= 7


def test_no_two_files_of_tests_make_a_role_of_the_same_name() -> None:
    """Files share the servers, in an order of their own, and a role belongs to a whole server."""
    made: dict[str, str] = {}
    for file in Path(__file__).parent.glob("test_*.py"):
        text = file.read_text("utf-8")
        for kind, name in re.findall(r"CREATE (ROLE|USER) (?:IF NOT EXISTS )?['\"`]?([a-z_]+)", text):
            assert made.setdefault(f"{kind} {name}", file.name) == file.name, name
