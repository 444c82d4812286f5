"""The words that users read are the field's: none of those that were replaced comes back."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

REPLACED = {
    r"rights|a right|the right (for|to)|missing right": "privilege",
    r"(takes?|taken|took|taking|gives?|given|gave) (it |them |everything )?back": "roll back",
    r"(puts?|putting) (it |them |everything )?back": "restore",
    r"tried again(?!st)": "retried",
    r"stays? behind|declared loss": "is not migrated; a loss",
    r"lacks an equal parent|without an equal parent": "orphan row",
    r"deviations?|drifted": "difference",
    r"going (back|over)": "rollback, cutover",
    r"look(s|ed)? back": "source changes",
    r"throw-away|made anew": "temporary; made again",
    r"packed": "compressed",
    r"crew": "workers",
    r"make room": "free some space",
    r"one-sided": "unmatched",
    r"(at|of|from) one instant": "one snapshot",
    r"settled?s?|reckon\w*": "resolve, decide, compute",
    r"means? nothing": "is unknown",
    r"(?<!here )(is|are|was|were) no(?! (longer|pad)\b) [a-z]\w*": "is not a …",
    r"an url": "a URL",
    r"has no place": "does not fit",
    r"can go": "ready to migrate",
    r"source( \w+){0,2} (have moved|has moved|did not move)": "source changed since the snapshot",
    r"everybody on the way": "in transit",
}
PATTERN = re.compile(rf"\b({'|'.join(REPLACED)})\b", re.IGNORECASE)
ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    *(
        path for path in sorted(ROOT.glob("*.md")) if path.name != "CHANGELOG.md"
    ),  # tells what words were before
    *sorted(ROOT.glob("docs/*.md")),
    *sorted(ROOT.glob("docs/providers/*.md")),
    ROOT / "converge/codes.toml",
]
SQL = re.compile(r"\b(SELECT|WHERE|CASE|UPDATE|ORDER BY|AND NOT)\b")


def test_replaced_words_are_found() -> None:
    for text in (
        "the role lacks rights",
        "takes it back",
        "is no UUID",
        "the plan is settled",
        "a packed dump",
    ):
        assert PATTERN.search(text), text
    for text in ("copyrights", "there is no table", "is no longer there", "the settings", "unpacked"):
        assert not PATTERN.search(text), text


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_documents(path: Path) -> None:
    lines = enumerate(path.read_text("utf-8").splitlines(), 1)
    assert [(number, match[0]) for number, line in lines for match in PATTERN.finditer(line)] == []


def test_help_and_messages() -> None:
    """Every string of the code that is a sentence, and the docstrings of commands, which are their help."""
    found = [
        f"{path.relative_to(ROOT)}:{line}: {match[0]}"
        for path in sorted(ROOT.glob("converge/**/*.py"))
        for line, text in _said(path)
        for match in PATTERN.finditer(text)
    ]
    assert found == []


NOUNS = "row table object value column view finding check statement expression partition argument chunk"
COUNT = re.compile(rf" (\w+ )?({NOUNS.replace(' ', '|')})s\b")


def test_one_is_singular() -> None:
    """A number goes before a noun by `counted` or `said`; constants, in capitals, are more than one."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(number.value)}{noun[0]}"
        for path in sorted(ROOT.glob("converge/**/*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.JoinedStr)
        for number, text in pairwise(node.values)
        if isinstance(number, ast.FormattedValue) and isinstance(text, ast.Constant)
        if (noun := COUNT.match(str(text.value))) and _is_number(number)
    ]
    assert found == []


def _is_number(value: ast.FormattedValue) -> bool:
    expression = ast.unparse(value.value)
    if expression.upper() == expression or isinstance(value.value, ast.BinOp):
        return False
    return value.format_spec is not None or expression.startswith("len(") or expression.endswith("rows")


def _said(path: Path) -> Iterator[tuple[int, str]]:
    tree = ast.parse(path.read_text("utf-8"))
    silent = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and "cli" not in path.parts
    }
    for node in ast.walk(tree):
        # Names and SQL are not read aloud.
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and node not in silent
            and " " in node.value.strip()
            and not SQL.search(node.value)
        ):
            yield node.lineno, node.value
