"""Where the user's revisions are: an Alembic folder, found as Alembic itself would find it."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from configparser import Error as IniError
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import get_args

from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError

from converge.codes import Code
from converge.errors import BlockedError, ConvergeError, UsageError
from converge.model.revision import Restores, Revision
from converge.model.words import counted
from converge.resources import folder as shipped
from converge.revisions.failures import failed, users_own

_INI, _TOML, _DEFAULT = "alembic.ini", "pyproject.toml", "migrations"
_FILE_TEMPLATE = "%(year)d%(month).2d%(day).2d_%(hour).2d%(minute).2d_%(rev)s_%(slug)s"
_LINE = 88


@dataclass(frozen=True)
class Folder:
    """A folder with env.py, and the files that configure it, if any do."""

    location: Path
    ini: Path | None = None
    toml: Path | None = None

    @classmethod
    def open(cls, path: str | None = None) -> Folder:
        """The folder that `path` means, or the working folder's. Raises UsageError when there is none."""
        found = cls.find(path)
        if not (found.location / "env.py").is_file():
            raise UsageError(
                f"{found.location} holds no env.py: it is not an Alembic folder",
                code=Code.A001,
                hint="converge migrations generate -n NAME makes it, --alembic DIR names another",
            )
        if found.location.resolve() == shipped("migrations").resolve():
            message = f"{found.location} is converge's own: the revisions of its ledger"
            raise UsageError(message, code=Code.A001, hint="--alembic DIR names your own")
        return found

    @classmethod
    def make(cls, path: str | None, schema: str) -> Folder:
        """The folder, with env.py and what else Alembic needs where it is missing. Raises ConvergeError."""
        found = cls.find(path)
        if (found.location / "env.py").is_file():
            return cls.open(path)
        template = files("converge.revisions").joinpath("template")
        env = template.joinpath("env.py.txt").read_text("utf-8").replace("@SCHEMA@", literal(schema))
        with writing(found.location):
            (found.location / "versions").mkdir(parents=True, exist_ok=True)
            (found.location / "env.py").write_text(env, "utf-8")
            mako = found.location / "script.py.mako"
            if not mako.exists():
                mako.write_text(template.joinpath(mako.name).read_text("utf-8"), "utf-8")
        return found

    @classmethod
    def find(cls, path: str | None) -> Folder:
        """What `path` means, whether it is there or not."""
        if path is None:
            return cls._in(Path()) or cls(Path(_DEFAULT))
        place = Path(path)
        if place.suffix in (".ini", ".cfg", ".toml") or place.is_file():
            if not place.is_file():
                message = f"there is no file {place}"
                raise UsageError(message, code=Code.A002, hint="--alembic DIR|FILE names another")
            other = place.with_name(_INI if place.name == _TOML else _TOML)
            found = cls._of(*(other, place) if place.name == _TOML else (place, other))
            if found is None:
                hint = "[alembic]\nscript_location = %(here)s/migrations"
                raise UsageError(f"{place} names no script_location", code=Code.A002, hint=hint)
            return found
        if place.is_dir() and not (place / "env.py").is_file():
            return cls._in(place) or cls(place)
        # What files in or beside this folder configure, if they mean it.
        for near in (place, place.parent, Path()):
            with suppress(UsageError):
                found = cls._in(near)
                if found is not None and found.location.resolve() == place.resolve():
                    return found
        return cls(place)

    @classmethod
    def _in(cls, place: Path) -> Folder | None:
        return cls._of(place / _INI, place / _TOML)

    @classmethod
    def _of(cls, *files: Path) -> Folder | None:
        """What an alembic.ini and a pyproject.toml configure, of which either may be missing."""
        ini, toml = (path if path.is_file() else None for path in files)
        if not (ini or toml):
            return None
        try:
            written = _config(ini, toml).get_alembic_option("script_location")
        except (IniError, CommandError, ValueError, KeyError, OSError) as error:
            raise failed(Code.A002, str(ini or toml), str(error)) from error
        if not written:
            return None
        with users_own(Code.A002, "script_location"):
            from alembic.util import coerce_resource_to_filename

            return cls(Path(coerce_resource_to_filename(str(written))), ini, toml)

    def config(self) -> Config:
        """A configuration of its own for each use: what is set there is in no file."""
        config = _config(self.ini, self.toml)
        if not (self.ini or self.toml):
            for name, value in (
                ("script_location", str(self.location)),
                ("file_template", _FILE_TEMPLATE),
                ("prepend_sys_path", "."),
                ("path_separator", "os"),
            ):
                config.set_main_option(name, value.replace("%", "%%"))
        return config

    @cached_property
    def script(self) -> ScriptDirectory:
        """Alembic's view of the files; a new Folder sees those that came later."""
        before = list(sys.path)
        with users_own(Code.A002, str(self.location)):
            found = ScriptDirectory.from_config(self.config())
        # Alembic puts prepend_sys_path first; the user's modules are found, and are never taken for others.
        sys.path[:] = [*before, *(path for path in sys.path if path not in before)]
        # What is written is said by those who asked for it.
        found.messaging_opts = {"quiet": True}
        return found

    @cached_property
    def revisions(self) -> tuple[Revision, ...]:
        """All revisions, each after those that it follows. Raises ConvergeError for files that fail."""
        with users_own(Code.A004, str(self.location)):
            found = list(self.script.walk_revisions())
        return tuple(_revision(one) for one in reversed(found))

    @property
    def heads(self) -> tuple[str, ...]:
        """The revisions that nothing follows."""
        with users_own(Code.A004, str(self.location)):
            return tuple(self.script.get_heads())

    @property
    def schema(self) -> str:
        """The schema that the baseline describes; empty where no revision says one."""
        return next((one.schema for one in self.revisions if one.schema), "")

    def require_head(self) -> str | None:
        """The only head; None in an empty folder. Raises BlockedError when there are several."""
        if len(self.heads) > 1:
            raise BlockedError(
                f"{self.location} has {counted(len(self.heads), 'head')}: {', '.join(sorted(self.heads))}",
                code=Code.A003,
                hint=f'alembic merge -m "one head" {" ".join(sorted(self.heads))}, or name a revision',
            )
        return next(iter(self.heads), None)

    def revision(self, name: str) -> Revision:
        """The revision with this id, or the beginning of it. Raises UsageError."""
        with users_own(Code.A005, name):
            found = self.script.get_revision(name)
        if found is None:
            raise failed(Code.A005, name, f"{self.location} has no revision {name}")
        return next(one for one in self.revisions if one.id == found.revision)


