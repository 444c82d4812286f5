"""Runs the folder's env.py, once it is sure that env.py means the database that we mean."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import psycopg
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, RevisionStep, StampStep
from sqlalchemy import Connection, event

from converge.codes import Code
from converge.errors import BlockedError, ConvergeError
from converge.model.endpoint import Endpoint
from converge.model.event import Said, Sink, silent
from converge.model.revision import Applied, Direction
from converge.postgres.capabilities import older
from converge.postgres.engine import ALEMBIC, DRIVER, address, users_engine, without_password
from converge.postgres.errors import explain, in_its_words, is_bad_row
from converge.postgres.held import Relation
from converge.postgres.shadow import is_temporary
from converge.revisions.failures import failed, users_own
from converge.revisions.folder import Folder
from converge.revisions.gate.judge import require_empty
from converge.revisions.gate.statements import Unreadable, statements
from converge.revisions.same_database import Check, left_alone, same_database

Steps = Direction | Literal["stamp"]
Spared = Mapping[str, Sequence[Relation]]
"""By revision: tables that may lose rows, if they have any by then."""
NOTHING: Spared = {}


@dataclass
class Way:
    """The steps of one command: said as they are done, and where they have led."""

    steps: Callable[[tuple[str, ...], MigrationContext], Iterator[RevisionStep | StampStep]]
    emit: Sink = silent
    spared: Spared = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    at: str = ""
    led_to: tuple[str, ...] | None = None
    version: str = ""
    """The server's, once a step begins."""

    def __call__(
        self, heads: tuple[str, ...], context: MigrationContext
    ) -> Iterator[RevisionStep | StampStep]:
        self.version = ".".join(map(str, getattr(context.dialect, "server_version_info", None) or ()))
        for step in self.steps(heads, context):
            one = step.to_revisions[0] if step.is_upgrade else step.from_revisions[0]
            self.at = f"{'upgrade' if step.is_upgrade else 'downgrade'} {one}"
            self.emit(Said(self.at))
            if relations := self.spared.get(one):
                step.migration_fn = _guarded(step.migration_fn, one, relations, context)
            yield step
            self.done.append(one)
        self.at = ""
        self.led_to = tuple(sorted(context.get_current_heads()))


def _guarded(
    own: Callable[..., None], revision: str, relations: Sequence[Relation], context: MigrationContext
) -> Callable[..., None]:
    """A step that looks again, in its own transaction and before anything else."""

    def guarded(**how: Any) -> None:
        assert context.connection is not None
        require_empty(context.connection, revision, relations)
        own(**how)

    return guarded


class _Enough(ConvergeError):
    """Leaves env.py when all is known: nothing is to be done there."""


def alembic_steps(folder: Folder, to: Steps) -> Callable[..., Iterable[Any]]:
    """Alembic's steps from the heads that a database is at to a revision."""
    script = folder.script
    steps: Mapping[Steps, Callable[..., Iterable[Any]]] = {
        "up": script._upgrade_revs,
        "down": script._downgrade_revs,
        "stamp": script._stamp_revs,
    }
    return steps[to]


def run_steps(
    folder: Folder,
    endpoint: Endpoint,
    revision: str,
    steps: Steps,
    emit: Sink = silent,
    spared: Spared = NOTHING,
    at: Applied | None = None,
) -> tuple[str, ...]:
    """Upgrades to this revision, reverts down to it (`base` and `-N`, too), or only stamps it.

    Returns the ids of those that ran, once it has seen that env.py has committed them. Raises BlockedError
    for a revision whose spared relations have got rows meanwhile, and where names mean something else than
    the gate has seen `at`; ConvergeError.
    """

    def begin(heads: tuple[str, ...], context: MigrationContext) -> Iterator[RevisionStep | StampStep]:
        if at is not None:
            _require_path(folder, at, context)
        return iter(alembic_steps(folder, steps)(revision, heads))

    way = Way(begin, emit, spared)
    _run(folder, endpoint, way, destination_rev=revision)
    if way.led_to is None or applied(folder, endpoint).heads != way.led_to:
        raise ConvergeError(
            f"{folder.location / 'env.py'} has not committed: the database is where it was",
            code=Code.A008,
            hint="with context.begin_transaction(): context.run_migrations()\n"
            "and nothing executed on the connection before context.configure(…)",
        )
    return tuple(way.done)


def _search_path(connection: Connection) -> tuple[tuple[str, ...], tuple[str, str]]:
    """The schemas that are searched; and the setting and the role, whose `"$user"` it may be."""
    path, setting, role = connection.exec_driver_sql(
        "SELECT pg_catalog.current_schemas(true), pg_catalog.current_setting('search_path'), current_user"
    ).one()
    return tuple(path), (setting, role)


def _require_path(folder: Folder, at: Applied, context: MigrationContext) -> None:
    """Raises BlockedError for an env.py that has changed where names are looked for since it was `at`."""
    assert context.connection is not None
    path, setting = _search_path(context.connection)
    # With the same setting, what is more in the path is a schema that env.py has made for its version table.
    if path == at.path or setting == at.path_setting:
        return
    raise BlockedError(
        f"{folder.location / 'env.py'} sets the search path after context.configure(…): the revisions would "
        f"search {', '.join(path)}, but the gate checked {', '.join(at.path)}; nothing was run",
        code=Code.A006,
        hint="SET search_path before context.configure(…), and connection.commit() after it\n"
        "or ALTER ROLE … IN DATABASE … SET search_path = …;",
    )


