"""Off loopback a server is trusted by its certificate: authority, name, dates; plaintext is asked for."""

from __future__ import annotations

import shutil
import socket
import ssl
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority, Pair, give_to_servers
from support import Ran, converge, mysql, postgres

from converge import sandbox
from converge.errors import ConvergeError
from converge.model.endpoint import parse
from converge.mysql.connect import connect as from_source
from converge.postgres.connect import connect as to_target
from converge.report.errors import error_text
from converge.sandbox import Server
from converge.sandbox.process import base_folder

PASSWORD = "tls-canary"
UNKNOWN = "self-signed certificate in certificate chain"
"""OpenSSL's words for an authority that is not known."""


@dataclass(frozen=True)
class Place:
    """Both servers at an address that is not loopback, and what their clients need."""

    my: Server
    pg: Server
    host: str
    folder: Path
    authority: Authority
    other: Authority
    client: Pair

    def source(self, options: str = "", *, user: str = "tls", host: str = "") -> str:
        return f"mysql://{user}:{PASSWORD}@{host or self.host}:{_port(self.my)}/tls{options}"

    def target(self, options: str = "", *, user: str = "tls", host: str = "") -> str:
        return f"postgresql://{user}:{PASSWORD}@{host or self.host}:{_port(self.pg)}/tls{options}"

    @property
    def trusted(self) -> tuple[str, str]:
        return f"?ssl-ca={self.authority.file}", f"?sslrootcert={self.authority.file}"


def _port(server: Server) -> str:
    return server.url.rpartition(":")[2]


