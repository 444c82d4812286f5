"""The script of `converge completion` in real shells, with the command as a user installs it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import ENVIRONMENT, converge

# What each shell does between the Tab key and the list that it shows.
_ASK = {
    "bash": (
        ["bash", "--norc", "--noprofile"],
        "COMP_WORDS=({words}); COMP_CWORD=$(({count})); _converge_completion converge\n"
        'printf "%s\\n" "${{COMPREPLY[@]}}"',
    ),
    # Outside of its line editor, zsh has none of the functions that show words.
    "zsh": (
        ["zsh", "-f"],
        "words=({words}); CURRENT=$(({count}+1)); compadd() {{ print -rl -- $completions }}\n"
        "_describe() {{ print -rl -- ${{completions_with_descriptions%%:*}} }}; _converge_completion",
    ),
    "fish": (["fish", "--no-config"], 'complete -C "{words}" | cut -f 1'),
}


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A PATH with the command `converge`."""
    script = tmp_path / "converge"
    script.write_text(
        f"#!{sys.executable}\nfrom converge.cli import main\nif __name__ == '__main__':\n    main()\n"
    )
    script.chmod(0o755)
    return f"{tmp_path}:{ENVIRONMENT['PATH']}"


@pytest.mark.parametrize("shell", _ASK)
@pytest.mark.parametrize(
    ("words", "expected"),
    [("converge mi", ["migrate", "migrations"]), ("converge migrations run --al", ["--alembic"])],
)
def test_words_are_completed(shell: str, words: str, expected: list[str], path: str) -> None:
    program, ask = _ASK[shell]
    if shutil.which(program[0]) is None:
        pytest.skip(f"{shell} is not installed")
    script = "compdef() { }\n" * (shell == "zsh") + converge("completion", shell).out
    ask = ask.format(words=words, count=words.count(" "))
    environment = {**ENVIRONMENT, "PATH": path}
    done = subprocess.run(
        [*program, "-c", f"{script}\n{ask}"], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.split() == expected, done.stderr


@pytest.mark.parametrize(
    "words", ["converge plan -o x", "converge migrate --report x", "converge migrations run --alembic x"]
)
def test_files_are_completed_by_the_shell(words: str, path: str) -> None:
    count = str(words.count(" "))
    asked = {"_CONVERGE_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": count}
    done = subprocess.run(
        ["converge"], capture_output=True, text=True, env={**ENVIRONMENT, "PATH": path, **asked}, check=True
    )
    assert done.stdout == "file,x\n"


def test_each_shell_has_a_script() -> None:
    scripts = {shell: converge("completion", shell) for shell in ("bash", "zsh", "fish")}
    assert {ran.code for ran in scripts.values()} == {0}
    assert all(f"_CONVERGE_COMPLETE={shell}_complete" in ran.out for shell, ran in scripts.items())


def test_another_shell_is_refused_with_those_that_are_known() -> None:
    ran = converge("completion", "tcsh")
    assert ran.code == 2
    assert "'bash', 'zsh', 'fish'" in ran.err
