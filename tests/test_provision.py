"""`converge provision` on PostgreSQL 14 and 17.5: databases, roles, extensions, made once, left alone."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from support import converge, postgres
from test_config_many import run

from converge.codes import Code, explained
from converge.errors import ConvergeError
from converge.model.endpoint import parse
from converge.model.event import silent
from converge.model.quote import pg_name, toml_text
from converge.provision.run import provision
from converge.provision.steps import Wanted
from converge.sandbox import Server

PASSWORD = "p w'\"/@%:ü-canary"
ENVIRONMENT = {"APP_PASSWORD": PASSWORD, "SYNAPSE_PASSWORD": "synapse-canary"}
APP, ROLE = "app \"db'; --", "app's %role"
FILE = f"""
[[database]]
name = "app"
source = "mysql://nobody@nowhere/none"
target = "postgresql://{quote(ROLE)}:${{APP_PASSWORD}}@h/{quote(APP)}"
provision = {{ extensions = ["uuid-ossp", "citext"] }}

[[database]]
name = "synapse"
[database.provision]
database = "prov_synapse"
role = "prov_synapse"
password_env = "SYNAPSE_PASSWORD"
collate = "C"
ctype = "C"

[[database]]
name = "not this"
target = "postgresql://h/other"
"""


@dataclass(frozen=True)
class Place:
    """A server with an administrator who is no superuser, and a working folder."""

    server: Server
    folder: Path

    @property
    def root(self) -> str:
        return self.server.database_url("postgres")

    @property
    def admin(self) -> str:
        return self.root.replace("postgres@", "prov_admin@")

    def write(self, text: str) -> None:
        (self.folder / "converge.toml").write_text(text)


@pytest.fixture(params=["postgres_14", "postgres_175"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    made = Place(request.getfixturevalue(request.param), tmp_path)
    postgres(made.root, "CREATE ROLE prov_admin LOGIN CREATEDB CREATEROLE")
    made.write(FILE)
    yield made
    for name in (APP, "prov_synapse"):
        made.server.drop_database(name)
    for role in (ROLE, "prov_synapse", "prov_admin"):
        postgres(made.root, f"DROP ROLE IF EXISTS {pg_name(role)}")


def databases(place: Place) -> list[tuple[str, ...]]:
    return postgres(
        place.root,
        "SELECT datname::text, pg_get_userbyid(datdba)::text, pg_encoding_to_char(encoding)::text, "
        "datcollate::text FROM pg_database WHERE datname = %s OR datname LIKE 'prov%%' ORDER BY 1",
        APP,
    )


def stored(place: Place, role: str) -> str:
    ((found,),) = postgres(place.root, "SELECT rolpassword FROM pg_authid WHERE rolname = %s", role)
    return str(found)


def right(place: Place, role: str, password: str) -> bool:
    """Whether the stored verifier is this password's, as a server that asks for one would judge."""
    form = r"SCRAM-SHA-256\$(\d+):([^$]+)\$([^:]+):(.+)"
    found = re.fullmatch(form, stored(place, role))
    assert found is not None, stored(place, role)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(found[2]), int(found[1]))
    key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    return base64.b64encode(key).decode() == found[3]


def test_made_once_and_left_alone_then(place: Place) -> None:
    """By a role that has no more than CREATEDB and CREATEROLE."""
    ran = run(place.folder, "provision", "--admin", place.admin, "--json", **ENVIRONMENT)
    assert (ran.code, ran.json["verdict"]) == (0, "provisioned"), ran.err
    assert "canary" not in ran.out + ran.err
    assert [one["name"] for one in ran.json["databases"]] == ["app", "synapse"]
    assert {step["state"] for one in ran.json["databases"] for step in one["steps"]} == {"made"}
    assert [row[:3] for row in databases(place)] == [
        (APP, ROLE, "UTF8"), ("prov_synapse", "prov_synapse", "UTF8")
    ]  # fmt: skip
    assert databases(place)[1][3] == "C"
    found = postgres(
        place.server.database_url(APP),
        "SELECT extname::text, extnamespace::regnamespace::text FROM pg_extension ORDER BY 1",
    )
    assert found == [("citext", "public"), ("plpgsql", "pg_catalog"), ("uuid-ossp", "public")]
    assert right(place, ROLE, PASSWORD) and right(place, "prov_synapse", "synapse-canary")

    before = stored(place, ROLE)
    changed = ENVIRONMENT | {"APP_PASSWORD": "another-canary"}
    again = run(place.folder, "provision", "--admin", place.admin, "--json", **changed)
    assert again.code == 0, again.err
    assert {step["state"] for one in again.json["databases"] for step in one["steps"]} == {"there"}
    assert stored(place, ROLE) == before
    text = run(place.folder, "provision", "--admin", place.admin, **ENVIRONMENT).out
    assert "there  database prov_synapse" in text and text.endswith(
        "provisioned: 0 things made, the rest was there already\n"
    )

    arguments = ("provision", "--admin", place.admin, "--set-passwords", "--database", "app", "--json")
    asked = run(place.folder, *arguments, **changed)
    assert asked.code == 0, asked.err
    assert right(place, ROLE, "another-canary")
    assert [
        step["what"] for one in asked.json["databases"] for step in one["steps"] if step["state"] == "made"
    ] == [f"password of role {ROLE}"]
    assert "canary" not in asked.out + asked.err