def _own_address() -> str:
    """An address of this machine that is not loopback; nothing is sent to the one that is asked for."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but loopback")
        address: str = asking.getsockname()[0]
        return address


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    host = _own_address()
    folder = Path(tempfile.mkdtemp(prefix="cvg-tls-", dir=base_folder()))
    folder.chmod(0o755)
    try:
        authority, other = Authority(folder, "known"), Authority(folder, "other")
        server = authority.issue("server", host)
        give_to_servers(server)
        hba = folder / "pg_hba.conf"
        hba.write_text(
            "host all postgres 127.0.0.1/32 trust\n"
            "hostssl all certified all scram-sha-256 clientcert=verify-full\n"
            "hostnossl all certified all reject\n"
            "host all all all scram-sha-256\n"
        )
        hba.chmod(0o644)
        settings = {
            "mysql": {
                "bind-address": "0.0.0.0",
                "ssl-ca": str(authority.file),
                "ssl-cert": str(server.cert),
                "ssl-key": str(server.key),
            },
            "postgres": {
                "listen_addresses": "*",
                "ssl": "on",
                "ssl_ca_file": str(authority.file),
                "ssl_cert_file": str(server.cert),
                "ssl_key_file": str(server.key),
                "hba_file": str(hba),
            },
        }
        with sandbox.start("mysql:8.0.33", "postgres:17.5", settings=settings) as (my, pg):
            if not {my.provider, pg.provider} <= {"installed", "package"}:
                pytest.skip("a server in Docker or behind a URL does not see the test's certificates")
            _fill(my, pg)
            yield Place(my, pg, host, folder, authority, other, authority.issue("certified"))
    finally:
        shutil.rmtree(folder)


def _fill(my: Server, pg: Server) -> None:
    source = my.create_database("tls")
    pg.create_database("tls")
    mysql(source, "CREATE TABLE one (id INT PRIMARY KEY, text VARCHAR(20)); INSERT INTO one VALUES (1, 'a')")
    for user, clause in (("tls", ""), ("encrypted", "REQUIRE SSL"), ("certified", "REQUIRE X509")):
        mysql(source, f"CREATE USER {user}@'%' IDENTIFIED BY '{PASSWORD}' {clause}")
        mysql(source, f"GRANT ALL ON *.* TO {user}@'%'")
    for role in ("tls", "certified"):
        postgres(pg.database_url("tls"), f"CREATE ROLE {role} LOGIN SUPERUSER PASSWORD '{PASSWORD}'")


def reinstalled(place: Place, pair: Pair) -> None:
    """Both servers show another certificate from now on."""
    give_to_servers(pair)
    for name, value in (("ssl_cert", pair.cert), ("ssl_key", pair.key)):
        mysql(place.my.url, f"SET GLOBAL {name} = '{value}'")
    mysql(place.my.url, "ALTER INSTANCE RELOAD TLS")
    # What was given on the command line wins over ALTER SYSTEM, so the files themselves change.
    for kind in ("cert", "key"):
        shutil.copyfile(
            getattr(pair, kind), place.folder / f"known-server.{'pem' if kind == 'cert' else 'key'}"
        )
    postgres(place.pg.database_url("tls"), "SELECT pg_reload_conf()")


@pytest.fixture
def shown(place: Place) -> Iterator[Place]:
    """The servers, whose certificate a test may change; their own is back afterwards."""
    own = Pair(place.folder / "own.pem", place.folder / "own.key")
    shutil.copyfile(place.folder / "known-server.pem", own.cert)
    shutil.copyfile(place.folder / "known-server.key", own.key)
    own.cert.chmod(0o644)
    yield place
    reinstalled(place, own)


def refused(ran: Ran, code: int, error: str, *words: str) -> None:
    assert ran.code == code, ran.err
    assert ran.err.startswith(f"error[{error}]: "), ran.err
    for word in words:
        assert word in ran.err, ran.err
    assert "hint   " in ran.err
    assert PASSWORD not in ran.err + ran.out


def read(source: str, **environment: str) -> Ran:
    """A connection to the source, as a command would end when it failed."""
    return _tried(lambda: from_source(parse(source)).close(), environment)


def looked(target: str, **environment: str) -> Ran:
    """The same for the target."""
    return _tried(lambda: to_target(parse(target)).close(), environment)


def _tried(connects: Callable[[], None], environment: dict[str, str]) -> Ran:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        try:
            connects()
        except ConvergeError as error:
            return Ran(error.exit_code, "", error_text(error))
    return Ran(0, "", "")


def test_a_known_authority_is_enough(place: Place) -> None:
    my, pg = place.trusted
    ran = converge("migrate", "--source", place.source(my), "--target", place.target(pg), "--json")
    assert ran.code == 0, ran.err
    assert ran.json["verdict"] == "verified"


def test_the_systems_authorities_are_the_default(place: Place) -> None:
    refused(read(place.source()), 4, "S007", UNKNOWN, "?ssl-ca=FILE")
    refused(looked(place.target()), 5, "T013", UNKNOWN, "?sslrootcert=FILE")
    assert read(place.source(), SSL_CERT_FILE=str(place.authority.file)).code == 0
    assert looked(place.target(), SSL_CERT_FILE=str(place.authority.file)).code == 0


@pytest.mark.parametrize("modes", [("", ""), ("&ssl-mode=VERIFY_CA", "&sslmode=verify-ca")])
def test_another_authority_is_refused(place: Place, modes: tuple[str, str]) -> None:
    my, pg = modes
    refused(read(place.source(f"?ssl-ca={place.other.file}{my}")), 4, "S007", UNKNOWN)
    refused(looked(place.target(f"?sslrootcert={place.other.file}{pg}")), 5, "T013", UNKNOWN)


def test_another_host_name_is_refused(shown: Place) -> None:
    reinstalled(shown, shown.authority.issue("elsewhere", "db.elsewhere.example"))
    my, pg = shown.trusted
    refused(read(shown.source(my)), 4, "S007", "IP address mismatch", "?ssl-mode=VERIFY_CA")
    refused(looked(shown.target(pg)), 5, "T013", "IP address mismatch", "?sslmode=verify-ca")
    assert read(shown.source(f"{my}&ssl-mode=VERIFY_CA")).code == 0
    assert looked(shown.target(f"{pg}&sslmode=verify-ca")).code == 0


def test_an_expired_certificate_is_refused(shown: Place) -> None:
    reinstalled(shown, shown.authority.issue("server", shown.host, expired=True))
    my, pg = shown.trusted
    refused(read(shown.source(my)), 4, "S007", "has expired", "ALTER INSTANCE RELOAD TLS")
    refused(looked(shown.target(pg)), 5, "T013", "has expired", "pg_reload_conf")
    assert read(shown.source("?ssl-mode=REQUIRED")).code == 0
    assert looked(shown.target("?sslmode=require")).code == 0


def test_plaintext_must_be_asked_for(place: Place) -> None:
    assert read(place.source("?ssl-mode=DISABLED")).code == 0
    assert looked(place.target("?sslmode=disable")).code == 0
    refused(read(place.source("?ssl-mode=DISABLED", user="encrypted")), 4, "S002")
    # The server's words for an account's wish are those of a wrong password.
    refused(read(place.source(user="encrypted", host="127.0.0.1")), 4, "S002", "REQUIREs SSL")
    assert read(place.source("?ssl-mode=REQUIRED", user="encrypted", host="127.0.0.1")).code == 0


def test_the_environments_host_is_no_way_around(place: Place) -> None:
    """libpq's own variables and services name the server: it is as far away as if a URL did."""
    nowhere = "postgresql://"
    at = {"PGHOST": place.host, "PGPORT": _port(place.pg), "PGUSER": "tls", "PGDATABASE": "tls"}
    at["PGPASSWORD"] = PASSWORD
    refused(looked(nowhere, **at), 5, "T013", UNKNOWN)
    assert looked(nowhere, **at, PGSSLROOTCERT=str(place.authority.file)).code == 0
    assert looked(nowhere, **at, PGSSLMODE="require").code == 0
    service = place.folder / "services.conf"
    lines = ("[far]", f"host={place.host}", f"port={_port(place.pg)}", "user=tls", "dbname=tls")
    service.write_text("\n".join([*lines, f"password={PASSWORD}", ""]))
    refused(looked(nowhere, PGSERVICE="far", PGSERVICEFILE=str(service)), 5, "T013", UNKNOWN)
    ran = looked("postgresql:///?service=far", PGSERVICEFILE=str(service))
    refused(ran, 5, "T013", "certificate verify failed")


