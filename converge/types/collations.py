"""`schema_maps/collations.toml`: MySQL's collations in ICU's words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache

from converge.resources import schema_map


@dataclass(frozen=True, slots=True)
class Collation:
    locale: str
    """ICU locale; empty for a comparison of bytes."""
    note: str = ""
    """What still differs."""
    letters: str = ""
    """Which letters are equal in one of the servers only; empty where the same are in both."""


@cache
def counterpart(name: str) -> Collation | None:
    """What is known of a MySQL collation; None when nothing is."""
    for entry in schema_map("collations")["collation"]:
        if any(fnmatchcase(name, pattern) for pattern in entry["match"]):
            locale = "" if entry.get("bytes") else _locale(name, entry.get("strength", ""))
            return Collation(locale, entry.get("note", ""), entry.get("letters", ""))
    return None


def _locale(name: str, strength: str) -> str:
    """The ICU locale of a MySQL collation: utf8mb4_es_0900_ai_ci is es-u-ks-level1."""
    language = re.sub("^[^_]+_|(_0900)?(_ai|_as)?_c[is]$", "", name)
    languages = schema_map("collations")["languages"]
    locale = next((icu for icu, names in languages.items() if language in names), "und")
    return f"{locale}{'-' if '-u-' in locale else '-u-'}{strength}" if strength else locale


def compared_like(locale: str) -> str:
    """MySQL expression that makes a utf8mb4 text ``{}`` compare as ICU does in this locale."""
    name = "utf8mb4_0900"
    for icu, names in schema_map("collations")["languages"].items():
        language, _, variant = icu.partition("-u-")
        if locale.partition("-")[0] == language and variant in locale:
            name = f"utf8mb4_{names[0]}_0900"
            break
    if re.search("ks-level1|colStrength=primary", locale):
        return f"{{}} COLLATE {name}_ai_ci"
    if re.search("ks-level2|colStrength=secondary", locale):
        # No language has an as_ci of its own.
        plain = name == "utf8mb4_0900"
        return f"{{}} COLLATE {name}_as_ci" if plain else f"LOWER({{}}) COLLATE {name}_as_cs"
    return f"{{}} COLLATE {name}_as_cs"


CASE, ACCENTS, FORM, SPACES = "case", "accents", "the form of accents", "trailing spaces"
"""What a comparison may ignore: the form of an accent is one character or two."""


def ignored(name: str, *, folded: bool = False) -> tuple[str, ...]:
    """What a MySQL collation ignores and a comparison of bytes sees.

    Texts that are `folded` have no case.

    Only `binary` and collations of UCA 9.0.0 do not pad (MySQL 8.0 manual, "The CHAR and VARCHAR Types").
    """
    if name in ("", "binary", "utf8mb4_0900_bin"):
        return ()
    words = [CASE] * (ignores_case(name) and not folded)
    like = counterpart(name)
    if ignores_case(name) and like is not None and ACCENTS in ignored_by_icu(like.locale):
        words.append(ACCENTS)
    elif not name.endswith("_bin"):
        words.append(FORM)
    if "_0900_" not in name:
        words.append(SPACES)
    return tuple(words)


def ignored_by_icu(locale: str) -> frozenset[str]:
    """What a nondeterministic collation of this ICU locale ignores."""
    strength = re.search("(?:ks-level|colStrength=)(1|2|primary|secondary)", locale)
    if strength is None:
        return frozenset({FORM})
    return frozenset({CASE, FORM, ACCENTS} if strength[1] in ("1", "primary") else {CASE, FORM})


def ignores_case(name: str | None) -> bool:
    """Whether 'a' = 'A' in this MySQL collation."""
    return name is not None and "_ci" in name
