"""PostgreSQL's statements as words, and a text's statements apart from each other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal
from urllib.parse import quote

# PostgreSQL manual, "Lexical Structure". All that is not ASCII belongs to identifiers, a no-break space too.
_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\n\r\f\v]+|--[^\n\r]*)
  | (?P<comment>/\*)
  | (?P<string>[eE]'(?:[^'\\]|\\.|'')*' | [bBxXnN]?'(?:[^'\\]|'')*'
      | (?P<tag>\$(?:[A-Za-z_\u0080-\U0010ffff][\w\u0080-\U0010ffff]*)?\$).*?(?P=tag))
  | (?P<hidden>[uU]&["'])
  | (?P<name>"(?:[^"]|"")+")
  | (?P<word>[A-Za-z_\u0080-\U0010ffff][\w$\u0080-\U0010ffff]*)
  | (?P<number>\d[\w.]*)
  | (?P<symbol>::|.)
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_SHOWN = 200
_LONGEST = 63
_CAPITALS = re.compile("[A-Z]+")
_COMMENT = re.compile(r"/\*|\*/")
_UNREADABLE = frozenset("'\"\\$;")
"""Symbols of no statement: a text that does not end, Unicode escapes, or a backslash in a plain string, which
`standard_conforming_strings` may make an escape."""


@dataclass(frozen=True, slots=True)
class Word:
    kind: Literal["word", "name", "string", "number", "symbol"]
    text: str
    """A word in lower case, a quoted name without its quotes, all else as written."""
    begin: int
    end: int

    @property
    def written(self) -> str:
        """In one piece, for patterns: a quoted name in its quotes, a string as one quote, a number as 1."""
        if self.kind == "name":
            return f'"{quote(self.text, safe="")}"'
        return {"string": "'", "number": "1"}.get(self.kind, self.text)


@dataclass(frozen=True)
class Statement:
    words: tuple[Word, ...]
    text: str
    """As written, without the semicolon."""

    @property
    def readable(self) -> bool:
        """Whether the server is sure to read the same words."""
        return not any(
            (word.kind == "symbol" and word.text in _UNREADABLE)
            or (word.kind in ("word", "name") and len(word.text.encode()) > _LONGEST)
            for word in self.words
        )

    @cached_property
    def all(self) -> str:
        """Its words with a space between them."""
        return " ".join(word.written for word in self.words)

    @cached_property
    def flat(self) -> str:
        """The same, with empty parentheses in place of what is in parentheses."""
        return " ".join(word.written for word, depth in _depths(self.words) if not depth).replace("( )", "()")

    def parts(self) -> Iterator[Statement]:
        """Cut at the commas outside of parentheses."""
        own: list[Word] = []
        for word, depth in _depths(self.words):
            if word.text == "," and word.kind == "symbol" and not depth:
                yield Statement(tuple(own), "")
                own = []
            else:
                own.append(word)
        yield Statement(tuple(own), "")

    def after(self, start: str) -> Statement:
        """What follows these words, which are the first ones."""
        return Statement(self.words[len(start.split()) :], self.text)


def statements(text: str) -> Iterator[Statement]:
    """The statements of a text; a semicolon in parentheses ends none."""
    own: list[Word] = []
    for word, depth in _depths(_words(text)):
        if word.text == ";" and word.kind == "symbol" and not depth:
            if own:
                yield _statement(text, own)
            own = []
        else:
            own.append(word)
    if own:
        yield _statement(text, own)


def _statement(text: str, words: Sequence[Word]) -> Statement:
    return Statement(tuple(words), text[words[0].begin : words[-1].end])


def _depths(words: Iterator[Word] | Sequence[Word]) -> Iterator[tuple[Word, int]]:
    """Each word with the parentheses around it; they themselves are outside."""
    depth = 0
    for word in words:
        step = {"(": 1, "[": 1, ")": -1, "]": -1}.get(word.text, 0) if word.kind == "symbol" else 0
        depth += min(step, 0)
        yield word, depth
        depth += max(step, 0)


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
        elif kind == "hidden":
            yield Word("symbol", "\\", at, end)
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


def set_of(words: str) -> frozenset[str]:
    """The words of these lines."""
    return frozenset(words.split())
