"""What `doctor` finds wrong with the source: facts in, findings out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from converge.codes import Code
from converge.model.endpoint import Endpoint
from converge.model.facts import SourceFacts
from converge.model.plan import Finding

_LONG_SECONDS = 5
"""The read lock is waited for no longer than this."""
_STRICT = ("STRICT_TRANS_TABLES", "STRICT_ALL_TABLES")
_FULL_PACKET = 1 << 30
"""Bytes; the most that max_allowed_packet can be."""


def check_source(facts: SourceFacts, endpoint: Endpoint, jobs: int) -> list[Finding]:
    """All findings but those of rights that a run cannot go without."""
    return [
        *_connections(facts, jobs),
        *_login(facts, endpoint),
        *_snapshot(facts),
        *_values(facts),
        *_optional(facts),
    ]


def _connections(facts: SourceFacts, jobs: int) -> Iterator[Finding]:
    needed = jobs + 1
    if facts.user_connections and facts.user_connections < needed:
        yield Finding(
            Code.S021, "block", "source",
            f"{facts.account} may have {facts.user_connections} connections, --jobs {jobs} needs {needed}",
            f"ALTER USER {facts.account} WITH MAX_USER_CONNECTIONS {needed};",
        )  # fmt: skip
    free = facts.max_connections - facts.connections + 1
    if free < needed:
        yield Finding(
            Code.S021, "note", "source",
            f"{free} of {facts.max_connections} connections are free now, --jobs {jobs} needs {needed}",
            f"SET GLOBAL max_connections = {facts.max_connections + needed};",
        )  # fmt: skip


def _login(facts: SourceFacts, endpoint: Endpoint) -> Iterator[Finding]:
    if facts.plugin == "mysql_native_password":
        yield Finding(
            Code.S022, "note", "source",
            "the account logs in by mysql_native_password, which MySQL 8.4 has off and 9.0 no more",
            f"ALTER USER {facts.account} IDENTIFIED WITH caching_sha2_password BY '…';",
        )  # fmt: skip
    if not endpoint.local and facts.tls.verified != "certificate and name":
        yield Finding(
            Code.S023, "note", "source",
            "the connection is encrypted, but the server's name is not verified" if facts.tls.version
            else "the connection is not encrypted: everybody on the way can read the data",
            "?ssl-mode=VERIFY_IDENTITY&ssl-ca=FILE at the end of the source URL",
        )  # fmt: skip
    if facts.idle_roles:
        yield Finding(
            Code.S024, "note", "source",
            f"roles that are granted and not active: {', '.join(facts.idle_roles)}",
            f"SET DEFAULT ROLE ALL TO {facts.account};",
        )  # fmt: skip


def _snapshot(facts: SourceFacts) -> Iterator[Finding]:
    reload = next(right.grant for right in facts.rights if right.name == "RELOAD")
    if facts.snapshot.level == "quiet":
        message = f"the source must be quiet while the readers begin: {facts.snapshot.why}"
        yield Finding(Code.S025, "note", "source", message, reload)
    if facts.longest_statement is not None and facts.longest_statement > _LONG_SECONDS:
        yield Finding(
            Code.S026, "note", "source",
            f"a statement runs for {facts.longest_statement} s already; the read lock would wait for it "
            f"{_LONG_SECONDS} s and then do without",
            "SELECT ID, USER, TIME, INFO FROM information_schema.PROCESSLIST ORDER BY TIME DESC;",
        )  # fmt: skip
    for engine, count in facts.unsafe_engines:
        yield Finding(
            Code.P072, "note", "source",
            f"{count} tables of the engine {engine}, without snapshots: stop their writers during the run",
            "ALTER TABLE … ENGINE = InnoDB;",
        )  # fmt: skip


def _values(facts: SourceFacts) -> Iterator[Finding]:
    if not any(mode in facts.sql_mode for mode in _STRICT) or "NO_ZERO_DATE" not in facts.sql_mode:
        yield Finding(
            Code.S027, "note", "source",
            "sql_mode lets zero dates and cut-off values in; the plan's scan counts those that are there",
            "converge plan",
        )  # fmt: skip
    if facts.max_allowed_packet < _FULL_PACKET:
        yield Finding(
            Code.S028, "note", "source",
            f"a row longer than max_allowed_packet, {facts.max_allowed_packet:,} bytes of text, stops a run",
            f"SET GLOBAL max_allowed_packet = {_FULL_PACKET};",
        )  # fmt: skip


def _optional(facts: SourceFacts) -> Iterator[Finding]:
    """One finding for all, with a statement for each of the places where rights are given."""
    missing = [right for right in facts.rights if right.grant and not right.held and not right.needed]
    places: defaultdict[str, list[str]] = defaultdict(list)
    for right in missing:
        name, _, place = right.grant.removeprefix("GRANT ").partition(" ON ")
        places[place].append(name)
    if missing:
        hint = "\n".join(f"GRANT {', '.join(names)} ON {place}" for place, names in places.items())
        message = (
            f"privileges that a run can do without are missing: {', '.join(one.name for one in missing)}"
        )
        yield Finding(Code.S020, "note", "source", message, hint)