@contextmanager
def writing(place: Path, option: str = "--alembic") -> Iterator[None]:
    """Raises ConvergeError when a file in the folder, which this option names, cannot be written."""
    try:
        yield
    except OSError as error:
        raise ConvergeError(
            f"{error.filename or place} cannot be written: {error.strerror}",
            code=Code.A015,
            hint=f"{option} DIR names a folder that you may write to",
        ) from error


def _revision(script: Script) -> Revision:
    with users_own(Code.A004, script.path):
        text = Path(script.path).read_text("utf-8")
    own = getattr(script.module, "converge", None)
    words = own if isinstance(own, dict) else {}
    return Revision(
        id=script.revision,
        name=script.doc,
        down=tuple(script._versioned_down_revisions),
        path=script.path,
        text=text,
        baseline=str(words.get("baseline", "")),
        restores=_promise(script.path, text, words.get("restores")),
        schema=str(words.get("schema", "")),
    )


def _promise(path: str, text: str, word: object) -> Restores:
    """The revision's own `word`, else what its text shows: a downgrade that does nothing promises nothing.

    Raises UsageError for a word that is none.
    """
    for known in get_args(Restores):
        if word == known:
            return known  # type: ignore[no-any-return]
    if word is not None:
        raise UsageError(
            f"{path}: {word!r} is nothing that a downgrade restores",
            code=Code.A054,
            hint='converge = {"restores": "all"} or "catalog" or "nothing"',
        )
    functions = (one for one in ast.parse(text).body if isinstance(one, ast.FunctionDef))
    body = [node for one in functions if one.name == "downgrade" for node in one.body]
    return "all" if any(map(_does_something, body)) else "nothing"


def _does_something(node: ast.stmt) -> bool:
    """Whether it is more than a docstring, an ellipsis, or the word that it cannot be done."""
    constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return not (constant or isinstance(node, ast.Pass | ast.Raise))


def literal(text: str) -> str:
    """A Python literal of this text, on one line where it fits."""
    escaped = text.replace("\\", "\\\\").replace("\r", "\\r").replace("\x0c", "\\f")
    if "\n" not in text and len(text) < _LINE:
        return f"'{escaped}'" if '"' in text and "'" not in text else '"' + escaped.replace('"', '\\"') + '"'
    # No three quotes in a row, and none before those that end it.
    escaped = re.sub(r'"(?=""|\Z)', r"\"", escaped)
    return f'"""{escaped}"""'


def _config(ini: Path | None, toml: Path | None) -> Config:
    return Config(str(ini) if ini else None, str(toml) if toml else None, stdout=sys.stderr)
