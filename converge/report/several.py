"""Several databases in one report: what they came to together, then each one's own. Reports as files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from converge.model.documents import worst
from converge.model.result import Result, Results
from converge.model.words import counted
from converge.report.document import Cell, Document, Grid, Mark, Verdict, facts, figure, grid, place, section
from converge.report.document import worst as worst_tone
from converge.report.junit import to_junit
from converge.report.markdown import to_markdown
from converge.report.run import run_document
from converge.report.run_cases import run_suites
from converge.report.run_text import run_text
from converge.report.run_words import run_verdict, uncompared_words
from converge.report.text import to_text
from converge.report.words import Tone, for_people, missing_words, one_line

FORMS = (".html", ".json", ".md", ".xml")
"""The endings of a report's file."""
_GOOD = ("verified", "ready", "finished")
_BAD = ("failed", "differs", "blocked", "interrupted")


def report_as(results: Results, path: str) -> str:
    """The report in the form that its file's ending asks for. Raises KeyError for another ending."""
    match Path(path).suffix.lower():
        case ".json":
            return json.dumps(results.to_json(), indent=1) + "\n"
        case ".xml":
            prefixes = ((one.result, f"{one.name}." if one.name else "") for one in results.each)
            suites = [suite for result, prefix in prefixes for suite in run_suites(result, prefix)]
            return to_junit(f"converge {results.command}", suites)
        case ".md":
            return to_markdown(results_document(results))
        case ".html":
            # Most commands write no page and need not wait for the templates' engine.
            from converge.report.html import to_html

            return to_html(results_document(results))
    raise KeyError(path)


def results_document(results: Results) -> Document:
    """A run's document, or one of several databases."""
    parts = [(one.name, run_document(one.result)) for one in results.each]
    return several_document(results.to_json(), parts, [one.result for one in results.each])


def results_text(results: Results, following: str = "") -> str:
    """The same for a terminal; `following` is the command that goes on."""
    texts = [(one.name, run_text(one.result)) for one in results.each]
    return several_text(results.to_json(), texts, [("next", following)], [one.result for one in results.each])


def several_text(
    document: Mapping[str, Any],
    texts: Sequence[tuple[str, str]],
    following: Sequence[tuple[str, str]] = (),
    runs: Sequence[Result] = (),
) -> str:
    """Each database's own text under its name, all in one table, what follows, and the verdict; of runs,
    with what they did not compare."""
    if "databases" not in document:
        return texts[0][1]
    each = document["databases"]
    chapters = (f"{f'── {one_line(name)} '.ljust(60, '─')}\n{said}" for name, said in texts)
    verdict, overview = _verdict(document["verdict"], each, runs), _overview(each, runs)
    return to_text(verdict, *chapters, overview, facts(*following))


def several_document(
    document: Mapping[str, Any], parts: Sequence[tuple[str, Document]], runs: Sequence[Result] = ()
) -> Document:
    """All databases in one table, then each one's document, by name; of runs, with what they did not
    compare."""
    if "databases" not in document:
        return parts[0][1]
    each = document["databases"]
    # With what stopped it, where something did.
    stops = ((one["name"], first) for one in each for first in _blockers(one)[:1])
    stopped = facts(*((name, f"{first['code']} {first['message']}") for name, first in stops))
    tables = sum(map(_tables, each))
    return Document(
        document["command"],
        f"{counted(len(each), 'database')}: {', '.join(one['name'] for one in each)}",
        tuple(part.about[0] for _, part in parts[:1]),
        _verdict(document["verdict"], each, runs),
        (figure(len(each), "database"), *[figure(tables, "table")] * bool(tables)),
        (section("stopped", "What stopped them", stopped, tone="bad"),
         section("databases", "Databases", _overview(each, runs))),
        tuple(parts),
    )  # fmt: skip


def _verdict(word: str, each: Sequence[Mapping[str, Any]], runs: Sequence[Result]) -> Verdict:
    """The worst verdict, how many have it and which, what was not compared, and what all targets lack."""
    names = [one["name"] for one in each if one["verdict"] == worst(each)["verdict"]]
    words = f"{len(names):,} of {counted(len(each), 'database')}: {', '.join(names)}"
    if len(names) == len(each):
        words = f"all of {counted(len(each), 'database')}" if len(each) > 1 else names[0]
    words += uncompared_words(runs)
    if any("losses" in one for one in each):
        not_migrated = sum(len(one.get("not_migrated", ())) for one in each)
        losses = sum(one.get("losses", 0) for one in each)
        words = f"{words} · {missing_words(not_migrated, losses)}"
        if unplanned := [one["name"] for one in each if not _is_planned(one)]:
            words += f" · without a plan, so not counted: {', '.join(unplanned)}"
    return Verdict(for_people(word, each[0]["command"]), words, worst_tone(_tones(each, runs)))


def _is_planned(one: Mapping[str, Any]) -> bool:
    return bool(
        one.get("plan") or one.get("fingerprint") or (one["command"] in ("verify", "sync") and one["tables"])
    )


def _tables(one: Mapping[str, Any]) -> int:
    """Those that were looked at; `doctor` only counts them, and what was stopped before its plan has none."""
    return len(one.get("tables", ())) or one.get("source", {}).get("tables", 0)


def _overview(each: Sequence[Mapping[str, Any]], runs: Sequence[Result]) -> Grid:
    def url(one: Mapping[str, Any], side: str) -> str:
        return place(one.get(side, {}).get("url", ""))

    def row(one: Mapping[str, Any], tone: Tone) -> Sequence[Cell]:
        found = (_blockers(one), range(one.get("losses", 0)), one.get("not_migrated", ()))
        tables = f"{_tables(one):,}" if _tables(one) else ""
        counts = (f"{len(listed):,}" if listed else "" for listed in found)
        verdict = Mark(for_people(one["verdict"], one["command"]), tone)
        return (one["name"], verdict, url(one, "source"), url(one, "target"), tables, *counts)

    return grid(
        "Databases",
        (
            ("database", "name"), ("verdict", "words"), ("source", "name"), ("target", "name"),
            ("tables", "number"), ("blockers", "number"), ("losses", "number"), ("not migrated", "number"),
        ),
        map(row, each, _tones(each, runs)),
    )  # fmt: skip


def _tones(each: Sequence[Mapping[str, Any]], runs: Sequence[Result]) -> list[Tone]:
    """Of each database's verdict: its own where it is a run's."""
    return [run_verdict(one).tone for one in runs] or [*map(_tone, each)]


def _tone(one: Mapping[str, Any]) -> Tone:
    if one["verdict"] in _GOOD:
        return "warn" if one.get("losses") or one.get("not_migrated") else "good"
    return "bad" if one["verdict"] in _BAD else "warn"


def _blockers(one: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [finding for finding in one.get("findings", ()) if finding["severity"] == "block"]
