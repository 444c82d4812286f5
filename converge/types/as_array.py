"""The members of a SET as text[]."""

from __future__ import annotations

from converge.model.quote import pg_array
from converge.types.base import Value
from converge.types.form import Form

# Begins the canonical text of an array that its joined members do not tell, like {""}, {a,NULL} or {"a,b"}.
# No SET has two members '', so none begins like this.
ODD = ",,"


class AsArray(Form):
    targets = frozenset({"text[]"})

    def target_text(self, reference: str, value: Value) -> str:
        text = f"array_to_string({reference},',')"
        plain = f"coalesce(string_to_array({text},','),'{{}}')"
        return f"CASE WHEN {reference}={plain} THEN {text} ELSE '{ODD}'||{reference}::text END"

    def default(self, literal: str, value: Value) -> str | None:
        return pg_array(tuple(literal.split(",")) if literal else ())
