"""What a PostgreSQL server can do, by name and version: the only place that looks at its version for SQL.

From the release notes of PostgreSQL 15 to 18. What every version from 14 on can do needs no name.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass
from functools import cache

_TOKEN = re.compile(
    r"""(?P<skip>\s+|--[^\n]*|/\*.*?\*/)
      | (?P<text>[eEbBxXnN]?'(?:[^'\\]|''|\\.)*'|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
      | (?P<name>"(?:[^"]|"")*")
      | (?P<word>[^\W\d]\w*)
      | (?P<number>\d[\w.]*)
      | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Capability:
    """Something that SQL may ask for, and the first major version that has it."""

    name: str
    since: int
    pattern: str
    """What SQL with it looks like, as `_words` writes it; the names of functions for a `call`."""
    instead: str
    """What does the same on an older server."""
    example: str
    """A statement that only servers with it carry out."""
    call: bool = False
    """The pattern is the names of functions, which somebody may have made in an older server."""

    def used_in(self, words: str, functions: Container[str]) -> str:
        """What of it SQL, as `_words` writes it, asks for beyond these functions; empty for nothing."""
        if not self.call:
            return self.name if re.search(self.pattern, words) else ""
        found = re.findall(rf"(?<!\. )\b({self.pattern}) \(|\bPG_CATALOG \. ({self.pattern}) \(", words)
        names = dict.fromkeys((one or other).lower() for one, other in found)
        return ", ".join(f"{name}()" for name in names if name not in functions)


def _functions(since: int, names: str, instead: str, example: str, title: str = "") -> Capability:
    shown = title or ", ".join(f"{name}()" for name in names.lower().split("|"))
    return Capability(shown, since, names, instead, example, call=True)


