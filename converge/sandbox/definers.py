"""Which account a CREATE says that its object is of: DEFINER = user@host, quoted in any of MySQL's ways."""

from __future__ import annotations

import re

_PART = rb"(?:`(?:[^`]|``)*`|'(?:[^'\\]|''|\\.)*'|\"(?:[^\"\\]|\"\"|\\.)*\"|[\w$.\x80-\xff]+)"
_DEFINER = re.compile(
    rb"((?:/\*!\d*\s*)?CREATE\b(?:\s|/\*!\d*|\*/|OR\s+REPLACE|ALGORITHM\s*=\s*\w+)*"
    rb"\bDEFINER\s*=\s*)" + _PART + rb"(?:\s*@\s*" + _PART + rb")?(?:\s*\(\s*\))?",
    re.IGNORECASE,
)


def as_own(statement: bytes) -> bytes:
    """The statement with its object as that of whoever executes it; one that names nobody stays as it is."""
    return _DEFINER.sub(rb"\1CURRENT_USER", statement, count=1) if _DEFINER.match(statement) else statement
