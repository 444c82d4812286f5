"""TLS with the target: libpq's options, verified off loopback, and what to do about a distrusted server."""

from __future__ import annotations

import socket
import ssl
import struct
from dataclasses import replace

from psycopg import pq

from converge.codes import Code
from converge.errors import TargetError
from converge.model.endpoint import Endpoint

_SYSTEM = "system"
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)  # PostgreSQL manual, "Message Formats"
_SECONDS = 10
_HINT = """?sslrootcert=FILE names the authority; ?sslmode=verify-ca does not ask for the host's name
a renewed certificate needs SELECT pg_reload_conf(); on the target
?sslmode=require encrypts without any check, ?sslmode=disable not at all"""


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


def wanted(endpoint: Endpoint) -> str:
    """What else the server refuses in the words of a wrong password: a line for the hint, or nothing."""
    if "sslcert" not in dict(endpoint.options):
        return ""
    return "\npg_hba.conf may ask for a certificate whose CN is the role's name (clientcert=verify-full)"


def _placed(endpoint: Endpoint) -> Endpoint:
    """The address with what libpq would find in its variables or its service file."""
    options = dict(endpoint.options)
    # It connects to this one, whatever host is named beside it.
    options["hostaddr"] = options.get("hostaddr") or _from_environment("hostaddr")
    host = endpoint.host or options["hostaddr"] or _from_environment("host")
    port = _from_environment("port")
    port_number = endpoint.port or (int(port) if port.isdecimal() else None)  # it may be a list
    return replace(endpoint, host=host, port=port_number, options=tuple(options.items()))


def _from_environment(name: str) -> str:
    """What libpq would take from its variables or its service file; empty for its own default."""
    option = next(one for one in pq.Conninfo.get_defaults() if one.keyword == name.encode())
    return option.val.decode() if option.val and option.val != option.compiled else ""


def distrusted(text: str, endpoint: Endpoint | None) -> TargetError:
    """libpq's error when a certificate, or TLS itself, is its cause."""
    where = f"PostgreSQL at {endpoint}" if endpoint else "PostgreSQL"
    reason = (_reason(endpoint) if endpoint else "") or text
    return TargetError(f"{where} cannot be trusted: {reason}", code=Code.T013, hint=_HINT)


def _reason(endpoint: Endpoint) -> str:
    """libpq does not say why it distrusts a certificate, so the server is asked for it once more."""
    used = arguments(endpoint)
    endpoint = _placed(endpoint)
    authority = used.get("sslrootcert", _SYSTEM)
    address = (dict(endpoint.options).get("hostaddr") or endpoint.host, endpoint.port or 5432)
    try:
        context = ssl.create_default_context(cafile=None if authority == _SYSTEM else authority)
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # since Python 3.13; libpq is not as strict
        context.check_hostname = used.get("sslmode") == "verify-full"
        with socket.create_connection(address, _SECONDS) as plain:
            plain.sendall(_SSL_REQUEST)
            if plain.recv(1) == b"S":
                context.wrap_socket(plain, server_hostname=endpoint.host).close()
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    except (OSError, ValueError):  # such as a host that is no name, beside a hostaddr
        pass
    return ""