CAPABILITIES: tuple[Capability, ...] = (
    Capability("NULLS NOT DISTINCT", 15, r"\bNULLS NOT DISTINCT\b",
               "a unique index of coalesce(column, …), or two partial unique indexes",
               "CREATE TEMPORARY TABLE cap (a int UNIQUE NULLS NOT DISTINCT)"),
    Capability("MERGE", 15, r"(?:^|; |\) )MERGE INTO\b", "INSERT … ON CONFLICT, or UPDATE and INSERT",
               "CREATE TEMPORARY TABLE cap (a int); MERGE INTO cap USING (SELECT 1 AS b) s ON a = b "
               "WHEN NOT MATCHED THEN INSERT VALUES (b)"),
    _functions(15, "REGEXP_COUNT|REGEXP_INSTR|REGEXP_LIKE|REGEXP_SUBSTR",
               "(SELECT count(*) FROM regexp_matches(text, pattern, 'g')), the operator ~, or substring()",
               "SELECT regexp_count('a', 'a'), regexp_instr('a', 'a'), regexp_like('a', 'a'), "
               "regexp_substr('a', 'a')"),
    Capability("security_invoker views", 15, r"\bSECURITY_INVOKER\b", "the privileges of the view's owner",
               "CREATE TEMPORARY VIEW cap WITH (security_invoker = true) AS SELECT 1 AS a"),
    Capability("ON DELETE SET NULL of single columns", 15, r"\bON DELETE SET (?:NULL|DEFAULT) \(",
               "a trigger that sets them",
               "CREATE TEMPORARY TABLE cap (a int, b int, PRIMARY KEY (a, b)); CREATE TEMPORARY TABLE cap2 "
               "(a int, b int, FOREIGN KEY (a, b) REFERENCES cap ON DELETE SET NULL (b))"),
    Capability("numeric with a negative scale", 15, r"\bNUMERIC \( \d+ , - \d+ \)", "numeric",
               "SELECT 1::numeric(3, -2)"),
    Capability("ICU as the database's collation", 15, r"\b(?:LOCALE_PROVIDER|DATLOCPROVIDER)\b",
               "COLLATE on the columns", "SELECT datlocprovider FROM pg_database"),
    Capability("SQL/JSON constructors", 16,
               r"(?<!\. )\bJSON_(?:(?:ARRAY|ARRAYAGG|OBJECTAGG) \("
               r"|OBJECT \( (?:\)|[^(),]*?(?:(?<!:) : (?!:)|\bVALUE\b)))",
               "json_build_array(), json_agg(), json_build_object(), json_object_agg()",
               "SELECT json_array(1, 2), json_object('a' : 1), json_arrayagg(1)"),
    Capability("IS JSON", 16, r"\bIS (?:NOT )?JSON\b", "a function that casts and catches the error",
               "SELECT '1' IS JSON"),
    Capability("numbers with underscores or in hex", 16, r"\b(?:0X[0-9A-F]\w*|0O[0-7]\w*|\d+_[\d_]+)\b",
               "the number in plain digits", "SELECT 1_000 + 0xFF"),
    Capability("collations with rules", 16, r"\bCREATE COLLATION\b.*\bRULES =", "a locale's own tailoring",
               "CREATE COLLATION pg_temp.cap (provider = icu, locale = 'und', rules = '&a < g')"),
    _functions(16, "ANY_VALUE", "min(), or (array_agg())[1]", "SELECT any_value(1)"),
    _functions(16, "ARRAY_SAMPLE|ARRAY_SHUFFLE", "array_agg(… ORDER BY random())",
               "SELECT array_sample(ARRAY[1], 1), array_shuffle(ARRAY[1])"),
    _functions(16, "DATE_ADD|DATE_SUBTRACT", "+ and - of an interval",
               "SELECT date_add(now(), '1 day'), date_subtract(now(), '1 day')"),
    _functions(16, "PG_INPUT_IS_VALID|PG_INPUT_ERROR_INFO", "a function that casts and catches the error",
               "SELECT pg_input_is_valid('1', 'int'), (pg_input_error_info('1', 'int')).message"),
    _functions(16, "RANDOM_NORMAL|ERF|ERFC", "a function of yours, or the extension tablefunc",
               "SELECT random_normal(), erf(1), erfc(1)"),
    Capability("JSON_TABLE", 17, r"\bJSON_TABLE \(", "jsonb_to_recordset(), jsonb_path_query()",
               "SELECT * FROM JSON_TABLE('[1]'::jsonb, '$[*]' COLUMNS (a int PATH '$'))"),
    Capability("SQL/JSON queries", 17, r"(?<!\. )\bJSON_(?:EXISTS|QUERY|VALUE|SCALAR|SERIALIZE) \(",
               "jsonb_path_exists(), jsonb_path_query_first(), ->> and #>>",
               "SELECT json_exists('{}'::jsonb, '$.a'), json_value('1'::jsonb, '$'), json_scalar(1)"),
    Capability("MERGE … RETURNING", 17, r"(?:^|; |\) )MERGE INTO\b.*\bRETURNING\b|\bNOT MATCHED BY SOURCE\b",
               "MERGE, and a query after it",
               "CREATE TEMPORARY TABLE cap (a int); MERGE INTO cap USING (SELECT 1 AS b) s ON a = b "
               "WHEN NOT MATCHED BY SOURCE THEN DELETE RETURNING merge_action()"),
    Capability("random() of a range", 17, r"(?<!\. )\bRANDOM \( [^)]", "floor(random() * n)",
               "SELECT random(1, 6)"),
    Capability("SET EXPRESSION of a generated column", 17, r"\bSET EXPRESSION AS\b",
               "DROP COLUMN and ADD COLUMN",
               "CREATE TEMPORARY TABLE cap (a int, b int GENERATED ALWAYS AS (a) STORED); "
               "ALTER TABLE cap ALTER COLUMN b SET EXPRESSION AS (a + 1)"),
    Capability("AT LOCAL", 17, r"\bAT LOCAL\b", "AT TIME ZONE current_setting('TimeZone')",
               "SELECT now() AT LOCAL"),
    Capability("the built-in collation provider", 17, r"\bPROVIDER = BUILTIN\b", "COLLATE \"C\", or ICU",
               "CREATE COLLATION pg_temp.cap (provider = builtin, locale = 'C.UTF-8')"),
    _functions(17, "TO_BIN|TO_OCT", "n::bit(32)::text", "SELECT to_bin(1), to_oct(1)"),
    _functions(17, "UUID_EXTRACT_TIMESTAMP|UUID_EXTRACT_VERSION", "substring() of the text",
               "SELECT uuid_extract_timestamp(gen_random_uuid()), uuid_extract_version(gen_random_uuid())"),
    Capability("virtual generated columns", 18, r"\bGENERATED ALWAYS AS \( .*? \) VIRTUAL\b",
               "a generated column that is STORED, or a view",
               "CREATE TEMPORARY TABLE cap (a int, b int GENERATED ALWAYS AS (a + 1) VIRTUAL)"),
    Capability("NOT ENFORCED constraints", 18, r"\bNOT ENFORCED\b", "a constraint that is NOT VALID",
               "CREATE TEMPORARY TABLE cap (a int CHECK (a > 0) NOT ENFORCED)"),
    Capability("temporal keys", 18, r"\bWITHOUT OVERLAPS\b", "EXCLUDE USING gist",
               "CREATE TEMPORARY TABLE cap (a int4range, b int4range, UNIQUE (a, b WITHOUT OVERLAPS))"),
    Capability("OLD and NEW in RETURNING", 18, r"\bRETURNING (?:.* )?(?:OLD|NEW) \.",
               "a trigger, or two statements",
               "CREATE TEMPORARY TABLE cap (a int); UPDATE cap SET a = 1 RETURNING old.a, new.a"),
    _functions(18, "UUIDV7|UUIDV4", "gen_random_uuid(), or the extension pg_uuidv7",
               "SELECT uuidv7(), uuidv4()"),
    _functions(18, "ARRAY_SORT|ARRAY_REVERSE", "array_agg(… ORDER BY …)",
               "SELECT array_sort(ARRAY[1]), array_reverse(ARRAY[1])"),
    _functions(18, "CASEFOLD", "lower()", "SELECT casefold('A')"),
    _functions(18, "CRC32|CRC32C|GAMMA|LGAMMA", "a function of yours",
               "SELECT crc32('a'), crc32c('a'), gamma(1), lgamma(1)"),
)  # fmt: skip

