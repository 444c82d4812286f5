"""Expressions mean the same on both servers: every function and every operator; test_fuzz.py grows trees."""

from __future__ import annotations

from contextlib import suppress

import psycopg
import pymysql
import pytest
from expressions import Answer, Pair, as_json
from support import converge, mysql, postgres
from test_plan import read

from converge.planner.generated import StoredColumns
from converge.sandbox import Server
from converge.translate import (
    Columns,
    Context,
    Untranslatable,
    parse_expression,
    translate,
    translate_condition,
    translate_stored,
)
from converge.translate.functions import Function, by_name, date_formats, functions

FORMS = [f"{form.names[0]}({', '.join(form.args)})" for form in functions()]

# Operators and what is not in functions.toml; a line each.
OPERATORS = r"""
n * m
i / 3
i / u
n / 3
n / m
m / n
1 / 3 * 1000000
i * 100 / (u + 1)
(i / 7) + (i / 9)
i / 7 > 0.142857
n / 0
d / 3
d * n
r + 1
r = 0.1
r = 0.5
i div 3
-7 div 2
n div 0.3
i % 3
mod(i, 4)
unix_timestamp(ts6)
n % 0.3
-i
-(-5)
- n
i & 4
u & 255
u | 8
u ^ 5
u >> 2
i = 1
i <> 1
i <=> null
i <=> 1
s <=> null
i < u
i between 1 and 5
i not between 1 and 5
n between -1 and 2.5
i in (1, 2, 3)
i not in (1, 2)
i in (1, null)
s in ('ABC', 'pad')
k in ('ABC', 'abc')
s = 'abc'
s = 'ABC '
g = 'ABC '
g = '  pad'
k = 'abc'
k = 'abc  '
k = '  pad'
x = 'abc'
c = 'ABC'
c = 'pad'
e = 'MEDIUM'
e = 'it''s'
e = 'nothing'
e <> 'small'
e in ('SMALL', 'x')
st = 'red,blue'
flag = 1
flag = 0
flag <> 1
flag
not flag
flag + flag
flag and i
flag = (i > 0)
i = flag
tiny = '5'
i in ('1', '2')
not i
!i
i and u
i or flag
i xor u
i and (u or n)
(i or u) and n
not (i and u) or flag
i is null
i is not null
i is true
i is not true
flag is false
(i > 1) is unknown
isnull(s)
if(i > 1, 'yes', 'no')
if(flag, n, i)
if(i, 1, 0)
if(i > 1, null, s)
ifnull(i, 0)
ifnull(s, 'none')
ifnull(n, 0)
coalesce(i, u, 5)
coalesce(null, s, k)
coalesce(flag, 0)
nullif(i, 1)
nullif(s, 'ABC')
nullif(n, 0)
case when i > 1 then 'a' when i is null then 'b' else 'c' end
case i when 1 then 'one' when 2 then 'two' end
case s when 'ABC' then 1 else 0 end
case when flag then 1 else 2.50 end
case when i > 1 and (u < 5 or not flag) then concat(s, '-', i) else null end
case when i > 0 then case when u > 1 then 'x' else 'y' end end
greatest(i, u)
least(i, n, 3)
greatest(i, null)
least(i, d)
concat(s, ' ', k)
concat(i, '/', n)
concat(s, null)
concat(day, ' ', e)
concat(at, '')
concat(at6, '')
concat(flag, st)
concat(yr)
concat(i / 7, '')
concat_ws(', ', s, k, i)
concat_ws('-', null, s, null, k)
field(s, 'abc', 'x')
field(i, 3, 2, 1)
s like '%b%'
k like 'A%'
s like '100\% \\\\_%'
s like '100!% %' escape '!'
i like '1%'
s like concat('%', c, '%')
concat(k, '\\') like concat(c, '\\')
concat(k, '!') like concat(c, '!') escape '!'
k like concat(c, '\\')
s regexp '^[a-c]+$'
k regexp '^[A-C]+$'
regexp_like(s, 'B', 'c')
s regexp '^.*b$'
s regexp '[0-9]{2,3}%'
s not regexp '\\.'
s regexp '^(abc|pad)'
s regexp 'x{0}a'
s collate utf8mb4_bin = 'ABC'
binary s = 'ABC'
cast(i as char)
l = 'abc'
l = cast('abc' as char)
l = cast(i as char)
cast(s as char(3))
cast(n as signed)
cast(flag as signed)
cast(u as unsigned)
cast(i as unsigned)
cast(ub as signed)
cast(n as decimal(3,1))
cast(at as date)
cast(day as datetime)
cast(at6 as datetime)
cast(at6 as datetime(3))
cast('2024-01-05' as date)
convert(g using utf8mb4)
date'2020-02-29'
timestamp'2020-02-29 10:11:12'
at > '2020-01-01'
day >= '2020-01-31'
day = at
at < '2020-01-31 12:30:45'
at6 >= '2020-01-01 00:00:00.5'
ts > '2015-01-01 00:00:00'
ts < at
ts = ts
tm > '01:00:00'
tm = '-01:30:00'
at between '2000-01-01' and '2024-12-31'
day + interval 1 day
day - interval 1 month
day + interval 1 year
day + interval 2 hour
at + interval i % 1000 day
at - interval '5' minute
at6 + interval 30 second
ts + interval 1 week
day + interval 1 quarter
date_add(at, interval -3 month)
date_sub(day, interval i % 100 day)
adddate(day, 3)
datediff(at, '2020-01-01')
timestampdiff(second, at, '2020-01-01')
timestampdiff(minute, at6, '2020-01-01 00:00:00')
timestampdiff(hour, at, day)
timestampdiff(day, at, '2020-01-01')
timestampdiff(week, day, '2020-01-01')
timestampdiff(month, at6, '2021-02-28')
timestampdiff(year, at, '2020-02-29 12:00:00')
timestampdiff(quarter, '2020-02-29', at)
timestampdiff(year, day, '2024-02-28')
date_format(at, '%Y-%m-%d')
date_format(at6, '%Y%m%d %H:%i:%s.%f')
date_format(day, '%d.%m.%y "%W" %M \\ %b %a')
date_format(at, '%e/%c %k %h %l %p %I %T %j %w %v-%x %S')
date_format(ts, '%H')
extract(day from at)
json_extract(j, '$.a')
j->'$.b.c'
j->>'$.a'
j->>'$.b.c'
json_extract(j, '$.l[1]')
json_extract(j, '$[0]')
json_extract(j, '$[1].a')
json_unquote(json_extract(j, '$'))
j->>'$.a' = 'text "q" ü'
json_valid(j)
json_object('a', i, 'b', s)
json_array(i, s, null, n)
json_object()
'it''s "q" \\ back'
'😀'
_latin1'plain'
n'national'
x'4142'
1.50
-1.5e3
true
null
day is null
trim(s)
trim(leading ' ' from s)
trim(both 'a' from s)
trim(trailing 'c' from s)
(select max(i) from t)
(select count(*) from t t2 where t2.i < t.i)
exists(select 1 from t t2 where t2.id = t.id + 1)
not exists(select 1 from t t2 where t2.id = t.id + 1)
id in (select id from t where i > 0)
id not in (select id from t where i > 0)
s in (select k from t)
(i, u) = (1, 1)
(i, u) in ((1, 1), (2, 2))
(id, i) in (select id, i from t where flag)
row_number() over (order by id)
rank() over (order by i)
dense_rank() over (partition by flag order by i desc)
lag(i) over (order by id)
lead(i, 2) over (order by id)
sum(i) over (order by id)
sum(n) over (partition by flag order by id rows between 1 preceding and current row)
count(*) over ()
first_value(s) over (order by id)
max(i) over (partition by e)
ub > 9223372036854775807
yr + 1
yr = 1999
hex(y)
y = 'a'
y = unhex('000000000000000000000000')
find_in_set('RED', st)
find_in_set('blue', st) > 0
i = 1 or s = 'abc' and not flag
(i = 1) = flag
(i > 0) + (u > 0)
sum(1) over (order by id)
round(i / 7, 3)
round(n * 1.19, 2)
truncate(m * 100, 1)
round(n, 1) / 3
'a' = s
1 = flag
if(flag, 'a', 1)
ifnull(e, 'x')
case when flag then e else s end
concat('a', concat('b', i), if(flag, 'x', 'y'))
upper(left(s, 1))
concat(upper(left(s, 1)), lower(substr(s, 2)))
char_length(trim(s)) > 0
(u >= 5 and u <= 100) or s = ''
i <=> u
i + 0.0
d = 1.5
d > n
n = '2'
length(concat(s, k)) - length(replace(concat(s, k), 'a', ''))
k like 'A%'
cast(tiny as decimal(12,3))
coalesce(-(-5), i)
- - i
ub % 7
ub div 2
ub * 1
ub between 1 and u
hex(-1)
hex(tiny)
extract(minute from tm)
extract(hour from tm)
cast(tm as time(2))
unix_timestamp(ts) + 0.5
at + interval b minute
day - interval i day
day - interval u month
(day + interval 63 day) - interval (u + 1) month
at - interval i year
at + interval i quarter
at6 - interval b hour
cast(timestamp'9999-12-31 23:59:59.9' as datetime)
json_array(true, i = 1, flag, not flag, 1.50)
json_object('k', i is null)
left(s, tiny)
if(flag, n, m)
if(i = 1, n / 3, m)
k = 'abc   '
floor(i / 7) * 3
"""
# What is not surely the same.
REFUSED = r"""
s + 1
s = 1
i = 'abc'
s > 'abc'
max(s)
s between 'a' and 'b'
'a' = 'b'
concat(d, 'x')
concat(tm, '')
concat(j, 'x')
e + 0
e > 'small'
d % 2
~i
i | 3
i << 2
s regexp '\\d+'
s regexp '(?i)a'
s = 'ä'
rand()
user()
format(n, 2)
lpad(s, 5, '')
date_format(at, '%D')
week(at, 1)
at + interval '1:30' hour_minute
extract(day_hour from at)
str_to_date(s, '%Y')
json_extract(j, '$.a', '$.b')
json_extract(s, '$.a')
json_contains(j, '1')
j->'$.a' = 1
json_valid(s)
group_concat(distinct s order by i, u)
cast(s as signed)
cast(s as date)
cast(s as binary)
trim('ab' from s)
sum(i / 3)
std(i)
i > all (select i from t)
(select i, u from t limit 1) = (1, 2)
convert_tz(at, '+00:00', '+01:00')
soundex(s)
char(65)
conv(i, 10, 2)
crc32(s)
sha1(s)
ln(i)
interval(i, 1, 2)
day = 20200101
at = 'yesterday'
yr = 99
sum(s)
d & 1
if(flag, day, 'x')
avg(i) over ()
uuid_to_bin(uuid(), 1)
round(d, 2)
round(n, i)
round(n, -1)
s sounds like 'x'
insert(s, 1, 1, 'x')
database()
version()
last_insert_id()
get_lock('a', 1)
hex(n)
hex(ub)
if(i = 1, n / 3, m / 7)
concat(if(flag, n, 1))
day + interval ub day
nullif(r, b)
coalesce(r, b)
if(flag, r, r)
'2024-02-29' between at and ts
nullif(at, '2021-01-03 12:30:45') + interval 1 day
instr('ABC', x)
tiny between 18446744073709551615 and 1
s in ('a', k)
k in ('ABC', st)
at - interval abs(b) month
second('2024-02-29')
sleep(0)
inet_aton(s)
compress(s)
round(i / 3, 6)
truncate(i / 7, 8)
round(n, 9) / 3
concat(round(n, 9))
json_array(i / 3)
json_array(ifnull(i, m))
json_object('k', greatest(i, m) + 1)
json_array(m % 2)
json_object('k', coalesce(i / 3, 1))
(select count(*) from (select i / 3 as x from t union all select 'x') q)
found_rows()
row_count()
connection_id()
concat(if(flag, i, bit1))
unix_timestamp(nullif(ts6, ts))
floor(b)
ceil(ub)
nullif(cast('25:00:00' as time), tm)
length('ab') >= yr
10 between ub and 100
cast(unix_timestamp(ts6) as signed)
min(r) over (partition by i)
substr('abcd', if(i > 0, 0, ub), 3)
case ub when i then 1 else 0 end
case k when x then 1 else 0 end
replace('a', 'b', k)
insert('abc', 1, 1, k)
rpad('a', 5, k)
substring_index('a,b', k, 1)
trim(k from 'abc')
nullif('a', k)
"""


