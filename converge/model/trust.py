"""Why a server's certificate is not trusted, in words, from OpenSSL's verdict."""

from __future__ import annotations

import ssl
from enum import Enum


class Distrust(Enum):
    """What is wrong with a certificate; the value says it after "the server's certificate"."""

    AUTHORITY = "is signed by an authority that is not known here"
    NAME = "is made out for another host name"
    EXPIRED = "has expired"
    EARLY = "is not valid yet: one of the two clocks is wrong"
    OTHER = "is not accepted"


# X509_V_ERR_* of OpenSSL's x509_vfy.h.
_CODES = {
    9: Distrust.EARLY,
    10: Distrust.EXPIRED,
    **dict.fromkeys((2, 18, 19, 20, 21), Distrust.AUTHORITY),
    **dict.fromkeys((62, 64), Distrust.NAME),
}


def distrust(error: BaseException | None) -> Distrust | None:
    """The reason behind an error, or None when it is not about the server's certificate."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        return None
    return _CODES.get(error.verify_code, Distrust.OTHER)
