"""What every kind of object can say of itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from converge.model.definitions import Definition
from converge.model.quote import pg_name, pg_text


@dataclass(frozen=True, slots=True)
class Change:
    """How an object becomes another without being dropped."""

    statements: tuple[str, ...]
    around: bool = False
    """Whether what needs it must be taken away before and made again after."""
    but: frozenset[str] = frozenset()
    """Kinds of objects that the server takes along then."""
    fresh: tuple[str, ...] = ()
    """Values that the transaction which makes the change cannot use yet."""


class Kind:
    """One kind of object: the statements that make, change and remove it. Nothing in it has a state."""

    rank: ClassVar[int] = 0
    """Of objects that do not need one another, the lower is made first."""
    typed: ClassVar[bool] = False
    """Columns have it as their type: it is replaced under them, not dropped."""
    comment_on: ClassVar[str] = ""
    """The word after COMMENT ON and DROP."""

    def named(self, it: Definition) -> str:
        """As COMMENT ON and DROP call it."""
        return f"{self.comment_on} {own_name(it)}"

    def make(self, it: Definition, parts: Sequence[Definition]) -> Iterator[str]:
        """Statements that make it, with the parts that are made in the same statement."""
        raise NotImplementedError

    def settle(self, it: Definition) -> Iterator[str]:
        """What the statement that makes it cannot say, without comments."""
        yield from ()

    def drop(self, it: Definition) -> Iterator[str]:
        yield f"DROP {self.named(it)}"

    def change(self, old: Definition, new: Definition) -> Change | None:
        """None when it must be dropped and made again. Comments are not asked for."""
        return None

    def replaced(self, old: Definition, new: Definition) -> Sequence[str]:
        """Of a column: the statements that bring its values to its type, which may have been made anew."""
        raise NotImplementedError

    def made_with(self, it: Definition) -> str | None:
        """The object whose statement can make this one, too."""
        return None

    def gone_with(self, it: Definition) -> str | None:
        """The object with which the server drops it."""
        of: str | None = it.facts.get("of")
        return of

    def comments(self, it: Definition) -> Mapping[str, str | None]:
        """By what COMMENT ON calls them: the object and what has no definition of its own."""
        return {self.named(it): it.facts.get("comment")}


def own_name(it: Definition) -> str:
    return pg_name(it.facts["schema"], it.facts["name"])


def table_name(it: Definition) -> str:
    """The table or view that something hangs on."""
    return pg_name(it.facts["schema"], it.facts["table"])


def options(facts: Mapping[str, Any]) -> dict[str, str]:
    """Storage parameters by their names."""
    return dict(one.split("=", 1) for one in facts.get("options", ()))


def with_options(found: Mapping[str, str]) -> str:
    """``(fillfactor = '80')``"""
    return "(" + ", ".join(f"{name} = {pg_text(value)}" for name, value in found.items()) + ")"


def changed_options(start: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """ALTER statements for storage parameters, each beginning with `start`."""
    before, after = options(old), options(new)
    if gone := [name for name in before if name not in after]:
        yield f"{start} RESET ({', '.join(gone)})"
    if other := {name: value for name, value in after.items() if before.get(name) != value}:
        yield f"{start} SET {with_options(other)}"


def differing(old: Definition, new: Definition) -> set[str]:
    """Names of the facts that are not the same."""
    return {key for key in old.facts.keys() | new.facts.keys() if old.facts.get(key) != new.facts.get(key)}
