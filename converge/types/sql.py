"""MySQL expressions that several families and forms build on."""

from __future__ import annotations

from converge.model.quote import my_text


def as_bytes(text: str) -> str:
    """The bytes of a UTF-8 expression, so that joining it with marks that are no UTF-8 is exact."""
    return f"CAST({text} AS BINARY)"


def escapes(text: str) -> str:
    """How many bytes of a text COPY wants escaped."""
    bare = as_bytes(text)
    for char in "\\", "\n", "\r", "\t":
        bare = f"REPLACE({bare},{my_text(char)},'')"
    return f"(LENGTH({text})-LENGTH({bare}))"


def is_utf8(value: str) -> str:
    """Condition: the bytes are UTF-8. What is none is cut or becomes NULL, depending on sql_mode."""
    return f"IFNULL({as_bytes(f'CONVERT({as_bytes(value)} USING utf8mb4)')}={as_bytes(value)},0)"


def one_of(text: str, texts: tuple[str, ...]) -> str:
    """Condition: a UTF-8 expression is one of these texts, byte for byte; `texts` is not empty."""
    return f"{as_bytes(text)} IN ({','.join(as_bytes(my_text(one)) for one in texts)})"


def bare_number(text: str) -> str:
    """The text of a number with a point, without zeros at its end."""
    return f"TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM {text}))"
