"""What a dump says of itself in its comments: where it comes from, and whether it has come to its end."""

from __future__ import annotations

import re
from dataclasses import dataclass

from converge.sandbox import versions
from converge.sandbox.spec import newest

_BEGIN = re.compile(rb"-- (?:MySQL|MariaDB) dump \d", re.IGNORECASE)
_END = b"-- Dump completed"
_SERVER = re.compile(rb"-- Server version\s+(\S+)")
_DATABASE = re.compile(rb"-- Host: .*?\s+Database: (\S.*?)\s*\n")


@dataclass
class Header:
    """Takes the pieces of a dump and keeps what their comments say."""

    server: str = ""
    """The version of the server that the rows come from, as mysqldump writes it."""
    database: str = ""
    unfinished: bool = False
    """mysqldump has written its first line here, and not its last one."""

    def look(self, piece: bytes) -> None:
        if not piece.startswith(b"-- "):
            return
        if _BEGIN.match(piece):
            self.unfinished = True
        elif piece.startswith(_END):
            self.unfinished = False
        elif (server := _SERVER.match(piece)) and not self.server:
            self.server = server[1].decode(errors="replace")
        elif (database := _DATABASE.match(piece)) and not self.database:
            self.database = database[1].decode(errors="replace")

    @property
    def foreign(self) -> str:
        """The server's name, where it is none that MySQL 8 took its dialect from."""
        if "mariadb" in self.server.lower():
            return f"MariaDB {self.server}"
        numbers = _numbers(self.server)
        return f"MySQL {self.server}" if numbers and numbers < (8,) else ""


def release_for(server: str) -> str:
    """The temporary MySQL that is nearest to a server and has all that it has.

    The newest one for a server that says nothing, and for MariaDB: an older one forgets CHECKs.
    """
    numbers = _numbers(server)
    releases = list(versions.MYSQL)
    if "mariadb" not in server.lower() and numbers:
        releases = [one for one in releases if _numbers(one) >= numbers] or releases
        return min(releases, key=_numbers) if numbers <= _numbers(newest(releases)) else newest(releases)
    return newest(releases)


def _numbers(version: str) -> tuple[int, ...]:
    match = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in match[0].split(".")) if match else ()
