"""PostgreSQL's statements as words, and a text's statements apart from each other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

# PostgreSQL manual, "Lexical Structure"; standard_conforming_strings is on in every session of ours. A name
# with Unicode escapes is taken for a string: nobody writes it, and no name can be read where it stands.
_TOKEN = re.compile(
    r"""
    (?P<space>\s+|--[^\n]*)
  | (?P<comment>/\*)
  | (?P<string>[eE]'(?:[^'\\]|\\.|'')*' | (?:[bBxXnN]|[uU]&)?'(?:[^']|'')*' | (?P<tag>\$(?:[^\W\d]\w*)?\$).*?(?P=tag) | [uU]&"(?:[^"]|"")+")
  | (?P<name>"(?:[^"]|"")+")
  | (?P<word>[^\W\d][\w$]*)
  | (?P<number>\d[\w.]*)
  | (?P<symbol>::|.)
    """,  # noqa: E501
    re.VERBOSE | re.DOTALL,
)
_SHOWN = 200
_CAPITALS = re.compile("[A-Z]+")
_COMMENT = re.compile(r"/\*|\*/")


@dataclass(frozen=True, slots=True)
class Word:
    kind: Literal["word", "name", "string", "number", "symbol"]
    text: str
    """A word in lower case, a quoted name without its quotes, all else as written."""
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Statement:
    words: tuple[Word, ...]
    text: str
    """As written, without the semicolon."""


def statements(text: str) -> Iterator[Statement]:
    """The statements of a text; a semicolon in parentheses or in BEGIN ATOMIC … END ends none."""
    own: list[Word] = []
    depth = 0
    for word in _words(text):
        if word.text == ";" and word.kind == "symbol" and depth == 0:
            if own:
                yield _statement(text, own)
            own = []
            continue
        own.append(word)
        depth += _deeper(own)
    if own:
        yield _statement(text, own)


def _statement(text: str, words: Sequence[Word]) -> Statement:
    return Statement(tuple(words), text[words[0].begin : words[-1].end])


def _deeper(words: Sequence[Word]) -> int:
    """How much deeper the last word leads."""
    last = words[-1]
    if last.kind == "symbol":
        return {"(": 1, ")": -1}.get(last.text, 0)
    step = {"atomic": 1, "case": 1, "end": -1}.get(last.text, 0) if last.kind == "word" else 0
    return step if step and _has(words, "begin", "atomic") else 0


def _has(words: Sequence[Word], *texts: str) -> bool:
    plain = [word.text if word.kind == "word" else "" for word in words]
    return any(tuple(plain[at : at + len(texts)]) == texts for at in range(len(plain)))


def _words(text: str) -> Iterator[Word]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        assert found is not None and found.lastgroup is not None
        kind, end = found.lastgroup, found.end()
        if kind == "comment":
            end = _end_of_comment(text, end)
        elif kind == "name":
            yield Word("name", found["name"][1:-1].replace('""', '"'), at, end)
        elif kind == "word":
            # As the server does it: no other letters are folded.
            yield Word("word", _CAPITALS.sub(lambda one: one[0].lower(), found["word"]), at, end)
        elif kind in ("number", "symbol"):
            yield Word(kind, found[kind], at, end)  # type: ignore[arg-type]
        elif kind != "space":
            yield Word("string", found["string"], at, end)
        at = end


def _end_of_comment(text: str, at: int) -> int:
    """Comments nest in PostgreSQL."""
    depth = 1
    for found in _COMMENT.finditer(text, at):
        depth += 1 if found[0] == "/*" else -1
        if depth == 0:
            return found.end()
    return len(text)


def one_line(text: str) -> str:
    """A statement as messages show it."""
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}…"


def set_of(*lines: str) -> frozenset[str]:
    """The words of these lines."""
    return frozenset(word for line in lines for word in line.split())
