"""`converge demo`: its servers are kept for as long as somebody wants to look at them, and then removed."""

from __future__ import annotations

import os
import pty
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import ENVIRONMENT, converge, limited, mysql, postgres

from converge.sandbox import Server

Begin = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def begin(mysql_8015: Server, postgres_175: Server) -> Iterator[Begin]:
    """Starts the demo on the tests' servers."""
    servers = {
        "CONVERGE_SANDBOX_MYSQL_8_0_15": mysql_8015.url,
        "CONVERGE_SANDBOX_POSTGRES_17_5": postgres_175.url,
    }
    running: list[subprocess.Popen[str]] = []

    def run(*arguments: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "converge", "demo", "--rows", "2000", "-q", *arguments]
        process = subprocess.Popen(
            command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=ENVIRONMENT | servers, start_new_session=True,
        )  # fmt: skip
        limited(process)
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.communicate()


def lines_until(process: subprocess.Popen[str], end: str) -> list[str]:
    assert process.stdout is not None
    lines: list[str] = []
    while not lines or end not in lines[-1]:
        lines.append(process.stdout.readline())
        assert lines[-1], process.communicate()
    return lines


def exported(lines: list[str]) -> dict[str, str]:
    """The variables of the lines that are to be pasted."""
    return dict(re.findall(r"export (\w+)='(.*)'", "".join(lines)))


def test_kept_servers_answer_to_what_is_to_be_pasted_until_a_signal(begin: Begin, tmp_path: Path) -> None:
    process = begin("--keep")
    lines = lines_until(process, "kill")
    addresses = exported(lines)
    assert addresses.keys() == {"CONVERGE_SOURCE_URL", "CONVERGE_TARGET_URL"}
    commands = [shlex.split(line, comments=True) for line in lines if re.match("  (converge|psql)", line)]
    before, after = (at for at, words in enumerate(commands) if words == ["converge", "verify"])
    for words in commands[: before + 1]:
        ran = converge(*words[1:], folder=str(tmp_path), **addresses)
        assert ran.code == 0, ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["demo.html"]
    (update,) = (words for words in commands[before + 1 : after])
    postgres(addresses["CONVERGE_TARGET_URL"], update[-1])
    ran = converge(*commands[after][1:], **addresses)
    assert ran.code == 1 and "phone" in ran.out and "'?'" in ran.out, ran.out
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    server = addresses["CONVERGE_TARGET_URL"].rpartition("/")
    assert postgres(f"{server[0]}/postgres", f"SELECT 1 FROM pg_database WHERE datname = '{server[2]}'") == []


@pytest.mark.parametrize(("arguments", "kept"), [((), True), (("--no-keep",), False)])
def test_on_a_terminal_they_are_kept_until_enter(
    begin: Begin, arguments: tuple[str, ...], kept: bool
) -> None:
    ours, theirs = pty.openpty()
    process = begin(*arguments, stdin=theirs)
    os.close(theirs)
    if kept:
        lines = lines_until(process, "Press Enter")
        assert mysql(exported(lines)["CONVERGE_SOURCE_URL"], "SELECT count(*) > 0 FROM person") == [(1,)]
        os.write(ours, b"\n")
    out, err = process.communicate(timeout=120)
    os.close(ours)
    assert process.returncode == 0, err
    assert ("converge demo --keep" in out) is not kept


def test_json_stays_one_document_beside_kept_servers(begin: Begin) -> None:
    process = begin("--keep", "--json")
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline().startswith('{"converge": 1')
    while "kill" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, ""), err
