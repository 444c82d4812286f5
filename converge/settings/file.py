"""`converge.toml`: one source and target, or several databases, and what is to be provisioned for each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, PrivateAttr

from converge.codes import Code
from converge.errors import UsageError
from converge.mapping.read import provision
from converge.model.plan import Mode
from converge.model.quote import require_schema
from converge.settings.variables import named_database
from converge.toml import Table, Text, Texts, checked, read_toml

FILE = "converge.toml"
_ADDRESS = "a URL; ${VARIABLE} stands for a variable of the environment or of .env"
_MAPS = "names of maps, or files beside converge.toml; used where --map names none"


def _variable(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError("it must be the name of a variable, like ALKEMIO_PASSWORD")
    return name


class Provision(Table):
    """What an entry wants of the server; an empty value leaves it to the target's address or the template."""

    database: Text = Field(default="", description="else that of `target`, else the entry's `name`")
    role: Text = Field(default="", description="owns the database; else the user of `target`, else `name`")
    password_env: Annotated[str, AfterValidator(_variable)] = Field(
        default="", description="the variable with the role's password"
    )
    template: Text = Field(default="template0", description="the database that CREATE DATABASE copies")
    encoding: Text = Field(default="UTF8", description="of the database, as CREATE DATABASE takes it")
    collate: Text = Field(default="", description="a libc locale; else the template's")
    ctype: Text = Field(default="", description="a libc locale; else the template's")
    extensions: Texts = Field(default=(), description="made in the schema `public`")


class Merge(Table):
    """What the databases of a pattern are merged into; each is migrated into a schema of its own first."""

    target_schema: Text = Field(default="public", alias="schema", description="takes the rows of all")
    column: Text = Field(
        default="",
        description="is added to tables and keys and holds the database's name; empty: keys are disjoint",
    )


class Database(Table):
    """One ``[[database]]``: its addresses are as written, with their variables."""

    name: Text = Field(default="", description="for `--database NAME` and for reports")
    source: Text = Field(default="", description=_ADDRESS + "; `tenant_*` for all databases of such a name")
    target: Text = Field(default="", description=_ADDRESS + "; there `*` stands for the database's name")
    maps: Texts = Field(default=(), alias="map", description=_MAPS)
    mode: Mode = Field(default="create", description="as `--mode`")
    target_schema: Text = Field(
        default="public", alias="schema", description="as `--schema`; `*` as in `target`"
    )
    include: Texts = Field(default=(), description="as `--include`: only these tables")
    exclude: Texts = Field(default=(), description="as `--exclude`: not these tables")
    alembic: Text = Field(default="", description="the folder of the target's revisions; empty for none")
    merge: Merge | None = Field(default=None, description="what the databases of a pattern are merged into")
    provision: Provision | None = Field(default=None, description="what `converge provision` makes")

    @property
    def is_pattern(self) -> bool:
        """Whether it stands for all databases of the source whose names match."""
        return "*" in named_database(self.source)

    @property
    def runs(self) -> bool:
        """Whether there is something to move."""
        return bool(self.source and self.target)


class Project(Table):
    """The settings of converge."""

    source: Text = Field(default="", description=_ADDRESS)
    target: Text = Field(default="", description=_ADDRESS)
    maps: Texts = Field(default=(), alias="map", description=_MAPS)
    admin: Text = Field(default="", description="the address by which databases and roles are made")
    parallel: int = Field(default=1, ge=1, le=64, description="how many databases `migrate` moves at a time")
    databases: tuple[Database, ...] = Field(
        default=(), alias="database", strict=False, description="several databases, in their order"
    )
    _path: str = PrivateAttr(default=FILE)

    @property
    def path(self) -> str:
        return self._path


def read(path: str | None) -> Project:
    """The project of this file, of `converge.toml` without one; an empty project where that is not there.

    Raises UsageError for a file that is named and cannot be read, and for what it may not have.
    """
    file = Path(path or FILE)
    if path is None and not file.is_file():
        return Project()
    document = read_toml(file, Code.U003)
    # Its values may be addresses with passwords.
    project = checked(Project, document, file.name, Code.U003, secret=True)
    databases = [_database(file, number, one) for number, one in enumerate(project.databases, 1)]
    _require_apart(file.name, project, databases)
    update = {"databases": tuple(databases), "maps": _beside(file, project.maps)}
    project = project.model_copy(update=update)
    project._path = str(file)
    return project


def _database(file: Path, number: int, entry: Database) -> Database:
    """The entry with files that are meant from where `converge.toml` is."""
    place = f"{file.name} [[database]] #{number}"
    if not entry.name:
        raise UsageError(f"{place} has no name", code=Code.U031, hint='name = "…"')
    require_schema(entry.target_schema, f"{place} schema")
    maps = _beside(file, entry.maps)
    update: dict[str, Any] = {"maps": maps}
    if entry.alembic:
        update["alembic"] = str(file.parent / entry.alembic)
    if entry.provision is not None:
        wanted = {name: getattr(entry.provision, name) for name in entry.provision.model_fields_set}
        update["provision"] = Provision(**{**provision(maps), **wanted})
    return entry.model_copy(update=update)


def _beside(file: Path, maps: Sequence[str]) -> tuple[str, ...]:
    """The maps, whose files are looked for where `converge.toml` is."""
    paths = ((name, file.parent / name) for name in maps)
    return tuple(str(path) if path.is_file() else name for name, path in paths)


def same_target(first: str, second: str) -> UsageError:
    """The error of two entries that would write into one schema."""
    return UsageError(
        f"the databases {first} and {second} have the same target and schema",
        code=Code.U031,
        hint='schema = "…" puts one beside the other',
    )


def _plain(entry: Database) -> bool:
    return "*" not in named_database(entry.target) and entry.mode == "create" and not entry.alembic


def _require_apart(place: str, project: Project, databases: Sequence[Database]) -> None:
    """Raises UsageError for entries that say the same twice, or only half."""
    names = [one.name for one in databases]
    for one in databases:
        if names.count(one.name) > 1:
            raise UsageError(f"{place}: two databases are called {one.name}", code=Code.U031, hint="name = …")
        if one.is_pattern and one.provision is not None:
            raise UsageError(
                f"{place}: the database {one.name} is a pattern, which cannot be provisioned",
                code=Code.U031,
                hint="an entry for each database, with its role",
            )
        if one.merge is not None and not (one.is_pattern and "*" in one.target_schema and _plain(one)):
            raise UsageError(
                f"{place}: the database {one.name} cannot be merged",
                code=Code.U031,
                hint='source = "mysql://…/tenant_*", target = "postgresql://…/app" without *, schema = "*", '
                'mode = "create", and no alembic',
            )
        if one.source and not one.target:
            raise UsageError(
                f"{place}: the database {one.name} has a source and no target",
                code=Code.U031,
                hint='target = "postgresql://user:${PASSWORD}@host:5432/database"',
            )
    if databases and (project.source or project.target or project.maps):
        raise UsageError(
            f"{place} has [[database]] entries and a source, target or map beside them",
            code=Code.U031,
            hint="write each address and each map in the entry that it belongs to",
        )