@pytest.fixture(scope="module")
def examples(pair: Pair) -> dict[str, Answer]:
    """The answers to all examples of functions.toml and to all operators, asked at once."""
    asked = [example for form in functions() for example in form.examples] + OPERATORS.split("\n")[1:-1]
    selects = {f"v{number}": _over_t(text) for number, text in enumerate(dict.fromkeys(asked))}
    answers = pair.ask(selects)
    return {text: answers[f"v{number}"] for number, text in enumerate(dict.fromkeys(asked))}


@pytest.mark.parametrize("form", functions(), ids=FORMS)
def test_every_function_is_the_same_on_both_servers(form: Function, examples: dict[str, Answer]) -> None:
    assert form.examples
    for example in form.examples:
        _check(example, examples[example])


@pytest.mark.parametrize("expression", OPERATORS.split("\n")[1:-1])
def test_every_operator_is_the_same_on_both_servers(expression: str, examples: dict[str, Answer]) -> None:
    _check(expression, examples[expression])


def test_what_is_not_surely_the_same_is_refused(pair: Pair) -> None:
    texts = REFUSED.split("\n")[1:-1]
    answers = pair.ask({f"v{number}": _over_t(text) for number, text in enumerate(texts)})
    translated = [text for number, text in enumerate(texts) if not answers[f"v{number}"].refused]
    assert not translated
    assert all("; its text is select" in answer.refused for answer in answers.values())


