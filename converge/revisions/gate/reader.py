"""Goes through the words of a statement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from converge.revisions.gate.words import Word


class Reader:
    def __init__(self, words: Sequence[Word]) -> None:
        self._words = words
        self._at = 0

    @property
    def left(self) -> Sequence[Word]:
        return self._words[self._at :]

    def next(self) -> str:
        """The word that comes, empty at the end and for what is no word."""
        left = self.left
        return left[0].text if left and left[0].kind == "word" else ""

    def take(self, *texts: str) -> bool:
        """Goes over these words, if just they come."""
        left = self.left[: len(texts)]
        if tuple(word.text for word in left if word.kind != "name") != texts:
            return False
        self._at += len(texts)
        return True

    def any_of(self, *texts: str) -> str:
        """Goes over the first of these words that comes; empty for none."""
        return next((text for text in texts if self.take(text)), "")

    def name(self) -> tuple[str, ...]:
        """A name with what qualifies it; empty when none comes, or not all of it can be read."""
        parts: list[str] = []
        while self.left and self.left[0].kind in ("word", "name"):
            parts.append(self.left[0].text)
            self._at += 1
            if not self.take("."):
                return tuple(parts)
        return ()

    def names(self) -> list[tuple[str, ...]]:
        """Names with commas between them; an empty one for each that cannot be read."""
        found = []
        while True:
            self.take("only")
            found.append(self.name())
            self.take("*")
            if not self.take(","):
                return found

    def parts(self) -> Iterator[Reader]:
        """What is left, cut at the commas outside of parentheses."""
        own: list[Word] = []
        depth = 0
        for word in self.left:
            if word.kind == "symbol":
                depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(word.text, 0)
                if word.text == "," and depth == 0:
                    yield Reader(own)
                    own = []
                    continue
            own.append(word)
        yield Reader(own)

    def has(self, *texts: str) -> bool:
        """Whether these words come one after the other, anywhere in what is left."""
        plain = [word.text if word.kind == "word" else "" for word in self.left]
        return any(tuple(plain[at : at + len(texts)]) == texts for at in range(len(plain)))

    def calls(self) -> set[str]:
        """What stands before a parenthesis: functions, among others."""
        left = self.left
        return {
            word.text for word, after in pairwise(left) if word.kind in ("word", "name") and after.text == "("
        }
