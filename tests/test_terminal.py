"""What a person reads: short by default, wrapped between words, in colors, and files to go on with."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import tomllib
from collections import Counter
from dataclasses import replace
from itertools import dropwhile
from pathlib import Path

import pytest
from report_values import plan
from support import ENVIRONMENT, Ran, converge, mysql, postgres

from converge.cli import COMMANDS
from converge.codes import Code
from converge.model.endpoint import parse
from converge.model.finding import Finding
from converge.report.document import Facts, Fold, Grid, Kind, Mark, Words, grid
from converge.report.errors import without_password, without_passwords
from converge.report.findings import Findings, findings
from converge.report.plan_text import plan_text
from converge.report.text import Screen

_COLOR = re.compile(r"\x1b\[[0-9;]*m")
_RED, _YELLOW, _CYAN = "\x1b[31m", "\x1b[33m", "\x1b[36m"
_SQL = """
CREATE TABLE film (id int PRIMARY KEY, title varchar(20), released datetime NULL, rating enum('G','R'));
CREATE TABLE part (id int PRIMARY KEY, film int);
SET sql_mode = '';
INSERT INTO film VALUES (1, CONCAT('a', CHAR(0)), '0000-00-00', 'X'), (2, 'b', '2020-00-10', 'G');
INSERT INTO part VALUES (1, 1), (2, 9);
SET foreign_key_checks = 0;
ALTER TABLE part ADD CONSTRAINT of_film FOREIGN KEY (film) REFERENCES film (id);
CREATE TRIGGER named AFTER INSERT ON film FOR EACH ROW SET @title = 'x';
CREATE FUNCTION one() RETURNS int DETERMINISTIC RETURN 1;
"""


@pytest.fixture
def ends(databases: tuple[str, str]) -> tuple[str, ...]:
    """Options for a source with five values and objects that stop a run, and two routines."""
    mysql(databases[0], _SQL)
    return ("--source", databases[0], "--target", databases[1])


def on_terminal(columns: int, *arguments: str, **environment: str) -> Ran:
    """Runs the command with stdout on a terminal of that width."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    command = [sys.executable, "-m", "converge", *arguments]
    environment = ENVIRONMENT | {"TERM": "xterm"} | environment
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=slave, stderr=subprocess.PIPE, env=environment, text=True
    )
    os.close(slave)
    shown = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:  # Linux says EIO at the end
            break
        if not part:
            break
        shown += part
    os.close(master)
    _, err = process.communicate(timeout=60)
    return Ran(process.returncode, shown.decode().replace("\r\n", "\n"), err)


# ---- lines -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_lines_are_wrapped_between_words(width: int) -> None:
    words = "a wall-clock time without a zone, as it is in the source and as it will be in the target " * 2
    found = findings([Finding(Code.V010, "block", "film.released", words, words, "rows id 1")])
    columns: list[tuple[str, Kind]] = [("columns", "number"), ("type", "code"), ("why", "words")]
    blocks = (
        Words(words), Facts((("verdict", words), ("a long label", words))), found,
        Fold("title", (grid("", columns, [("1,000", "datetime", words), ("2", Mark("year", "bad"), "")]),)),
        grid("", (("table", "name"), ("rows", "number")), [("n" * (width - 5), "1,000"), ("film", "2")]),
        grid("", [(f"column {number}", "name") for number in range(9)], [["value"] * 9]),
    )  # fmt: skip
    for block in blocks:
        lines = [*Screen(width).lines(block)]
        assert max(map(len, lines)) <= width, lines
        whole = [*Screen().lines(block)]
        lost = Counter(_words(whole)) - Counter(_words(lines))
        # Where each row is a list, what it begins with needs no name.
        assert lost.keys() <= set(_words([block.head[0]] if isinstance(block, Grid) else []))
        # Colors change nothing but the color.
        assert [_COLOR.sub("", line) for line in Screen(width, color=True).lines(block)] == lines


def _words(lines: list[str]) -> list[str]:
    return re.findall(r"\w+", " ".join(lines))


def test_a_rule_can_be_pasted_from_a_narrow_terminal() -> None:
    """TOML allows no line end inside of an inline table."""
    match = 'match = { table = "film", column = "released_at_some_long_name" }'
    found = findings([Finding(Code.V010, "block", "film.released", "zero dates", f"[[column]]\n{match}")])
    assert [line.strip() for line in Screen(40).lines(found)][-1] == match
    assert Screen(40).hint(f"[[column]]\n{match}", "  hint   ")[-1].strip() == match


def test_losses_that_a_terminal_does_not_show_are_counted() -> None:
    found = findings(Finding(Code.V010, "lossy", f"film.c{number}", "is lost") for number in range(7))
    cut = Findings(tuple(level.cut(3) for level in found.levels))
    lines = [*Screen().lines(cut)]
    assert (lines[0], lines[-1], len(lines)) == ("losses (7)", "  … and 4 more: --show findings", 5)


