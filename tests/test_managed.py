"""Managed servers, by servers that answer as they do: the right recipe or refusal, and nothing written."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from proxy import Proxy
from support import Ran, converge, mysql, postgres, relations

from converge.model.endpoint import parse
from converge.providers import _known_or_not, pages, providers
from tools.providers_page import provider_pages

DOCS = Path(__file__).parents[1] / "docs" / "providers"
_VARIABLES = b"SHOW GLOBAL VARIABLES WHERE Variable_name IN ('aad_auth_only'"
_ISOLATION = b"transaction_isolation='REPEATABLE-READ'", b"transaction_isolation='READ-COMMITTED' "
_STATUS = re.compile(rb"S....server_version\0[^\0]*\0", re.DOTALL)


def packet(number: int, body: bytes) -> bytes:
    """One packet of MySQL's protocol."""
    return struct.pack("<I", len(body))[:3] + bytes([number]) + body


@contextmanager
def answering(
    url: str, variables: Mapping[str, str] = {}, *, version: str = "", deaf: bool = False
) -> Iterator[str]:
    """A MySQL that says these variables and this version of itself; `deaf` to SET TRANSACTION."""

    def rewrite(block: bytes, to_server: bool) -> bytes:
        if to_server and variables and _VARIABLES in block:
            rows = (f"SELECT '{name}', '{value}'" for name, value in variables.items())
            return packet(0, b"\x03" + " UNION ALL ".join(rows).encode())
        if to_server and deaf:
            return block.replace(*_ISOLATION)
        if not to_server and version and b"_password\0" in block and block[4] == 10:
            return packet(0, b"\x0a" + version.encode() + block[block.index(0, 5) :])
        return block

    with through(url, rewrite) as address:
        yield address


@contextmanager
def through(url: str, rewrite: object) -> Iterator[str]:
    """The address by way of a proxy that rewrites what is said."""
    port = parse(url).port
    assert port is not None
    proxy = Proxy(port, rewrite=rewrite)  # type: ignore[arg-type]
    try:
        yield url.replace(f":{port}/", f":{proxy.port}/")
    finally:
        proxy.close()


def recipe(ran: Ran, code: str) -> tuple[str, str]:
    """What a finding says of the server, and its hint; of a server that is not special, nothing."""
    found = [one for one in ran.json["findings"] if one["code"] == code]
    return (found[0]["message"], found[0]["hint"]) if found else ("", "")


@pytest.mark.parametrize(
    ("variables", "name", "hint"),
    [
        ({"aurora_version": "3.08.0", "innodb_read_only": "ON", "basedir": "/rdsdbbin/oscar/"},
         "a reader of Amazon Aurora MySQL, with limits: ", "aurora_read_replica_read_committed OFF"),
        ({"aurora_version": "3.08.0", "innodb_read_only": "OFF", "basedir": "/rdsdbbin/oscar/"},
         "the writer of Amazon Aurora MySQL", "clone the cluster"),
        ({"basedir": "/rdsdbbin/mysql-8.0.40.R2/", "version_comment": "Source distribution"},
         "Amazon RDS for MySQL", "mysql.rds_stop_replication"),
        ({"version": "8.0.41-google", "version_comment": "(Google)"}, "Cloud SQL for MySQL", "LOCK TABLES"),
        ({"aad_auth_only": "OFF"}, "Azure Database for MySQL", "my_row_id"),
        ({"version_comment": "Percona Server (GPL), Release 25"}, "Percona Server for MySQL", "FROM SESSION"),
        ({"version_comment": "AcmeSQL 3"}, "an unknown build (AcmeSQL 3)", "rehearse on a copy"),
        ({"version_comment": "Source distribution", "basedir": "/usr/"}, "", ""),
    ],
)  # fmt: skip
def test_a_source_that_says_what_it_is(
    variables: dict[str, str], name: str, hint: str, databases: tuple[str, str]
) -> None:
    with answering(databases[0], variables) as source:
        ran = converge("doctor", "--source", source, "--json")
    assert ran.code == 0, ran.err
    message, fix = recipe(ran, "S029")
    assert message.startswith(f"the source is {name}") if name else not message
    assert ran.json["source"]["provider"] == name.removesuffix(", with limits: ")
    assert hint in fix
    # Whoever refuses the lock is not promised it because the account has RELOAD.
    known = next((one for one in providers() if name.startswith(one.name)), None)
    level = (
        "none" if known and known.locks_nothing else "quiet" if known and known.refuses_flush else "locked"
    )
    assert ran.json["snapshot"] == level


