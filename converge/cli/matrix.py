"""`converge matrix`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import click

from converge import sandbox
from converge.cli.many import only, options_of
from converge.cli.options import (
    dump_options,
    output_options,
    place_options,
    planning_options,
    selection_options,
)
from converge.cli.outputs import require_ending, told, write_files
from converge.codes import Code
from converge.demo.fill import LEAST_ROWS, fill
from converge.errors import Interrupted, UsageError
from converge.mapping.read import load
from converge.matrix.report import matrix_document, matrix_suites, matrix_text
from converge.matrix.request import Request, require_scripts, wanted
from converge.matrix.result import Matrix
from converge.matrix.run import run_matrix
from converge.model.endpoint import Endpoint, parse
from converge.model.event import Said, Sink
from converge.model.words import counted
from converge.report.html import to_html
from converge.report.junit import to_junit
from converge.report.markdown import to_markdown
from converge.revisions.folder import Folder
from converge.run.options import Options
from converge.settings.addresses import Where, databases

_SAMPLE_SERVER = "mysql:8.0.15"


@click.command("matrix")
@click.option(
    "--postgres",
    "versions",
    multiple=True,
    default=("14,15,16,17.5",),
    metavar="LIST",
    help="versions to start, or URLs of servers on which to create a database and drop it; repeatable",
)
@dump_options
@click.option("--sample", is_flag=True, help="use the demo's source, on a temporary MySQL")
@click.option("--rows", type=click.IntRange(LEAST_ROWS), default=20_000, help="size of the sample")
@place_options
@selection_options
@planning_options
@click.option(
    "--target-sql",
    "scripts",
    multiple=True,
    metavar="FILE",
    help="SQL that creates the application's tables, for --mode load; compressed or not, repeatable",
)
@click.option(
    "--alembic",
    metavar="DIR|FILE",
    help="upgrade, compare and revert the target with these Alembic revisions",
)
@click.option("--junit", metavar="FILE", help="write a test case for each step of each version")
@click.option("--html", metavar="FILE", help="write the result as a page")
@click.option("--md", metavar="FILE", help="write the result as Markdown")
@output_options
def command(
    versions: tuple[str, ...],
    sample: bool,
    rows: int,
    where: Where,
    options: Options,
    scripts: tuple[str, ...],
    alembic: str | None,
    junit: str | None,
    html: str | None,
    md: str | None,
    as_json: bool,
    emit: Sink,
) -> int:
    """Migrate and verify on several versions of PostgreSQL, and compare the results.

    \b
    Examples:
      converge matrix --sample
      converge matrix --source-dump shop.sql.gz --postgres 14,17.5 --html matrix.html
    """
    servers = wanted(versions)
    require_ending("--junit", junit, ".xml")
    require_ending("--html", html, ".html")
    require_ending("--md", md, ".md")
    own = tuple(Path(script) for script in scripts)
    require_scripts(options, own)
    load(options.maps)
    if sample and (where.source or where.dump):
        message = "--sample is a source of its own, and another one is named"
        raise UsageError(message, code=Code.X021, hint="leave out one of them")
    if alembic:
        Folder.open(alembic).require_head()
    with ExitStack() as stack:
        stack.enter_context(_stopped())
        if sample:
            source = stack.enter_context(_sample(rows, emit))
        else:
            one = only(databases(where, target="unused"))
            source, options = one.source, options_of(one, options)
        matrix = run_matrix(Request(source, options, own, alembic, emit), servers)
    unwritten = _write(matrix, junit, html, md)
    code = matrix.exit_code or unwritten
    click.echo(json.dumps(matrix.to_json() | {"exit_code": code}) if as_json else matrix_text(matrix))
    return code


@contextmanager
def _stopped() -> Iterator[None]:
    """Says what a stop has left: nothing, because everything of a matrix is thrown away in the end."""
    try:
        yield
    except KeyboardInterrupt:
        what = "stopped: databases that were made are dropped, servers that were started have ended"
        raise Interrupted(what, code=Code.R130, hint="converge matrix, with the same options") from None


@contextmanager
def _sample(rows: int, emit: Sink) -> Iterator[Endpoint]:
    """The demo's source on a server that is ended in the end."""

    with (
        sandbox.start(_SAMPLE_SERVER, on_progress=lambda text: emit(Said(text))) as (server,),
        server.new_database("sample") as url,
    ):
        emit(Said(f"source: {counted(fill(url, rows=rows), 'row')}"))
        yield replace(parse(url), name=f"sample:{counted(rows, 'row')}")


def _write(matrix: Matrix, junit: str | None, html: str | None, md: str | None) -> int:
    """Writes each file that is named, whatever becomes of the others; the exit code of a failure, or 0."""
    document = matrix_document(matrix)
    texts = {
        junit: to_junit("converge matrix", matrix_suites(matrix)),
        html: to_html(document),
        md: to_markdown(document),
    }
    named = [(path, text) for path, text in texts.items() if path is not None]
    return told(partial(write_files, "report", named, "free some space"))
