"""Logins of MySQL: every plugin with and without TLS, cold caches, odd passwords, and what helps."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from support import mysql

from converge import sandbox
from converge.errors import ConvergeError
from converge.model.endpoint import parse
from converge.model.quote import my_text
from converge.mysql.connect import connect
from converge.sandbox import Server

PLUGINS = ("mysql_native_password", "caching_sha2_password", "sha256_password")
PASSWORDS = ("a:b/c@d%e'f\\g\"h", "gehëim-€-密", "")


@pytest.fixture
def account(mysql_any: Server) -> Iterator[str]:
    """A user that the test makes, gone afterwards."""
    yield "login"
    as_root(mysql_any, "DROP USER IF EXISTS login@'%'")


def as_root(server: Server, *statements: str) -> None:
    for statement in statements:
        mysql(server.url, statement)


def logged_in(server: Server, user: str, password: str, options: str = "") -> str:
    """The account as the server sees it. Raises ConvergeError."""
    address = server.url.rpartition("@")[2]
    at = f"mysql://{quote(user, safe='')}:{quote(password, safe='')}@{address}/{options}"
    with connect(parse(at)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT CURRENT_USER()")
        ((name,),) = cursor.fetchall()
        return str(name)


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("plugin", PLUGINS)
def test_plugins(mysql_any: Server, account: str, plugin: str, password: str) -> None:
    """Without TLS the two newer ones ask for the server's public key, when its cache is cold."""
    as_root(mysql_any, f"CREATE USER {account}@'%' IDENTIFIED WITH {plugin} BY {my_text(password)}")
    for options in ("", "?ssl-mode=REQUIRED"):
        as_root(mysql_any, "FLUSH PRIVILEGES")
        assert logged_in(mysql_any, account, password, options) == f"{account}@%"
        assert logged_in(mysql_any, account, password, options) == f"{account}@%"
    as_root(mysql_any, "FLUSH PRIVILEGES")
    for options in ("", "?ssl-mode=REQUIRED"):
        with pytest.raises(ConvergeError) as raised:
            logged_in(mysql_any, account, password + "x", options)
        assert raised.value.code == "S002"
        assert "'login'@'" in raised.value.message
        assert not password.strip() or password not in f"{raised.value.message}{raised.value.hint}"


def test_a_socket_login_over_the_network(mysql_8033: Server) -> None:
    mysql, account = mysql_8033, "login"
    if mysql.provider != "package":
        pytest.skip("the test's package has the plugin")
    as_root(mysql, "INSTALL PLUGIN auth_socket SONAME 'auth_socket.so'")
    try:
        as_root(mysql, f"CREATE USER {account}@'%' IDENTIFIED WITH auth_socket")
        with pytest.raises(ConvergeError) as raised:
            logged_in(mysql, account, "x")
    finally:
        as_root(mysql, f"DROP USER IF EXISTS {account}@'%'", "UNINSTALL PLUGIN auth_socket")
    assert raised.value.code == "S005"
    assert "ALTER USER 'login'@'localhost' IDENTIFIED WITH" in (raised.value.hint or ""), raised.value.hint


def test_a_server_without_native_logins() -> None:
    """As 8.4 has it by default: the account's plugin is not loaded (1524)."""
    with sandbox.start("mysql:8.0.33") as (server,):
        as_root(server, "CREATE USER old@'%' IDENTIFIED WITH mysql_native_password BY 'x'")
        as_root(server, "UPDATE mysql.user SET plugin = 'mysql_very_old_password' WHERE user = 'old'")
        as_root(server, "FLUSH PRIVILEGES")
        with pytest.raises(ConvergeError) as raised:
            logged_in(server, "old", "x")
    assert raised.value.code == "S005"
    assert "ALTER USER 'old'@'%' IDENTIFIED WITH caching_sha2_password BY '…';" in (raised.value.hint or "")
    assert "WHERE user = 'old'" in (raised.value.hint or "")


GREETING = (
    b"\x0a8.0.33\0" + b"\x01\0\0\0" + b"saltsalt\0" + (0x8201).to_bytes(2, "little") + b"\xff\x02\0"
    + (0x0008).to_bytes(2, "little") + b"\x15" + b"\0" * 10 + b"saltsaltsalt\0" + b"caching_sha2_password\0"
)  # fmt: skip


@pytest.mark.parametrize("plugin", [b"mysql_clear_password\0", b"dialog\0\x04Password: "])
def test_no_password_as_it_is_without_tls(plugin: bytes) -> None:
    """Whoever answers in the server's place asks for it; a real server with these plugins could, too."""
    heard: list[bytes] = []

    def answer(listener: socket.socket) -> None:
        peer, _ = listener.accept()
        with peer:
            for number, packet in ((0, GREETING), (2, b"\xfe" + plugin)):
                peer.sendall(len(packet).to_bytes(3, "little") + bytes([number]) + packet)
                heard.append(peer.recv(4096))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        server = threading.Thread(target=answer, args=(listener,))
        server.start()
        with pytest.raises(ConvergeError) as refused:
            connect(parse(f"mysql://u:s3cret@127.0.0.1:{listener.getsockname()[1]}/d"))
        server.join()
    assert (refused.value.code, "without TLS" in refused.value.message) == ("S005", True)
    assert len(heard) == 2 and b"s3cret" not in b"".join(heard)
