"""Several databases in one report: what they came to together, then each one's own. Reports as files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from converge.model.documents import worst
from converge.model.result import Results
from converge.model.words import counted
from converge.report.document import Cell, Document, Grid, Mark, Verdict, facts, figure, grid, place, section
from converge.report.junit import to_junit
from converge.report.markdown import to_markdown
from converge.report.run import run_document
from converge.report.run_cases import run_suites
from converge.report.run_text import run_text
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
    return several_document(results.to_json(), [(one.name, run_document(one.result)) for one in results.each])


def results_text(results: Results, following: str = "") -> str:
    """The same for a terminal; `following` is the command that goes on."""
    return several_text(
        results.to_json(), [(one.name, run_text(one.result)) for one in results.each], [("next", following)]
    )


def several_text(
    document: Mapping[str, Any],
    texts: Sequence[tuple[str, str]],
    following: Sequence[tuple[str, str]] = (),
) -> str:
    """Each database's own text under its name, all in one table, what follows, and the verdict."""
    if "databases" not in document:
        return texts[0][1]
    each = document["databases"]
    chapters = (f"{f'── {one_line(name)} '.ljust(60, '─')}\n{said}" for name, said in texts)
    return to_text(_verdict(document["verdict"], each), *chapters, _overview(each), facts(*following))


def several_document(document: Mapping[str, Any], parts: Sequence[tuple[str, Document]]) -> Document:
    """All databases in one table, then each one's document, by name."""
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
        _verdict(document["verdict"], each),
        (figure(len(each), "database"), *[figure(tables, "table")] * bool(tables)),
        (section("stopped", "What stopped them", stopped, tone="bad"),
         section("databases", "Databases", _overview(each))),
        tuple(parts),
    )  # fmt: skip


def _verdict(word: str, each: Sequence[Mapping[str, Any]]) -> Verdict:
    """The worst verdict, how many have it and which, and what all targets together lack."""
    names = [one["name"] for one in each if one["verdict"] == worst(each)["verdict"]]
    words, tone = f"{len(names):,} of {counted(len(each), 'database')}: {', '.join(names)}", _tone(word)
    if len(names) == len(each):
        words = f"all of {counted(len(each), 'database')}" if len(each) > 1 else names[0]
    if any("losses" in one for one in each):
        not_migrated = sum(len(one.get("not_migrated", ())) for one in each)
        losses = sum(one.get("losses", 0) for one in each)
        words = f"{words} · {missing_words(not_migrated, losses)}"
        tone = "warn" if tone == "good" and (not_migrated or losses) else tone
        if unplanned := [one["name"] for one in each if not _is_planned(one)]:
            words += f" · without a plan, so not counted: {', '.join(unplanned)}"
    return Verdict(for_people(word, each[0]["command"]), words, tone)


def _is_planned(one: Mapping[str, Any]) -> bool:
    return bool(
        one.get("plan") or one.get("fingerprint") or (one["command"] in ("verify", "sync") and one["tables"])
    )


def _tables(one: Mapping[str, Any]) -> int:
    """Those that were looked at; `doctor` only counts them, and what was stopped before its plan has none."""
    return len(one.get("tables", ())) or one.get("source", {}).get("tables", 0)


def _overview(each: Sequence[Mapping[str, Any]]) -> Grid:
    def url(one: Mapping[str, Any], side: str) -> str:
        return place(one.get(side, {}).get("url", ""))

    def row(one: Mapping[str, Any]) -> Sequence[Cell]:
        found = (_blockers(one), range(one.get("losses", 0)), one.get("not_migrated", ()))
        tables = f"{_tables(one):,}" if _tables(one) else ""
        counts = (f"{len(listed):,}" if listed else "" for listed in found)
        tone = _tone(one["verdict"])
        if tone == "good" and (one.get("losses") or one.get("not_migrated")):
            tone = "warn"
        verdict = Mark(for_people(one["verdict"], one["command"]), tone)
        return (one["name"], verdict, url(one, "source"), url(one, "target"), tables, *counts)

    return grid(
        "Databases",
        (
            ("database", "name"), ("verdict", "words"), ("source", "name"), ("target", "name"),
            ("tables", "number"), ("blockers", "number"), ("losses", "number"), ("not migrated", "number"),
        ),
        map(row, each),
    )  # fmt: skip


def _tone(verdict: str) -> Tone:
    return "good" if verdict in _GOOD else "bad" if verdict in _BAD else "warn"


def _blockers(one: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [finding for finding in one.get("findings", ()) if finding["severity"] == "block"]