def test_functions_have_no_form_that_nothing_can_reach() -> None:
    for name, forms in by_name().items():
        assert len({(form.args) for form in forms}) == len(forms), name
    assert all(immutable for _, immutable in date_formats().values())


# ---- generated columns and defaults --------------------------------------------------------------------

GENERATED = (
    ("INT", "i % 7 + 1"),
    ("INT", "ub % 16"),
    ("BIGINT UNSIGNED", "ub div 2"),
    ("BIGINT", "b - 1"),
    ("DECIMAL(12,2)", "n * 1.19"),
    ("DECIMAL(16,4)", "i / 7"),
    ("DECIMAL(20,3)", "m"),
    ("DOUBLE", "d * 2"),
    ("TINYINT(1)", "i > 0 AND flag"),
    ("TINYINT", "flag"),
    ("VARCHAR(200)", "CONCAT(s, ' - ', i)"),
    ("VARCHAR(200)", "CONCAT_WS(', ', s, k)"),
    ("CHAR(10)", "LEFT(k, 5)"),
    ("VARCHAR(100)", "LOWER(TRIM(s))"),
    ("VARCHAR(32)", "MD5(s)"),
    ("VARCHAR(20)", "SUBSTRING_INDEX(s, ' ', 1)"),
    ("VARCHAR(50)", "IF(flag, s, 'off')"),
    ("VARCHAR(9)", "'äö😀'"),
    ("VARCHAR(30)", "DATE_FORMAT(at6, '%Y-%m-%d %H:%i:%s.%f')"),
    ("VARCHAR(60)", "DATE_FORMAT(day, '%a %b %W %M %j %p %y')"),
    ("DATE", "DATE(at)"),
    ("DATE", "day - INTERVAL 1 MONTH"),
    ("DATETIME", "at - INTERVAL 90 MINUTE"),
    ("DATETIME", "at6"),
    ("INT", "YEAR(day)"),
    ("INT", "TIMESTAMPDIFF(MONTH, day, at)"),
    ("VARCHAR(200)", "j->>'$.a'"),
    ("JSON", "j->'$.b'"),
    ("BINARY(20)", "UNHEX(MD5(s))"),
    ("BINARY(16)", "UUID_TO_BIN(uid)"),
    ("VARCHAR(36)", "BIN_TO_UUID(y)"),
    ("TINYINT", "s REGEXP '^a.*c$'"),
    ("INT", "CASE WHEN n > 10 THEN 1 WHEN n < 0 THEN -1 ELSE 0 END"),
    ("INT", "JSON_LENGTH(j)"),
    ("TINYINT", "e = 'MEDIUM'"),
    ("DATE", "at6"),
    ("DATE", "at6 + INTERVAL 1 DAY"),
    # Of other generated columns: g0, g10.
    ("BIGINT", "g0 * 2"),
    ("VARCHAR(300)", "CONCAT(UPPER(g10), g0)"),
)
NOT_GENERATED = (
    ("VARCHAR(50)", "CONCAT(day, '')", "does not take for immutable"),
    ("VARCHAR(50)", "CONCAT(e, '')", "does not take for immutable"),
    ("INT", "YEAR(ts)", "the session's time zone"),
    ("VARCHAR(5)", "SUBSTRING_INDEX(s, ' ', 2)", "does not take for immutable"),
    ("DECIMAL(10,2)", "d", "stored as an exact one"),
    ("VARCHAR(20)", "i / 3", "digits that depend on the row"),
    ("VARCHAR(20)", "-(n - n)", "digits that depend on the row"),
    ("VARCHAR(20)", "IF(i, COALESCE(i / 3, 1), i / 7)", "digits that depend on the row"),
    ("DECIMAL(12,6)", "ROUND(i / 3, 6)", "MySQL's version"),
    ("YEAR", "i + 65", "two digits"),
    ("INT", "SOUNDEX(s)", "soundex is not on the list"),
)


