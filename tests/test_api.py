"""The public API: the examples of docs/api.md, in their order, and what it exports."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from inspect import isfunction
from math import nan
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from conftest import NewDatabase
from support import ENVIRONMENT, mysql, postgres

import converge
from converge.model.event import PhaseStarted
from converge.sandbox import Server

EXAMPLES = re.findall(r"```python\n(.*?)```", Path("docs/api.md").read_text("utf-8"), re.DOTALL)


def test_the_examples_run(databases: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE item (id INT PRIMARY KEY, name VARCHAR(20)); CREATE TABLE tmp_a (id INT)")
    mysql(source, "INSERT INTO item VALUES (1, 'a'), (2, NULL)")
    names: dict[str, Any] = {}
    for example in EXAMPLES:
        code = example.replace("mysql://user:password@mysql.example/shop", source)
        code = code.replace("systemctl stop shop", "true")
        exec(code.replace("postgresql://user:password@postgres.example/shop", target), names)
    assert postgres(target, "SELECT id, name FROM shop.item ORDER BY 1") == [(1, "a"), (2, None)]
    assert [table.source for table in names["plan"].tables] == ["item"]
    assert names["again"].verdict == "verified"
    assert names["certificate"]["proof"]["tables"]
    said = capsys.readouterr().out
    assert "ready" in said and "TableCopied(table='item')" in said and "T005" in said


def test_every_name_is_there_and_documented() -> None:
    assert set(converge.__all__) <= set(dir(converge))
    for name in converge.__all__:
        assert getattr(converge, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        converge.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_addresses_of_the_wrong_kind_are_refused(databases: tuple[str, str]) -> None:
    source, target = databases
    with pytest.raises(converge.UsageError, match="the source"):
        converge.plan(target, source)


def test_the_result_of_a_run_that_fails_can_be_read(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE item (id INT PRIMARY KEY)")
    postgres(target, "CREATE TABLE item (id int)")
    result = converge.Result("migrate", "here", "there")
    with pytest.raises(converge.BlockedError):
        converge.migrate(source, target, result=result)
    assert result.verdict == "blocked" and result.exit_code == 3
    assert [finding.code for finding in result.findings if finding.severity == "block"] == ["T005"]


@pytest.mark.parametrize("phase", ["plan", "scan", "create"])
def test_a_keyboard_interrupt_is_an_error_with_a_code(databases: tuple[str, str], phase: str) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE item (id INT PRIMARY KEY, made DATE)")

    def stop(event: converge.Event) -> None:
        if event == PhaseStarted(phase, getattr(event, "units", 0)):
            raise KeyboardInterrupt

    result = converge.Result("migrate", "here", "there")
    with pytest.raises(converge.Interrupted) as raised:
        converge.migrate(source, target, on_event=stop, result=result)
    assert (raised.value.code, raised.value.exit_code, result.verdict) == ("R130", 130, "interrupted")
    if phase == "scan":
        with pytest.raises(converge.Interrupted):
            converge.plan(source, target, on_event=stop)


def test_threads_migrate_side_by_side(
    databases: tuple[str, str], postgres_175: Server, new_postgres_database: NewDatabase
) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE item (id INT PRIMARY KEY); INSERT INTO item VALUES (1), (2)")
    targets = (target, new_postgres_database(postgres_175))
    with ThreadPoolExecutor() as threads:
        results = [threads.submit(converge.migrate, source, one) for one in targets]
    assert [one.result().verdict for one in results] == ["verified", "verified"]
    for one in targets:
        assert postgres(one, "SELECT count(*) FROM converge.run, item") == [(2,)]


PROGRAM = """
from enum import Enum

import converge


class Schema(str, Enum):
    A, B = "a", "b"


class Refused(converge.UsageError):
    pass


def refuse(removal):
    raise Refused("no")


print("begun")
source, target = converge.endpoint(SOURCE), converge.endpoint(TARGET)
options = converge.Options(jobs=2)
assert converge.migrate(source, target, converge.MigrateOptions(common=options)).verdict == "verified"
moves = [
    converge.Move(name, source, target, converge.MigrateOptions(common=converge.Options(schema=name, jobs=2)))
    for name in Schema
]
print([named.result.verdict for named in converge.migrate_several(moves, parallel=2).each])
moves = [
    converge.Move(
        name, source, target,
        converge.MigrateOptions(common=converge.Options(schema=name, recreate=True), approve=refuse),
    )
    for name in Schema
]
print([str(named.error) for named in converge.migrate_several(moves, parallel=2).each])
"""


@pytest.mark.parametrize("how", ["file", "standard input"])
def test_a_program_is_run_once(databases: tuple[str, str], tmp_path: Path, how: str) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE item (id INT PRIMARY KEY); INSERT INTO item VALUES (1), (2)")
    program = PROGRAM.replace("SOURCE", repr(source)).replace("TARGET", repr(target))
    file = Path(tmp_path, "program.py")
    file.write_text(program)
    ran = subprocess.run(
        [sys.executable, str(file) if how == "file" else "-"],
        input="" if how == "file" else program, capture_output=True, text=True, env=ENVIRONMENT, cwd=tmp_path,
    )  # fmt: skip
    assert (ran.stdout, ran.stderr) == ("begun\n['verified', 'verified']\n['no', 'no']\n", "")


OWN_PROCESSES = """
import multiprocessing

