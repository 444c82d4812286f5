"""Commands that hints name, to be pasted: they mean the databases that this command line has named."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection
from itertools import takewhile

import click
from click.core import ParameterSource

from converge.report.errors import without_password

_PLACES = frozenset(
    {"source", "dumps", "dump_database", "mysql_version", "target", "config", "names", "schema", "alembic"}
)
"""Parameters that name databases, the schema there, and the revisions that they end with."""
_REJECTS = frozenset({"on_bad_row", "max_rejects", "rejects_file"})
_DECIDING = frozenset({"mode", "maps", "include", "exclude"})
"""What a run that goes on has by itself, and one that begins anew has not."""
_COMMAND = re.compile(r"\bconverge ((?:migrations |audit )?[a-z]+)((?: --[a-z-]+)*)")


def named(context: click.Context, name: str) -> list[click.Parameter]:
    """The parameters of this command; none where there is no such command."""
    command: click.Command | None = context.find_root().command
    for word in name.split():
        command = command.get_command(context, word) if isinstance(command, click.Group) else None
    return command.params if command else []


def given(
    context: click.Context, known: Collection[str | None], of: Collection[click.Parameter] = ()
) -> list[str]:
    """The options of these parameters as the command line has given them, by their names among those `of`
    another command; passwords are left out, because stdout may be kept."""
    words, called = list[str](), {one.name: one for one in of}
    for one in context.command.params:
        if one.name in known and context.get_parameter_source(one.name or "") is ParameterSource.COMMANDLINE:
            values = context.params[one.name or ""]
            for each in values if one.multiple else (values,):
                words.append((one.secondary_opts if each is False else called.get(one.name, one).opts)[0])
                words += [] if isinstance(each, bool) else [without_password(str(each))]
    return words


def pasted(context: click.Context, text: str) -> str:
    """The hint, whose commands have the addresses that the command line has given."""

    def again(found: re.Match[str]) -> str:
        parameters = named(context, found[1])
        stated = set(found[2].split())
        wanted = _PLACES | _REJECTS | (_DECIDING if stated & {"--recreate", "--truncate"} else set())
        known = wanted & {one.name for one in parameters if not stated.intersection(one.opts)}
        words = shlex.join(given(context, known, parameters))
        flags = [name for one in parameters if getattr(one, "is_flag", False) for name in one.opts]
        first = " ".join(["converge", found[1], *takewhile(flags.__contains__, found[2].split())])
        return f"{first} {words}{found[0][len(first) :]}" if words and words not in text else found[0]

    return _COMMAND.sub(again, text)