def test_an_address_of_the_environment_is_no_way_around(place: Place) -> None:
    """libpq connects to hostaddr, whatever host the URL names."""
    at = place.target(host="localhost")
    refused(looked(at, PGHOSTADDR=place.host), 5, "T013", UNKNOWN)
    service = place.folder / "address.conf"
    service.write_text(f"[far]\nhostaddr={place.host}\n")
    refused(looked(at, PGSERVICE="far", PGSERVICEFILE=str(service)), 5, "T013", UNKNOWN)
    assert looked(f"{at}?sslmode=require", PGHOSTADDR=place.host).code == 0


def test_a_list_of_ports_is_libpqs_to_read(place: Place) -> None:
    at = {"PGHOST": f"{place.host},{place.host}", "PGPORT": f"1,{_port(place.pg)}"}
    at |= {"PGUSER": "tls", "PGDATABASE": "tls", "PGPASSWORD": PASSWORD}
    assert looked("postgresql://", **at, PGSSLROOTCERT=str(place.authority.file)).code == 0


def test_client_certificates(place: Place) -> None:
    my, pg = place.trusted
    pair = place.client
    refused(read(place.source(my, user="certified")), 4, "S002", "ssl-cert=FILE")
    assert read(place.source(f"{my}&ssl-cert={pair.cert}&ssl-key={pair.key}", user="certified")).code == 0
    refused(looked(place.target(pg, user="certified")), 5, "T017", "sslcert=FILE&sslkey=FILE")
    assert looked(place.target(f"{pg}&sslcert={pair.cert}&sslkey={pair.key}", user="certified")).code == 0
    # The certificate is another role's: clientcert=verify-full asks for its CN.
    stranger = place.authority.issue("stranger")
    target = place.target(f"{pg}&sslcert={stranger.cert}&sslkey={stranger.key}", user="certified")
    refused(looked(target), 5, "T002", "CN is the role's name")
    # A key that others may read is refused before anything is sent.
    stranger.key.chmod(0o644)
    refused(looked(target), 5, "T017", "group or world access")


def test_files_that_are_not_there(place: Place) -> None:
    refused(read(place.source("?ssl-ca=/nowhere.pem")), 2, "U011", "/nowhere.pem")
    empty = place.folder / "empty.pem"
    empty.touch()
    refused(read(place.source(f"?ssl-ca={empty}")), 2, "U011", str(empty))
    refused(looked(place.target("?sslrootcert=/nowhere.pem")), 5, "T013", "/nowhere.pem")


def test_a_server_without_tls(place: Place, postgres_175: Server) -> None:
    """Nobody may talk a client out of TLS: what is not offered is not done without."""
    with sandbox.start("mysql:8.0.15", settings={"mysql": {"ssl": "OFF"}}) as (bare,):
        at = f"{bare.url}/mysql?ssl-mode=VERIFY_CA&ssl-ca={place.authority.file}"
        refused(read(at), 4, "S007", "doesn't support")
    refused(looked(f"{postgres_175.url}/postgres?sslmode=require"), 5, "T013", "not support SSL")


def test_a_mysql_that_made_its_own_certificates(mysql_8015: Server) -> None:
    """The hint's way: ca.pem of the data folder and VERIFY_CA, also at the end of a tunnel."""
    if mysql_8015.provider not in ("installed", "package"):
        pytest.skip("the server's data folder is not to be seen")
    ((folder,),) = mysql(mysql_8015.url, "SELECT @@datadir")
    at = f"{mysql_8015.url}/mysql?ssl-ca={folder}ca.pem"
    assert read(at).code == 0
    refused(read(f"{at}&ssl-mode=VERIFY_IDENTITY"), 4, "S007", "mismatch")


def test_certificates_are_judged_as_the_servers_own_clients_do(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python 3.13 asks for what MySQL's own certificates, and libpq, do without (RFC 5280)."""
    made: list[ssl.SSLContext] = []
    create = ssl.create_default_context

    def since_313(**options: Any) -> ssl.SSLContext:
        made.append(create(**options))
        made[-1].verify_flags |= ssl.VERIFY_X509_STRICT
        return made[-1]

    monkeypatch.setattr(ssl, "create_default_context", since_313)
    # The tests' certificates name no Authority Key Identifier either.
    assert read(place.source(f"{place.trusted[0]}&ssl-mode=VERIFY_CA")).code == 0
    refused(looked(place.target(f"?sslrootcert={place.other.file}")), 5, "T013", UNKNOWN)
    assert [bool(context.verify_flags & ssl.VERIFY_X509_STRICT) for context in made] == [False, False]


def test_a_role_that_is_not_let_in(place: Place) -> None:
    """pg_hba.conf's refusal names TLS, but is none of its errors."""
    refused(looked(place.target("?sslmode=disable", user="certified")), 5, "T018", "pg_hba.conf")
