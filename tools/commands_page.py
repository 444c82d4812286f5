"""docs/commands.md: each command with its options and examples, from the command line itself.

python -m tools.commands_page > docs/commands.md
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from converge.cli import _group

_HEAD = """\
# Commands

Made from the command line itself, by `python -m tools.commands_page > docs/commands.md`.
`converge COMMAND --help` prints the same. Options of several commands are listed at each of them.

| exit code | meaning |
|---|---|
| 0 | good |
| 1 | ran, and failed or found differences |
| 2 | an option, a setting or a map is wrong |
| 3 | blocked before anything was written; missing privileges are among it |
| 4 | the source cannot be reached, or failed |
| 5 | the target cannot be reached, or failed |
| 70 | a bug in converge |
| 130 | interrupted (`R130`); a run is kept, and `converge migrate --resume` continues it |

## Where addresses come from

The first of these that names a side counts:

1. the options `--source` (or `--source-dump`) and `--target`;
2. the variables `CONVERGE_SOURCE_URL` and `CONVERGE_TARGET_URL`;
3. `converge.toml` in the working folder, or `--config FILE` ([settings](settings.md));
4. `.env` in the working folder: the same variables, or `DATABASE_TYPE`, `DATABASE_HOST`, `DATABASE_PORT`,
   `DATABASE_USERNAME`, `DATABASE_PASSWORD` and `DATABASE_NAME`;
5. what the servers' own clients read: `MYSQL_HOST`, `MYSQL_UNIX_PORT` and the like, `~/.my.cnf`, `PGHOST` and
   the like.

With `[[database]]` entries in `converge.toml`, these entries count before 2, 4 and 5. `converge doctor` shows
where each value came from. [Connections](security.md) has the options of a URL.
"""


def commands_markdown() -> str:
    """A chapter for each command: its help, its examples, a table of its options."""
    context = click.Context(_group, info_name="converge", **_group.context_settings)
    chapters = [chapter for name in _group.list_commands(context) for chapter in _chapters(context, name)]
    return "\n".join([_HEAD, *chapters])


def _chapters(parent: click.Context, name: str) -> Iterator[str]:
    assert isinstance(parent.command, click.Group)
    command = parent.command.get_command(parent, name)
    assert command is not None
    context = click.Context(command, parent=parent, info_name=name)
    parts = [f"## {context.command_path}", *map(_paragraph, (command.help or "").split("\n\n"))]
    if not isinstance(command, click.Group):
        parts.append(_options(command, context))
    yield "\n\n".join(parts) + "\n"
    if isinstance(command, click.Group):
        for one in command.list_commands(context):
            yield from _chapters(context, one)


def _paragraph(text: str) -> str:
    """As it reads in the terminal: lines stay as they are behind click's mark for that."""
    if "\b" not in text:
        return " ".join(text.split())
    lines = [line.strip() for line in text.replace("\b", "").strip().splitlines()]
    if lines[0] == "Examples:":
        return "\n".join(["```sh", *lines[1:], "```"])
    return "\n".join(["```text", *lines, "```"])


def _options(command: click.Command, context: click.Context) -> str:
    usage = " ".join(command.collect_usage_pieces(context))
    rows = [_row(option, context) for option in command.params if isinstance(option, click.Option)]
    table = ["", "| option | what |", "|---|---|", *rows] if rows else []
    return "\n".join([f"`{context.command_path} {usage}`", *table])


def _row(option: click.Option, context: click.Context) -> str:
    names, text = option.get_help_record(context) or ("", "")
    return f"| `{_cell(names)}` | {_cell(text)} |"


def _cell(text: Any) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")


if __name__ == "__main__":
    print(commands_markdown(), end="")
