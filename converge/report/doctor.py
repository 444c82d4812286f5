"""What `doctor` has found, for a terminal and as JSON."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from typing import Any

from converge.model.documents import head
from converge.model.endpoint import Endpoint
from converge.model.facts import Diagnosis, SourceFacts, TargetFacts, Tls
from converge.model.words import counted, utc_now
from converge.postgres.capabilities import CAPABILITIES, major
from converge.report.document import (
    Block,
    Document,
    Facts,
    Fold,
    Mark,
    Verdict,
    facts,
    grid,
    section,
    subject,
    toned,
    work_sections,
)
from converge.report.findings import Findings, findings
from converge.report.text import brief, fitted, on_terminal, to_text
from converge.report.words import Tone, blocked_words, for_people, moment, size

Line = tuple[str, str]
_SETTINGS = (
    "statement_timeout", "lock_timeout", "idle_session_timeout", "idle_in_transaction_session_timeout",
    "transaction_timeout", "default_transaction_read_only",
)  # fmt: skip
"""Settings that converge overrides in its own sessions; shown when somebody has set them."""
_NOT_REACHED: list[Line] = [("", "not reached")]
_BRIEF = ("", "server", "login", "size", "snapshot", "schema", "disk")
"""Facts that are shown unasked."""
_SCREEN = 30
"""Lines that all may take that is shown unasked."""
_ROOMS = ((4, 4), (4, 2), (4, 1), (3, 1), (2, 1), (1, 1))
"""Blockers and notes on a terminal that has no room for all, a line or two each: from the widest on."""
_HARMLESS = ("0", "off", "")


def doctor_document(found: Diagnosis) -> Document:
    """All of a diagnosis that people read."""
    here, there = found.source_facts, found.target_facts
    known = ((f"MySQL {here.version}" if here else ""), (f"PostgreSQL {there.version}" if there else ""))
    held = [one.held for facts in (here, there) if facts for one in facts.rights]
    counts = Counter(finding.level for finding in found.findings)
    return Document(
        "doctor",
        subject(str(found.source or ""), str(found.target or "")),
        (moment(utc_now()), " → ".join(filter(None, known))),
        _verdict(found),
        (
            toned(counts["block"], "blocker", tone="bad"),
            toned(counts["note"], "note", tone="quiet"),
            (f"{sum(held):,} of {len(held):,}", "privileges held"),
        ),
        (
            *work_sections(found.findings, ()),
            *(section(name, name.capitalize(), *side.blocks) for name, side in _sides(found, verbose=True)),
            section(
                "features", "Features", *(_compatibility(there.version).blocks if there else ()), folded=True
            ),
        ),
    )


def doctor_text(found: Diagnosis, *, verbose: bool) -> str:
    """Each side and what it lacks, then the findings with their fixes; `verbose` has all facts.

    Unasked it fits on a screen: notes without room are one line each, and a terminal cuts blockers, too.
    """
    sides = [side for _, side in _sides(found, verbose=verbose)]
    every = findings(found.findings)
    if verbose:
        features = [_compatibility(found.target_facts.version)] if found.target_facts else []
        return to_text(_verdict(found), *sides, *features, every)

    def text(*levels: Block, fixes: str = ", fixes", tight: bool = False) -> str:
        more = facts(("more", f"-v for all facts{fixes} and privileges; converge explain CODE"))
        return to_text(_verdict(found, tight=tight), *sides, *levels, more)

    def rooms() -> Iterator[str]:
        yield text(every, fixes="")
        quiet = Findings(tuple(one for one in every.levels if one.tone == "quiet"), clipped=True, all="-v")
        loud = Findings(tuple(one for one in every.levels if one.tone != "quiet"), all="-v")
        told = brief(quiet, fixes=False)
        yield text(loud, told)
        if on_terminal():
            clipped = brief(replace(loud, clipped=True))
            for blockers, notes in _ROOMS:
                yield text(clipped.cut(blockers), told.cut(notes), tight=True)

    return fitted(rooms(), _SCREEN)


def _sides(found: Diagnosis, *, verbose: bool) -> Iterator[tuple[str, Fold]]:
    """Both sides, as far as they are named."""
    here, there = found.source_facts, found.target_facts
    if found.source is not None:
        lines = _source(here, verbose) if here else _NOT_REACHED
        yield "source", _side("source", found.source, here, lines, verbose)
    if found.target is not None:
        lines = _target(there, found, verbose) if there else _NOT_REACHED
        yield "target", _side("target", found.target, there, lines, verbose)


def _verdict(found: Diagnosis, *, tight: bool = False) -> Verdict:
    blockers = sum(finding.severity == "block" for finding in found.findings)
    words = blocked_words(blockers, tight=tight) if blockers else "no blockers; rows are not checked"
    if found.unreached:
        words = "not every side could be reached"
    if notes := len(found.findings) - blockers:
        words += f" · {counted(notes, 'note')} to read"
    lossy = any(finding.severity == "lossy" for finding in found.findings)
    tone: Tone = "bad" if found.verdict != "ready" else "warn" if lossy else "good"
    return Verdict(for_people(found.verdict), words, tone)


def doctor_json(found: Diagnosis) -> dict[str, Any]:
    """The --json document: the contract's keys, with all facts of both sides."""
    there = found.target_facts
    return head("doctor", found.verdict, found.exit_code) | {
        "source": _document(found.source, found.source_facts),
        "target": _document(found.target, there),
        "snapshot": found.source_facts.snapshot.level if found.source_facts else None,
        "needed_bytes": found.needed_bytes,
        "compatibility": [
            {"feature": one.name, "since": one.since, "here": one.since <= major(there.version)}
            for one in CAPABILITIES
        ]
        if there
        else [],
        "tables": [],
        "findings": [asdict(finding) for finding in found.findings],
        "phases": [],
    }


