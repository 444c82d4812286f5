"""`converge matrix`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from converge import sandbox
from converge.cli.many import single
from converge.cli.options import (
    output_options,
    place_options,
    planning_options,
    require_writable,
    selection_options,
    write_private,
)
from converge.config import Where
from converge.demo.source import LEAST_ROWS, fill
from converge.errors import UsageError
from converge.model.endpoint import Endpoint, parse
from converge.model.event import Said, Sink
from converge.model.matrix import Matrix
from converge.pipeline.matrix.run import run_matrix
from converge.pipeline.matrix.wish import Wish, require_scripts, wanted
from converge.pipeline.options import Options
from converge.report.html import matrix_html
from converge.report.matrix import matrix_junit, matrix_markdown, matrix_text


@click.command("matrix", help="The whole job on each version of PostgreSQL, side by side.")
@click.option(
    "--postgres",
    "versions",
    multiple=True,
    default=("14,15,16,17.5",),
    show_default=True,
    metavar="LIST",
    help="versions to start, and URLs of servers on which a database is made and dropped; repeatable",
)
@click.option("--source", metavar="URL", help="mysql://user:password@host:port/database")
@click.option("--source-dump", "dump", metavar="FILE", help="a dump that a throw-away MySQL takes")
@click.option("--sample", is_flag=True, help="the demo's source in a throw-away MySQL")
@click.option(
    "--rows", type=click.IntRange(LEAST_ROWS), default=20_000, show_default=True, help="of the sample"
)
@click.option("--mysql", "mysql_version", default="8.0.15", show_default=True, help="the throw-away MySQL")
@place_options
@selection_options
@planning_options
@click.option(
    "--target-sql",
    "scripts",
    multiple=True,
    metavar="FILE",
    help="makes the application's own tables, for --mode load; .sql or .sql.gz, repeatable",
)
@click.option("--junit", metavar="FILE", help="a testcase for each step of each version")
@click.option("--html", metavar="FILE", help="the result as a page")
@click.option("--md", metavar="FILE", help="the result as Markdown, for a summary")
@output_options
def command(
    versions: tuple[str, ...],
    dump: str | None,
    sample: bool,
    rows: int,
    mysql_version: str,
    where: Where,
    options: Options,
    scripts: tuple[str, ...],
    junit: str | None,
    html: str | None,
    md: str | None,
    as_json: bool,
    verbose: bool,
    emit: Sink,
) -> int:
    servers = wanted(versions)
    for path in filter(None, (junit, html, md)):
        require_writable(path)
    files = tuple(Path(script) for script in scripts)
    require_scripts(options, files)
    if sum((dump is not None, sample, where.source is not None)) > 1:
        message = "--source, --source-dump and --sample are three ways to name one source"
        raise UsageError(message, code="X021", hint="leave out all but one")
    with _source(where, options, dump, rows if sample else None, mysql_version, emit) as (source, options):
        matrix = run_matrix(Wish(source, options, files, emit), servers)
    _write(matrix, junit, html, md)
    click.echo(json.dumps(matrix.to_json()) if as_json else matrix_text(matrix))
    return matrix.exit_code


@contextmanager
def _source(
    where: Where, options: Options, dump: str | None, rows: int | None, version: str, emit: Sink
) -> Iterator[tuple[Endpoint, Options]]:
    """The source's address: as given, or of a throw-away server that is filled first and ended in the end."""
    if dump is None and rows is None:
        source, _, options = single(where, options, need_target=False)
        yield source, options
        return

    def say(text: str) -> None:
        emit(Said(text))

    with sandbox.start(f"mysql:{version}", on_progress=say) as (server,):
        url = server.create_database("matrix")
        if dump is not None:
            say(f"source: {sandbox.load_dump(url, dump):,} statements of {dump}")
        elif rows is not None:
            say(f"source: {fill(url, rows=rows):,} rows")
        yield parse(url), options


def _write(matrix: Matrix, junit: str | None, html: str | None, md: str | None) -> None:
    if junit:
        write_private(junit, matrix_junit(matrix))
    if html:
        write_private(html, matrix_html(matrix))
    if md:
        write_private(md, matrix_markdown(matrix))