@pytest.mark.parametrize(
    ("made", "name", "hint"),
    [
        (("ALTER DATABASE {} SET rds.extensions = 'citext'", "CREATE FUNCTION aurora_version() RETURNS text "
          "LANGUAGE sql RETURN '17.5'"), "Amazon Aurora PostgreSQL", "writer endpoint"),
        (("ALTER DATABASE {} SET rds.extensions = 'citext'",), "Amazon RDS for PostgreSQL", "rds_superuser"),
        (("CREATE ROLE cloudsqlsuperuser",), "Cloud SQL for PostgreSQL", "cloudsqlsuperuser"),
        (("CREATE ROLE alloydbsuperuser",), "AlloyDB", "alloydbsuperuser"),
        (("ALTER DATABASE {} SET azure.extensions = 'citext'",), "Azure Database for PostgreSQL", "6432"),
        (("CREATE ROLE neon_superuser",), "Neon", "-pooler"),
        (("CREATE ROLE supabase_admin",), "Supabase", "6543"),
        (("INSERT INTO pg_extension VALUES (9999, 'citus', 10, 11, false, '13.0')",), "Citus",
         "create_distributed_table"),
        ((), "", ""),
    ],
)  # fmt: skip
def test_a_target_that_says_what_it_is(
    made: tuple[str, ...], name: str, hint: str, databases: tuple[str, str]
) -> None:
    target = databases[1]
    try:
        for statement in made:
            postgres(target, statement.format(f'"{parse(target).database}"'))
        ran = converge("doctor", "--target", target, "--json")
    finally:
        for role in (one.split()[-1] for one in made if one.startswith("CREATE ROLE")):
            postgres(target, f"DROP ROLE {role}")
    assert ran.code == 0, ran.err
    message, fix = recipe(ran, "T029")
    assert message.startswith(f"the target is {name}") if name else not message
    assert (ran.json["target"]["provider"], hint in fix) == (name, True)


@pytest.mark.parametrize(
    ("variables", "promised", "reached"),
    [
        ({"aurora_version": "3.08.0"}, "quiet: ", "locked"),
        ({"aurora_version": "3.08.0", "innodb_read_only": "ON"}, "none: ", "none"),
    ],
)
def test_a_run_between_managed_servers(
    variables: dict[str, str], promised: str, reached: str, databases: tuple[str, str]
) -> None:
    """From Aurora to RDS; doctor's page stays short, and locks of a reader count for nothing."""
    mysql(databases[0], "CREATE TABLE film (id INT PRIMARY KEY); INSERT INTO film VALUES (1)")
    postgres(databases[1], f"ALTER DATABASE \"{parse(databases[1]).database}\" SET rds.extensions = 'citext'")
    with answering(databases[0], variables) as source:
        both = ("--source", source, "--target", databases[1])
        seen = converge("doctor", *both)
        assert seen.out.count("\n") <= 42, seen.out
        plan = converge("plan", *both, "--json").json["plan"]
        assert plan["snapshot"].startswith(promised) and "Aurora" in plan["snapshot"]
        ran = converge("migrate", *both, "--json").json
        assert (ran["verdict"], ran["snapshot"]) == ("verified", reached)


