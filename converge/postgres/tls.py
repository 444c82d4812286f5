"""TLS with the target: libpq's options, verified off loopback, and what to do about a distrusted server."""

from __future__ import annotations

import socket
import ssl
import struct
from dataclasses import replace

from psycopg import pq

from converge.codes import Code
from converge.errors import TargetError
from converge.model.endpoint import Distrust, Endpoint, distrust

_SYSTEM = "system"
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)  # PostgreSQL manual, "Message Formats"
_SECONDS = 10
_FIXES = {
    Distrust.AUTHORITY: "add ?sslrootcert=FILE with the authority's certificate",
    Distrust.NAME: "name the host in the URL as the certificate does, or add ?sslmode=verify-ca, which asks "
    "only for the authority",
    Distrust.EXPIRED: "renew the server's certificate, then SELECT pg_reload_conf(); on the target",
    Distrust.EARLY: "compare `date` here and on the server",
}
_UNVERIFIED = "?sslmode=require encrypts without any check, ?sslmode=disable not at all"
_CLIENT = ("valid client certificate", "certificate authentication failed", "private key file", "SSL key")


def arguments(endpoint: Endpoint) -> dict[str, str]:
    """libpq's TLS options: the URL's, else the environment's, else verified unless nobody can listen."""
    options = dict(endpoint.options)
    authority = options.get("sslrootcert") or _from_environment("sslrootcert")
    mode = options.get("sslmode") or _from_environment("sslmode")
    if not mode:
        if not _placed(endpoint).local:
            mode = "verify-full"
        else:
            # Nobody listens there: encrypt only when the server insists, or somebody named an authority.
            mode = "verify-ca" if authority else "allow"
    if mode == "verify-full" and not authority:
        # The driver's own OpenSSL looks for the system's authorities where only its builder had them.
        authority = ssl.get_default_verify_paths().cafile or _SYSTEM
    return {"sslmode": mode} | ({"sslrootcert": authority} if authority else {})


def wanted(endpoint: Endpoint | None) -> str:
    """What else the server refuses in the words of a wrong password: a line for the hint, or nothing."""
    if endpoint is None or "sslcert" not in dict(endpoint.options):
        return ""
    return "\npg_hba.conf may ask for a certificate whose CN is the role's name (clientcert=verify-full)"


def _placed(endpoint: Endpoint) -> Endpoint:
    """The address with the host that libpq would find in its variables or its service file."""
    if endpoint.host:
        return endpoint
    host = _from_environment("hostaddr") or _from_environment("host")
    port = endpoint.port or int(_from_environment("port") or 5432)
    return replace(endpoint, host=host, port=port)


def _from_environment(name: str) -> str:
    """What libpq would take from its variables or its service file; empty for its own default."""
    option = next(one for one in pq.Conninfo.get_defaults() if one.keyword == name.encode())
    return option.val.decode() if option.val and option.val != option.compiled else ""


def distrusted(text: str, endpoint: Endpoint | None) -> TargetError | None:
    """libpq's error when a certificate, or TLS itself, is its cause."""
    where = f"PostgreSQL at {endpoint}" if endpoint else "PostgreSQL"
    if any(words in text for words in _CLIENT):
        hint = "add ?sslcert=FILE&sslkey=FILE: a certificate for the role, and its key with the mode 0600"
        return TargetError(f"{where} wants a client certificate: {text}", code=Code.T017, hint=hint)
    if "no pg_hba.conf entry" in text or "pg_hba.conf rejects" in text:
        hint = "a line of pg_hba.conf lets a role in, such as: hostssl DATABASE ROLE ADDRESS/32 scram-sha-256"
        return TargetError(f"{where} does not let the role in from here: {text}", code=Code.T018, hint=hint)
    if "SSL" not in text and "certificate" not in text:
        return None
    reason = _reason(endpoint) if endpoint else None
    if reason is None:
        return TargetError(f"{where} cannot be trusted: {text}", code=Code.T013, hint=_UNVERIFIED)
    message = f"{where} cannot be trusted: the server's certificate {reason.value}"
    return TargetError(message, code=Code.T013, hint=f"{_FIXES.get(reason, text)}\n{_UNVERIFIED}")


def _reason(endpoint: Endpoint) -> Distrust | None:
    """libpq does not say why it distrusts a certificate, so the server is asked for it once more."""
    used = arguments(endpoint)
    endpoint = _placed(endpoint)
    authority = used.get("sslrootcert", _SYSTEM)
    address = (dict(endpoint.options).get("hostaddr") or endpoint.host, endpoint.port or 5432)
    try:
        context = ssl.create_default_context(cafile=None if authority == _SYSTEM else authority)
        context.check_hostname = used.get("sslmode") == "verify-full"
        with socket.create_connection(address, _SECONDS) as plain:
            plain.sendall(_SSL_REQUEST)
            if plain.recv(1) == b"S":
                context.wrap_socket(plain, server_hostname=endpoint.host).close()
    except OSError as error:
        return distrust(error)
    return None
