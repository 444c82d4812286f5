"""The statements of a trigger that does nothing but set columns of its new row.

    BEGIN
      SET NEW.slug = LOWER(NEW.title), NEW.made = NOW();
      IF NEW.id IS NULL THEN SET NEW.id = UUID(); END IF;
    END

Of a condition or a value, the text is kept as it stands: the translator reads it. Anything else is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlglot

from converge.translate.context import Untranslatable, refuse_if
from converge.translate.parse import ConvergeMySQL


@dataclass(frozen=True, slots=True)
class Assignment:
    """SET NEW.column = value."""

    column: str
    value: str


@dataclass(frozen=True, slots=True)
class Choice:
    """IF … THEN … ELSEIF … THEN … ELSE … END IF."""

    branches: tuple[tuple[str, Statements], ...]
    otherwise: Statements = ()


Statements = tuple[Assignment | Choice, ...]


def parse_assignments(text: str) -> Statements:
    """The statements of a CREATE TRIGGER. Raises Untranslatable for any that does something else."""
    try:
        tokens = [(one.start, one.end + 1, one.text) for one in sqlglot.tokenize(text, read=ConvergeMySQL)]
    except sqlglot.errors.TokenError as error:
        raise Untranslatable("it cannot be parsed") from error
    return _Parser(text, tokens).whole()


class _Parser:
    """By the words of the text; an expression ends where a word of a statement stands outside of brackets."""

    def __init__(self, text: str, tokens: Sequence[tuple[int, int, str]]) -> None:
        """`tokens` are where each word begins and ends, and what it names."""
        self._text, self._tokens, self._place = text, tokens, 0

    def whole(self) -> Statements:
        while self._word and not self._take("FOR"):
            self._place += 1
        refuse_if(not self._word, "the server does not show its text as it is")
        self._expect("EACH", "ROW")
        if self._take("FOLLOWS") or self._take("PRECEDES"):
            self._place += 1
        if self._take("BEGIN"):
            statements = self._until("END")
            self._expect("END")
        else:
            statements = self._statement()
        self._take(";")
        refuse_if(self._word, f"{self._word} goes on after its end")
        return statements

    @property
    def _word(self) -> str:
        """The word here as it is written, in capitals; empty at the end."""
        if self._place == len(self._tokens):
            return ""
        start, end, _ = self._tokens[self._place]
        return self._text[start:end].upper()

    def _take(self, word: str) -> bool:
        found = self._word == word
        self._place += found
        return found

    def _expect(self, *words: str) -> None:
        for word in words:
            refuse_if(not self._take(word), f"{self._word or 'its end'} stands where {word} would")

    def _until(self, *ends: str) -> Statements:
        statements: Statements = ()
        while self._word and self._word not in ends:
            statements += self._statement()
            self._expect(";")
        return statements

    def _statement(self) -> Statements:
        if self._take("SET"):
            assignments = [self._assignment()]
            while self._take(","):
                assignments.append(self._assignment())
            return tuple(assignments)
        if self._take("IF"):
            return (self._choice(),)
        raise Untranslatable(f"it does more than set columns of the new row: {self._word}")

    def _assignment(self) -> Assignment:
        row = self._word
        refuse_if(row != "NEW", f"it sets {row}, which is not a column of the new row")
        self._expect("NEW", ".")
        refuse_if(not self._word, "it cannot be parsed")
        *_, column = self._tokens[self._place]
        self._place += 1
        refuse_if(not (self._take("=") or self._take(":=")), "it cannot be parsed")
        return Assignment(column, self._expression(",", ";"))

    def _choice(self) -> Choice:
        branches, otherwise = [], Statements()
        while True:
            condition = self._expression("THEN")
            self._expect("THEN")
            branches.append((condition, self._until("ELSEIF", "ELSE", "END")))
            if not self._take("ELSEIF"):
                break
        if self._take("ELSE"):
            otherwise = self._until("END")
        self._expect("END", "IF")
        return Choice(tuple(branches), otherwise)

    def _expression(self, *ends: str) -> str:
        first, brackets, cases = self._place, 0, 0
        while word := self._word:
            if not brackets and not cases and word in ends:
                break
            brackets += (word == "(") - (word == ")")
            cases += (word == "CASE") - (word == "END")
            self._place += 1
        refuse_if(self._place == first, "it cannot be parsed")
        return self._text[self._tokens[first][0] : self._tokens[self._place - 1][1]]
