"""MySQL's ssl-mode and its files as the driver's arguments, and what to do about a distrusted server."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from converge.codes import Code
from converge.errors import SourceError, UsageError
from converge.model.endpoint import Endpoint

_MODES = ("DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY")
_HINT = """?ssl-ca=FILE names the authority; of a MySQL that made its own it is ca.pem in its data folder
?ssl-mode=VERIFY_CA does not ask for the host's name, which such a certificate does not have
a renewed certificate needs ALTER INSTANCE RELOAD TLS; on the source
?ssl-mode=REQUIRED encrypts without any check, ?ssl-mode=DISABLED not at all"""


def arguments(endpoint: Endpoint, options: dict[str, str]) -> dict[str, Any]:
    """Takes the ssl-* options of an URL. Raises UsageError for a mode or a file that is none.

    Off loopback the server's name is verified, and on it nothing is encrypted, unless the URL says
    otherwise: nobody listens there, and TLS would cost as much as all else that the reader does.
    """
    authority, certificate, key = (options.pop(f"ssl-{name}", None) for name in ("ca", "cert", "key"))
    mode = options.pop("ssl-mode", "").upper() or _usual_mode(endpoint, authority, certificate)
    if mode not in _MODES:
        raise UsageError(f"ssl-mode={mode} is unknown", code=Code.U002, hint=f"one of {', '.join(_MODES)}")
    if mode == "DISABLED":
        return {"ssl_disabled": True}
    if mode == "PREFERRED" and not (authority or certificate):
        return {}
    _require_files({"ssl-ca": authority, "ssl-cert": certificate, "ssl-key": key})
    try:
        context = ssl.create_default_context(cafile=authority)
        # Since Python 3.13. Certificates that MySQL makes for itself have no Authority Key Identifier, which
        # it asks for; the driver's own context leaves it out for that reason.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if certificate:
            # Without a password to ask for, the driver would wait at the terminal for the key's.
            context.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        files = ", ".join(file for file in (authority, certificate, key) if file)
        hint = "the files must be PEM, and the key the certificate's own, without a pass phrase"
        raise UsageError(f"{files}: no usable certificates: {error}", code=Code.U011, hint=hint) from error
    context.check_hostname = mode == "VERIFY_IDENTITY"
    if mode in ("PREFERRED", "REQUIRED"):
        context.verify_mode = ssl.CERT_NONE
    return {"ssl": context}


def distrusted(error: BaseException | None, endpoint: Endpoint, text: str) -> SourceError | None:
    """The driver's error when the server's certificate, or TLS itself, is its cause."""
    cause = getattr(error, "original_exception", error)
    if not isinstance(cause, ssl.SSLError) and "SSL is required" not in text:
        return None
    reason = cause.verify_message if isinstance(cause, ssl.SSLCertVerificationError) else text
    return SourceError(f"MySQL at {endpoint} cannot be trusted: {reason}", code=Code.S007, hint=_HINT)


def wanted(endpoint: Endpoint) -> str:
    """What an account may ask for that the server refuses in the words of a wrong password."""
    options = dict(endpoint.options)
    if endpoint.local and not any(name.startswith("ssl-") for name in options):
        return "an account that REQUIREs SSL is refused with the same words: add ?ssl-mode=REQUIRED"
    if "ssl-cert" not in options:
        return "an account that REQUIREs X509 is refused with the same words: add ?ssl-cert=FILE&ssl-key=FILE"
    return "an account may REQUIRE another certificate: SHOW CREATE USER tells"


def _usual_mode(endpoint: Endpoint, authority: str | None, certificate: str | None) -> str:
    if not endpoint.local:
        return "VERIFY_IDENTITY"
    # Who names an authority on loopback, such as at the end of a tunnel, wants it asked.
    return "VERIFY_CA" if authority else "REQUIRED" if certificate else "DISABLED"


def _require_files(named: dict[str, str | None]) -> None:
    for option, path in named.items():
        if path and not Path(path).is_file():
            raise UsageError(f"{option}={path}: there is no such file", code=Code.U011, hint=f"{option}=FILE")
