"""Which account a CREATE says that its object is of: DEFINER = user@host, quoted in any of MySQL's ways."""

from __future__ import annotations

import re

_PART = rb"(?:`((?:[^`]|``)*)`|'((?:[^'\\]|''|\\.)*)'|\"((?:[^\"\\]|\"\"|\\.)*)\"|([\w$.\x80-\xff]+))"
_DEFINER = re.compile(
    rb"(?:/\*!\d*\s*)?CREATE\b(?:\s|/\*!\d*|\*/|OR\s+REPLACE|ALGORITHM\s*=\s*\w+)*"
    rb"\bDEFINER\s*=\s*" + _PART + rb"(?:\s*@\s*" + _PART + rb")?",
    re.IGNORECASE,
)
_ANY_HOST = "%"


def find(head: bytes) -> tuple[str, str] | None:
    """User and host that the begin of a statement names; None for nobody, and for who executes it."""
    found = _DEFINER.match(head)
    if found is None or (found[4] and found[4].upper() == b"CURRENT_USER"):
        return None
    user, host = _text(found.groups()[:4]), _text(found.groups()[4:])
    assert user is not None
    return user, _ANY_HOST if host is None else host


def _text(quoted: tuple[bytes | None, ...]) -> str | None:
    for mark, part in zip(("`", "'", '"', ""), quoted, strict=True):
        if part is not None:
            text = part.decode(errors="replace")
            return text.replace(mark * 2, mark) if mark else text
    return None