def test_the_new_role_can_use_what_it_owns(place: Place) -> None:
    assert run(place.folder, "provision", "--admin", place.root, **ENVIRONMENT).code == 0
    url = place.root.replace("postgres@", "prov_synapse@").replace("/postgres", "/prov_synapse")
    postgres(url, "CREATE TABLE public.one (id int)")
    postgres(url, "CREATE SCHEMA converge")


def test_the_password_is_in_no_log(place: Place) -> None:
    """Nor in pg_stat_activity: the statements do not have it."""
    statements: list[str] = []
    real = psycopg.Connection.execute

    def heard(self: Any, query: Any, *rest: Any, **how: Any) -> Any:
        """The statements as they leave this process; the server is real."""
        statements.append(str(query))
        return real(self, query, *rest, **how)

    wanted = Wanted(
        name="a",
        database="prov_synapse",
        role="prov_synapse",
        collate="C",
        ctype="C",
        password="secret-canary",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psycopg.Connection, "execute", heard)
        provision(parse(place.admin), [wanted], silent, passwords=False)
    assert any("SCRAM-SHA-256" in text for text in statements)
    assert not any("canary" in text for text in statements)
    assert right(place, "prov_synapse", "secret-canary")


def refused(place: Place, code: str, *words: str, admin: str = "") -> None:
    before = databases(place)
    ran = run(place.folder, "provision", "--admin", admin or place.admin, **ENVIRONMENT)
    assert ran.code == 3, ran.err
    assert code in ran.err
    for word in words:
        assert word in ran.err, ran.err
    assert databases(place) == before


def test_a_database_of_another_encoding(place: Place) -> None:
    postgres(place.root, "CREATE ROLE prov_synapse")
    postgres(
        place.root,
        "CREATE DATABASE prov_synapse OWNER prov_synapse TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'",
    )
    refused(
        place, "error[T030]", "its encoding is LATIN1, not UTF8; that cannot be changed",
        'hint   ALTER DATABASE "prov_synapse" RENAME TO "prov_synapse_before";',
    )  # fmt: skip
    postgres(place.root, 'ALTER DATABASE "prov_synapse" RENAME TO "prov_synapse_before"')
    try:
        ran = run(place.folder, "provision", "--admin", place.root, **ENVIRONMENT)
        assert ran.code == 0, ran.err
        assert "may not log in" in ran.out
    finally:
        place.server.drop_database("prov_synapse_before")


def test_a_database_of_another_collation(place: Place) -> None:
    postgres(place.root, "CREATE ROLE prov_synapse LOGIN")
    postgres(
        place.root,
        "CREATE DATABASE prov_synapse OWNER prov_synapse TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8'",
    )
    words = "its collation is C.UTF-8, not C, its character type is C.UTF-8, not C; that cannot be changed"
    refused(place, "error[T030]", words)
    # The same locale, written in another way.
    place.write(FILE.replace('collate = "C"\nctype = "C"', 'collate = "C.utf8"\nctype = "C.UTF-8"'))
    assert run(place.folder, "provision", "--admin", place.root, **ENVIRONMENT).code == 0


def test_a_database_of_another_owner(place: Place) -> None:
    postgres(place.root, "CREATE DATABASE prov_synapse TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'")
    fix = 'ALTER DATABASE "prov_synapse" OWNER TO "prov_synapse";'
    refused(place, "error[T035]", "belongs to postgres, not to prov_synapse", fix)


def test_an_administrator_without_rights(place: Place) -> None:
    postgres(place.root, "ALTER ROLE prov_admin NOCREATEDB NOCREATEROLE")
    refused(place, "error[T031]", 'ALTER ROLE "prov_admin" CREATEROLE CREATEDB;')


def test_a_role_of_somebody_else(place: Place) -> None:
    """Since PostgreSQL 16 CREATEROLE alone gives no right to roles that others have made."""
    postgres(place.root, "CREATE ROLE prov_synapse LOGIN")
    if place.server.version.startswith("17"):
        refused(place, "error[T031]", 'hint   GRANT "prov_synapse" TO "prov_admin";')
        postgres(place.root, 'GRANT "prov_synapse" TO "prov_admin"')
    ran = run(place.folder, "provision", "--admin", place.admin, **ENVIRONMENT)
    assert ran.code == 0, ran.err


def test_extensions_that_cannot_be_made(place: Place) -> None:
    place.write(FILE.replace('"citext"', '"no_such"'))
    refused(place, "error[T033]", "the server has no extension no_such")
    place.write(FILE.replace('"citext"', '"file_fdw"'))
    way = f'provision without it, then let a superuser run CREATE EXTENSION "file_fdw"; in {APP}'
    refused(place, "error[T033]", "file_fdw can only be made by a superuser", way)
    place.write(FILE.replace('"citext"', ""))
    assert run(place.folder, "provision", "--admin", place.admin, **ENVIRONMENT).code == 0
    postgres(place.server.database_url(APP), "CREATE EXTENSION file_fdw")
    place.write(FILE.replace('"citext"', '"file_fdw"'))
    assert run(place.folder, "provision", "--admin", place.admin, **ENVIRONMENT).code == 0


@pytest.mark.parametrize("connects", [True, False])
def test_extensions_that_the_template_has(place: Place, connects: bool) -> None:
    template = 'template = "prov_template"\nextensions = ["file_fdw"]\ncollate = "C"'
    place.write(FILE.replace('collate = "C"', template))
    postgres(
        place.root,
        "CREATE DATABASE prov_template TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C' IS_TEMPLATE true",
    )
    try:
        postgres(place.server.database_url("prov_template"), "CREATE EXTENSION file_fdw")
        postgres(place.root, f"ALTER DATABASE prov_template ALLOW_CONNECTIONS {connects}")
        if not connects:
            refused(place, "error[T033]", "let a superuser run")
        ran = run(
            place.folder, "provision", "--admin", place.admin if connects else place.root, **ENVIRONMENT
        )
        assert ran.code == 0, ran.err
        assert ("there  extension file_fdw" in ran.out) is connects
    finally:
        postgres(place.root, "ALTER DATABASE prov_template IS_TEMPLATE false")
        place.server.drop_database("prov_template")


def test_the_administrator_of_a_service_makes_what_takes_a_superuser(place: Place) -> None:
    """Itself, not for the owner. This server refuses it; that of the service does not."""
    statements: list[str] = []
    real = psycopg.Connection.execute

    def heard(self: Any, query: Any, *rest: Any, **how: Any) -> Any:
        statements.append(query.decode() if isinstance(query, bytes) else str(query))
        return real(self, query, *rest, **how)

    postgres(place.root, "CREATE ROLE rds_superuser; GRANT rds_superuser TO prov_admin")
    wanted = Wanted(name="a", database="prov_synapse", role="prov_synapse", extensions=("citext", "file_fdw"))
    try:
        with pytest.MonkeyPatch.context() as patch, pytest.raises(ConvergeError, match="file_fdw"):
            patch.setattr(psycopg.Connection, "execute", heard)
            provision(parse(place.admin), [wanted], silent, passwords=False)
    finally:
        postgres(place.root, "DROP ROLE rds_superuser")
    made = [text for text in statements if text.startswith(("SET ROLE", "CREATE EXTENSION"))]
    assert made == [
        'SET ROLE "prov_synapse"',
        'CREATE EXTENSION IF NOT EXISTS "citext"',
        'CREATE EXTENSION IF NOT EXISTS "file_fdw"',
    ]


