"""The walks of ARCHITECTURE.md lead where they say."""

from __future__ import annotations

import re

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
