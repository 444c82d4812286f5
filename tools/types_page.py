"""The documentation's tables of types and traps, made from the rules so that they cannot be wrong.

python -m tools.types_page > docs/types.md
"""

from __future__ import annotations

from collections.abc import Iterable

from converge.mapping.read import load
from converge.mapping.rules import Map, Rule
from converge.types import FAMILIES, KINDS, Family

_HEAD = """# What becomes of every MySQL type

Made from `schema_maps/mysql8.toml` by `python -m tools.types_page`; the same on PostgreSQL 14, 15, 16
and 17.5. The first rule that matches decides. Every rule holds every value that PostgreSQL can hold at all;
where a rule says "if every value fits", a scan of the data decides, and without one (`--no-scan`) the next
rule does. Rules of a map of your own (`--map FILE`) are asked first.

| MySQL | PostgreSQL | why |
|---|---|---|
"""
_OTHERS = """
## Other types

A map may choose these (`to = "…"`), under any name that PostgreSQL has for them. A value arrives exactly
or not at all: what a type cannot hold is found by the scan, as the next table tells. Sizes may be others
than in the source. The same bytes and digits are compared, so a text becomes a number, a date or an
address only when it is just what PostgreSQL prints: `7`, not `007`; `2024-02-29 10:00:00+00` as a
point in time; `true`, not `1`. A DATETIME becomes a point in time, as UTC, and a BIGINT an interval of as
many microseconds. `character(n)` pads with spaces, and does not tell them from a text's own. A text that
becomes `jsonb` is parsed, `json` keeps it. MySQL's JSON ends at a nesting of 100 and at the range of a
double; a deeper text stops the scan. `numeric` has no -0, so -0.0 arrives as 0.

converge creates the extension that a type needs where the database lacks it: PostGIS in `public`, `citext` in
`pg_catalog`, where every session finds its operators. One that is there stays where it is; with `citext` in
another schema, such as `public`, views and triggers that compare its columns are listed, not translated.

| MySQL | PostgreSQL |
|---|---|
"""
_USING = """
With `using` a value can be of another kind: what the expression gives is then taken as a time, where
`to` is a date or a time, and otherwise as a text in UTF-8, with the same rules. `using =
"STR_TO_DATE({}, '%Y%m%d%H%i%s')"` and `to = "timestamp with time zone"` read a BINARY(14) like
`20240229235959`. An ENUM whose labels are all `true` or `false`, or integers, becomes such a type
without that.

A FLOAT stands in an expression as the double that it is: 19.989999771118164, where MySQL shows 19.99. What
becomes `real` again is rounded to one. A BIT stands there as its number.

`CONVERT_TZ` converts only times that a TIMESTAMP can hold in UTC: after 1970-01-01 00:00:00, and until
2038, or 3001 from MySQL 8.0.28 on. MySQL returns other times as they are, without a warning. Rows with such
a result are refused (V048). Write what they mean into the expression: `IF({} < '1970-01-02' OR {} =
'9999-12-31 23:59:59', {}, CONVERT_TZ({}, 'Europe/Amsterdam', '+00:00'))`.

### What a map's expression loses

Only a whole value is taken of what an expression gives: a time is `2024-02-29`, `2024-02-29 10:00:00.5`
or `-100:00:05`. MySQL's own casts read the beginning of any text, `100 seconds` as a minute, and 70101
as a day; here such a result is not a value, nor is a number that the column has no room for (V048).
Where no scan has looked, the target refuses the row. NULL that the expression itself gives, in a column
that takes NULL, is a loss (V160). So are values that were different and become equal (V161), and rows whose
value cannot be made again of what the expression gives (V162). The scan tries that on every row: it undoes
functions that have a counterpart (`STR_TO_DATE` and `DATE_FORMAT`, `CONV`, `HEX`, `INET_NTOA`, `CONVERT_TZ`,
`+`, `/`, `CONCAT` with constants, …) and compares with the stored value. Of floating-point numbers,
arithmetic alone keeps all but what it rounds; as a text it has 22 characters, one too few for
-1.2345678901234567e-12. Any other function (`LEFT`, `ROUND`,
`REPLACE`, `UPPER`, `TRIM`, a cast, …) has to leave a value as it was. `DATE` of a midnight, `'1.50' + 0`, and
`STR_TO_DATE` of nothing but a date keep all; `STR_TO_DATE('20240229junk', '%Y%m%d')` does not. Constants that
the expression chooses (`IF({} = 'y', 'true', 'false')`), and answers to conditions, are the map's own words.
"""
_TRAPS = """
## What a type cannot hold, and what may become of it

The scan counts such values before anything is written. They stop the run with their keys, unless a map
declares a policy (`policy = { zero_date = "null" }` in a rule). For `null`, a NOT NULL column has to become
nullable in the source first (`ALTER TABLE … MODIFY … NULL`). Where no scan has looked, the target
refuses such a value, or the comparison shows that it differs.
What a policy did is counted in the run's own snapshot, shown in the report, and mirrored in the comparison.
Where it makes two keys of a JSON object equal, jsonb keeps one of the members, and the row differs.
Two kinds of value arrive as another one, and do not stop the run: the error value of an ENUM that has a label
`''`, and the member `''` alone of a SET that becomes a text. They are losses (V022) as if a map had said
`keep`; the finding and the run name their number. A rule with `fits = true` that some values break is passed
over: a `tinyint(1)` with a 2 becomes smallint, not boolean, and a note names the values (V049).

What is stored of a text is its characters, not its bytes. In `armscii8`, `cp932`, `eucjpms`, `sjis` and
`ujis` several codes are the same character of Unicode: of `cp932` both `81CA` and `FA54` are
U+FFE2. Rows of a unique key that become equal by this stop the run (V032). `verify` does not report a change
from one such code to the other, and a rollback writes the code that MySQL makes of the character.

| code | rows that | policy | without one |
|---|---|---|---|
"""


