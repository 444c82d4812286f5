"""What `doctor` has found, for a terminal and as JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from textwrap import wrap
from typing import Any

from converge.model.endpoint import Endpoint
from converge.model.facts import Diagnosis, Privilege, SourceFacts, TargetFacts, Tls
from converge.postgres.capabilities import CAPABILITIES, major
from converge.report.document import Block, Facts, Fold, Verdict, findings, grid
from converge.report.text import to_text
from converge.report.words import counted, size

Line = tuple[str, str]
_SETTINGS = (
    "statement_timeout", "lock_timeout", "idle_session_timeout", "idle_in_transaction_session_timeout",
    "transaction_timeout", "default_transaction_read_only",
)  # fmt: skip
"""Settings that converge overrides in its own sessions; shown when somebody has set them."""
_NOT_REACHED: list[Line] = [("", "not reached")]
_WIDTH = 97
_HARMLESS = ("0", "off", "")


def doctor_text(found: Diagnosis, *, verbose: bool = False) -> str:
    """Each side's facts and privileges, then the findings with their fixes."""
    blocks: list[Block] = []
    if found.source is not None:
        here = found.source_facts
        lines = _source(here, verbose=verbose) if here else _NOT_REACHED
        blocks.append(_side("source", found.source, found.source.sources, lines, here.rights if here else ()))
    if found.target is not None:
        there = found.target_facts
        lines = _target(there, found) if there else _NOT_REACHED
        origins = found.target.sources | dict(there.origins if there else ())
        blocks.append(_side("target", found.target, origins, lines, there.rights if there else ()))
        blocks += [_compatibility(there.version)] if there else []
    return to_text(
        Verdict(found.verdict, _verdict(found), "quiet"), *blocks, findings(found.findings), verbose=True
    )


def doctor_json(found: Diagnosis) -> dict[str, Any]:
    """The --json document: the contract's keys, with all facts of both sides."""
    snapshot = found.source_facts.snapshot.level if found.source_facts else None
    return {
        "converge": 1,
        "command": "doctor",
        "verdict": found.verdict,
        "exit_code": found.exit_code,
        "source": _document(found.source, found.source_facts),
        "target": _document(found.target, found.target_facts),
        "snapshot": snapshot,
        "needed_bytes": found.needed_bytes,
        "compatibility": _features(found.target_facts),
        "tables": [],
        "findings": [asdict(finding) for finding in found.findings],
        "phases": [],
    }


def _features(facts: TargetFacts | None) -> list[dict[str, Any]]:
    if facts is None:
        return []
    here = major(facts.version)
    return [{"feature": one.name, "since": one.since, "here": one.since <= here} for one in CAPABILITIES]


def _document(endpoint: Endpoint | None, facts: SourceFacts | TargetFacts | None) -> dict[str, Any]:
    if endpoint is None:
        return {}
    read = {} if facts is None else asdict(facts)
    return {"url": str(endpoint), "origins": endpoint.sources | dict(read.pop("origins", ())), **read}


def _verdict(found: Diagnosis) -> str:
    blocks = sum(finding.severity == "block" for finding in found.findings)
    notes = len(found.findings) - blocks
    more = f"; {counted(notes, 'note')}" if notes else ""
    if found.unreached:
        return f"not every side could be reached{more}"
    return (
        f"{counted(blocks, 'thing')} would stop a run{more}" if blocks else f"nothing would stop a run{more}"
    )


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
    return Fold(title, (_wrapped(lines),))


def _side(
    name: str,
    endpoint: Endpoint,
    origins: Mapping[str, str],
    lines: Iterable[tuple[str, str]],
    privileges: Sequence[Privilege],
) -> Fold:
    held = grid(
        "",
        (("privilege", "name"), ("held", "words"), ("what it does, or what is lost without it", "words")),
        [
            (one.name, "yes", one.purpose)
            if one.held
            else (one.name, "NO" if one.needed else "no", one.without)
            for one in privileges
        ],
    )
    return Fold(f"{name:<10}{endpoint}", (_wrapped([("from", _origins(origins)), *lines]), held))


