"""Bytes as bytea: those of a text in UTF-8, or any."""

from __future__ import annotations

from converge.types.base import Value
from converge.types.form import Form


class AsBytes(Form):
    targets = frozenset({"bytea"})
    delimited = False

    def read(self, text: str) -> str:
        return f"CONCAT('\\\\x',HEX({text}))"

    def source_text(self, text: str) -> str:
        return f"MD5({text})"

    def target_text(self, reference: str, value: Value) -> str:
        # The digest of a digest keeps long values out of the concatenated row.
        return f"md5({reference})"

    def source_value(self, text: str) -> str:
        return f"LOWER(HEX({text}))"

    def target_value(self, reference: str, value: Value) -> str:
        return f"encode({reference},'hex')"

    def default(self, literal: str, value: Value) -> str | None:
        return f"'\\x{literal.encode().hex()}'::bytea"
