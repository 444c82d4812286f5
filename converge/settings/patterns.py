"""The databases that a pattern of `converge.toml` stands for: those of the source, and half migrated ones."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from converge.errors import ConvergeError
from converge.model.endpoint import Endpoint
from converge.mysql import connect as mysql
from converge.mysql.privileges import sees_all_databases
from converge.mysql.query import fetch
from converge.postgres import connect as postgres
from converge.postgres.history import standing_runs

_OF_THE_SERVER = ("information_schema", "mysql", "performance_schema", "sys")
_DATABASES = "SELECT datname FROM pg_database WHERE datallowconn ORDER BY 1"


@dataclass(frozen=True, slots=True)
class Pattern:
    """Both addresses, and the target's schema; `*` of the target and of the schema is the database's name."""

    source: Endpoint
    target: Endpoint
    schema: str

    def matches(self, name: str) -> bool:
        """Whether it is one of them by its name."""
        return fnmatchcase(name, self.source.database) and name not in _OF_THE_SERVER

    def target_of(self, name: str) -> Endpoint:
        """Where this database goes."""
        return replace(self.target, database=self.target.database.replace("*", name))

    def databases(self, say: Callable[[str], object]) -> list[str]:
        """The names that the source's user sees, and those whose run in the target is not finished.

        `say` gets a line for each reason why others may be left out. Raises SourceError.
        """
        with closing(mysql.connect(replace(self.source, database=""))) as source:
            names = [name for (name,) in fetch(source, "SHOW DATABASES") if self.matches(name)]
            all_seen = sees_all_databases(source)
        if not all_seen:
            say(
                f"{self.source}: the user sees only databases for which it has a privilege; all of them with "
                "GRANT SHOW DATABASES ON *.*"
            )
        for name, finished in self._begun(names):
            gone = f"{name} is in the target, and {self.source} no longer shows it"
            if finished:
                say(f"{gone}: its run is finished, it is left out")
            else:
                names.append(name)
                schema = self.schema.replace("*", name)
                say(
                    f"{gone}: its run is not finished. Restore it or its privileges, or drop its tables "
                    f"in the schema {schema}"
                )
        return sorted(names)

    def _begun(self, seen: Collection[str]) -> Iterator[tuple[str, bool]]:
        """Databases not seen of which the target has tables; whether the run is finished."""
        targets = set[Endpoint]() if "*" in self.target.database else {self.target}
        # What cannot be reached or read is said of each database.
        with suppress(ConvergeError):
            if "*" in self.target.database:
                targets = {self.target_of(name) for name in self._unseen(seen)}
        for target in targets:
            with suppress(ConvergeError), postgres.connect(target) as connection:
                for name, schema, finished in standing_runs(connection, self.source):
                    own = name not in seen and self.matches(name) and target == self.target_of(name)
                    if own and schema == self.schema.replace("*", name):
                        yield name, finished

    def _unseen(self, seen: Collection[str]) -> list[str]:
        """What the databases of the target's server are called in the source, without those that are seen."""
        before, _, after = self.target.database.partition("*")
        if not seen:
            return []
        with postgres.connect(self.target_of(min(seen))) as connection:
            there = [name for (name,) in connection.execute(_DATABASES)]
        fitting = [name for name in there if fnmatchcase(name, self.target.database)]
        names = [name.removeprefix(before).removesuffix(after) for name in fitting]
        return [name for name in names if name not in seen and self.matches(name)]