def _document(endpoint: Endpoint | None, facts: SourceFacts | TargetFacts | None) -> dict[str, Any]:
    if endpoint is None:
        return {}
    read = asdict(facts) if facts else {}
    return {"url": str(endpoint), **read, "origins": _origins(endpoint, facts)}


def _origins(endpoint: Endpoint, facts: SourceFacts | TargetFacts | None) -> dict[str, str]:
    """Where each value of the address came from: from our user, or from where the driver looks."""
    return endpoint.sources | dict(facts.origins if isinstance(facts, TargetFacts) else ())


def _compatibility(version: str) -> Fold:
    """What maps, checks and migrations may ask for, by the version that brought it."""
    names: defaultdict[int, list[str]] = defaultdict(list)
    for one in CAPABILITIES:
        names[one.since].append(one.name)
    lines = (
        (f"from {since}", f"{'yes' if since <= major(version) else 'no':<4}{', '.join(features)}")
        for since, features in sorted(names.items())
    )
    title = "compatibility: what maps, checks and migrations may ask of this server"
    return Fold(title, (Facts(tuple(lines)),))


def _side(
    name: str,
    endpoint: Endpoint,
    known: SourceFacts | TargetFacts | None,
    lines: Iterable[Line],
    verbose: bool,
) -> Fold:
    origins = _origins(endpoint, known)
    places = set(origins.values())
    each = ", ".join(f"{name} {place}" for name, place in origins.items())
    origin = places.pop() if len(places) == 1 else each
    rights = known.rights if known else ()
    if not verbose:
        held = f", {sum(one.held for one in rights):,} of {counted(len(rights), 'privilege')}"
        lacks = ", ".join(one.name for one in rights if not one.held)
        lines = [(name, words + held * (name == "login")) for name, words in lines if name in _BRIEF]
        title = f"{name:<10}{endpoint}" + (f" from {origin}" if origin else "")
        return Fold(title, (facts(*lines[:2], ("lacks", lacks), *lines[2:]),))
    privileges = grid(
        "Privileges",
        (("privilege", "name"), ("held", "words"), ("what it does, or what is lost without it", "words")),
        [
            (one.name, "yes", one.purpose) if one.held
            else (one.name, Mark("NO", "bad") if one.needed else Mark("no", "warn"), one.without)
            for one in rights
        ],
    )  # fmt: skip
    return Fold(f"{name:<10}{endpoint}", (facts(("from", origin), *lines), privileges))