def test_generated_columns_compute_the_same(pair: Pair) -> None:
    lines = [f"g{number} {kind} AS ({text})" for number, (kind, text) in enumerate(GENERATED)]
    lines[1] += " STORED"
    mysql(pair.source, "DROP TABLE IF EXISTS g")
    mysql(pair.source, "CREATE TABLE g LIKE t")
    mysql(pair.source, f"ALTER TABLE g {', '.join('ADD ' + line for line in lines)}")
    plain = [row[0] for row in mysql(pair.source, "SHOW COLUMNS FROM t")]
    listed = ", ".join(plain)
    mysql(pair.source, f"INSERT INTO g ({listed}) SELECT {listed} FROM t WHERE id <> 7")
    draft = pair.draft()
    table = draft.source("g")
    assert table is not None
    plans = {plan.source: plan for plan in draft.tables["g"].columns}
    postgres(pair.target, "DROP TABLE IF EXISTS public.g")
    made = []
    for number in range(len(GENERATED)):
        column = table.column(f"g{number}")
        expression = StoredColumns(draft, table, plans).stored(column)
        made.append(f"g{number} {plans[column.name].target_type} GENERATED ALWAYS AS ({expression}) STORED")
    postgres(pair.target, f"CREATE TABLE public.g (LIKE public.t, {', '.join(made)})")
    postgres(pair.target, f"INSERT INTO public.g ({listed}) SELECT {listed} FROM public.t WHERE id <> 7")
    for number, (_, text) in enumerate(GENERATED):
        query = f"SELECT id, g{number} FROM {{}} ORDER BY id"
        _check(text, pair.both(query.format("g"), query.format("public.g")))
    mysql(pair.source, "DROP TABLE g")