def _wrapped(lines: Iterable[tuple[str, str]]) -> Facts:
    """Long facts on several lines."""
    return Facts(
        tuple(
            (label if number == 0 else "", part)
            for label, words in lines
            for number, part in enumerate(wrap(words, _WIDTH))
        )
    )


def _source(facts: SourceFacts, *, verbose: bool) -> list[Line]:
    seen = f"{counted(facts.tables, 'table')}, {counted(facts.views, 'view')}"
    bytes_ = f"{size(facts.data_bytes)} of data, {size(facts.index_bytes)} of indexes"
    largest = ", ".join(f"{name} {size(count)}" for name, count in facts.largest)
    snapshot = facts.snapshot
    limit = f", {facts.user_connections} for this account" if facts.user_connections else ""
    return [
        ("server", f"MySQL {facts.version}, {facts.distribution}"),
        ("login", f"{facts.account}" + (f" by {facts.plugin}" if facts.plugin else "")
         + (f", logged in as {facts.login}" if facts.login.partition("@")[0] not in facts.account else "")),
        ("roles", ", ".join(facts.roles)),
        ("TLS", _tls(facts.tls)),
        ("size", f"{seen}, about {facts.rows:,} rows, {bytes_}"),
        ("largest", largest),
        ("snapshot", f"{snapshot.level}: {snapshot.how} ({snapshot.why})"),
        ("log", f"binary log {facts.binary_log}, GTID {facts.gtid_mode}"),
        ("charset", f"{facts.database_charset}; server {facts.server_charset}"),
        ("time zone", facts.time_zone),
        ("sql_mode", facts.sql_mode.replace(",", ", ") or "empty"),
        ("packet", f"max_allowed_packet {size(facts.max_allowed_packet)}"),
        ("clients", f"{facts.connections:,} of {facts.max_connections:,} connections{limit}"),
        *((("grant", line) for line in facts.grants) if verbose else ()),
    ]  # fmt: skip


def _target(facts: TargetFacts, found: Diagnosis) -> list[Line]:
    needed = found.needed_bytes
    need = (
        f"; a run needs about {size(needed)}, and up to as much again for WAL" if needed is not None else ""
    )
    free = f"{size(facts.disk.free)} free on {facts.disk.path}" if facts.disk else "free space cannot be seen"
    limit = f", {facts.role_connections} for this role" if facts.role_connections is not None else ""
    overridden = (f"{name} {facts.setting(name)}" for name in _SETTINGS
                  if facts.setting(name) not in _HARMLESS)  # fmt: skip
    return [
        ("server", f"PostgreSQL {facts.version}"),
        ("login", facts.role + (f" by {facts.authentication}" if facts.authentication else "")
         + (f", logged in as {facts.login}" if facts.login != facts.role else "")
         + (", superuser" if facts.superuser else "")),
        ("TLS", _tls(facts.tls)),
        ("charset", f"{facts.encoding}, {facts.collation}"),
        ("schema", f"{facts.schema}: {counted(facts.relations, 'relation')}; ledger: {facts.ledger}"),
        ("size", f"{facts.database} has {size(facts.database_bytes)}"),
        ("disk", free + need),
        ("clients", f"{facts.connections:,} of {facts.max_connections:,} connections{limit}"),
        ("settings", ", ".join(f"{one.name} {one.value}" for one in facts.settings
                               if one.name not in (*_SETTINGS, "data_directory", "max_connections"))),
        ("overridden", ", ".join(overridden)),
        ("extensions", ", ".join(facts.extensions)
         + (f"; installable: {', '.join(facts.installable)}" if facts.installable else "")),
    ]  # fmt: skip


def _tls(tls: Tls) -> str:
    if not tls.version:
        return "none"
    return f"{tls.version} {tls.cipher}, verified: {tls.verified}"


def _origins(origins: Mapping[str, str]) -> str:
    """``--source``; or each value's place where they differ."""
    places = set(origins.values())
    if len(places) == 1:
        return places.pop()
    return ", ".join(f"{name} {place}" for name, place in origins.items())