import converge


def own(number):
    print("own", number, flush=True)


def start(number):
    process = multiprocessing.get_context("forkserver").Process(target=own, args=(number,))
    process.start()
    process.join()


if __name__ == "__main__":
    FIRST
    print(converge.migrate(SOURCE, TARGET).verdict, flush=True)
    start(2)
"""


@pytest.mark.parametrize("first", ["start(1)", "pass"])
def test_a_programs_own_processes_have_its_functions(
    databases: tuple[str, str], tmp_path: Path, first: str
) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE item (id INT PRIMARY KEY); INSERT INTO item VALUES (1), (2)")
    program = OWN_PROCESSES.replace("SOURCE", repr(source)).replace("TARGET", repr(target))
    file = Path(tmp_path, "program.py")
    file.write_text(program.replace("FIRST", first))
    ran = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, env=ENVIRONMENT)
    begun = "own 1\n" if first == "start(1)" else ""
    assert (ran.stdout, ran.stderr) == (f"{begun}verified\nown 2\n", "")


ENDS = (converge.Endpoint("mysql"), converge.Endpoint("postgres"))
WRONG: tuple[tuple[Callable[[], object], str], ...] = (
    (lambda: converge.Options(jobs=0), "Options(jobs=…): expected int from 1 to 64, not 0"),
    (lambda: converge.Options(jobs="2"), "expected int from 1 to 64, not '2'"),  # type: ignore[arg-type]
    (lambda: converge.Options(mode="Load"), "expected 'create' or 'load', not 'Load'"),  # type: ignore[arg-type]
    (lambda: converge.Options(maps="strict"), "expected tuple[str, …], not str"),  # type: ignore[arg-type]
    (lambda: converge.Options(maps=(1,)), "expected tuple[str, …], not tuple"),  # type: ignore[arg-type]
    (lambda: converge.Options(schema=None), "(schema=…): expected str, not None"),  # type: ignore[arg-type]
    (lambda: converge.Options(schema=""), "schema '': a schema's name has 1 to 63 bytes"),
    (lambda: converge.Options(scan_seconds=nan), "expected float from 0.001 up, not nan"),
    (lambda: converge.Selection(exclude="tmp_*"), "expected tuple[str, …], not str"),  # type: ignore[arg-type]
    (lambda: converge.MigrateOptions(verify="rows"), "not 'rows'"),  # type: ignore[arg-type]
    (lambda: converge.plan(None), "plan(source=…): expected str or Endpoint, not None"),  # type: ignore[arg-type]
    (lambda: converge.plan("", "", {"schema": "x"}), "expected Options or None, not dict"),  # type: ignore[arg-type]
    (lambda: converge.migrate("", "", converge.Options()), "not Options"),  # type: ignore[arg-type]
    (lambda: converge.migrate("", "", on_event=3), "expected a function, not int"),  # type: ignore[arg-type]
    (lambda: converge.Move("a", *ENDS, converge.Options()), "not Options"),  # type: ignore[arg-type]
    (lambda: converge.migrate_several([]), "no database is named"),
    (lambda: converge.doctor(None, None), "no source and no target is named"),
    (lambda: converge.verify("", "", level="none"), "'full' or 'counts', not 'none'"),  # type: ignore[arg-type]
    (lambda: converge.Endpoint("mysql", password=1), "expected str, not int"),  # type: ignore[arg-type]
)


@pytest.mark.parametrize(("wrong", "told"), WRONG)
def test_wrong_arguments_are_refused_before_anything_is_asked(wrong: Callable[[], object], told: str) -> None:
    with pytest.raises(converge.UsageError) as refused:
        wrong()
    assert told in refused.value.message


def test_what_arguments_take_can_be_made() -> None:
    """Each type of an argument, and of an argument's field, is a name of `converge`."""
    functions = [one for name in converge.__all__ if isfunction(one := getattr(converge, name))]
    todo = [hint for one in functions for name, hint in get_type_hints(one).items() if name != "return"]
    known: set[type] = {converge.Result, converge.Plan}  # which functions return
    while todo:
        hint = todo.pop()
        todo += get_args(hint) if get_origin(hint) is not Callable else ()
        if isinstance(hint, type) and hint.__module__.startswith("converge.") and hint not in known:
            known.add(hint)
            # Only the command line gives what a plan or a run of before has seen.
            todo += [kind for name, kind in get_type_hints(hint).items() if name not in ("known", "seen")]
    assert {one.__name__ for one in known} - set(converge.__all__) == set()
    assert "Limits" in converge.__all__
    limits = converge.Limits(rate=1_000_000, load=(("Threads_running", 40),))
    assert converge.Options(limits=limits).limits is limits


def test_rows_that_are_equal_after_all_are_not_told(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE item (id INT PRIMARY KEY, doc JSON, n FLOAT)")
    mysql(source, """INSERT INTO item VALUES (1, '{"b": 1.0, "a": [1e2]}', 0.1)""")
    converge.migrate(source, target)
    told: list[list[converge.Difference]] = []
    assert converge.verify(source, target, on_differences=told.append).verdict == "verified"
    assert told == []
    postgres(target, "UPDATE item SET n = 7 WHERE id = 1")
    assert converge.verify(source, target, on_differences=told.append).verdict == "differs"
    assert [[one.column for one in each] for each in told] == [["n"]]
