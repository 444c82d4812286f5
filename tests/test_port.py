"""What is left to port: whole signatures, an estimate by counting, and skeletons that PostgreSQL takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import NewDatabase
from support import converge, mysql, postgres

from converge.model.catalog import Routine
from converge.planner.porting import _estimate, _schedule
from converge.report.port import hours_words
from converge.sandbox import Server

HOSTILE = "*/ $port$; DROP TABLE film; -- '"
SOURCE = [
    "CREATE TABLE film (id INT PRIMARY KEY, title VARCHAR(20))",
    "CREATE TRIGGER a_first AFTER INSERT ON film FOR EACH ROW SET @n = 1",
    "CREATE TRIGGER second AFTER INSERT ON film FOR EACH ROW FOLLOWS a_first SET @n = 2",
    """CREATE PROCEDURE pay(IN amount DECIMAL(10,2) UNSIGNED, OUT id BIGINT UNSIGNED, INOUT note VARCHAR(9),
       flag TINYINT(1), kind ENUM('a', 'it''s'), doc JSON, at DATETIME(3), tags SET('x', 'y'), bits BIT(4))
    MODIFIES SQL DATA SQL SECURITY INVOKER COMMENT 'pays'
    BEGIN
      DECLARE done INT DEFAULT 0;
      DECLARE c CURSOR FOR SELECT film.id FROM film LIMIT 2, 3;
      DECLARE CONTINUE HANDLER FOR NOT FOUND SET done = 1; -- DECLARE c CURSOR FOR in a comment
      IF IF(done, 1, 0) THEN SET @n = 'LIMIT 1, 2 /* */ \U0001f600'; ELSEIF done = 2 THEN
        SELECT GROUP_CONCAT(title) FROM film;
      END IF;
      INSERT INTO film VALUES (1, 'x') ON DUPLICATE KEY UPDATE title = 'y';
    END""",
    "CREATE FUNCTION pay(n SMALLINT UNSIGNED) RETURNS CHAR(3) DETERMINISTIC NO SQL RETURN 'abc'",
    f"CREATE FUNCTION `{HOSTILE}\nx`(`{HOSTILE}` INT) RETURNS INT DETERMINISTIC RETURN '{HOSTILE[:-1]}'",
    "CREATE EVENT nightly ON SCHEDULE EVERY 2 HOUR STARTS '2020-01-01 03:05:00' DISABLE DO DELETE FROM film",
]
EVENTS = {
    "daily": ("EVERY 1 DAY STARTS '2020-01-01 03:05:00'", "SELECT cron.schedule('daily', '5 3 * * *'"),
    "later": ("EVERY 1 DAY STARTS '2099-01-01 03:05:00'",
              "-- the event STARTS 2099-01-01 03:05:00\n-- SELECT cron.schedule('later', '5 3 * * *'"),
    "until": ("EVERY 1 DAY STARTS '2020-01-01 03:05:00' ENDS '2099-01-01 00:00:00'", "-- pg_cron has no"),
    "off": ("EVERY 1 DAY STARTS '2020-01-01 03:05:00' ON COMPLETION PRESERVE DISABLE",
            "-- the event is DISABLED\n-- SELECT cron.schedule('off', '5 3 * * *'"),
}  # fmt: skip
"""Schedules, and how what pg_cron gets of each begins."""
SIGNATURES = {
    "trigger a_first": "a_first AFTER INSERT ON film",
    "trigger second": "second AFTER INSERT ON film, number 2 of these",
    "procedure pay": "pay(IN amount decimal(10,2) unsigned, OUT id bigint unsigned, INOUT note varchar(9), "
    "IN flag tinyint(1), IN kind enum('a','it''s'), IN doc json, IN at datetime(3), IN tags set('x','y'), "
    "IN bits bit(4))",
    "function pay": "pay(n smallint unsigned) RETURNS char(3)",
    "event nightly": "nightly EVERY 2 HOUR STARTS 2020-01-01 03:05:00",
}
ARGUMENTS = {
    ("pay_2", "p"): "IN amount numeric, OUT id numeric, INOUT note character varying, IN flag smallint, "
    "IN kind text, IN doc jsonb, IN at timestamp without time zone, IN tags text[], IN bits bit",
    ("pay", "f"): "n integer",
    ("nightly", "p"): "",
    ("a_first", "f"): "",
    ("second", "f"): "",
}


def test_skeletons_are_made_and_say_that_they_are_not_ported(
    both_databases: tuple[str, str], tmp_path: Path
) -> None:
    source, target = both_databases
    for statement in SOURCE:
        mysql(source, f"SET SESSION time_zone = '+00:00'; {statement}")
    folder, ends = tmp_path / "port", ("--source", source, "--target", target)
    ran = converge("plan", *ends, "--json", "--write-routines", str(folder))
    assert ran.code == 0, ran.err
    ports = {f"{one['kind']} {one['name']}": one for one in ran.json["plan"]["ports"]}
    width = re.compile(r"(?<=int)\((?!1\))\d+\)")  # only older servers show it
    signatures = {name: width.sub("", one["signature"]) for name, one in ports.items()}
    assert SIGNATURES.items() <= signatures.items()
    assert {name: one["refused"] for name, one in ports.items() if one["refused"]} == {}
    pay = ports["procedure pay"]
    assert "\U0001f600" in pay["source"] and "COMMENT 'pays'" in pay["source"]
    assert pay["characteristics"] == "MODIFIES SQL DATA, SQL SECURITY INVOKER"
    assert {one["name"]: one["count"] for one in pay["work"]} == {
        "up to 20 lines": 1, "cursors": 1, "handlers": 1, "user variables": 1, "ELSEIF": 1, "IF()": 1,
        "GROUP_CONCAT": 1, "LIMIT n, m": 1, "INSERT IGNORE, ON DUPLICATE KEY, REPLACE": 1,
        "results of SELECT": 1,
    }  # fmt: skip
    conversion = {one["kind"]: (one["migrated"], one["objects"]) for one in ran.json["conversion"]}
    assert conversion == {"table": (1, 1), "column": (2, 2), "index": (1, 1), "trigger": (0, 2),
                          "procedure": (0, 1), "function": (0, 2), "event": (0, 1)}  # fmt: skip
    least, most = ran.json["effort"]["hours"]
    assert (least, most) == (
        round(sum(one["count"] * one["hours"][0] for one in ran.json["effort"]["work"]), 2),
        round(sum(one["count"] * one["hours"][1] for one in ran.json["effort"]["work"]), 2),
    )

    # What the files do in a target that has been migrated.
    assert converge("migrate", *ends).code == 0
    files = sorted(folder.iterdir())
    assert [one.stat().st_mode & 0o77 for one in files] == [0] * 6
    for file in files:
        postgres(target, file.read_text("utf-8"))
    made = "SELECT proname, prokind::text, pg_get_function_arguments(oid), pg_get_function_result(oid) " \
           "FROM pg_proc WHERE pronamespace = 'public'::regnamespace"  # fmt: skip
    there = {(name, kind): (given, gives) for name, kind, given, gives in postgres(target, made)}
    assert {name: given for name, (given, _) in there.items() if name in ARGUMENTS} == ARGUMENTS
    assert there["pay", "f"][1] == "character varying" and there["second", "f"][1] == "trigger"
    assert f"{HOSTILE}\nx" in {name for name, _ in there}
    for statement, what in {
        "CALL nightly()": "event nightly",
        "SELECT pay(1::int)": "function pay",
        "INSERT INTO film VALUES (1, 'x')": "trigger a_first",
    }.items():
        with pytest.raises(Exception, match=f"not ported yet: {what}"):
            postgres(target, statement)
    assert postgres(target, "SELECT count(*) FROM film") == [(0,)]
    text = (folder / "event_nightly.sql").read_text()
    statement = """SELECT cron.schedule('nightly', '5 1-23/2 * * *', 'CALL "public"."nightly"()')"""
    assert f"\n-- -- the event is DISABLED\n-- -- {statement}" in text
    assert "-- BEGIN" not in text and "DELETE FROM film" in text
    again = converge("plan", *ends, "--write-routines", str(folder))
    assert (again.code, "[U020]" in again.err) == (2, True), again.err


def test_pages_and_terminal_have_each_object_once(
    mysql_8033: Server, new_mysql_database: NewDatabase, tmp_path: Path
) -> None:
    source = new_mysql_database(mysql_8033)
    for statement in SOURCE:
        mysql(source, statement)
    page = tmp_path / "plan.md"
    ran = converge("plan", "--source", source, "--md", str(page))
    assert re.search(r"^migrated +4 of 10 objects \(40 %\); 6 to port in \d.* hours ",
                     ran.out, re.M)  # fmt: skip
    text = page.read_text()
    assert text.count("MODIFIES SQL DATA\n") == text.count("ON SCHEDULE EVERY") == 1
    assert text.count("its code is not translated") <= 7
    shown = converge("plan", "--source", source, "--show", "port").out
    assert "procedure pay(IN amount decimal(10,2) unsigned, OUT id" in shown and "GROUP_CONCAT" in shown
    assert "CREATE DEFINER" in converge("explain", "nightly", "--source", source).out


@pytest.mark.parametrize(
    ("hours", "words"),
    [
        ((0.25, 1), "15 minutes to 1 hour"),
        ((0, 0.1), "0 to 5 minutes"),
        ((1, 4), "1 to 4 hours"),
        ((1.5, 6.2), "1.5 to 6 hours"),
        ((6.15, 24.55), "6 to 25 hours"),
    ],
)
def test_an_estimate_has_plain_figures(hours: tuple[float, float], words: str) -> None:
    assert hours_words(hours) == words


@pytest.mark.parametrize(
    ("every", "starts", "schedule", "zone"),
    [
        ("1 DAY", "2030-01-01 21:54:00", "54 19 * * *", "+02:00"),
        ("1 DAY", "2030-01-01 21:54:00", "24 3 * * *", "-05:30"),
        ("2 HOUR", "2030-01-01 00:05:00", "35 0-23/2 * * *", "+01:30"),
        ("1 WEEK", "2030-01-06 00:05:00", "5 22 * * 6", "+02:00"),
        ("1 MONTH", "2030-01-02 00:05:00", "5 22 1 * *", "+02:00"),
        ("1 MONTH", "2030-03-01 00:05:00", "", "+02:00"),
        ("1 MONTH", "2030-01-29 00:05:00", "", "+02:00"),
        ("1 MONTH", "2030-01-01 13:05:00", "", "Europe/Berlin"),
        ("1 MONTH", "2030-01-28 12:05:00", "", "Europe/Berlin"),
        ("1 MONTH", "2030-01-15 00:05:00", "5 0 15 * *", "Europe/Berlin"),
        ("1 DAY", "2030-01-01 21:54:00", "54 21 * * *", "UTC"),
        ("1 DAY", "2030-01-01 21:54:00", "54 21 * * *", "Europe/Berlin"),
        ("1 DAY", "2030-01-01 21:54:00", "54 21 * * *", "CEST"),
        ("1 MINUTE", "2030-01-01 03:05:00", "0-59/1 * * * *", "UTC"),
        ("15 MINUTE", "2030-01-01 03:50:00", "5-59/15 * * * *", "UTC"),
        ("7 MINUTE", "2030-01-01 03:05:00", "", "UTC"),
        ("1 DAY", "2030-01-01 03:05:00", "5 3 * * *", "UTC"),
        ("2 DAY", "2030-01-01 03:05:00", "", "UTC"),
        ("1 WEEK", "2030-01-06 03:05:00", "5 3 * * 0", "UTC"),
        ("1 MONTH", "2030-01-28 03:05:00", "5 3 28 * *", "UTC"),
        ("1 MONTH", "2030-01-31 03:05:00", "", "UTC"),
        ("1:30 HOUR_MINUTE", "2030-01-31 03:05:00", "", "UTC"),
        ("", "", "", "UTC"),
    ],
)
def test_schedules_of_cron(every: str, starts: str, schedule: str, zone: str) -> None:
    """By pg_cron's clock where the event's is known to differ by a fixed time; else that is said."""
    event = Routine("event", "e", None, "me", "", "EVERY …", every=every, starts=starts, zone=zone)
    expected = f"SELECT cron.schedule('e', '{schedule}', 'CALL e()')" if schedule else "-- pg_cron has no"
    statement = _schedule(event, "e")
    assert statement.startswith(expected)
    assert ("are those of" in statement) == (bool(schedule) and zone in ("Europe/Berlin", "CEST"))


def test_events_that_do_not_run_are_scheduled_in_a_comment(databases: tuple[str, str]) -> None:
    source, target = databases
    for name, (schedule, _) in EVENTS.items():
        mysql(source, f"SET time_zone = '+00:00'; CREATE EVENT `{name}` ON SCHEDULE {schedule} DO SET @n = 1")
    ran = converge("plan", "--source", source, "--target", target, "--json")
    given = {one["name"]: one["schedule"] for one in ran.json["plan"]["ports"]}
    for name, (_, begin) in EVENTS.items():
        assert given[name].startswith(begin), given[name]


def test_sizes_and_constructs_are_counted() -> None:
    lines, work = _estimate("BEGIN\n" + "  CALL a();\n\n" * 30 + "END")
    assert lines == 32
    assert {one.name: one.count for one in work} == {"up to 100 lines": 1, "calls of routines": 30}
    _, work = _estimate(
        "WHILE a DO SELECT 1 INTO b; END WHILE; l: LOOP LEAVE l; END LOOP; IF (a) THEN SET b = @@c; END IF"
    )
    assert {one.name: one.count for one in work} == {"up to 20 lines": 1, "loops": 2, "system variables": 1}
