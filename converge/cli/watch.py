"""`converge status --watch`: the run again and again, from the target alone, until nobody is at work."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from shutil import get_terminal_size
from typing import Any

import click
import psycopg

from converge.model.documents import head
from converge.model.endpoint import Endpoint
from converge.model.words import counted, utc_now
from converge.postgres.activity import Course, joined, sessions
from converge.postgres.connect import connect
from converge.report.words import one_line, proof_age, seconds, short, size
from converge.run.connections import explained

_RATE_SECONDS = 60.0
"""The time whose bytes make the rate."""
_RETRY_SECONDS = 60.0
"""For at most so long nobody is at work for a run that goes on by itself (`run/retry`)."""
_SETTINGS = {"application_name": "converge status", "default_transaction_read_only": "on"}
_CLEAR = "\x1b[H\x1b[J"
Document = dict[str, Any]
Read = Callable[[psycopg.Connection[Any]], Document | None]
"""The run as the ledger has it."""


def watch(target: Endpoint, read: Read, interval: float, *, as_json: bool) -> Document | None:
    """Shows the run every `interval` seconds until converge is no longer at work; what `read` gave last.

    On a terminal it is a screen, elsewhere a line whenever it changes, with --json a document a line. Raises
    TargetError.
    """
    run, line = None, ""
    screen = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    for document in _documents(target, read, interval):
        run, before, line = document["run"], line, _line(document)
        if as_json:
            click.echo(json.dumps(document))
        elif screen:
            width, height = get_terminal_size()
            found = (*map(_worker, document["workers"]), *map(_session, document["sessions"]))
            lines = [line, *found, *_hint(document)]
            click.echo(_CLEAR + "\n".join(one_line(text)[:width] for text in lines[: height - 1]))
        elif line != before:
            click.echo(one_line(line))
    return run


def run_verdict(run: Document) -> str:
    """The run's, or that of the last full comparison, or of a later one which has found other rows. A merge
    whose shards have changed differs."""
    last, full = run["verification"], run["full_verification"]
    if run.get("out_of_date"):
        return "differs"
    if run["state"] == "finished" and last:
        return str(last["verdict"] if last["verdict"] == "differs" else (full or run)["verdict"])
    return str(run["verdict"] or run["state"])


def _documents(target: Endpoint, read: Read, interval: float) -> Iterator[Document]:
    course: Course | None = None
    sent = deque[tuple[float, int]]()
    at_work = -math.inf
    with explained(target, target), closing(connect(target, **_SETTINGS)) as connection:
        while True:
            run, found, moment = read(connection), sessions(connection), time.monotonic()
            if run is None:
                yield head("status", "never run") | {
                    "time": utc_now(),
                    "run": None,
                    "workers": [],
                    "sessions": found,
                }
            else:
                if course is None or course.run != run["id"]:
                    course = Course(connection, run["id"])
                    sent.clear()
                others = {"workers": joined(connection, run["id"])}
                yield _document(run, course.now(), found, sent) | others
            if (run and run["state"] == "running") or any(one["ours"] for one in found):
                at_work = moment
            stopped = run is None or run["state"] != "interrupted" or run["finished_at"]
            if moment - at_work > (0 if stopped else _RETRY_SECONDS):
                return
            time.sleep(interval)


def _document(
    run: Document, course: Document, found: list[Document], sent: deque[tuple[float, int]]
) -> Document:
    """The run, with what is copied now, its rate and the time that the rest of the copy takes by it."""
    own = [one for one in found if one["ours"]]
    copied = course["bytes"] + sum(one["bytes"] or 0 for one in own)
    sent.append((time.monotonic(), copied))
    while sent[-1][0] - sent[0][0] > _RATE_SECONDS:
        sent.popleft()
    (began, before), (moment, _) = sent[0], sent[-1]
    rate = (copied - before) / (moment - began) if copied > before else None
    estimated = max(course["bytes_estimated"], copied)
    return head("status", run_verdict(run)) | {
        "time": utc_now(),
        "run": run,
        **course,
        "rows": run["rows"] + sum(one["rows"] or 0 for one in own),
        "bytes": copied,
        "bytes_estimated": estimated,
        "bytes_per_second": rate and round(rate),
        "seconds_left": round((estimated - copied) / rate) if rate and course["phase"] == "copy" else None,
        "sessions": found,
    }


def _line(document: Document) -> str:
    run, found = document["run"], document["sessions"]
    if run is None:
        return "no run yet"
    parts = [f"run {run['id']}: {run_verdict(run)}"]
    if run["state"] == "running":
        parts[0] += f", {document['phase']}" + (", paused" if run["paused"] else "")
        if document["phase"] == "copy":
            percent = 100 * document["bytes"] // max(document["bytes_estimated"], 1)
            parts.append(f"{percent} %, {size(document['bytes'])} of {size(document['bytes_estimated'])}")
    parts.append(counted(document["rows"], "row"))
    if document["seconds_left"] is not None:
        parts.append(f"{size(document['bytes_per_second'])}/s, {seconds(document['seconds_left'])} left")
    parts.append(f"{document['statements_done']} of {counted(document['statements'], 'statement')}")
    if holder := run["at_work"]:
        parts.append(f"{holder['command'] or 'another session'} is at work")
    if (follow := run["follow"]) and follow["epoch"]:
        parts += [] if holder or follow["certificate"] else ["follow is not at work"]
        parts.append(f"epoch {follow['epoch']:,}, {follow['lag']:,.0f} s ago")
        parts += [proof_age(follow["proof"])] if "proof" in follow else []
    parts += [f"{one['pid']} waits for {_pids(one)}" for one in found if one["waits_for"]]
    return "; ".join(parts)


def _worker(one: Document) -> str:
    """``  worker 3 on db-7 (4): 12 tasks, 120,000 rows, 34.1 MB``."""
    did = f"{counted(one['tasks'], 'task')}, {counted(one['rows'], 'row')}, {size(one['bytes'])}"
    gone = f"; has left: {short(one['reason'] or '')}" if one["left_at"] else ""
    return f"  worker {one['id']} on {one['host']} ({one['jobs']}): {did}{gone}"


def _session(one: Document) -> str:
    """``  4711  converge  COPY public.film: 34.1 MB, 120,000 rows, 3.4 s``."""
    table = one["table"]
    if one["index_phase"]:
        percent = 100 * one["index_done"] // max(one["index_total"], 1)
        doing = f"index of {table}: {one['index_phase']}, {percent} %"
    elif one["bytes"] is not None and table:
        doing = f"COPY {table}: {size(one['bytes'])}, {counted(one['rows'], 'row')}"
    elif one["state"] == "active":
        doing = short(one["query"] or "")
    else:
        doing = one["state"] or "?"
    who = one["application"] if one["ours"] else f"{one['role']} {one['application']}".strip()
    took = f", {seconds(one['seconds'])}" if one["seconds"] is not None else ""
    waits = f", waits for {_pids(one)}" if one["waits_for"] else f" ({one['wait']})" if one["wait"] else ""
    return f"  {one['pid']:>7}  {who}  {doing}{took}{waits}"


def _pids(one: Document) -> str:
    """A prepared transaction has no process, and the number 0 (manual, "System Information Functions")."""
    return ", ".join(str(pid) if pid else "a prepared transaction" for pid in dict.fromkeys(one["waits_for"]))


def _hint(document: Document) -> list[str]:
    if all(one["query"] is not None for one in document["sessions"]):
        return []
    return ["  hint   GRANT pg_read_all_stats TO this role: it may not see what other roles do"]
