"""The address of a server: parsed from an URL, printed without its password."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from converge.codes import Code
from converge.errors import UsageError
from converge.model.arguments import Checked

_MYSQL_PORT = 3306
SECRET_OPTION = r"\w*(?:passw|pwd)\w*"
"""A regular expression for names of URL options whose value is a secret, as sslpassword."""
_LOGIN = re.compile(r"([\w+.-]+://)(?:([^/?#]*)@)?(.*)", re.DOTALL)
_KINDS = {
    "mysql": "mysql", "mysql+pymysql": "mysql", "postgresql": "postgres", "postgres": "postgres",
    "postgresql+psycopg": "postgres", "postgresql+psycopg2": "postgres",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Endpoint(Checked):
    """Where a server is and who we are there. An empty value leaves it to the driver's own rules."""

    kind: str
    """mysql or postgres."""
    host: str = ""
    port: int | None = None
    user: str = ""
    password: str = field(default="", repr=False)
    database: str = ""
    options: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    origin: str = "the command line"
    """Where the address came from, for messages."""
    origins: tuple[tuple[str, str], ...] = ()
    """Where single values came from, when not all of them came from one place."""
    name: str = ""
    """What a server that lives only for this command is called, so that a later one is known by it."""

    @property
    def sources(self) -> dict[str, str]:
        """Where each value that is set came from; the others are the driver's."""
        names = [name for name in ("host", "port", "user", "password", "database") if getattr(self, name)]
        names += ["socket"] if "unix_socket" in dict(self.options) else []
        return {name: dict(self.origins).get(name, self.origin) for name in names}

    @property
    def secrets(self) -> list[str]:
        """The password, and options that are secret."""
        secret = re.compile(SECRET_OPTION, re.IGNORECASE).fullmatch
        options = [value for name, value in self.options if secret(name)]
        return [value for value in (self.password, *options) if value]

    @property
    def local(self) -> bool:
        """Whether nobody can listen on the way: loopback or a unix socket."""
        options = dict(self.options)
        if "unix_socket" in options:
            return True
        # libpq: an address wins over the name, a list is tried in order, and a service may be anywhere.
        hosts = (options.get("hostaddr") or self.host).split(",")
        return "service" not in options and all(map(_is_local, hosts))

    def __str__(self) -> str:
        if self.name:
            return self.name
        scheme = "mysql" if self.kind == "mysql" else "postgresql"
        user = f"{quote(self.user)}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = f":{self.port}" if self.port else ""
        return f"{scheme}://{user}{host}{port}/{quote(self.database, safe='/*')}"


def parse(url: str, *, origin: str = "the command line") -> Endpoint:
    """Reads ``mysql://user:pw@host:port/db?ssl-mode=…`` or ``postgresql://…?sslmode=…``.

    Percent-encoding, IPv6 in brackets and unix sockets (``?unix_socket=…`` for MySQL, ``?host=/dir``
    for PostgreSQL, or either path as a percent-encoded host) are understood. Raises UsageError; the message
    never holds the password.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _malformed(origin) from None
    try:
        port = parts.port
    except ValueError:
        # urlsplit's own words quote what it took for the port, which may be a part of the password.
        raise _malformed(origin, parts.netloc) from None
    if "@" not in parts.netloc and "@" in url:
        raise _malformed(origin)
    kind = _KINDS.get(parts.scheme)
    if kind is None:
        begins = f"begins with {parts.scheme!r}" if parts.scheme else "has no scheme"
        raise UsageError(
            f"the URL from {origin} {begins}",
            code=Code.U002,
            hint="mysql://user:password@host:3306/database or postgresql://user:password@host:5432/database",
        )
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    host = options.pop("host", "") or unquote(parts.hostname or "")
    if kind == "mysql" and host.startswith("/"):
        host, options["unix_socket"] = "", host
    own = {
        "port": str(port or ""),
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "dbname": unquote(parts.path.removeprefix("/")),
    }
    if kind == "postgres":
        _take_parts(own, options, origin)
    return Endpoint(
        kind=kind,
        host=host,
        port=int(own["port"]) if own["port"] else None,
        user=own["user"],
        password=own["password"],
        database=own["dbname"],
        options=tuple(options.items()),
        origin=origin,
    )


def split_login(url: str) -> tuple[str, str, str, str] | None:
    """A URL as it is written: scheme with ``://``, user, password, and what follows; None for other texts."""
    if not (found := _LOGIN.fullmatch(url)):
        return None
    user, _, password = (found[2] or "").partition(":")
    return found[1], user, password, found[3]


def _take_parts(own: dict[str, str], options: dict[str, str], origin: str) -> None:
    """Moves the URL's own parts out of its options. Raises UsageError for two values of one.

    libpq lets an option win over the part: the sessions of a temporary database, whose address has the same
    options, would be in the real one.
    """
    for name in own.keys() & options.keys():
        if own[name] and options[name] not in ("", own[name]):
            raise UsageError(f"the URL from {origin} has two values of {name}", code=Code.U002)
        if name != "port" or options[name].isdecimal() or not options[name]:  # a list is libpq's to read
            own[name] = options.pop(name) or own[name]


def same_server(source: Endpoint, url: str) -> bool | None:
    """Whether the address is of this very database, maybe by another user, or only of one of its name, as a
    replica has it; None for any other, and for a dump, which has a name and no address."""
    if url == str(source):
        return True
    try:
        other = parse(url)
    except UsageError:
        return None
    if other.database != source.database or source.name:
        return None
    return (other.host, other.port or _MYSQL_PORT) == (source.host, source.port or _MYSQL_PORT)


def _is_local(host: str) -> bool:
    if host in ("", "localhost") or host.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _malformed(origin: str, place: str = "") -> UsageError:
    if "," in place.rpartition("@")[2]:
        return UsageError(f"the URL from {origin} names several hosts: one is needed", code=Code.U002)
    return UsageError(
        f"the URL from {origin} is malformed: its port is not a number up to 65535, or its user or password "
        "holds a character that must be percent-encoded",
        code=Code.U002,
        hint="python3 -c 'import getpass, urllib.parse as u; print(u.quote(getpass.getpass(), safe=\"\"))'",
    )
