"""--events and --metrics-file: what a command says while it goes on, in files for other programs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial, wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from converge import files
from converge.cli.outputs import unwritable
from converge.errors import ConvergeError, verdict_of
from converge.model.documents import WORST_FIRST
from converge.model.event import DatabaseEnded, Ended, Event, Sink
from converge.report.errors import UNPRINTED, error_text, say
from converge.report.export import Metrics, event_line

F = TypeVar("F", bound=Callable[..., Any])
_SECONDS = 5.0
"""Between two writes of the metrics."""
_INTERRUPTED, _BUG = 130, 70
_SINKS = "converge.exports"


def export_options(function: F) -> F:
    """--events and --metrics-file, whose files get what goes to `emit` (above `output_options`)."""

    @click.option("--events", metavar="FILE", help="write each event to FILE as it happens, as JSON lines")
    @click.option(
        "--metrics-file",
        metavar="FILE",
        help="write OpenMetrics to FILE every 5 seconds, for node_exporter's textfile collector",
    )
    @wraps(function)
    def wrapper(events: str | None, metrics_file: str | None, **given: Any) -> Any:
        context = click.get_current_context()
        with ExitStack() as stack:
            sinks = [stack.enter_context(_lines(events))] if events else []
            if metrics_file:
                sinks.append(stack.enter_context(_metrics(context.info_name or "", metrics_file)))
            context.meta[_SINKS] = sinks
            return _to_the_end(partial(function, **given), sinks) if sinks else function(**given)

    return wrapper  # type: ignore[return-value]


def exported(emit: Sink) -> Sink:
    """The sink, and those of the command's files beside it."""
    sinks = [emit, *click.get_current_context().meta.get(_SINKS, ())]

    def tell(event: Event) -> None:
        for sink in sinks:
            sink(event)

    return tell if len(sinks) > 1 else emit


def _to_the_end(command: Callable[[], int], sinks: list[Sink]) -> int:
    """Carries the command out, and tells how it ended: by its databases' verdicts, or by its error."""
    verdicts: list[str] = []
    sinks.append(lambda event: verdicts.append(event.verdict) if isinstance(event, DatabaseEnded) else None)
    ended = Ended("failed", _BUG)
    try:
        code = command()
        ended = Ended(min(verdicts, key=WORST_FIRST.index), code)
        return code
    except ConvergeError as error:
        ended = Ended(verdict_of(error), error.exit_code)
        raise
    except (KeyboardInterrupt, click.Abort):
        ended = Ended("interrupted", _INTERRUPTED)
        raise
    except OSError as error:
        if verdicts and error.errno in UNPRINTED:
            ended = Ended(min(verdicts, key=WORST_FIRST.index), 1)
        raise
    finally:
        for sink in sinks:
            sink(ended)


@contextmanager
def _lines(path: str) -> Iterator[Sink]:
    """Writes each event to the file as it comes. Raises UsageError where it cannot be written."""
    with ExitStack() as stack, _opening(path):
        stream = stack.enter_context(files.private_file(path, named="first"))
        close = stack.pop_all().close
    lock, patient = threading.Lock(), _patience(path)

    def write(event: Event) -> None:
        stream.write(event_line(event))
        stream.flush()

    def tell(event: Event) -> None:
        # Statements end in threads of their own.
        with lock:
            patient(partial(write, event))

    try:
        yield tell
    finally:
        patient(close)


@contextmanager
def _metrics(command: str, path: str) -> Iterator[Sink]:
    """Writes the metrics to the file, now and then. Raises UsageError where it cannot be written."""
    metrics, patient, over = Metrics(command, Path(path).stem), _patience(path), threading.Event()

    def write() -> None:
        # Whole or not there, and for a collector that runs as another user.
        with files.private_file(path, mode=0o644) as stream:
            stream.write(metrics.text())

    def keep_writing() -> None:
        while not over.wait(_SECONDS):
            patient(write)

    with _opening(path):
        write()
    thread = threading.Thread(target=keep_writing, name="metrics", daemon=True)
    thread.start()
    try:
        yield metrics
    finally:
        over.set()
        thread.join()
        patient(write)


@contextmanager
def _opening(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise unwritable(path, str(error.strerror)) from error


def _patience(path: str) -> Callable[[Callable[[], object]], None]:
    """Carries writes out; says once why one failed, as of a full disk: the run goes on."""
    told: list[OSError] = []

    def attempt(write: Callable[[], object]) -> None:
        try:
            write()
        except OSError as error:
            if not told:
                say(error_text(unwritable(path, str(error.strerror))))
            told.append(error)

    return attempt
