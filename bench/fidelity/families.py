"""Which tables belong to which type family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pymysql.connections import Connection

from bench.fidelity import documents, figures, moments, raw, words
from bench.fidelity.tables import Table

FAMILIES: Mapping[str, Sequence[Table]] = {
    "Integer": (figures.INTEGERS,),
    "Decimal": (figures.DECIMALS,),
    "Floating": (figures.FLOATING,),
    "Bit": (figures.BITS,),
    "Date": (moments.DATES,),
    "Datetime": (moments.MOMENTS,),
    "Time": (moments.TIMES,),
    "Text": (words.STRINGS,),
    "Enum": (words.ENUMS,),
    "Set": (words.SETS,),
    "Json": (documents.DOCUMENTS, documents.EXPONENTS),
    "Binary": (raw.BINARIES,),
    "Spatial": (raw.SHAPES,),
}

MAY_DRILL = frozenset({documents.EXPONENTS.name})
"""Tables with values that print differently and are the same: JSON numbers with an exponent, and -0."""


def tables_of(family: str, connection: Connection[Any]) -> list[Table]:
    """The family's tables; those of Text depend on the server's character sets."""
    more = words.charset_tables(connection) if family == "Text" else []
    return [*FAMILIES[family], *more]
