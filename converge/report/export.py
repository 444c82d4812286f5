"""What a command says while it goes on, for other programs: events as JSON lines, metrics as OpenMetrics."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime

from converge.model.documents import WORST_FIRST, plain
from converge.model.event import (
    CopyStarted,
    DatabaseEnded,
    DatabaseStarted,
    Ended,
    Event,
    OfDatabase,
    PhaseEnded,
    PhaseStarted,
    Progress,
    WorkerAnswered,
    WorkersBusy,
)
from converge.model.result import TableResult

_METRICS = (
    ("converge_start_time_seconds", "gauge", "When the command began, in Unix time."),
    ("converge_end_time_seconds", "gauge", "When it ended."),
    ("converge_phase_seconds", "gauge", "Duration of each phase; that of the current one grows."),
    ("converge_workers_busy", "gauge", "Worker processes that carry out a task."),
    ("converge_worker_tasks", "counter", "Tasks that each joined worker has done."),
    ("converge_worker_bytes", "counter", "Bytes that each joined worker has copied."),
    ("converge_rows", "counter", "Rows that the copy has written."),
    ("converge_bytes", "counter", "Bytes that the copy has sent."),
    ("converge_size_bytes", "gauge", "Size of each table in the copy, an estimate until the end."),
    ("converge_rows_rejected", "gauge", "Rows that the target has refused."),
    ("converge_rows_compared", "gauge", "Rows of each side that the comparison has counted."),
    ("converge_rows_unequal", "gauge", "Rows that a full comparison has found to differ."),
    ("converge_verdict", "gauge", "1 for the verdict of each database."),
    ("converge_exit_code", "gauge", "Exit code of the command."),
)  # fmt: skip
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def event_line(event: Event) -> str:
    """``{"time": "2026-03-01T10:20:30.123+00:00", "event": "PhaseEnded", "name": "copy", …}``."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    more = {}
    if isinstance(event, OfDatabase):
        more, event = {"database": event.database}, event.event
    return json.dumps({"time": now, "event": type(event).__name__, **more, **plain(event)}) + "\n"


class Metrics:
    """The state of a command in OpenMetrics text, by its events.

    With counters and gauges alone, and without times beside values, it is text of Prometheus' own format,
    too: the textfile collector of node_exporter reads no other.
    """

    def __init__(self, command: str, file: str) -> None:
        self._lock = threading.Lock()
        self._labels = {"command": command, "file": file}
        self._database = ""
        self._values: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        """By metric and labels."""
        self._phases: dict[str, float] = defaultdict(float)
        """Seconds of phases that have ended, by labels."""
        self._open: dict[str, float] = {}
        """When those began that have not."""
        self._set("converge_start_time_seconds", round(time.time(), 3))
        self._set("converge_workers_busy", 0)

    def __call__(self, event: Event) -> None:
        # Statements end in threads of their own.
        with self._lock:
            if isinstance(event, OfDatabase):
                self._database, event = event.database, event.event
            self._take(event)

    def text(self) -> str:
        """What a collector reads."""
        with self._lock:
            self._spend()
            lines = []
            for metric, kind, about in _METRICS:
                sample = f"{metric}_total" if kind == "counter" else metric
                lines += [f"# HELP {metric} {about}", f"# TYPE {metric} {kind}"]
                lines += [f"{sample}{{{labels}}} {value}" for labels, value in self._values[metric].items()]
        return "\n".join([*lines, "# EOF", ""])

    def _take(self, event: Event) -> None:
        match event:
            case DatabaseStarted(name):
                self._database = name
            case PhaseStarted(name):
                self._open[self._of(phase=name)] = time.monotonic()
            case PhaseEnded(name, seconds):
                labels = self._of(phase=name)
                self._open.pop(labels, None)
                self._phases[labels] += seconds
                self._values["converge_phase_seconds"][labels] = round(self._phases[labels], 3)
            case WorkersBusy(count):
                self._set("converge_workers_busy", count)
            case WorkerAnswered(worker, host, _, count):
                labels = self._of(worker=str(worker), host=host)
                self._values["converge_worker_tasks"][labels] += 1
                self._values["converge_worker_bytes"][labels] += count
            case CopyStarted(tables):
                for table in tables:
                    self._set("converge_rows", table.rows_done, table=table.name)
                    self._set("converge_bytes", table.bytes_done, table=table.name)
                    self._set("converge_size_bytes", table.bytes, table=table.name)
            case Progress(table, rows, count):
                self._values["converge_rows"][self._of(table=table)] += rows
                self._values["converge_bytes"][self._of(table=table)] += count
            case DatabaseEnded(name, verdict, _, tables):
                self._database = name
                self._end(verdict, tables)
            case Ended(_, exit_code):
                self._spend()
                self._open.clear()
                self._values["converge_workers_busy"] = dict.fromkeys(
                    self._values["converge_workers_busy"], 0
                )
                self._set("converge_exit_code", exit_code)
                self._set("converge_end_time_seconds", round(time.time(), 3))

    def _end(self, verdict: str, tables: Sequence[TableResult]) -> None:
        """What a database has come to; of `migrate --follow` in place of what the migration has."""
        for earlier in WORST_FIRST:
            self._values["converge_verdict"].pop(self._of(verdict=earlier), None)
        self._set("converge_verdict", 1, verdict=verdict)
        for result in tables:
            self._result(result)

    def _result(self, table: TableResult) -> None:
        """What the report says, in place of what was counted on the way."""
        name = table.source
        if table.rows_written is not None:
            self._set("converge_rows", table.rows_written, table=name)
            self._set("converge_bytes", table.bytes, table=name)
            self._set("converge_size_bytes", table.bytes, table=name)
            self._set("converge_rows_rejected", table.rows_rejected, table=name)
        for side, rows in (("source", table.rows_source), ("target", table.rows_target)):
            if rows is not None:
                self._set("converge_rows_compared", rows, table=name, side=side)
        if table.verified or table.unequal:
            self._set("converge_rows_unequal", table.unequal, table=name)

    def _spend(self) -> None:
        for labels, began in self._open.items():
            seconds = self._phases[labels] + time.monotonic() - began
            self._values["converge_phase_seconds"][labels] = round(seconds, 3)

    def _set(self, metric: str, value: float, **labels: str) -> None:
        self._values[metric][self._of(**labels)] = value

    def _of(self, **labels: str) -> str:
        of_database = {"database": self._database} if self._database else {}
        every = self._labels | of_database | labels
        return ",".join(f'{name}="{text.translate(_ESCAPES)}"' for name, text in every.items())
