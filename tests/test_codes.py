"""Every code that converge can say is in a page of the documentation."""

from __future__ import annotations

import re
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_IN_CODE = re.compile(r'"([A-Z]\d{3})"')
_IN_TEXT = re.compile(r"\b[A-Z]\d{3}\b")
_NEVER_SAID = {"E000"}
"""The default of an error without a code of its own."""


def test_every_code_is_documented() -> None:
    said = {
        code for path in _ROOT.glob("converge/**/*.py") for code in _IN_CODE.findall(path.read_text("utf-8"))
    }
    assert len(said) > 300
    pages = [_ROOT / "README.md", *_ROOT.glob("docs/*.md")]
    known = {code for path in pages for code in _IN_TEXT.findall(path.read_text("utf-8"))}
    assert said - known == _NEVER_SAID