def _source(facts: SourceFacts, verbose: bool) -> list[Line]:
    seen = f"{counted(facts.tables, 'table')}, {counted(facts.views, 'view')}"
    bytes_ = f"{size(facts.data_bytes)}, indexes {size(facts.index_bytes)}"
    return [
        ("server", f"MySQL {facts.version}, {facts.distribution}" + _if(",", facts.provider)),
        ("login", facts.account + _if(" by", facts.plugin)
         + _if(", logged in as", facts.login if facts.login.partition("@")[0] not in facts.account else "")),
        ("roles", ", ".join(facts.roles)),
        ("TLS", _tls(facts.tls)),
        ("size", f"{seen}, about {counted(facts.rows, 'row')}, {bytes_}"),
        ("largest", ", ".join(f"{name} {size(count)}" for name, count in facts.largest)),
        ("snapshot", str(facts.snapshot) if verbose else f"{facts.snapshot.level}: {facts.snapshot.why}"),
        ("log", f"binary log {facts.binary_log}, {_kept(facts.binary_log_seconds)}, GTID {facts.gtid_mode}"),
        ("charset", f"{facts.database_charset}; server {facts.server_charset}"),
        ("time zone", facts.time_zone),
        ("sql_mode", facts.sql_mode.replace(",", ", ") or "empty"),
        ("packet", f"max_allowed_packet {size(facts.max_allowed_packet)}"),
        ("clients", f"{facts.connections:,} of {facts.max_connections:,} connections"
         + (f", {facts.user_connections} for this account" if facts.user_connections else "")),
        *(("grant", re.sub(r",(?=\S)", ", ", line)) for line in facts.grants),
    ]  # fmt: skip


def _target(facts: TargetFacts, found: Diagnosis, verbose: bool) -> list[Line]:
    disk = f"{size(facts.disk.free)} free" if facts.disk else "free space cannot be seen"
    disk += f" on {facts.disk.path}" if facts.disk and verbose else ""
    if found.needed_bytes is not None:
        disk += f"; a run needs {size(found.needed_bytes)}, with WAL {size(2 * found.needed_bytes)}"
    overridden = (f"{name} {facts.setting(name)}" for name in _SETTINGS
                  if facts.setting(name) not in _HARMLESS)  # fmt: skip
    return [
        ("server", f"PostgreSQL {facts.version}" + _if(",", facts.provider)),
        ("login", facts.role + _if(" by", facts.authentication)
         + _if(", logged in as", facts.login if facts.login != facts.role else "")
         + (", superuser" if facts.superuser else "")),
        ("TLS", _tls(facts.tls)),
        ("charset", f"{facts.encoding}, {facts.collation}"),
        ("schema", f"{facts.schema}: {counted(facts.relations, 'relation')}; ledger: {facts.ledger}"),
        ("database", f"{facts.database}, {size(facts.database_bytes)}"),
        ("disk", disk),
        ("clients", f"{facts.connections:,} of {facts.max_connections:,} connections"
         + ("" if facts.role_connections is None else f", {facts.role_connections} for this role")),
        ("settings", ", ".join(f"{one.name} {one.value}" for one in facts.settings
                               if one.name not in (*_SETTINGS, "data_directory", "max_connections"))),
        ("overridden", ", ".join(overridden)),
        ("extensions", ", ".join(facts.extensions) + _if("; installable:", ", ".join(facts.installable))),
    ]  # fmt: skip


def _if(label: str, words: str) -> str:
    """Both, where there are words."""
    return f"{label} {words}" if words else ""


def _tls(tls: Tls) -> str:
    return f"{tls.version} {tls.cipher}, verified: {tls.verified}" if tls.version else "none"


def _kept(seconds: int) -> str:
    return f"kept for {seconds / 86400:,.3g} days" if seconds else "kept for ever"
