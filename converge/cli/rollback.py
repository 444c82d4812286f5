"""`converge rollback`."""

from __future__ import annotations

from typing import Any

import click

from converge import files
from converge.cli.many import look_at, only, options_of
from converge.cli.options import approver, output_options, run_option, server_options, yes_option
from converge.cli.outputs import require_writable, show, unwritable
from converge.codes import Code
from converge.errors import UsageError
from converge.model.event import Sink
from converge.rollback.apply import apply_rollback, write_rollback
from converge.rollback.prepare import prepare_rollback, remove_rollback
from converge.rollback.report import rollback_text
from converge.run.options import Options
from converge.settings.addresses import Chosen, Where, databases


@click.command("rollback")
@server_options
@click.option("--prepare", is_flag=True, help="note from now on which rows of the target change, by triggers")
@click.option("--sql", metavar="FILE", help="write the changes to FILE, for the mysql client")
@click.option("--apply", is_flag=True, help="bring the changes back to the source, in one transaction")
@click.option("--remove", is_flag=True, help="remove the triggers, and forget the changes")
@run_option
@yes_option
@output_options
def command(
    where: Where,
    prepare: bool,
    sql: str | None,
    apply: bool,
    remove: bool,
    options: Options,
    yes: bool,
    as_json: bool,
    emit: Sink,
) -> int:
    """Bring what the application has changed in the target back to the source.

    Prepare it at the cutover, before the application writes to the target. The source has to stand still
    from then on. Every row that is brought back is compared with the target's before it is committed.

    \b
    Examples:
      converge rollback --prepare
      converge rollback --sql back.sql
      converge rollback --apply --yes
    """
    if (actions := sum((prepare, apply, remove, sql is not None))) != 1:
        words = "rollback does one thing at a time" if actions else "say what rollback is to do"
        hint = "converge rollback --prepare, --sql FILE, --apply or --remove"
        raise UsageError(words, code=Code.U113, hint=hint)
    if sql:
        require_writable(sql)
    chosen = databases(where)
    if sql:
        only(chosen, "--sql")

    def look(one: Chosen) -> tuple[dict[str, Any], str]:
        sides = one.source, one.target, options_of(one, options), emit
        if prepare:
            found = prepare_rollback(*sides)
        elif remove:
            found = remove_rollback(*sides, approver(yes))
        elif sql is None:
            found = apply_rollback(*sides, approver(yes))
        else:
            with files.private_file(sql) as script:
                found = write_rollback(*sides, script.buffer.write)
        return found.to_json(), rollback_text(found, sql)

    try:
        return show(*look_at("rollback", chosen, look, emit), as_json=as_json)
    except OSError as error:
        raise unwritable(sql or "", str(error.strerror)) from error