def applied(folder: Folder, endpoint: Endpoint) -> Applied:
    """What the database says of the folder's revisions; nothing is written. Raises ConvergeError."""
    found: list[Applied] = []

    def look(context: MigrationContext) -> None:
        connection = context.connection
        assert connection is not None
        with left_alone(connection):
            path, setting = _search_path(connection)
            here = connection.exec_driver_sql("SELECT pg_catalog.current_schema()").scalar_one_or_none()
            strings = connection.exec_driver_sql("SHOW standard_conforming_strings").scalar_one()
            schema = context.version_table_schema or here or ""
            heads = tuple(sorted(context.get_current_heads()))
        found.append(Applied(heads, (schema, context.version_table), path, strings == "on", setting))

    looked(folder, endpoint, look)
    if not found:
        raise failed(Code.A007, str(folder.location / "env.py"), "it configures no connection")
    return found[0]


def looked(folder: Folder, endpoint: Endpoint, look: Callable[[MigrationContext], None]) -> None:
    """Lets `look` see the context that env.py makes; nothing else is done there. Raises ConvergeError."""

    def enough(context: MigrationContext) -> None:
        look(context)
        raise _Enough("all is known")

    _run(folder, endpoint, known=enough, fn=lambda heads, _: (), dont_mutate=True)


def sql_of(folder: Folder, start: str, end: str, direction: Direction) -> str:
    """The SQL that leads from one revision to another, as Alembic writes it; `base` is before the first."""
    buffer = io.StringIO()
    way = Way(lambda heads, _: iter(alembic_steps(folder, direction)(end, heads)))
    first = None if start == "base" else start
    _run(folder, None, way, as_sql=True, starting_rev=first, destination_rev=end, output_buffer=buffer)
    return buffer.getvalue()


def _run(
    folder: Folder,
    endpoint: Endpoint | None,
    way: Way | None = None,
    *,
    known: Callable[[MigrationContext], None] | None = None,
    **options: Any,
) -> None:
    """Runs env.py with a connection and an address that it may take; without an endpoint it only writes SQL.

    `known` sees the context that it makes, before anything is done there. Raises ConvergeError.
    """
    config, at = folder.config(), folder.location / "env.py"
    url = f"{DRIVER}://" if endpoint is None else address(endpoint)
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    environment = EnvironmentContext(config, folder.script, **({"fn": way} if way else {}), **options)
    with ExitStack() as stack:
        if endpoint is not None:
            seen = stack.enter_context(same_database(folder, endpoint))
            connection = stack.enter_context(closing(users_engine(endpoint).connect()))
            config.attributes["connection"] = connection
            _watch(environment, seen, known, refuse=_of_server if is_temporary(endpoint) else None)
        told = partial(_told, at, endpoint, way)
        of_user = users_own(Code.A007, str(at), told)
        with ALEMBIC, environment, suppress(_Enough), _named(at, endpoint, way), of_user:
            environment.script.run_env()
        if endpoint is not None:
            # Of an env.py that leaves it to its caller.
            connection.commit()


def _watch(
    environment: EnvironmentContext,
    seen: Check,
    known: Callable[[MigrationContext], None] | None,
    refuse: Callable[..., None] | None,
) -> None:
    """Looks at env.py's connection before anything is done with it, and at the context that it makes.

    `refuse` sees each statement on it before it is executed.
    """
    configure = environment.configure

    def watched(connection: Connection | None = None, *args: Any, **how: Any) -> None:
        seen(connection)
        if refuse is not None and connection is not None:
            event.listen(connection, "before_cursor_execute", refuse)
        configure(connection, *args, **how)
        if known is not None:
            known(environment.get_context())

    # env.py reaches the environment through proxies that Alembic makes for its own class only: no subclass.
    environment.configure = watched  # type: ignore[method-assign]


def _of_server(_connection: Connection, _cursor: object, statement: str, *_: object) -> None:
    """Raises BlockedError for a statement that reaches further than the temporary database that it is for."""
    try:
        # Drivers take a % for a parameter; what the server shares is no statement that has any.
        found = [one for one in statements(statement.replace("%%", "%")) if one.is_of_server]
    except Unreadable:
        return
    if found:
        raise BlockedError(
            # Without what follows, as it may be a password.
            f"{' '.join(found[0].text.split()[:3])} … would change the whole server, and revisions are tried "
            "and compared in temporary databases on it; it was not executed",
            code=Code.A059,
            hint="keep roles, databases and settings of the server out of revisions; or make a role only "
            "where it is missing:\n"
            "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'reporting') "
            "THEN CREATE ROLE reporting; END IF; END $$;",
        )


@contextmanager
def _named(at: Path, endpoint: Endpoint | None, way: Way | None) -> Iterator[None]:
    """Errors with the step that has failed, and without the address that env.py was given."""
    try:
        yield
    except ConvergeError as error:
        if way is not None and way.at:
            error.message = f"{way.at}: {error.message.removeprefix(f'{at}: ')}"
        if endpoint is not None:
            error.message = without_password(error.message, endpoint)
            error.details = tuple(without_password(one, endpoint) for one in error.details)
        raise


def _told(
    at: Path, endpoint: Endpoint | None, way: Way | None, error: psycopg.Error, statement: str
) -> ConvergeError:
    place = endpoint if way is not None and way.at else None
    # A value that a revision's statement meets is none of the source's.
    wrong = in_its_words(error, place) if is_bad_row(error) else explain(error, place)
    wrong.message = f"{at}: {wrong.message}"
    lacking, instead = older(statement, way.version) if way and way.version else ([], "")
    wrong.details = (*wrong.details, *lacking)
    wrong.hint = wrong.hint or instead or None
    if wrong.hint is None and (closed := re.search(r"permission denied for schema (\S+)", str(error))):
        wrong.hint = f"GRANT USAGE, CREATE ON SCHEMA {closed[1]} TO …;"
    return wrong
