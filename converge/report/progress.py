"""Progress on stderr: bars on a terminal, a line a phase elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import ExitStack
from typing import Any, Never

from tqdm import tqdm

from converge.model.event import (
    Advanced,
    CopyStarted,
    DatabaseStarted,
    Event,
    OfDatabase,
    PhaseEnded,
    PhaseStarted,
    Progress,
    Said,
    TableCopied,
    TableSize,
)
from converge.model.words import counted
from converge.report.errors import say
from converge.report.words import one_line, seconds, size, visible

_COPY_BAR = "{l_bar}{bar}| {n_fmt}B/{total_fmt}B [{elapsed}<{remaining}, {rate_fmt}{postfix}]"
_LINE_SECONDS = 10.0
_UNDRAWN = 1e-9
"""Seconds of delay, for which tqdm does not draw a bar as it is made; too few for a clock to tell."""


class Lines:
    """A line for each phase, and one every ten seconds of the copy; of several databases with its name."""

    def __init__(self, name: str = "") -> None:
        self._prefix = f"{one_line(name)}: " if name else ""
        self._each: dict[str, Lines] = {}
        self._rows = self._bytes = 0
        self._said = time.monotonic()

    def __call__(self, event: Event) -> None:
        match event:
            case PhaseEnded(name, took):
                self._say(f"{name}: {seconds(took)}")
            case CopyStarted(tables):
                self._rows = sum(table.rows_done for table in tables)
                self._bytes = sum(table.bytes_done for table in tables)
            case Progress(_, rows, count):
                self._rows += rows
                self._bytes += count
                if time.monotonic() - self._said >= _LINE_SECONDS:
                    self._say(f"copy: {counted(self._rows, 'row')}, {size(self._bytes)}")
            case Advanced(name, what) if time.monotonic() - self._said >= _LINE_SECONDS:
                self._say(f"{name}: {one_line(what)}")
            case Said() | DatabaseStarted():
                self._say(visible(str(event)))
            case OfDatabase(database, inner):
                self._each.setdefault(database, Lines(database))(inner)

    def _say(self, text: str) -> None:
        self._said = time.monotonic()
        say(self._prefix + text)


class Bars(ExitStack):
    """One bar for the whole copy in bytes and rows, one below for each table at work; closed at the end.

    Of several databases each has its own.
    """

    def __init__(self, name: str = "") -> None:
        super().__init__()
        self._prefix = f"{one_line(name)}: " if name else ""
        self._each: dict[str, Bars] = {}
        self._lock = threading.Lock()
        self._total: tqdm[Never] | None = None
        self._phase: tqdm[Never] | None = None
        self._tables: dict[str, tqdm[Never]] = {}
        self._sizes: dict[str, TableSize] = {}
        self._rows = 0

    def __call__(self, event: Event) -> None:
        # Statements end in threads of their own.
        with self._lock:
            self._show(event)

    def _show(self, event: Event) -> None:
        match event:
            case CopyStarted(tables):
                self._rows = sum(table.rows_done for table in tables)
                self._sizes = {table.name: table for table in tables}
                total = sum(table.bytes for table in tables)
                done = sum(table.bytes_done for table in tables)
                self._total = self._copy_bar(f"{self._prefix}copy", total, done)
                self._total.set_postfix_str(counted(self._rows, "row"))
            case Progress(table, rows, count):
                self._advance(table, rows, count)
            case TableCopied(table):
                self._end(table)
            case PhaseStarted(name, units) if units:
                self._phase = self._bar(desc=self._prefix + name, total=units, unit="")
            case Advanced(_, what) if self._phase is not None:
                self._phase.set_postfix_str(one_line(what), refresh=False)
                self._phase.update()
            case PhaseEnded(name, took):
                self._close(name, took)
            case Said() | DatabaseStarted():
                tqdm.write(self._prefix + visible(str(event)), file=sys.stderr)
            case OfDatabase(database, inner):
                if database not in self._each:
                    self._each[database] = self.enter_context(Bars(database))
                self._each[database](inner)

    def _advance(self, table: str, rows: int, count: int) -> None:
        if self._total is None or not count:
            return
        if table not in self._tables:
            known = self._sizes[table]
            name = f"  {self._prefix}{one_line(table)}"
            self._tables[table] = self._copy_bar(name, known.bytes, known.bytes_done, leave=False)
        self._rows += rows
        self._tables[table].update(count)
        self._total.set_postfix_str(counted(self._rows, "row"), refresh=False)
        self._total.update(count)

    def _end(self, table: str) -> None:
        bar = self._tables.pop(table, None)
        if bar is not None and self._total is not None:
            # The source's size was an estimate; now it is known.
            self._total.total = (self._total.total or 0) + bar.n - self._sizes[table].bytes
            bar.close()

    def _close(self, name: str, took: float) -> None:
        """A phase has come to its end: what was counted before its bar began, or only estimated, is done."""
        for bar in (self._phase, self._total if name == "copy" else None):
            if bar is not None:
                bar.total = bar.n = max(bar.n, bar.total or 0) if bar is self._phase else bar.n
                bar.close()
        self._phase = None
        if name == "copy":
            self._total = None
        tqdm.write(f"{self._prefix}{name}: {seconds(took)}", file=sys.stderr)

    def _copy_bar(self, name: str, total: int, done: int, *, leave: bool = True) -> tqdm[Never]:
        # What was done before counts for the length of the bar and not for its rate.
        return self._bar(
            desc=name, total=total, initial=done, unit="B", unit_scale=True, bar_format=_COPY_BAR, leave=leave
        )

    def _bar(self, **how: Any) -> tqdm[Never]:
        """A bar that this closes at its end.

        It is drawn only when that is sure: a signal between the two would leave it open, and what is printed
        next would begin in its line.
        """
        bar: tqdm[Never] = self.enter_context(tqdm(delay=_UNDRAWN, dynamic_ncols=True, **how))
        drawn: Any = bar
        whole = drawn.dynamic_ncols
        drawn.dynamic_ncols = lambda stream: _narrower(*whole(stream))
        bar.refresh()
        return bar


def _narrower(columns: int | None, rows: int | None) -> tuple[int | None, int | None]:
    """Room for the ``^C`` that a terminal prints where the cursor is.

    In a full line it would begin another one, and the next bars would be drawn a line below their own.
    """
    return columns and columns - len("^C"), rows