@pytest.mark.parametrize(("kind", "text", "reason"), NOT_GENERATED)
def test_what_cannot_be_generated_is_refused(pair: Pair, kind: str, text: str, reason: str) -> None:
    mysql(pair.source, "DROP TABLE IF EXISTS g")
    mysql(pair.source, "CREATE TABLE g LIKE t")
    mysql(pair.source, f"ALTER TABLE g ADD g0 {kind} AS ({text})")
    draft = pair.draft()
    table = draft.source("g")
    assert table is not None
    plans = {plan.source: plan for plan in draft.tables["g"].columns}
    with pytest.raises(Untranslatable, match=reason):
        StoredColumns(draft, table, plans).stored(table.column("g0"))
    mysql(pair.source, "DROP TABLE g")


def test_a_generated_number_that_its_type_cannot_hold_is_copied(both_databases: tuple[str, str]) -> None:
    """Without strict mode MySQL has stored the nearest one; PostgreSQL would end the copy."""
    source, target = both_databases
    mysql(
        source,
        "CREATE TABLE g (id INT PRIMARY KEY, b BIGINT, ub BIGINT UNSIGNED, n DECIMAL(10,3), d DOUBLE, "
        "v1 BIGINT AS (ub) STORED, v2 INT AS (b * 2), v3 TINYINT UNSIGNED AS (b), "
        "v4 INT AS (d * 1e9) STORED, v5 DECIMAL(5,2) AS (n * 1000), v6 FLOAT AS (d * 1e20) STORED, "
        "same1 BIGINT UNSIGNED AS (ub), same2 DECIMAL(5,2) AS (n), same3 DOUBLE AS (d * 2) STORED, "
        "same4 FLOAT AS (d * 1e-300), wide DECIMAL(40,30) DEFAULT 1.000000059604644775390625000001, "
        "same5 FLOAT AS (wide) STORED, "
        "later SMALLINT AS (v3 * 2)); "
        "SET sql_mode = ''; "
        "INSERT INTO g (id, b, ub, n, d) VALUES (1, 1, 1, 0.025, 0.25), (2, NULL, NULL, NULL, NULL), "
        "(3, 99999999999, 18446744073709551615, 33.335, 1e20), (4, -1, 9223372036854775808, -0.005, -1.25)",
    )
    ran = converge("migrate", "--source", source, "--target", target, "--json", "--yes")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    plain = {one["object"]: one["message"] for one in ran.json["findings"] if one["code"] == "P024"}
    assert plain.keys() == {f"g.v{number}" for number in range(1, 7)}, plain
    assert all("out of the type's range" in message for message in plain.values()), plain


