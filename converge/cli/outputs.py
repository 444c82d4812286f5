"""Files that commands write: whether they can be is found before hours of work, and tried at the end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import Any

import click

from converge import files
from converge.codes import Code
from converge.errors import ConvergeError, UsageError
from converge.model.event import DatabaseEnded, Sink
from converge.model.result import Results
from converge.report.document import Document
from converge.report.errors import error_text, say
from converge.report.markdown import to_markdown
from converge.report.several import FORMS, report_as, results_text
from converge.report.text import TO_PASTE
from converge.run.connections import result_or_error

report_option = click.option(
    "--report",
    "reports",
    multiple=True,
    metavar="FILE",
    help="the result as .html, .md, .json or .xml (JUnit)",
)


def require_reports(option: str, paths: Iterable[str]) -> None:
    """Raises UsageError for a report that could not be written."""
    for path in paths:
        require_ending(option, path, *FORMS)


def require_ending(option: str, path: str | None, *endings: str) -> None:
    """Raises UsageError for a file whose name promises another format, or that could not be written.

    Where there is only one format, a name without an ending will do, and ``-`` for stdout.
    """
    if path is None or (path == "-" and len(endings) == 1):
        return
    if Path(path).suffix.lower() not in (*endings, *[""] * (len(endings) == 1)):
        allowed = " or ".join(filter(None, (", ".join(endings[:-1]), endings[-1])))
        hint = f"{option} {Path(path).with_suffix(endings[0])}"
        message = f"{option} {path}: the file's name must end in {allowed}"
        raise UsageError(message, code=Code.U005, hint=hint)
    require_writable(path)


def require_writable(path: str) -> None:
    """Raises UsageError when this file could not be written."""
    if (why := files.why_not(path)) is not None:
        raise unwritable(path, why)


def require_new_folder(path: str) -> None:
    """Raises UsageError for a folder that could not be made, or where files could be replaced."""
    folder = Path(path)
    if folder.is_dir() and any(folder.iterdir()):
        message = f"--write-routines {path}: the folder holds files, which may have been edited"
        hint = "--write-routines FOLDER, one that is empty or not there"
        raise UsageError(message, code=Code.U020, hint=hint)
    if not folder.is_dir():
        require_writable(path)


def write_folder(path: str, texts: Iterable[tuple[str, str]]) -> None:
    """Writes files that only their owner can read into a folder of their own. Raises UsageError."""
    folder = Path(path)
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        for name, text in texts:
            files.write_private(str(folder / name), text)
    except OSError as error:
        raise unwritable(path, str(error.strerror)) from error


def free(name: str) -> str:
    """The name, or one like it, of a file that is not there."""
    path = Path(name)
    names = chain([name], (f"{path.stem}{number}{path.suffix}" for number in count(2)))
    return next(name for name in names if not Path(name).exists())


def unwritable(path: str, why: str) -> UsageError:
    """The error of a file that cannot be written."""
    hint = "name a file in a folder that exists and that you may write to"
    return UsageError(f"{path} cannot be written: {why}", code=Code.U004, hint=hint)


def write_private(path: str, text: str) -> None:
    """Writes a file that only its owner can read; ``-`` is stdout. Raises UsageError."""
    if path == "-":
        # As files are, whatever the locale: an escape would be another value.
        click.echo(text.encode(errors="backslashreplace"))
        return
    try:
        files.write_private(path, text)
    except OSError as error:
        raise unwritable(path, str(error.strerror)) from error


def write_pages(document: Document, html: str | None, md: str | None) -> None:
    """Writes the document to each file that is named. Raises UsageError."""
    if html:
        # Most commands write no page and need not wait for the templates' engine.
        from converge.report.html import to_html

        write_private(html, to_html(document))
    if md:
        write_private(md, to_markdown(document))


def write_files(what: str, texts: Iterable[tuple[str, str]], hint: str) -> None:
    """Writes each text to its path, whatever becomes of the others.

    Raises ConvergeError for those that could not be; ``{}`` in the hint stands for them.
    """
    failed: list[tuple[str, str]] = []
    for path, text in texts:
        try:
            files.write_private(path, text)
        except OSError as error:
            failed.append((path, str(error.strerror)))
    if failed:
        raise ConvergeError(
            f"the {what} {failed[0][0]} cannot be written: {failed[0][1]}",
            code=Code.U012,
            details=[f"{path}: {why}" for path, why in failed[1:]],
            hint=hint.replace("{}", " ".join(f"-o {path}" for path, _ in failed)),
        )


def write_reports(results: Results, paths: Iterable[str]) -> None:
    """Writes the results to each path, in the form of its ending. Raises ConvergeError."""
    texts = ((path, report_as(results, path)) for path in paths)
    write_files("report", texts, "converge report {} writes it again, from the ledger in the target")


def told(write: Callable[[], None]) -> int:
    """Writes, or says on stderr what could not be written; the exit code of that, or 0."""
    _, error = result_or_error(write)
    if error is None:
        return 0
    say(error_text(error))
    return error.exit_code


def show(document: dict[str, Any], text: str, *, as_json: bool, quiet: bool = False) -> int:
    """Prints one of them, unless stdout has something else; the exit code."""
    if as_json or not quiet:
        click.echo(json.dumps(_to_paste(document)) if as_json else text)
    return int(document["exit_code"])


def _to_paste(document: Any) -> Any:
    """The document, whose hints are completed as those of a text."""
    if isinstance(document, dict):
        return {
            key: TO_PASTE.get()(value)
            if key in ("hint", "next") and isinstance(value, str)
            else _to_paste(value)
            for key, value in document.items()
        }
    return [*map(_to_paste, document)] if isinstance(document, list | tuple) else document


def tell_ended(results: Results, emit: Sink) -> None:
    """Tells what came of each database."""
    for one in results.each:
        emit(DatabaseEnded(one.name, one.result.verdict, one.exit_code, tuple(one.result.tables)))


def finish(
    results: Results,
    reports: Iterable[str],
    emit: Sink,
    following: str = "",
    *,
    as_json: bool,
    unwritten: int = 0,
) -> int:
    """Writes the reports and prints the results, whatever becomes of the reports; the exit code.

    `following` is the command that goes on, `unwritten` the exit code of files that could not be written.
    """
    tell_ended(results, emit)
    unwritten = told(partial(write_reports, results, reports)) or unwritten
    document = results.to_json()
    document |= {"exit_code": document["exit_code"] or unwritten}
    return show(document, results_text(results, following), as_json=as_json)
