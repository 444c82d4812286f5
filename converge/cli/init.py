"""`converge init`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import click

from converge import api
from converge.cli.many import options_of
from converge.cli.options import may_ask, output_options
from converge.cli.outputs import require_writable, write_private
from converge.codes import Code
from converge.errors import ConvergeError, UsageError
from converge.model.endpoint import Endpoint
from converge.model.event import Said, Sink
from converge.report.doctor import doctor_json, doctor_text
from converge.report.words import visible
from converge.run.options import Options
from converge.settings.addresses import Side, Where, databases, stated
from converge.settings.file import FILE
from converge.settings.start import MAP_FILE, start
from converge.settings.variables import ENV_FILE

_EXAMPLES: dict[Side, str] = {
    "source": "MySQL, like mysql://user@host:3306/database",
    "target": "PostgreSQL, like postgresql://user@host:5432/database",
}
_VARIABLES = ("CONVERGE_SOURCE_URL", "CONVERGE_TARGET_URL")
_WHAT = {
    FILE: "where both databases are",
    MAP_FILE: "rules to start from; each is explained, none is active",
    ENV_FILE: "the passwords, readable by you alone; keep it out of version control",
}


@click.command("init")
@click.option(
    "--source",
    metavar="URL",
    envvar=_VARIABLES[0],
    help="mysql://user:password@host:port/database; or set CONVERGE_SOURCE_URL",
)
@click.option(
    "--target",
    metavar="URL",
    envvar=_VARIABLES[1],
    help="postgresql://user:password@host:port/database; or set CONVERGE_TARGET_URL",
)
@click.option("--force", is_flag=True, help="replace the files; other lines of .env stay as they are")
@output_options
def command(
    source: str | None,
    target: str | None,
    force: bool,
    as_json: bool,
    verbose: bool,
    emit: Sink,
) -> int:
    """Write converge.toml and a map to start from, and check both servers.

    Asks on a terminal for what is not given. Passwords go to .env, and converge.toml names their variables.
    It then does what `converge doctor` does; the databases are only read.

    \b
    Examples:
      converge init
      converge init --source mysql://reader@db.example/shop --target postgresql://shop@pg.example/shop
    """
    _require_free((FILE, MAP_FILE), force=force)
    (here, here_url), (there, there_url) = _side("source", source), _side("target", target)
    texts = start(here_url, there_url, (here.password, there.password), here.database)
    _require_free(texts, force=force or (ENV_FILE in texts and _may_add()))
    # A link is the user's own here, to a file that others may share.
    places = {os.path.realpath(path): text for path, text in texts.items()}
    for path in places:
        require_writable(path)
    for path, text in places.items():
        write_private(path, text)
    *others, last = texts
    emit(Said(f"{', '.join(others)} and {last} are written; both servers are checked"))
    # By what was written, as every later command.
    (chosen,) = databases(Where(), source="known", target="known")
    found = api.doctor(*chosen.known, options_of(chosen, Options()))
    following = "converge doctor" if found.exit_code else "converge plan"
    if as_json:
        document = doctor_json(found) | {"command": "init", "files": [*texts], "next": following}
        click.echo(json.dumps(document))
        return found.exit_code
    files = (f"{path:<15}{_WHAT[path]}" for path in texts)
    written = "\n".join(f"{label:<10}{line}" for label, line in zip(("written", "", ""), files, strict=False))
    resolved = ", when what is named above is resolved" if found.exit_code else ""
    click.echo(f"{doctor_text(found, verbose=verbose)}\n\n{written}")
    if found.unreached:
        click.echo(f"kept      {FILE}, to be corrected where an address is wrong")
    for variable, given, used in zip(_VARIABLES, (here, there), chosen.known, strict=True):
        if str(given) != str(used):
            click.echo(visible(f"note      {variable} goes before {FILE}: {used}; unset it"))
    click.echo(visible(f"next      {following}{resolved}"))
    return found.exit_code


def _require_free(paths: Iterable[str], *, force: bool) -> None:
    """Raises UsageError for a file that would be replaced unasked."""
    if not force and (there := [path for path in paths if os.path.lexists(path)]):
        verb = "is" if len(there) == 1 else "are"
        raise UsageError(
            f"{' and '.join(there)} {verb} there already; nothing was written",
            code=Code.U020,
            hint="converge init --force" + (", which keeps other lines of .env" if ENV_FILE in there else ""),
        )


def _may_add() -> bool:
    """Whether the user lets passwords into a `.env` that is there."""
    words = f"{ENV_FILE} is there already. Add the passwords to it, and make it readable by you alone?"
    return Path(ENV_FILE).exists() and may_ask() and click.confirm(words, err=True)


def _side(side: Side, url: str | None) -> tuple[Endpoint, str]:
    """The address of a side with its password, and its URL. Raises UsageError where nobody can be asked."""
    if url or not may_ask():
        url = (url or "").strip()
        return stated(side, url), url
    words = f"{side.capitalize()}, without the password ({_EXAMPLES[side]})"
    endpoint, url = click.prompt(words, value_proc=lambda text: (_valid(side, text), text.strip()), err=True)
    if not endpoint.password:
        words = f"Password of {endpoint.user or 'your user'} (not shown; Enter for none)"
        password = click.prompt(words, default="", hide_input=True, show_default=False, err=True)
        endpoint = replace(endpoint, password=password)
    return endpoint, url


def _valid(side: Side, text: str) -> Endpoint:
    """The address that was typed; a wrong one is asked for again."""
    try:
        return stated(side, text.strip())
    except ConvergeError as error:
        raise click.BadParameter(f"{error.message}; {error.hint}") from None