LENGTHS = """
CREATE TABLE g (
  id INT PRIMARY KEY, a VARCHAR(40), h VARCHAR(40), code VARCHAR(10) AS (CONCAT(a, '-', id)) STORED UNIQUE,
  fixed CHAR(9) AS (CONCAT(a, '+')), spaced VARCHAR(3) AS (CONCAT(id, '   ')),
  later VARCHAR(60) AS (CONCAT(code, '|', fixed, '|', spaced, '|')),
  filled BINARY(4) AS (UNHEX(h)) STORED, bytes VARBINARY(4) AS (UNHEX(h)), again VARCHAR(30) AS (HEX(filled))
)
"""


def test_a_generated_value_that_is_too_long_is_refused(both_databases: tuple[str, str]) -> None:
    """Spaces that are too many are cut by both, as by the column of a text that another one reads."""
    source, target = both_databases
    mysql(source, f"{LENGTHS}; INSERT INTO g (id, a, h) VALUES (1, 'a', 'ff'), (2, NULL, NULL)")
    ran = converge("migrate", "--source", source, "--target", target, "--json")
    assert (ran.code, ran.json["losses"]) == (0, 0), ran.err
    rows = ("3, 'abcdefgh', ''", "4, 'abcdefghi', '0'", "55, 'abcdefgh', ''", "6, 'ab  ', NULL",
            "7, 'ab', '00112233'", "8, 'ab', '0011223344'", "9, 'ab', '9'")  # fmt: skip
    stored = []
    for row in rows:
        insert = f"INSERT INTO g (id, a, h) VALUES ({row})"
        with suppress(pymysql.err.DataError):
            mysql(source, insert)
            stored.append(row)
        with suppress(psycopg.errors.StringDataRightTruncation):
            postgres(target, insert)
    assert stored == [rows[0], rows[3], rows[4], rows[6]]
    shown = "SELECT id, code, fixed, spaced, later, filled, bytes, again FROM g ORDER BY id"
    assert postgres(target, shown) == mysql(source, shown)


def test_a_generated_value_that_was_cut_is_copied(both_databases: tuple[str, str]) -> None:
    """Without strict mode MySQL has cut it; the target would refuse the row."""
    source, target = both_databases
    rows = "(1, 'abcdefghijk', '0011223344'), (2, 'a        ', ''), (3, '', '9')"
    brief = "ALTER TABLE g ADD brief TINYTEXT AS (REPEAT(a, 30))"
    mysql(source, f"SET sql_mode = ''; {LENGTHS}; INSERT INTO g (id, a, h) VALUES {rows}; {brief}")
    mysql(source, "CREATE TRIGGER named BEFORE INSERT ON g FOR EACH ROW SET NEW.a = COALESCE(NEW.a, 'none')")
    ran = converge("migrate", "--source", source, "--target", target, "--json", "--yes")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err + ran.out
    plain = {one["object"]: one["message"] for one in ran.json["findings"] if one["code"] == "P024"}
    assert plain.keys() == {f"g.{name}" for name in ("code", "fixed", "filled", "bytes", "brief")}, plain
    assert all("a shorter value than it gives (rows id 1" in message for message in plain.values()), plain
    assert all("; new rows get NULL: " in message for message in plain.values()), plain
    # The way out that keeps it filled comes first, and needs no more than the expression.
    hints = {one["object"]: one["hint"] for one in ran.json["findings"] if one["code"] == "P024"}
    sql, _, rule = hints["g.code"].partition("[[column]]")
    assert rule.endswith("skip = true") and "concat(`a`" in sql
    postgres(target, sql.replace("…", "left(concat(NEW.a, '-', NEW.id), 10)"))
    assert postgres(target, "INSERT INTO g (id, a) VALUES (7, 'b') RETURNING code") == [("b-7",)]
    # As in the source, after the triggers that set what it reads.
    assert postgres(target, "INSERT INTO g (id) VALUES (8) RETURNING code") == [("none-8",)]


