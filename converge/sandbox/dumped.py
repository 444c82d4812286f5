"""A dump as a source: loaded into a temporary MySQL that lives as long as the command."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from converge.codes import Code
from converge.errors import UsageError
from converge.model.endpoint import Endpoint, parse
from converge.model.quote import my_name
from converge.sandbox import start
from converge.sandbox.dump_files import Stream, name_of, rows_of, streams_of, unproven
from converge.sandbox.dump_load import Loader, is_system
from converge.sandbox.dump_text import Header, Joined, decompressed
from converge.sandbox.errors import DumpError
from converge.sandbox.packages import MYSQL
from converge.sandbox.server import Progress, Server, connect_mysql, numbers

_HEADER_LINES = 40
_HEADER_LINE_BYTES = 1 << 16
# A row must fit into one packet, and a dump may hold what its server could send. Its functions are not for
# replicas, and its events must not change the rows.
_SETTINGS = {
    "mysql": {
        "max_allowed_packet": "1073741824",
        "log_bin_trust_function_creators": "ON",
        "event_scheduler": "OFF",
    }
}


@dataclass(frozen=True, slots=True)
class Dump:
    """What the command line says of a dump."""

    files: tuple[str | Path, ...]
    """Files, parts of files or folders, in the order in which they are loaded."""
    database: str = ""
    """The one that is meant, of a dump of several."""
    release: str = ""
    """Of the MySQL that it is loaded into; empty for the one that is nearest to the dump's own."""


@contextmanager
def dumped(dump: Dump, tell: Progress) -> Iterator[Endpoint]:
    """The address of a server with the dump's rows, which is removed in the end, whatever happens.

    It is called by the dump's name in plans, ledgers and reports, so that the same dump is the same source.
    Raises UsageError for files that are not there or hold several databases, DumpError for what cannot be
    loaded, SandboxError without a server.
    """
    if is_system(dump.database):
        raise UsageError(
            f"{dump.database} is MySQL's own database, and is not moved",
            code=Code.U018,
            hint="--dump-database NAME",
        )
    folders = [Path(file) for file in dump.files if file and Path(file).is_dir()]
    streams = streams_of(dump.files)
    name = name_of(dump.files, streams)
    header = _header(streams)
    release = dump.release or release_for(header.server)
    if header.foreign:
        tell(f"{name} is of {header.foreign}; it is loaded into MySQL {release}")
    for said in filter(None, map(unproven, folders)):
        tell(said)
    with start(f"mysql:{release}", settings=_SETTINGS, on_progress=tell) as (server,):
        tell(f"loading {name} into MySQL {server.version} ({server.provider})")
        with _loaded(server, dump.database, streams, header, tell) as (database, several, url):
            for folder in folders:
                _check_rows(server, database, folder)
            if several:
                name += f"/{database}"
            at = parse(url, origin="--source-dump")
            yield replace(at, name=f"dump:{name}")


@contextmanager
def _loaded(
    server: Server, wanted: str, streams: Sequence[Stream], header: Header, tell: Progress
) -> Iterator[tuple[str, bool, str]]:
    """The database that was loaded, whether the dump has others too, and the URL by which it is read."""
    taken = _databases(server)
    own = server.provider != "url"
    named = streams[0].name.partition(".")[0]
    # A file may be called like a database of the server's own, such as mysql.sql.gz.
    default = header.database or (f"{named}_dump" if named in taken else named)
    confined = wanted or default
    loader = Loader(server.url, wanted, taken=taken, own=own, confined=confined, tell=tell)
    try:
        for stream in streams:
            said = _header([stream]).database
            loader.load(stream, said or stream.database or wanted or default)
        database = _chosen(loader, wanted)
        yield database, len(loader.databases.names) > 1, loader.url_of(database)
    finally:
        if not own:
            for made in loader.made:
                server.drop_database(made)
            loader.drop_account()


def _chosen(loader: Loader, wanted: str) -> str:
    """The database that was loaded. Raises UsageError where nobody can know which, DumpError for none."""
    names = loader.databases.names
    if loader.databases.ambiguous or (wanted and names and wanted not in names):
        what = f"the dump has no database {wanted}; it has" if wanted else "the dump has several databases:"
        raise UsageError(f"{what} {', '.join(names)}", code=Code.U018, hint=f"--dump-database {names[0]}")
    if not loader.made:
        raise DumpError(
            "the dump makes no table", code=Code.X010, hint="mysqldump writes one; is it the right file?"
        )
    return loader.databases.meant


def _check_rows(server: Server, database: str, folder: Path) -> None:
    """Raises DumpError for a table that has fewer rows than mydumper has counted."""
    counted = {table: rows for (name, table), rows in rows_of(folder).items() if name == database}
    with closing(connect_mysql(server.database_url(database))) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW FULL TABLES")
        there = {str(name) for name, _ in cursor.fetchall()}
        for table, rows in counted.items():
            found = 0
            if rows and table in there:
                cursor.execute(f"SELECT count(*) FROM {my_name(table)}")
                ((found,),) = cursor.fetchall()
            if found < rows:
                raise DumpError(
                    f"{folder.name}: {table} has {found:,} rows, and {rows:,} in mydumper's metadata",
                    code=Code.X006,
                    hint="copy the folder again, or make the dump again: a file is missing or cut off",
                )


def _header(streams: Sequence[Stream]) -> Header:
    """What the first text that says something says. Raises as `decompressed` does, OSError."""
    header = Header()
    for stream in streams:
        with decompressed(stream.name, Joined(stream.paths)) as file:
            for _ in range(_HEADER_LINES):
                header.look(file.readline(_HEADER_LINE_BYTES))
        if header.server:
            break
    return header


def release_for(server: str) -> str:
    """The temporary MySQL that is nearest to a server and has all that it has.

    The newest one for a server that says nothing, and for MariaDB: an older one forgets CHECKs.
    """
    newest = max(MYSQL, key=numbers)
    release = numbers(server)
    if not release or "mariadb" in server.lower():
        return newest
    return min((known for known in MYSQL if numbers(known) >= release), key=numbers, default=newest)


def _databases(server: Server) -> list[str]:
    with closing(connect_mysql(server.url)) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW DATABASES")
        return [str(name) for (name,) in cursor.fetchall()]
