"""`converge init`: addresses asked for or given, passwords in `.env` alone, and files that work at once."""

from __future__ import annotations

import os
import pty
import re
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import ENVIRONMENT, converge, limited, mysql, postgres

from converge.mapping.read import load
from converge.model.endpoint import parse
from converge.model.quote import my_text, pg_text
from converge.settings.file import FILE, Project
from converge.settings.start import MAP_FILE, start
from converge.settings.variables import ENV_FILE, address

PASSWORDS = ("p:w/d@%'ü ${HOME} \\", "ca nary#\"$x\\'")
SHOWN = ["canary", "p:w/d", "HOME"]


@pytest.fixture
def logins(databases: tuple[str, str]) -> tuple[tuple[str, str], tuple[str, str]]:
    """URLs of an account of each server, without and with its awkward password."""
    made = []
    for url, password in zip(databases, PASSWORDS, strict=True):
        user = f"init_{parse(url).database[-20:]}"
        if url.startswith("mysql"):
            mysql(url, f"CREATE USER `{user}`@`%` IDENTIFIED BY {my_text(password)}")
            mysql(url, f"GRANT ALL ON *.* TO `{user}`@`%`")
        else:
            postgres(url, f'CREATE ROLE "{user}" LOGIN SUPERUSER PASSWORD {pg_text(password)}')
        plain = re.sub("//[^@]*@", f"//{user}@", url)
        made.append((plain, plain.replace("@", f":{quote(password, safe='')}@", 1)))
    return made[0], made[1]


def files(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text("utf-8") for path in folder.iterdir()}


def test_given_addresses_become_files_that_work_at_once(
    databases: tuple[str, str], logins: tuple[tuple[str, str], tuple[str, str]], tmp_path: Path
) -> None:
    (plain_source, source), (plain_target, target) = logins
    mysql(databases[0], "CREATE TABLE film (id INT PRIMARY KEY, title VARCHAR(9))")
    ran = converge("init", "--source", source, "--target", target, folder=str(tmp_path))
    assert ran.code == 0, ran.out + ran.err
    assert ran.out.splitlines()[-1] == "next      converge plan"
    there = files(tmp_path)
    assert there.keys() == {"converge.toml", "map.toml", ".env"}
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    project = tomllib.loads(there["converge.toml"])
    assert project == {
        "source": plain_source.replace("@", ":${CONVERGE_SOURCE_PASSWORD}@", 1),
        "target": plain_target.replace("@", ":${CONVERGE_TARGET_PASSWORD}@", 1),
        "map": ["map.toml"],
    }
    assert not [word for word in SHOWN if word in ran.out + ran.err + there["converge.toml"]]
    plan = converge("plan", folder=str(tmp_path))
    assert plan.code == 0, plan.out + plan.err
    # The map is used without being named, and wherever the command is started from.
    with (tmp_path / "map.toml").open("a") as file:
        file.write('[[column]]\nmatch = { table = "film", column = "title" }\nrename = "name"\n')
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / ".env").write_text(there[".env"])
    for command, code in (("migrate", 0), ("verify", 0)):
        done = converge(command, "--config", "../converge.toml", folder=str(elsewhere))
        assert done.code == code, done.out + done.err
    assert postgres(target, "SELECT name FROM film") == []


def test_a_terminal_is_asked_and_shows_no_password(
    logins: tuple[tuple[str, str], tuple[str, str]], tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("OTHER=1")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "converge", "init"], stdin=theirs, stdout=theirs, stderr=theirs,
        cwd=tmp_path, env=ENVIRONMENT, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    limited(process)
    seen = b""

    def answer(question: bytes, words: str) -> None:
        nonlocal seen
        part = b""
        while question not in part or not part.rstrip().endswith(b":"):
            part += os.read(ours, 1024)
        seen += part
        os.write(ours, words.encode() + b"\n")

    (plain_source, _), (plain_target, _) = logins
    answer(b"Source", "mysql://nobody@localhost")
    answer(b"names no database", plain_source)
    answer(b"Password", PASSWORDS[0])
    answer(b"Target", plain_target)
    answer(b"Password", "")
    answer(b".env is there already", "y")
    while True:
        try:
            seen += os.read(ours, 1024)
        except OSError:  # the other end is closed
            break
    os.close(ours)
    assert process.wait(60) == 0, seen
    assert PASSWORDS[0].encode() not in seen
    assert b"next      converge plan" in seen
    project = tomllib.loads((tmp_path / "converge.toml").read_text("utf-8"))
    assert project["target"] == plain_target
    assert (tmp_path / ".env").read_text("utf-8").startswith("OTHER=1\nCONVERGE_SOURCE_PASSWORD=")
    assert converge("plan", folder=str(tmp_path)).code == 0


def test_nothing_is_replaced_unasked(tmp_path: Path) -> None:
    urls = ("--source", "mysql://a:secret@127.0.0.1:1/x", "--target", "postgresql://a@127.0.0.1:1/x")
    (tmp_path / ".env").write_text("OTHER=1\nCONVERGE_SOURCE_PASSWORD=old\nLAST=2")
    for name, code in ((".env", 2), ("converge.toml", 2), ("map.toml", 2)):
        if name != ".env":
            (tmp_path / name).write_text("mine = true\n")
        before = files(tmp_path)
        ran = converge("init", *urls, folder=str(tmp_path))
        assert ran.code == code and "error[U020]" in ran.err and name in ran.err, ran.err
        assert files(tmp_path) == before
    (tmp_path / "converge.toml").write_text("")
    ran = converge("init", *urls, "--force", folder=str(tmp_path))
    assert ran.code == 4, ran.err  # neither server answers; what was typed is kept all the same
    assert ran.out.splitlines()[-1] == "next      converge doctor, when what is named above is resolved", (
        ran.out
    )
    assert files(tmp_path)[".env"] == "OTHER=1\nLAST=2\nCONVERGE_SOURCE_PASSWORD='secret'\n"
    assert "mine" not in "".join(files(tmp_path).values())