_HARM = {"block": "stops", "lossy": "a loss", "note": "a note"}


def types_markdown(map_: Map) -> str:
    """A row for each rule in their order, then one for each family, and one for each trap."""
    rules = [_row(_source(rule), f"`{rule.settings['to']}`", _why(rule)) for rule in map_.rules]
    others = [_row(_named(family.types), _others(family)) for family in FAMILIES]
    traps = [_row(kind.code, kind.words, _policies(name), _HARM[kind.harm]) for name, kind in KINDS.items()]
    return _HEAD + "".join(rules) + _OTHERS + "".join(others) + _USING + _TRAPS + "".join(traps)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |\n"


def types_of(rule: Rule) -> list[str]:
    """The MySQL types that a rule of the default map names."""
    types = rule.match["type"]
    return [types] if isinstance(types, str) else types


def _source(rule: Rule) -> str:
    name = ", ".join(f"`{type_}`" for type_ in types_of(rule))
    if "width" in rule.match:
        name = name.removesuffix("`") + f"({rule.match['width']})`"
    if "length" in rule.match:
        name += f" of length {rule.match['length']}"
    if rule.match.get("unsigned"):
        name += " unsigned"
    if "identity" in rule.match:
        either, or_ = ("", "or") if rule.match["identity"] else ("neither ", "nor")
        name += f", {either}AUTO_INCREMENT {or_} joined to one by a foreign key"
    if rule.fits:
        name += ", if every value fits"
    return name


def _why(rule: Rule) -> str:
    return f"{rule.why}. Note: {rule.note}" if rule.note else rule.why


def _named(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


def _others(family: Family) -> str:
    labels = family.labelled and "enum" not in family.targets
    return _named(family.targets) + ", an ENUM type that is there" * labels


def _policies(trap: str) -> str:
    return "; ".join(f"`{name}`: {does}" for name, does in KINDS[trap].policies.items())


if __name__ == "__main__":
    print(types_markdown(load()), end="")