def test_triggers_that_compute_fire_in_the_order_of_the_columns(databases: tuple[str, str]) -> None:
    """PostgreSQL fires them by their names; what it computes itself comes after all of them."""
    source, target = databases
    table = "c" * 60
    mysql(
        source,
        f"SET sql_mode = ''; CREATE TABLE {table} (id INT PRIMARY KEY, a VARCHAR(20), "
        "twice INT AS (id * 2) STORED, total VARCHAR(3) AS (CONCAT(a, '-')) STORED, "
        "label VARCHAR(4) AS (CONCAT(total, '!', twice)) STORED); "
        f"INSERT INTO {table} (id, a) VALUES (1, 'abcdef')",
    )
    ran = converge("migrate", "--source", source, "--target", target, "--json", "--yes")
    hints = {one["object"]: one["hint"] for one in ran.json["findings"] if one["code"] == "P024"}
    assert hints.keys() == {f"{table}.total", f"{table}.label"}, ran.err
    total, label = hints[f"{table}.total"], hints[f"{table}.label"]
    in_place = "-- twice has no value yet in a trigger: its own expression in place of NEW.twice"
    assert (in_place in label, "no value yet" in total, "place of NEW.total" in label) == (True, False, False)
    for hint, expression in (
        (label, "left(concat(NEW.total, '!', NEW.id * 2), 4)"),
        (total, "left(concat(NEW.a, '-'), 3)"),
    ):
        postgres(target, hint.partition("[[column]]")[0].replace("…", expression))
    assert postgres(target, f"INSERT INTO {table} (id, a) VALUES (2, 'b') RETURNING label") == [("b-!4",)]


def test_trials_of_the_same_name_do_not_meet(both_databases: tuple[str, str]) -> None:
    """The names of a table and its column may be joined to those of others, or of a trigger."""
    source, target = both_databases
    mysql(source, "CREATE TABLE a (id INT PRIMARY KEY, b_c INT AS (id + 1) STORED)")
    mysql(source, "CREATE TABLE a_b (id INT PRIMARY KEY, c INT AS (id + 2) STORED)")
    mysql(source, "CREATE TRIGGER c BEFORE INSERT ON a_b FOR EACH ROW SET NEW.id = NEW.id + 1")
    ran = converge("migrate", "--source", source, "--target", target, "--json")
    assert ran.code == 0, ran.err
    assert [one["object"] for one in ran.json["findings"] if one["code"] in ("P024", "P081")] == []


def test_what_is_noted_of_a_default_and_of_an_index(both_databases: tuple[str, str]) -> None:
    source, target = both_databases
    mysql(
        source,
        "CREATE TABLE t (id INT PRIMARY KEY, u INT UNSIGNED, w INT UNSIGNED, uid CHAR(36) DEFAULT (UUID()), "
        "n INT DEFAULT (1 + 1), KEY apart ((u - w)), KEY together ((u + w)))",
    )
    ran = converge("migrate", "--source", source, "--target", target, "--json")
    assert ran.code == 0, ran.err
    notes = {one["object"]: one["message"] for one in ran.json["findings"] if one["code"] == "P029"}
    assert notes.keys() == {"t.uid", "t.apart"}, notes
    assert "version 4" in notes["t.uid"] and "negative difference" in notes["t.apart"]
    states = {name.partition(" ")[2]: text for name, text in ran.json["fingerprint"]["objects"].items()}
    assert states["t.apart"].startswith("translated with a note: ")
    assert states["t.together"].startswith("translated: ")