def _refused(source: str, target: str, real_target: str, code: str, words: str) -> None:
    """doctor, plan and migrate say why, and write nothing."""
    for command in ("doctor", "plan", "migrate"):
        ran = converge(command, "--source", source, "--target", target)
        said = re.sub(r"\s+", " ", ran.out + ran.err)
        assert (ran.code, code in said, words in said) == (5 if code == "T036" else 4, True, True), said
    assert relations(real_target) == []
    assert postgres(real_target, "SELECT to_regnamespace('converge')") == [(None,)]


def test_a_source_without_a_snapshot_is_refused(databases: tuple[str, str]) -> None:
    """A reader of Aurora with aurora_read_replica_read_committed, to which SET TRANSACTION says nothing."""
    mysql(databases[0], "CREATE TABLE film (id INT PRIMARY KEY)")
    with answering(databases[0], deaf=True) as source:
        _refused(source, databases[1], databases[1], "S030", "reads with READ-COMMITTED")


def test_a_source_without_md5_is_refused(databases: tuple[str, str]) -> None:
    """As MySQL 9.6 is until its component has been installed."""
    mysql(databases[0], "CREATE TABLE film (id INT PRIMARY KEY)")

    def rewrite(block: bytes, to_server: bool) -> bytes:
        return block.replace(b"SELECT MD5('')", b"SELECT MD9('')") if to_server else block

    with through(databases[0], rewrite) as source:
        _refused(source, databases[1], databases[1], "S033", "INSTALL COMPONENT")


@pytest.mark.parametrize("version", ["8.0.30-Vitess", "8.0.23-PlanetScale"])
def test_a_source_without_long_transactions_is_refused(version: str, databases: tuple[str, str]) -> None:
    mysql(databases[0], "CREATE TABLE film (id INT PRIMARY KEY)")
    with answering(databases[0], version=version) as source:
        _refused(source, databases[1], databases[1], "S031", "pscale database dump")


@pytest.mark.parametrize("version", ["5.7.44-log", "10.11.6-MariaDB"])
def test_a_source_that_is_no_mysql_8_is_refused(version: str, databases: tuple[str, str]) -> None:
    """A copy of MariaDB cannot be upgraded to MySQL; a dump of both can be loaded."""
    mysql(databases[0], "CREATE TABLE film (id INT PRIMARY KEY)")
    with answering(databases[0], version=version) as source:
        _refused(source, databases[1], databases[1], "S008", "--source-dump FILE")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        (b"crdb_version", b"CockroachDB CCL v25.2.1", "the target is CockroachDB"),
        (b"server_version", b"15.2-YB-2.25.1.0-b381", "the target is YugabyteDB"),
    ],
)
def test_a_target_that_is_no_postgresql_is_refused(
    name: bytes, value: bytes, words: str, databases: tuple[str, str]
) -> None:
    mysql(databases[0], "CREATE TABLE film (id INT PRIMARY KEY)")
    body = name + b"\0" + value + b"\0"
    status = b"S" + struct.pack("!I", len(body) + 4) + body

    def rewrite(block: bytes, to_server: bool) -> bytes:
        # The parameters of a login come in one block; a second value of one counts.
        return block if to_server else _STATUS.sub(lambda old: old[0] + status, block)

    with through(databases[1], rewrite) as target:
        _refused(databases[0], target, databases[1], "T036", words)


def test_builds_of_systems_are_plain() -> None:
    for comment in ("MySQL Community Server - GPL", "(Ubuntu)", "(Debian)", "Homebrew"):
        assert _known_or_not("source", [f"version_comment={comment}"]) is None
    for version in ("17.5 on x86_64-pc-linux-gnu, compiled by", "15.18 (Debian 15.18-1.pgdg12+1) on aarch64"):
        assert _known_or_not("target", [f"version=PostgreSQL {version}"]) is None
    unknown = _known_or_not("target", ["version=PostgreSQL 16.4 (AcmePlus 16) on x86_64"])
    assert unknown is not None and "AcmePlus" in unknown.name


def test_pages_are_made_from_the_file() -> None:
    assert {path.stem: path.read_text("utf-8") for path in DOCS.glob("*.md")} == provider_pages()
    assert {one.page for one in providers()} == set(pages())
