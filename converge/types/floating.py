"""FLOAT and DOUBLE, exact to the bit.

MySQL prints a FLOAT with six digits and a DOUBLE(M,D) with D decimals, so these are read as
``column * 1e0``: a double. Both servers print the shortest text that reads back to the same double,
and they use the same notation for 0, -0 and 1e-4 <= |x| < 1e15. But MySQL gives the text of an
expression, unlike that of a column, 22 characters at most: it writes -0.00014765311789233238 as
-1.4765311789233238e-4, and drops the last digits of 1.2345678901234567e-222. So the comparison puts the
sign apart, and a double is read through JSON, whose text has no such limit. A real needs only nine
digits. Outside that range the canonical text is the sign, the 53-bit integer significand and the binary
exponent, computed alike on both servers.
"""

from __future__ import annotations

from converge.model.catalog import Column
from converge.types.base import Family, Value
from converge.types.text import as_bytes


class Floating(Family):
    types = frozenset({"float", "double"})
    targets = frozenset({"real", "double precision"})

    def accepts(self, column: Column) -> frozenset[str]:
        return self.targets if column.type == "float" else frozenset({"double precision"})

    def adopted(self, expression: str, column: Column) -> str:
        return f"({expression}+0e0)"

    def read(self, value: Value) -> str:
        if _is_exact(value):
            return value.sql
        number = f"({value.sql}*1e0)"
        return number if value.to == "real" else as_bytes(f"CAST(CAST({number} AS JSON) AS CHAR)")

    def source_text(self, value: Value) -> str:
        exact = _is_exact(value)
        x = value.sql if exact else f"({value.sql}*1e0)"
        text = f"CONCAT({x})" if exact else f"IF({x}=0,CONCAT({x}),CONCAT(IF({x}<0,'-',''),ABS({x})))"
        g = f"LEAST(GREATEST(FLOOR(LOG2(ABS({x}))),-1022),1023)"
        q = f"(ABS({x})/POW(2,{g}))"
        low = f"{q}<1 AND {g}>-1022"
        bits = (
            f"CONCAT(IF({x}<0,'-',''),"
            f"CAST({q}*IF({low},2e0,IF({q}>=2,0.5e0,1e0))*4503599627370496e0 AS UNSIGNED),"
            f"'p',CAST({g} AS SIGNED)+IF({low},-1,IF({q}>=2,1,0)))"
        )
        return f"IF({x}=0 OR (ABS({x})>=1e-4 AND ABS({x})<1e15),{text},{bits})"

    def target_text(self, reference: str, value: Value) -> str:
        x = f"{reference}::float8"
        g = f"least(greatest(floor(ln(abs({x}))/ln(2::float8)),-1022),1023)"
        q = f"(abs({x})/power(2::float8,{g}))"
        low = f"{q}<1 AND {g}>-1022"
        bits = (
            f"CASE WHEN {x}<0 THEN '-' ELSE '' END||"
            f"({q}*CASE WHEN {low} THEN 2 WHEN {q}>=2 THEN 0.5 ELSE 1 END*4503599627370496::float8)::bigint||"
            f"'p'||({g}::int+CASE WHEN {low} THEN -1 WHEN {q}>=2 THEN 1 ELSE 0 END)"
        )
        return (
            f"CASE WHEN {reference} IS NULL THEN NULL WHEN {x}=0 OR (abs({x})>=1e-4 AND abs({x})<1e15) "
            f"THEN ({x})::text WHEN {x}='NaN' OR abs({x})='Infinity' "
            f"THEN ({x})::text ELSE {bits} END"
        )

    def default(self, literal: str, value: Value) -> str | None:
        return literal


def _is_exact(value: Value) -> bool:
    """Whether the server's text of the value is the whole double: only that of a plain column is."""
    column = value.column
    return column.type == "double" and column.scale is None and not column.zerofill and not value.changed
