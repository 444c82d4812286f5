"""`converge migrations check`."""

from __future__ import annotations

import json

import click

from converge.cli.options import output_options, schema_option
from converge.cli.revision_options import folder_options
from converge.model.endpoint import Endpoint
from converge.model.event import Sink
from converge.model.revision import Checked
from converge.pipeline.drift import drift
from converge.report.migrations import checked_text
from converge.revisions.folder import Folder


@click.command("check")
@folder_options
@schema_option
@output_options
def command(folder: Folder, target: Endpoint, schema: str, as_json: bool, verbose: bool, emit: Sink) -> int:
    """Check that the target's schema is what its revisions make. Writes nothing.

    \b
    Examples:
      converge migrations check
    """
    checked = Checked(str(target), str(folder.location), drift(folder, target, schema, emit))
    click.echo(json.dumps(checked.to_json()) if as_json else checked_text(checked))
    return checked.exit_code
