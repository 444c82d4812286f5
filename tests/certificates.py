"""Certificates for the tests: authorities, servers and clients, made anew each time."""

from __future__ import annotations

import datetime
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from converge.sandbox.process import unprivileged

_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as PEM files."""

    cert: Path
    key: Path


class Authority:
    """A certificate authority that keeps its files in one folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._subject = _subject(f"{name} of the tests")
        now = datetime.datetime.now(datetime.UTC)
        builder = _builder(self._subject, self._subject, self._key, now - _DAY, now + _DAY)
        basic = x509.BasicConstraints(ca=True, path_length=None)
        usage = x509.KeyUsage(
            digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
            key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
            decipher_only=False,
        )  # fmt: skip
        builder = builder.add_extension(basic, critical=True).add_extension(usage, critical=True)
        self._cert = builder.sign(self._key, hashes.SHA256())
        self.file = folder / f"{name}-ca.pem"
        self.file.write_bytes(self._cert.public_bytes(serialization.Encoding.PEM))
        self.file.chmod(0o644)

    def issue(self, name: str, *hosts: str, expired: bool = False) -> Pair:
        """A certificate for a CN and these host names and addresses."""
        now = datetime.datetime.now(datetime.UTC)
        key = ec.generate_private_key(ec.SECP256R1())
        ends = now - _DAY / 2 if expired else now + _DAY
        builder = _builder(_subject(name), self._subject, key, now - _DAY, ends)
        if hosts:
            names = x509.SubjectAlternativeName([_general(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        cert = builder.sign(self._key, hashes.SHA256())
        label = f"{self._name}-{name}{'-expired' if expired else ''}"
        pair = Pair(self._folder / f"{label}.pem", self._folder / f"{label}.key")
        pair.cert.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
        pair.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        pair.cert.chmod(0o644)
        pair.key.chmod(0o600)
        return pair


def give_to_servers(pair: Pair) -> None:
    """PostgreSQL takes a key only from its own account or root."""
    account = unprivileged()
    if account is not None:
        os.chown(pair.key, account.pw_uid, account.pw_gid)


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    begins: datetime.datetime,
    ends: datetime.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )
