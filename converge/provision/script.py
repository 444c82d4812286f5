"""The same as a script for psql: it makes what is missing, and reads passwords from the environment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from converge.model.quote import pg_name, pg_text
from converge.provision.steps import LOCALE_PROVIDERS, SET_GRANTS, Wanted, create_database

_VERSION = "current_setting('server_version_num')::int"


def script(wanted: Sequence[Wanted]) -> str:
    """Statements for ``psql --no-psqlrc -f -``, to be run as often as one likes."""
    lines = ["\\set ON_ERROR_STOP on"]
    for name in dict.fromkeys(one.password_env for one in wanted if one.password_env):
        # Before anything is made: a role would get no password. \quit would end with the exit code 0.
        lines.append(f'\\if `test -z "${name}" && echo true || echo false`')
        lines.append(f"DO $$ BEGIN RAISE EXCEPTION 'the variable {name} is not set'; END $$;")
        lines.append("\\endif")
    for one in wanted:
        lines += ["", f"-- {' '.join(one.name.split())}", *_role(one), *_database(one), *_extensions(one)]
    return "\n".join(lines) + "\n"


def _role(one: Wanted) -> Iterator[str]:
    missing = f"WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {pg_text(one.role)}) \\gexec"
    if one.password_env:
        yield f"\\set password `printenv {one.password_env}`"
        yield f"SELECT format('CREATE ROLE %I LOGIN PASSWORD %L', {pg_text(one.role)}, :'password')"
    else:
        yield f"-- its password: \\password {pg_name(one.role)}"
        yield f"SELECT format('CREATE ROLE %I LOGIN', {pg_text(one.role)})"
    yield missing


def _database(one: Wanted) -> Iterator[str]:
    missing = f"NOT EXISTS (SELECT FROM pg_database WHERE datname = {pg_text(one.database)})"
    role = pg_text(one.role)
    # What is inside an existing database cannot be asked from here.
    needed = "" if one.extensions else f" AND {missing}"
    yield f"SELECT format('GRANT %I TO %I', {role}, current_user)"
    yield f"  || CASE WHEN {_VERSION} >= {SET_GRANTS} THEN ' WITH SET TRUE, INHERIT FALSE' ELSE '' END"
    become = f"CASE WHEN {_VERSION} >= {SET_GRANTS} THEN 'SET' ELSE 'MEMBER' END"
    yield f"WHERE NOT pg_has_role({role}, {become}){needed} \\gexec"
    create = [pg_text(create_database(one, providers=has)) for has in (True, False)]
    yield f"SELECT CASE WHEN {_VERSION} >= {LOCALE_PROVIDERS} THEN {create[0]}"
    yield f"  ELSE {create[1]} END"
    yield f"WHERE {missing} \\gexec"


def _extensions(one: Wanted) -> Iterator[str]:
    if not one.extensions:
        return
    name = one.database.replace("\\", "\\\\").replace("'", "\\'")
    place = pg_name(f"dbname='{name}'")
    yield f"\\connect -reuse-previous=on {place}"
    yield "SET search_path = public;"
    for extension in one.extensions:
        # What takes a superuser the administrator makes, who is one, or has the role of a service for that.
        yield f"SELECT format('SET ROLE %I', {pg_text(one.role)}) FROM pg_available_extensions e"
        yield "  JOIN pg_available_extension_versions v ON v.name = e.name AND v.version = e.default_version"
        yield f"WHERE e.name = {pg_text(extension)} AND (v.trusted OR NOT v.superuser)"
        yield "  AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) \\gexec"
        yield f"CREATE EXTENSION IF NOT EXISTS {pg_name(extension)};"
        yield "RESET ROLE;"