def test_a_command_that_is_wrapped_can_be_pasted() -> None:
    command = "converge migrate --source mysql://root@127.0.0.1/shop --target postgresql://a@127.0.0.1/shop"
    (*first, last) = Screen(60).lines(Facts((("next", command),)))
    assert first and all(line.endswith(" \\") for line in first) and not last.endswith("\\")
    assert " ".join("\n".join([*first, last]).replace("\\\n", " ").split()) == f"next {command}"


def test_a_name_cannot_command_the_terminal() -> None:
    evil = "a\x1b[2Jb"
    found = findings([Finding(Code.P001, "note", evil, evil, evil, evil)])
    for block in (Words(evil), Facts((("x", evil),)), found, grid("", (("a", "name"),), [(evil,)])):
        for screen in (Screen(), Screen(40, color=True)):
            assert "\x1b[2J" not in "".join(screen.lines(block))


# ---- plan ------------------------------------------------------------------------------------------------


def test_a_plan_is_short_and_the_rest_has_names() -> None:
    made = plan()
    text = plan_text(made)
    lines = text.splitlines()
    assert len(lines) <= 20
    assert lines[0] == lines[-1]
    assert lines[0] == (
        "verdict   ready to migrate: 1 object not migrated · 0 losses · 3 notes to read · 1 routine to port"
    )
    assert "       1  P000  note" in text and "first of them" not in text
    assert "first of them" in plan_text(made, shown=["findings"])
    assert "column_9" not in text and "column_9" in plan_text(made, shown=["columns"])


@pytest.mark.parametrize(("count", "last"), [(5, "1  P024  note"), (6, "2  …")])
def test_a_row_of_other_codes_stands_for_more_than_one(count: int, last: str) -> None:
    one = plan().findings[0]
    codes = [Code[f"P02{number}"] for number in range(count)]
    text = plan_text(replace(plan(), findings=tuple(replace(one, code=code) for code in codes)))
    assert f"       {last}" in text and "of 1 more code" not in text


def test_blockers_and_losses_are_whole_off_a_terminal() -> None:
    long = " ".join(["word"] * 200)
    found = [
        replace(
            one,
            severity=severity,
            message=f"{long} {number}",
            hint=f"fix {number}",
            evidence=f"rows id {number}",
        )
        for number in range(20)
        for severity in ("block", "lossy")
        for one in plan().findings[:1]
    ]
    text = plan_text(replace(plan(), findings=tuple(found)))
    for number in range(20):
        assert (
            text.count(f"{long} {number}\n        seen  rows id {number}\n        hint  fix {number}\n") == 2
        )


def test_a_terminal_shows_the_verdict_fixes_and_the_next_command(ends: tuple[str, ...]) -> None:
    ran = on_terminal(80, "plan", *ends)
    assert ran.code == 3, ran.err
    lines = _COLOR.sub("", ran.out).splitlines()
    assert max(map(len, lines)) <= 80 and len([*dropwhile(lambda line: "verdict" not in line, lines)]) <= 20
    text = " ".join(" ".join(lines).split())
    assert text.startswith("verdict blocked: resolve 4 findings first · 2 objects not migrated · ")
    assert "BLOCKERS (4)" in text and 'policy = { zero_date = "null" }' in text
    assert re.search(r"findings .*2 P081", text)
    assert "--write-fixes fixes.toml verdict blocked: resolve 4 findings first · 2 objects not mig" in text
    assert f"{_RED}V010" in ran.out
    for plain in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\x1b" not in on_terminal(80, "plan", *ends, **plain).out
    assert "\x1b" not in converge("plan", *ends).out


