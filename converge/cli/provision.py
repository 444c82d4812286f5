"""`converge provision`."""

from __future__ import annotations

import json

import click

from converge.cli.options import output_options, place_options
from converge.codes import Code
from converge.errors import UsageError
from converge.model.documents import head
from converge.model.event import Sink
from converge.provision.run import provision, provision_text
from converge.provision.script import script
from converge.provision.steps import wanted
from converge.report.words import visible
from converge.settings.addresses import Where, picked, resolve_admin
from converge.settings.file import read


@click.command("provision")
@click.option(
    "--admin", metavar="URL", help="the address of a role with CREATEDB and CREATEROLE, or of a superuser"
)
@click.option("--sql", is_flag=True, help="print a script for psql, and connect to nothing")
@click.option("--set-passwords", is_flag=True, help="also set the passwords of roles that exist")
@place_options
@output_options
def command(
    where: Where,
    admin: str | None,
    sql: bool,
    set_passwords: bool,
    as_json: bool,
    emit: Sink,
) -> int:
    """Create the databases and roles of converge.toml that are missing.

    \b
    Examples:
      converge provision --admin URL
      converge provision --sql
    """
    project = read(where.config)
    entries = [one for one in picked(project, where) if one.provision is not None]
    if len(entries) < len(where.names) or not entries:
        raise UsageError(
            f"{project.path} has nothing to provision" + (" for all that are picked" if entries else ""),
            code=Code.U034,
            hint='[[database]]\nname = "synapse"\nprovision = { password_env = "SYNAPSE_PASSWORD" }',
        )
    databases = wanted(entries, passwords=not sql)
    if sql:
        text = script(databases)
        document = head("provision", "planned") | {"sql": text}
        click.echo(json.dumps(document) if as_json else visible(text), nl=as_json)
        return 0
    done = provision(resolve_admin(admin, project), databases, emit, passwords=set_passwords)
    click.echo(json.dumps(done.to_json()) if as_json else provision_text(done))
    return 0