FUNCTIONS: tuple[str, ...] = tuple(
    name.lower() for one in CAPABILITIES if one.call for name in one.pattern.split("|")
)
"""Names that an older server may have from an extension, or from its users."""


def major(version: str) -> int:
    """``14`` of ``14.23``."""
    return int(version.partition(".")[0])


def lacking_for(sql: str, version: str, functions: Container[str] = ()) -> Iterator[tuple[str, Capability]]:
    """What this SQL asks for and a server of this version does not have, in words and as what it belongs to.

    `functions` are those of `FUNCTIONS` that are there all the same.
    """
    if newer := _newer_than(version):
        words = _words(sql)
        yield from ((what, one) for one in newer if (what := one.used_in(words, functions)))


@cache
def _newer_than(version: str) -> list[Capability]:
    return [one for one in CAPABILITIES if one.since > major(version)]


def older(sql: str, version: str) -> tuple[list[str], str]:
    """Of a statement that a server refused: what its version lacks, in words, and what does the same."""
    newer = list(lacking_for(sql, version))
    told = [f"PostgreSQL has {what} from {one.since} on, and this is {version}" for what, one in newer]
    return told, "\n".join(one.instead for _, one in newer)


def _words(sql: str) -> str:
    """The words in capitals with a space between; texts and quoted names are one mark each."""
    made = []
    for token in _TOKEN.finditer(sql):
        kind = token.lastgroup if token.lastgroup != "tag" else "text"
        if kind in ("text", "name"):
            made.append("'" if kind == "text" else '"')
        elif kind != "skip":
            made.append(token[0].upper())
    return " ".join(made)
