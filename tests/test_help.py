"""The help of each command: sentences, options that say what they do, and examples that work."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click
import pytest

from converge.cli import _group


def commands(group: click.Group = _group, path: str = "converge") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")


COMMANDS = dict(commands())


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_sentences_and_examples(name: str) -> None:
    command = COMMANDS[name]
    lines = (command.help or "").splitlines()
    assert re.fullmatch(r"[A-Z][a-z]+,? .*\.", lines[0]), lines[0]
    # Imperative: "Show", not "Shows".
    assert not lines[0].split()[0].endswith("s"), lines[0]
    for option in command.params:
        assert isinstance(option, click.Argument) or getattr(option, "help", None), option.name
    assert isinstance(command, click.Group) or "Examples:" in (command.help or "")


def test_help_begins_with_a_commands_own_options() -> None:
    for command, own in ("follow", "once"), ("cutover", "max_seconds"), ("sync", "dry_run"):
        names = [option.name for option in COMMANDS[f"converge {command}"].params]
        assert 0 == names.index(own) < names.index("source") < names.index("as_json"), names


def test_max_load_is_for_what_waits() -> None:
    takes = {name for name, command in COMMANDS.items() for one in command.params if one.name == "max_load"}
    assert takes == {f"converge {name}" for name in ("migrate", "sync", "verify", "follow")}


def examples() -> list[str]:
    lines = [line.strip() for command in COMMANDS.values() for line in (command.help or "").splitlines()]
    # A shell takes the rest of the line.
    return [line.partition(" > ")[0] for line in lines if line.startswith("converge ")]


@pytest.mark.parametrize("example", examples())
def test_examples_have_options_that_are_there(example: str) -> None:
    words = shlex.split(example)
    length = 3 if " ".join(words[:3]) in COMMANDS and len(words) > 2 else 2
    # Click raises for what it does not know; nothing is run.
    context = COMMANDS[" ".join(words[:length])].make_context(words[length - 1], words[length:])
    # A reference is written where --reference says.
    assert context.params.get("reference") or not context.params.get("accept")