def test_a_dotenv_of_another_making_keeps_its_form(tmp_path: Path) -> None:
    """Its line ends and its place behind a link; bytes that are not UTF-8 are refused, and stay."""
    urls = ("--source", "mysql://a:secret@127.0.0.1:1/x", "--target", "postgresql://a@127.0.0.1:1/x")
    (tmp_path / "shared").mkdir()
    real, link = tmp_path / "shared" / "real", tmp_path / ".env"
    link.symlink_to(real)
    real.write_bytes(b"NAME=caf\xe9\n")
    for command in ("init", *urls, "--force"), ("doctor",):
        ran = converge(*command, folder=str(tmp_path))
        assert ran.code == 2 and "error[U003]: .env cannot be read: 'utf-8'" in ran.err, ran.err
        assert "save it in UTF-8" in ran.err and [*tmp_path.glob("*.toml")] == []
    real.write_bytes(b"OTHER=1\r\nCONVERGE_SOURCE_PASSWORD=old\r\nLAST=2\r\n")
    ran = converge("init", *urls, "--force", folder=str(tmp_path))
    assert real.read_bytes() == b"OTHER=1\r\nLAST=2\r\nCONVERGE_SOURCE_PASSWORD='secret'\r\n"
    assert link.is_symlink() and stat.S_IMODE(real.stat().st_mode) == 0o600
    # Neither server answers: what was typed is kept, which is said, and said before they are asked.
    assert "converge.toml, map.toml and .env are written; both servers are checked" in ran.err
    assert "kept      converge.toml, to be corrected where an address is wrong" in ran.out
    assert "MySQL at mysql://a@127.0.0.1:1/x cannot be reached" in ran.out


def test_without_a_terminal_a_missing_address_is_an_error(tmp_path: Path) -> None:
    ran = converge("init", "--source", "mysql://a@127.0.0.1:1/x", folder=str(tmp_path))
    assert ran.code == 2 and "error[U001]: no target is named" in ran.err
    assert files(tmp_path) == {}


def test_a_variable_that_goes_before_the_file_is_named(tmp_path: Path) -> None:
    urls = ("--source", "mysql://a@127.0.0.1:1/x", "--target", "postgresql://a@127.0.0.1:1/x")
    ran = converge("init", *urls, folder=str(tmp_path), CONVERGE_TARGET_URL="postgresql://b:pw@127.0.0.1:1/y")
    notes = [line for line in ran.out.splitlines() if line.startswith("note ")]
    assert notes == [
        "note      CONVERGE_TARGET_URL goes before converge.toml: postgresql://b@127.0.0.1:1/y; unset it"
    ]


def test_json_is_the_document_of_doctor_with_the_files(databases: tuple[str, str], tmp_path: Path) -> None:
    ran = converge(
        "init",
        "--json",
        folder=str(tmp_path),
        CONVERGE_SOURCE_URL=databases[0],
        CONVERGE_TARGET_URL=databases[1],
    )
    assert ran.code == 0, ran.err
    assert (ran.json["command"], ran.json["verdict"]) == ("init", "ready")
    assert (ran.json["files"], ran.json["next"]) == (["converge.toml", "map.toml"], "converge plan")


def test_every_rule_of_the_map_is_valid_when_it_is_uncommented(tmp_path: Path) -> None:
    text = start("mysql://x/y", "postgresql://x/y", ("", ""), 'a "b"')["map.toml"]
    path = tmp_path / "map.toml"
    path.write_text(text)
    assert len(load([str(path)]).rules) == len(load().rules)
    path.write_text(re.sub(r"(?m)^# (?=\[\[|\w+ = )", "", text))
    active = load([str(path)])
    sections = re.findall(r"(?m)^# \[\[(\w+)\]\]", text)
    friendly = len(load(["friendly"]).rules)  # which `extends` adds
    assert len(active.rules) + len(active.checks) - friendly == len(sections) > 8


@given(st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"]), min_size=1))
@settings(deadline=None)
def test_any_password_comes_back(password: str) -> None:
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as folder:
        patch.chdir(folder)
        patch.setenv("HOME", "/nowhere")
        texts = start("mysql://u@h:1/d?a=b", "postgresql://h/d?sslpassword=s%26t", (password, ""), "d")
        Path(".env").write_text(texts[".env"], "utf-8", newline="")
        project = Project.model_validate(tomllib.loads(texts["converge.toml"]))
        source, target = address(project.source, "x"), address(project.target, "x")
        assert (source.user, source.password, source.options) == ("u", password, (("a", "b"),))
        assert dict(target.options) == {"sslpassword": "s&t"}
        assert "s%26t" not in texts["converge.toml"]


def test_no_secret_of_an_option_stays_in_the_addresses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    texts = start("mysql://u@h/x?pwd=canary", "postgresql://h/x?sslpassword=canary", ("", ""), "x")
    assert "canary" not in texts[FILE] + texts[MAP_FILE]
    assert texts[ENV_FILE] == "CONVERGE_SOURCE_PWD='canary'\nCONVERGE_TARGET_SSLPASSWORD='canary'\n"