def test_templates_and_locales_that_are_not_there(place: Place) -> None:
    place.write(FILE.replace('collate = "C"', 'collate = "C"\ntemplate = "no_such"\nencoding = "UTF9"'))
    refused(place, "T032", "no template no_such", "no encoding UTF9")
    place.write(FILE.replace('collate = "C"', 'collate = "xx_YY"'))
    ran = run(place.folder, "provision", "--admin", place.admin, **ENVIRONMENT)
    assert (ran.code, "error[T032]" in ran.err) == (5, True), ran.err
    # What was made before is there; the next call goes on.
    place.write(FILE)
    ran = run(place.folder, "provision", "--admin", place.admin, **ENVIRONMENT)
    assert ran.code == 0, ran.err


def test_the_script_for_psql(place: Place) -> None:
    ran = run(place.folder, "provision", "--sql", **ENVIRONMENT)
    assert ran.code == 0, ran.err
    assert "canary" not in ran.out
    assert databases(place) == []
    psql = shutil.which("psql")
    if psql is None:
        pytest.skip("no psql here")

    def fed(**environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [psql, "--no-psqlrc", "-f", "-", place.admin], input=ran.out, text=True, capture_output=True,
            env={**os.environ, **environment}, check=False,
        )  # fmt: skip

    for environment in ({}, {"SYNAPSE_PASSWORD": ""}):
        done = fed(**environment)
        assert done.returncode != 0, "a role without a password would be made"
        assert "the variable SYNAPSE_PASSWORD is not set" in done.stderr
        assert postgres(place.root, "SELECT FROM pg_roles WHERE rolname = 'prov_synapse'") == []
        assert databases(place) == []
    for _ in range(2):
        done = fed(**ENVIRONMENT)
        assert done.returncode == 0, done.stderr
    assert [row[:3] for row in databases(place)] == [
        (APP, ROLE, "UTF8"), ("prov_synapse", "prov_synapse", "UTF8")
    ]  # fmt: skip
    assert right(place, "prov_synapse", "synapse-canary")
    again = run(place.folder, "provision", "--admin", place.admin, "--json", **ENVIRONMENT)
    assert {step["state"] for one in again.json["databases"] for step in one["steps"]} == {"there"}


def test_a_map_says_how_its_database_is_made(tmp_path: Path) -> None:
    file = tmp_path / "converge.toml"
    file.write_text('[[database]]\nname = "synapse"\nmap = ["synapse"]\nprovision = { ctype = "C.UTF-8" }\n')
    ran = converge("provision", "--config", str(file), "--sql")
    assert ran.code == 0, ran.err
    wanted = "TEMPLATE \"template0\" ENCODING ''UTF8'' LC_COLLATE ''C'' LC_CTYPE ''C.UTF-8''"
    assert wanted in ran.out, "the entry's own word goes before the map's"


def test_every_code_is_documented() -> None:
    folder = Path(__file__).parents[1]
    here = {code for code in Code if code[1:3] == "03" and explained(code).page == "databases.md"}
    assert here == set(
        re.findall(r"^\| ([UT]03\d) ", (folder / "docs/databases.md").read_text(), re.MULTILINE)
    )


def test_usage(place: Place) -> None:
    ran = run(place.folder, "provision", **ENVIRONMENT)
    assert (ran.code, "error[U001]" in ran.err) == (2, True)
    ran = run(place.folder, "provision", "--admin", place.admin, APP_PASSWORD="x")
    assert (ran.code, "SYNAPSE_PASSWORD is not set" in ran.err) == (2, True)
    ran = run(place.folder, "provision", "--admin", place.admin, "--database", "not this", **ENVIRONMENT)
    assert (ran.code, "error[U034]" in ran.err) == (2, True)
    place.write(FILE.replace('"SYNAPSE_PASSWORD"', '"X; rm -rf"'))
    assert run(place.folder, "provision", "--sql", **ENVIRONMENT).err.startswith("error[U003]")
    place.write(FILE.replace('database = "prov_synapse"', f"database = {toml_text(APP)}"))
    assert run(place.folder, "provision", "--sql", **ENVIRONMENT).err.startswith("error[U031]")
    place.write('admin = "${ADMIN_URL}"\n' + FILE)
    ran = run(place.folder, "provision", ADMIN_URL=place.admin, **ENVIRONMENT)
    assert ran.code == 0, ran.err
