"""What families share that give their values as one expression: the target type's form does the rest."""

from __future__ import annotations

from abc import abstractmethod

from converge.types.base import Family, Value
from converge.types.forms import form_of
from converge.types.traps import Trap


class Written(Family):
    @abstractmethod
    def text(self, value: Value) -> str:
        """MySQL expression of the value, in UTF-8 unless the target takes bytes."""

    def traps(self, value: Value) -> tuple[Trap, ...]:
        return form_of(value.to).traps(self.text(value), value)

    def judge(self, value: Value) -> str:
        return form_of(value.to).judge

    def whole(self, value: Value) -> str:
        return self.text(value)

    def read(self, value: Value) -> str:
        return form_of(value.to).read(self.text(value))

    def special(self, value: Value) -> bool:
        return form_of(value.to).special

    def delimited(self, value: Value) -> bool:
        return form_of(value.to).delimited

    def source_text(self, value: Value) -> str:
        return form_of(value.to).source_text(self.text(value))

    def target_text(self, reference: str, value: Value) -> str:
        return form_of(value.to).target_text(reference, value)

    def source_value(self, value: Value) -> str:
        return form_of(value.to).source_value(self.text(value))

    def target_value(self, reference: str, value: Value) -> str:
        return form_of(value.to).target_value(reference, value)

    def default(self, literal: str, value: Value) -> str | None:
        return form_of(value.to).default(literal, value)