def test_a_terminal_shows_a_rule_to_paste_where_there_is_room(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE t (id int PRIMARY KEY, at date)")
    mysql(source, "SET sql_mode = ''; INSERT INTO t VALUES (1, '0000-00-00')")
    # What other tests have had of connections would be a finding (F009), and take the room.
    mysql(source, "FLUSH STATUS")
    shown = on_terminal(80, "plan", "--source", source, "--target", target, NO_COLOR="1").out
    rule = ["[[column]]", 'match = { table = "t", column = "at" }', 'policy = { zero_date = "null" }']
    assert "\n".join(rule) in re.sub(r"^ +(hint)? *", "", shown, flags=re.MULTILINE), shown


def test_many_blockers_are_cut_on_a_terminal(databases: tuple[str, str]) -> None:
    source, target = databases
    for number in range(8):
        mysql(source, f"CREATE TABLE t{number} (id int PRIMARY KEY, at date)")
        mysql(source, f"SET sql_mode = ''; INSERT INTO t{number} VALUES (1, '0000-00-00')")
    shown = on_terminal(120, "plan", "--source", source, "--target", target, NO_COLOR="1").out
    assert shown.count('hint  policy = { zero_date = "null" }') == 3
    assert "BLOCKERS (8)" in shown and "… and 5 more: --show findings" in shown
    assert 10 < shown.partition("verdict")[2].count("\n") <= 20
    assert converge("plan", "--source", source, "--target", target).out.count("hint  [[column]]") == 8


def test_files_are_named_and_the_next_command_repeats_the_options(
    databases: tuple[str, str], tmp_path: Path
) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE film (id int PRIMARY KEY)")
    names = ["plan.json", "p.html", "p.md", "p.sql", "m.toml", "f.toml"]
    options = ("-o", "--html", "--md", "--sql", "--write-map", "--write-fixes")
    files = [word for option, name in zip(options, names, strict=True) for word in (option, name)]
    addresses = ("--source", source, "--target", target)
    ran = converge("plan", *addresses, "--no-scan", "--include", "f*m", "--include", "film", *files,
                   folder=str(tmp_path))  # fmt: skip
    assert ran.code == 0, ran.err
    assert f"\nwritten   {', '.join(names)}\n" in ran.out
    assert all((tmp_path / name).exists() for name in names)
    command = (
        f"converge migrate --source {source} --target {target} --include 'f*m' --include film --no-scan "
        "--plan plan.json"
    )
    assert f"\nnext      {command}\n" in ran.out
    secret = target.replace("postgres@", "postgres:canary@")
    ran = converge("plan", "--source", source, "--target", secret)
    assert "postgres:***@" in ran.out and "canary" not in ran.out + ran.err


# ---- fixes -----------------------------------------------------------------------------------------------


def test_fixes_are_a_map_of_comments(ends: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "fixes.toml"
    ran = converge("plan", *ends, "--write-fixes", str(file))
    assert ran.code == 3, ran.err
    assert f"first     in {file}, remove the first # of the lines of each rule that you want" in ran.out
    assert f"next      converge plan {' '.join(ends)} --map {file}" in ran.out
    # What blocks is named beside any section.
    assert "BLOCKERS" in converge("plan", *ends, "--show", "tables").out
    # Where no run has been, there is none to resume, whatever a plan would say.
    resumed = converge("migrate", *ends, "--resume")
    assert (resumed.code, resumed.err.splitlines()[-2:]) == (
        2,
        [
            "error[T010]: there is no interrupted run to resume in this target",
            f"  hint   converge migrate {' '.join(ends)}",
        ],
    )
    text = file.read_text()
    findings = converge("plan", *ends, "--json").json["findings"]
    for finding in findings:
        after = finding["code"].startswith("F")
        severity = "after the cutover" if after else finding["severity"].replace("block", "blocker")
        said = f"# {finding['code']} ({severity}) {finding['object']}: "
        assert (said in text) == bool(finding["hint"]), finding
    # As it is written it changes nothing.
    assert set(tomllib.loads(text)) == {"map"}
    assert converge("plan", *ends, "--map", str(file)).code == 3
    # Each rule without its # is a rule of a map, and all together resolve all.
    file.write_text(re.sub(r"^#(?=\S)", "", text, flags=re.MULTILINE))
    assert {"column", "foreign_key"} <= set(tomllib.loads(file.read_text()))
    applied = converge("plan", *ends, "--map", str(file), "--json")
    assert applied.code == 0, applied.out
    # What was applied is not proposed again.
    proposed = {one["hint"] for one in findings} & {one["hint"] for one in applied.json["findings"]}
    assert not [hint for hint in proposed if hint.startswith("[[")]


def test_a_fix_is_written_once_for_all_that_propose_it() -> None:
    from converge.report.map import fixes_toml

    rule = '[[type]]\nmatch = { type = "char" }\nto = "uuid"\n# or: to = "text"'
    one = plan().findings[0]
    made = replace(
        plan(),
        findings=(
            replace(one, object="a", hint=rule),
            replace(one, object="b", hint=rule),
            replace(one, object="c\n[[evil]]", severity="block", hint='GRANT SELECT ON "s".* TO "r";'),
            replace(one, object="d", hint=f"--truncate removes all rows\n# or, in a map:\n{rule}"),
            replace(one, object="e", hint=""),
        ),
    )
    text = fixes_toml(made)
    assert set(tomllib.loads(text)) == {"map"}
    assert text.index('#   GRANT SELECT ON "s".* TO "r";') < text.index(" a: ") < text.index(" b: ")
    assert text.count("#[[type]]\n#match = ") == 2 and " e: " not in text
    rules = tomllib.loads(re.sub(r"^#(?=\S)", "", text, flags=re.MULTILINE))
    assert rules["type"] == [{"match": {"type": "char"}, "to": "uuid"}] * 2


# ---- doctor, and slips -----------------------------------------------------------------------------------


def test_doctor_fits_a_screen(ends: tuple[str, ...]) -> None:
    ran = on_terminal(80, "doctor", *ends)
    lines = _COLOR.sub("", ran.out).splitlines()
    assert len(lines) <= 30 and max(map(len, lines)) <= 80, ran.out
    assert lines[0].startswith("verdict   ready to migrate: no blockers")
    assert len(converge("doctor", *ends, "-v").out.splitlines()) > 60


def test_doctor_fits_a_screen_where_much_is_missing(ends: tuple[str, ...]) -> None:
    """A user that may only SELECT, and a role that may nothing; what is cut is counted, and -v has all."""
    source, target = ends[1::2]
    mysql(source, f"CREATE USER narrow@'%'; GRANT SELECT ON `{parse(source).database}`.* TO narrow@'%'")
    postgres(target, "CREATE ROLE narrow LOGIN CONNECTION LIMIT 3")
    try:
        weak = (
            "--source",
            source.replace("root@", "narrow@"),
            "--target",
            target.replace("postgres@", "narrow@"),
        )
        ran = on_terminal(80, "doctor", *weak)
        lines = _COLOR.sub("", ran.out).splitlines()
        assert len(lines) <= 30 and max(map(len, lines)) <= 80, ran.out
        assert "BLOCKERS (3)" in lines and "notes (4)" in lines
        assert sum("  hint  GRANT " in line for line in lines) == 2
        whole = converge("doctor", *weak, "-v").out
        assert "hint  GRANT SHOW VIEW ON" in whole and " more: -v" not in whole
    finally:
        mysql(source, "DROP USER narrow@'%'")
        postgres(target, "DROP ROLE narrow")


def test_a_slip_of_a_command_or_option_gets_a_suggestion() -> None:
    for words, meant in ((["migrat"], "migrate"), (["plan", "--targt", "x"], "--target"), (["plam"], "plan")):
        ran = converge(*words)
        assert (ran.code, meant in ran.err) == (2, True), ran.err
    assert "migrate" in COMMANDS
    for code, meant in ("P9999", ""), ("S02", "; did you mean 'S0"):
        ran = converge("explain", code)
        assert (ran.code, f"there is no code {code}{meant}" in ran.err) == (2, True), ran.err


def test_a_file_of_fixes_is_not_replaced(ends: tuple[str, ...], tmp_path: Path) -> None:
    """It may have been edited; the next command names the maps of converge.toml, too."""
    (tmp_path / "own.toml").write_text('[[column]]\nmatch = { column = "x" }\nskip = true\n')
    addresses = dict(zip(("source", "target"), ends[1::2], strict=True))
    lines = [*(f'{side} = "{url}"\n' for side, url in addresses.items()), 'map = ["own.toml"]\n']
    (tmp_path / "converge.toml").write_text("".join(lines))
    ran = converge("plan", "--write-fixes", "fixes.toml", folder=str(tmp_path))
    assert "next      converge plan --map own.toml --map fixes.toml" in ran.out, ran.out + ran.err
    (tmp_path / "fixes.toml").write_text("edited")
    ran = converge("plan", "--write-fixes", "fixes.toml", folder=str(tmp_path))
    assert (ran.code, "error[U020]" in ran.err) == (2, True) and "fixes2.toml" in ran.err
    assert (tmp_path / "fixes.toml").read_text() == "edited"
    assert "--write-fixes fixes2.toml" in converge("plan", folder=str(tmp_path)).out


def test_the_next_command_shows_no_password_of_an_option() -> None:
    url = "postgresql://h/db?user=a&password=canary&sslpassword=canary#x"
    assert without_passwords(url) == "postgresql://h/db?user=a&password=***&sslpassword=***"
    assert without_passwords("postgresql://h/db?sslpassword=a'canary") == "postgresql://h/db?sslpassword=***"
    # Azure's users have an @.
    azure = "mysql://app@server:canary@h/db"
    assert without_passwords(f"no host in {azure!r}") == "no host in 'mysql://app@server:***@h/db'"


@pytest.mark.parametrize(
    ("value", "clean"),
    [
        ("mysql://app@server:can ary@h/db", "mysql://app@server:***@h/db"),
        ("mysql://app:can@ary:1@h:3306/db?ssl-ca=a", "mysql://app:***@h:3306/db?ssl-ca=a"),
        ("mysql://u:12/can@h/d", "mysql://u:***@h/d"),
        ("mysql://app@h:3306/db", "mysql://app@h:3306/db"),
        ("postgresql://h/db?sslpassword=a'c an&a=b", "postgresql://h/db?sslpassword=***&a=b"),
        ("tables of db", "tables of db"),
    ],
)
def test_a_value_of_the_command_line_has_no_password(value: str, clean: str) -> None:
    """It is known where a URL ends, whatever characters it has."""
    assert without_password(value) == clean
