"""`converge migrations validate`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import click

from converge import files
from converge.cli.options import output_options, schema_option
from converge.cli.revision_options import folder_options
from converge.codes import Code
from converge.errors import ConvergeError, UsageError
from converge.model.endpoint import Endpoint
from converge.model.event import Sink
from converge.model.validation import Validation
from converge.report.html import to_html
from converge.report.junit import to_junit
from converge.report.markdown import to_markdown
from converge.report.validation import validation_document, validation_suites, validation_text
from converge.revisions.folder import Folder, writing
from converge.revisions.validate import SUMMARY, Request, validate

_FORMS: Mapping[str, Callable[[Validation], str]] = {
    SUMMARY: lambda result: json.dumps(result.to_json(), indent=1) + "\n",
    "summary.md": lambda result: to_markdown(validation_document(result)),
    "junit.xml": lambda result: to_junit("converge migrations validate", validation_suites(result)),
    "report.html": lambda result: to_html(validation_document(result)),
}


@click.command("validate")
@click.argument("revision", required=False)
@folder_options
@schema_option
@click.option(
    "--reference",
    type=Path,
    metavar="DIR",
    help="compare with the CSV files in DIR: the affected rows as they should be",
)
@click.option("--accept", is_flag=True, help="write the reference, and compare with nothing")
@click.option(
    "--artifacts",
    type=Path,
    metavar="DIR",
    help="write the results to DIR, not to converge-validation/REVISION",
)
@output_options
def command(
    folder: Folder,
    target: Endpoint,
    revision: str | None,
    schema: str,
    reference: Path | None,
    accept: bool,
    artifacts: Path | None,
    as_json: bool,
    verbose: bool,
    emit: Sink,
) -> int:
    """Test a revision on a copy of the database, and compare the changed rows with a reference.

    \b
    Examples:
      converge migrations validate 4f2c
      converge migrations validate 4f2c --accept
    """
    request = Request(schema, revision, reference, accept, artifacts)
    if accept and reference is None:
        raise UsageError("--accept writes the reference", code=Code.A055, hint="--reference DIR --accept")
    if reference and not accept and not reference.is_dir():
        raise UsageError(
            f"--reference {reference} is not a folder", code=Code.A055, hint="--accept writes it"
        )
    result = Validation(revision or "", "", str(target))
    try:
        validate(folder, target, request, emit, result)
    except ConvergeError as error:
        # A validation that fails has its files, too, once there is a folder for them.
        result.failure = f"{error.code} {error.message}"
        if result.artifacts:
            _write(result)
        raise
    _write(result)
    click.echo(json.dumps(result.to_json()) if as_json else validation_text(result))
    return result.exit_code


def _write(result: Validation) -> None:
    with writing(Path(result.artifacts), "--artifacts"):
        for name, form in _FORMS.items():
            files.write_private(str(Path(result.artifacts, name)), form(result))
