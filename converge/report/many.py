"""Several databases in one report: what they came to together, then each one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from converge.model.plan import Plan
from converge.model.together import Results, together, worst
from converge.report import markdown
from converge.report.parts import Grid, Mark, Tone, Verdict, grid, one_line, sentence, visible
from converge.report.plan import plan_json
from converge.report.plan_markdown import plan_markdown
from converge.report.result import result_markdown
from converge.report.units import counted, missing_words, table

_GOOD = ("verified", "ready", "finished")
_BAD = ("failed", "differs", "blocked", "interrupted")


@dataclass(frozen=True, slots=True)
class ManyParts:
    """What a page of several databases begins with."""

    command: str
    verdict: Verdict
    figures: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...]
    overview: Grid
    contents: tuple[tuple[str, str, int | None], ...]
    """Places of the page, their titles, and how many they hold."""


def many_text(document: Mapping[str, Any], texts: Sequence[tuple[str, str]], following: str = "") -> str:
    """Each database's own text under its name, then all in one table and the verdict.

    `following` is the command that goes on.
    """
    parts = _parts(document)
    verdict = f"verdict   {parts.verdict.word}: {parts.verdict.words}"
    lines = [verdict, ""]
    for name, text in texts:
        lines += [f"── {one_line(name)} ".ljust(60, "─"), text, ""]
    rows = [[one_line(cell) for cell in row] for row in parts.overview.lines]
    lines += [*table(parts.overview.head, rows, left=4), ""]
    if following:
        lines.append(f"{'next':<10}{following}")
    lines.append(verdict)
    return visible("\n".join(lines))


def results_markdown(results: Results) -> str:
    """A chapter for all, and one for each database."""
    return _markdown(results.to_json(), [result_markdown(one.result, one.name) for one in results.each])


def plans_markdown(plans: Sequence[tuple[str, Plan]]) -> str:
    """The same of plans."""
    return _markdown(_plans(plans), [plan_markdown(plan, name) for name, plan in plans])


def results_parts(results: Results) -> ManyParts:
    return _parts(results.to_json())


def plans_parts(plans: Sequence[tuple[str, Plan]]) -> ManyParts:
    return _parts(_plans(plans))


def _plans(plans: Sequence[tuple[str, Plan]]) -> dict[str, Any]:
    return together("plan", [{"name": name, **plan_json(plan)} for name, plan in plans])


def _markdown(document: Mapping[str, Any], chapters: Sequence[str]) -> str:
    parts = _parts(document)
    lines = [f"# converge {parts.command}: {parts.verdict.word}", "", sentence(parts.verdict.words)]
    lines += markdown.grid_section("Databases", parts.overview)
    return "\n".join([*lines, "", *chapters])


def _parts(document: Mapping[str, Any]) -> ManyParts:
    each = document["databases"]
    places = ((f"database-{number}", one["name"], None) for number, one in enumerate(each, 1))
    return ManyParts(
        command=document["command"],
        verdict=_verdict(document["verdict"], each),
        figures=((f"{len(each):,}", "databases"), (f"{sum(map(_tables, each)):,}", "tables")),
        facts=tuple((one["name"], f"{one['verdict']}: {_finding(one)}".rstrip(": ")) for one in each),
        overview=_overview(each),
        contents=(("verdict", "Verdict", None), ("databases", "Databases", len(each)), *places),
    )


def _verdict(word: str, each: Sequence[Mapping[str, Any]]) -> Verdict:
    """The worst verdict, and what all targets together lack."""
    not_migrated = sum(len(one.get("not_migrated", ())) for one in each)
    losses = sum(one.get("losses", 0) for one in each)
    words, tone = _words(each), _tone(word)
    if any("losses" in one for one in each):
        words = f"{words} · {missing_words(not_migrated, losses)}"
        tone = "warn" if tone == "good" and (not_migrated or losses) else tone
        if unplanned := [one["name"] for one in each if not _is_planned(one)]:
            words += f" · not counted, for want of a plan: {', '.join(unplanned)}"
    return Verdict(word, words, tone)


def _is_planned(one: Mapping[str, Any]) -> bool:
    return bool(one.get("plan") or one.get("fingerprint") or (one["command"] == "verify" and one["tables"]))


def _words(each: Sequence[Mapping[str, Any]]) -> str:
    """How many are as bad as the worst, and which."""
    word = worst(each)["verdict"]
    names = [one["name"] for one in each if one["verdict"] == word]
    if len(names) == len(each):
        return f"all of {counted(len(each), 'database')}" if len(each) > 1 else names[0]
    return f"{', '.join(names)} ({len(names):,} of {counted(len(each), 'database')})"


def _overview(each: Sequence[Mapping[str, Any]]) -> Grid:
    return grid(
        "Databases",
        (
            ("database", "name"), ("verdict", "words"), ("source", "name"), ("target", "name"),
            ("tables", "number"), ("blockers", "number"), ("losses", "number"), ("not migrated", "number"),
        ),
        [
            (
                one["name"],
                Mark(one["verdict"], _tone(one["verdict"])),
                _url(one, "source"),
                _url(one, "target"),
                f"{_tables(one):,}" if "tables" in one else "",
                _blockers(one),
                f"{one['losses']:,}" if one.get("losses") else "",
                f"{len(one['not_migrated']):,}" if one.get("not_migrated") else "",
            )
            for one in each
        ],
    )  # fmt: skip


def _tone(verdict: str) -> Tone:
    return "good" if verdict in _GOOD else "bad" if verdict in _BAD else "warn"


def _tables(one: Mapping[str, Any]) -> int:
    return len(one.get("tables", ()))


def _url(one: Mapping[str, Any], side: str) -> str:
    return str(one.get(side, {}).get("url", ""))


def _blockers(one: Mapping[str, Any]) -> str:
    count = sum(finding["severity"] == "block" for finding in one.get("findings", ()))
    return f"{count:,}" if count else ""


def _finding(one: Mapping[str, Any]) -> str:
    """What stopped it, where something did."""
    blocks = [finding for finding in one.get("findings", ()) if finding["severity"] == "block"]
    return f"{blocks[0]['code']} {blocks[0]['message']}" if blocks else ""
