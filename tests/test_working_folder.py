"""Nothing of the working folder is imported: what somebody else has put there is no program of ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from revisions import folder
from support import ENVIRONMENT, mysql, postgres

# The standard library's, our drivers', and what those would like to have.
NAMES = """
    types random json pymysql psycopg psycopg_c greenlet colorama cryptography sqlalchemy alembic click
    sqlglot multiprocessing subprocess sitecustomize usercustomize tomllib converge brotli zstandard
"""


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, whose modules write down that they were run."""
    place = tmp_path / "hostile"
    place.mkdir()
    for name in NAMES.split():
        code = f"open({str(tmp_path / 'ran')!r}, 'a').write('{name} ')\nraise ImportError\n"
        (place / f"{name}.py").write_text(code)
    monkeypatch.chdir(place)
    return tmp_path / "ran"


@pytest.mark.parametrize("command", ["script", "module"])
def test_no_command_runs_what_the_working_folder_has(
    databases: tuple[str, str], hostile: Path, tmp_path: Path, command: str
) -> None:
    """With workers, and with revisions; `python -m` itself looks into the folder before we are asked."""
    source, target = databases
    mysql(source, "CREATE TABLE film (id INT PRIMARY KEY, title VARCHAR(9))")
    mysql(source, "INSERT INTO film VALUES (1, 'a')")
    of = folder(tmp_path / "m", "CREATE TABLE more (id int)")
    script = tmp_path / "converge"
    script.write_text("from converge.cli import main\nif __name__ == '__main__':\n    main()\n")
    program = [sys.executable, *([str(script)] if command == "script" else ["-m", "converge"])]
    if command == "module":
        # Python reads these before it has read a line of ours.
        for name in ("types", "converge", "subprocess", "multiprocessing"):
            Path(f"{name}.py").unlink()
    for arguments in (
        ["migrate", "--source", source, "--target", target, "--jobs", "2"],
        ["migrations", "generate", "-n", "x", "--target", target, "--alembic", str(tmp_path / "other")],
        ["migrations", "run", "--target", target, "--alembic", str(of.location)],
        ["verify", "--source", source, "--target", target],
    ):
        done = subprocess.run(
            [*program, *arguments], capture_output=True, text=True, env=ENVIRONMENT, check=False
        )
        assert done.returncode == 0, done.stderr
        assert not hostile.exists(), hostile.read_text()
    assert postgres(target, "SELECT to_regclass('more')::text") == [("more",)]
