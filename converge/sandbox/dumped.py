"""A dump as a source: loaded into a temporary MySQL that lives as long as the command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from converge.codes import Code
from converge.errors import UsageError
from converge.model.endpoint import Endpoint, parse
from converge.model.quote import my_name
from converge.model.words import counted
from converge.sandbox import start
from converge.sandbox.dump_files import Stream, name_of, rows_of, streams_of, unproven
from converge.sandbox.dump_load import Loader, databases_of
from converge.sandbox.dump_text import Header, Joined, decompressed
from converge.sandbox.dump_words import is_system
from converge.sandbox.packages import MYSQL
from converge.sandbox.server import DumpError, Progress, Server, connect_mysql, numbers

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
    streams = streams_of(dump.files)
    folders = [Path(file) for file in dump.files if Path(file).is_dir()]
    name = name_of(dump.files, streams)
    headers = {stream: _header(stream) for stream in streams}
    server_version = next((one.server for one in headers.values() if one.server), "")
    release = dump.release or release_for(server_version)
    if foreign := Header(server_version).foreign:
        tell(f"{name} is of {foreign}; it is loaded into MySQL {release}")
    for said in filter(None, map(unproven, folders)):
        tell(said)
    with start(f"mysql:{release}", settings=_SETTINGS, on_progress=tell) as (server,):
        tell(f"loading {name} into MySQL {server.version} ({server.provider})")
        with closing(_loader(server, dump.database, headers, tell)) as loader:
            _require_rows(server, loader.made, folders)
            if len(loader.databases.names) > 1:
                name += f"/{loader.made}"
            yield replace(parse(loader.url(), origin="--source-dump"), name=f"dump:{name}")


def _loader(server: Server, wanted: str, headers: Mapping[Stream, Header], tell: Progress) -> Loader:
    """What has loaded all texts."""
    default = next((one.database for one in headers.values() if one.database), "")
    if not default:
        # A file may be called like a database of the server's own, such as mysql.sql.gz.
        named = next(iter(headers)).name.partition(".")[0]
        default = f"{named}_dump" if named in databases_of(server) else named
    loader = Loader(server, wanted, wanted or default, tell, keep_triggers=len(headers) > 1)
    try:
        for stream, header in headers.items():
            loader.load(stream, header.database or stream.database or wanted or default)
        loader.databases.require_meant()
        loader.make_triggers()
    except BaseException:
        loader.close()
        raise
    return loader


def _require_rows(server: Server, database: str, folders: list[Path]) -> None:
    """Raises DumpError for no table, and for one that has fewer rows than mydumper has counted."""
    with closing(connect_mysql(server.url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = %s", (database,)
        )
        there = {str(name) for (name,) in cursor.fetchall()}
        if not there:
            hint = "mysqldump writes one; is it the right file?"
            raise DumpError("the dump makes no table", code=Code.X010, hint=hint)
        for folder in folders:
            for (its, table), rows in rows_of(folder).items():
                found = 0
                if its != database:
                    continue
                if rows and table in there:
                    cursor.execute(f"SELECT count(*) FROM {my_name(database, table)}")
                    ((found,),) = cursor.fetchall()
                if found < rows:
                    raise DumpError(
                        f"{folder.name}: {table} has {counted(found, 'row')}, mydumper's metadata {rows:,}",
                        code=Code.X006,
                        hint="copy the folder again, or make the dump again: a file is missing or cut off",
                    )


def _header(stream: Stream) -> Header:
    """What the text says of itself. Raises as `decompressed` does, OSError."""
    header = Header()
    with decompressed(stream.name, Joined(stream.paths)) as file:
        for _ in range(_HEADER_LINES):
            header.look(file.readline(_HEADER_LINE_BYTES))
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