def test_what_mysql_does_not_calculate_is_no_error(both_databases: tuple[str, str]) -> None:
    """The right side of a comparison, where the left one is NULL, may be out of range."""
    source, target = both_databases
    mysql(
        source,
        "CREATE TABLE g (id INT PRIMARY KEY, n DECIMAL(10,2), b BIGINT, v TINYINT AS (n = -1 + b) STORED, "
        "w TINYINT AS (n < -b) STORED, CONSTRAINT c CHECK (n <> b * 4 + 1)); "
        "INSERT INTO g (id, n, b) VALUES (1, NULL, -9223372036854775808), (2, 4, 5)",
    )
    ran = converge("migrate", "--source", source, "--target", target, "--json", "--yes")
    assert (ran.code, ran.json["losses"], ran.json["not_migrated"]) == (0, 0, []), ran.err
    assert postgres(target, "SELECT id, v, w FROM g ORDER BY id") == [(1, None, None), (2, 1, 0)]


@pytest.mark.parametrize(
    ("text", "to", "sql"),
    [
        ("uuid()", "uuid", "gen_random_uuid()"),
        ("uuid()", "varchar(36)", "gen_random_uuid()::text"),
        ("uuid_to_bin(uuid())", "bytea", "uuid_send(gen_random_uuid())"),
        ("json_object()", "jsonb", "'{}'::jsonb"),
        ("json_array()", "jsonb", "'[]'::jsonb"),
        ("(1 + 2)", "integer", "(1::bigint + 2)::integer"),
        ("curdate()", "date", "statement_timestamp()::date"),
        ("_utf8mb4'a\\nb'", "text", "'a\nb'::text"),
    ],
)
def test_expression_defaults(text: str, to: str, sql: str, postgres_14: Server) -> None:
    assert translate_stored(text, to, None, Columns(), Context()) == sql
    postgres(postgres_14.url, f"SELECT {sql}")


@pytest.mark.parametrize(
    ("text", "to"),
    [
        ("(10 / 4)", "varchar(20)"),
        ("(length('abc') / 2)", "varchar(20)"),
        ("json_array((7 / 3))", "jsonb"),
        ("json_array((0 * 1.5))", "jsonb"),
    ],
)
def test_a_default_with_digits_of_its_own_is_refused(text: str, to: str) -> None:
    with pytest.raises(Untranslatable, match="a calculated number"):
        translate_stored(text, to, None, Columns(), Context())


# ---- texts of expressions ------------------------------------------------------------------------------


def test_names_and_literals_survive_the_catalog(
    mysql_8015: Server, mysql_8033: Server, postgres_14: Server
) -> None:
    """information_schema escapes an expression twice and shows its UTF-8 as latin1."""
    wanted = 'it\'s "q" \\ back \n nl \t tab % ü😀'
    name = 'näme ``"\\\\'
    literal = wanted.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    for server in (mysql_8015, mysql_8033):
        url = server.create_database("test_survive")
        made = f"`{name}` VARCHAR(99), g VARCHAR(99) AS (CONCAT(`{name}`, '{literal}'))"
        mysql(url, f"CREATE TABLE t ({made})")
        (table,) = read(url).tables
        generated = table.column("g").generated
        assert generated is not None
        tree = parse_expression(generated)
        assert tree.expressions[0].name == 'näme `"\\\\'
        term = translate(generated.split(",", 1)[1][:-1], Columns(), Context())
        assert postgres(postgres_14.url, f"SELECT {term.sql}") == [(wanted,)]
        server.drop_database("test_survive")


@pytest.mark.parametrize(
    ("text", "sql"),
    [
        ("1 or 2 and 0", "(true OR ((2 <> 0) AND false))"),
        ("not 1 = 2", "(NOT (1 = 2))"),
        ("!1 = 2", "((NOT true)::int = 2)"),
        ("1 || 0", "(true OR false)"),
        ("(- 5 - -5) = 0", "(((-5)::bigint - (-5)) = 0)"),
        ("- -5 > 1", "((- (-5)) > 1)"),
    ],
)
def test_precedence_is_mysqls(text: str, sql: str) -> None:
    assert translate_condition(text, Columns(), Context()) == sql


def _over_t(expression: str) -> str:
    return f"SELECT id, {expression} AS x FROM t ORDER BY id"


def _check(text: str, answer: Answer) -> None:
    assert not answer.refused, f"{text}: {answer.refused}"
    if answer.expected != answer.got:
        documents = [(key, as_json(value)) for key, value in answer.expected]
        assert documents == answer.got, f"{text}\n{answer.sql}"
