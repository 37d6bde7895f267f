"""The certificates that TLS shows: one of our own, made once for each host, or one that was given.

What is wrong with files that were given is said before anything is started.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import hashlib
import ipaddress
import os
import re
import socket
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ..errors import CertificateError
from .registry import Registry
from .settings import LocalSettings, TremplinSettings

#: A device without a clock believes that it is 1970 (RFC 5280 has no time before that).
FROM = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
YEARS = 10
_PEM, _PLAIN = serialization.Encoding.PEM, serialization.NoEncryption()


@dataclasses.dataclass(frozen=True)
class Certificate:
    """A certificate and its key, seen to belong together and to be valid now."""

    path: str
    key: str
    #: SHA-256, in hex.
    fingerprint: str
    #: What it does not name, of what it should.
    unnamed: Sequence[str] = ()

    @property
    def fields(self) -> dict[str, str]:
        """What a daemon is told of it."""
        return {"tls_cert": self.path, "tls_key": self.key, "fingerprint": self.fingerprint}

    @property
    def notes(self) -> list[str]:
        """What is to be known of it."""
        if not self.unnamed:
            return []
        return [
            f"The certificate does not name {', '.join(self.unnamed)}, which a device may look for: once "
            f"{self.path} is removed, a start makes a new one."
        ]


def certificate_for(
    settings: LocalSettings | TremplinSettings, registry: Registry, host: str, names: Collection[str]
) -> Certificate:
    """Return the certificate that `settings` give, or our own for `host`, of which `names` are the names.

    The one of our own is made if there is none that is valid. Raises CertificateError.
    """
    if settings.tls_clients:
        _check_clients(settings.tls_clients)
    folder = registry.root / "tls"
    path = folder / f"{re.sub(r'[^A-Za-z0-9.-]', '_', host)}.pem"
    key = path.with_suffix(".key")
    if settings.tls_cert not in ("", str(path)):
        return _checked(settings.tls_cert, settings.tls_key, names=())
    with contextlib.suppress(CertificateError):
        return _checked(str(path), str(key), names)
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        _make(path, key, host, names)
    except OSError as error:
        raise CertificateError(f"{folder} can't be written ({error.strerror}): make it yours.") from error
    return _checked(str(path), str(key), names)


def names_here() -> list[str]:
    """Return the names and addresses by which this machine is reached."""
    addresses = [address for each in psutil.net_if_addrs().values() for address in each]
    reached = [one.address for one in addresses if one.family in (socket.AF_INET, socket.AF_INET6)]
    return [socket.gethostname(), "localhost", *(one for one in reached if "%" not in one)]


def names_of(*hosts: str) -> list[str]:
    """Return `hosts`, as they were typed or are called, and the addresses that they have."""
    names = list(dict.fromkeys(hosts))
    for host in hosts:
        with contextlib.suppress(OSError, UnicodeError):
            names += [str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    return list(dict.fromkeys(names))


def _checked(path: str, key: str, names: Collection[str]) -> Certificate:
    try:
        own = x509.load_pem_x509_certificate(_read(path, "--tls-cert"))
    except ValueError as error:
        raise CertificateError(f"{path} is no certificate (PEM): give one with --tls-cert.") from error
    now = datetime.datetime.now(datetime.timezone.utc)
    if not own.not_valid_before_utc <= now <= own.not_valid_after_utc:
        how = "has expired" if now > own.not_valid_after_utc else "is not valid yet"
        raise CertificateError(f"{path} {how}: give another with --tls-cert, or none for one that is made.")
    try:
        private = serialization.load_pem_private_key(_read(key, "--tls-key"), None)
    except TypeError as error:
        raise CertificateError(
            f"{key} has a passphrase, and nobody is there to type it: give a plain one with --tls-key."
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateError(f"{key} is no private key (PEM): give one with --tls-key.") from error
    if _public(own.public_key()) != _public(private.public_key()):
        raise CertificateError(f"{key} is not the key of {path}: give two that belong together.")
    fingerprint = hashlib.sha256(own.public_bytes(serialization.Encoding.DER)).hexdigest()
    named = {str(one.value) for one in _names_in(own)}
    return Certificate(path, key, fingerprint, [name for name in names if name not in named])


def _check_clients(path: str) -> None:
    try:
        found = x509.load_pem_x509_certificates(_read(path, "--tls-clients"))
    except ValueError:
        found = []
    if not any(_is_ca(one) for one in found):
        raise CertificateError(f"{path} holds no CA: name the one (PEM) of your clients with --tls-clients.")


def _is_ca(one: x509.Certificate) -> bool:
    try:
        return one.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return one.issuer == one.subject  # one of before 1997


def _make(path: Path, key: Path, host: str, names: Collection[str]) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"reclog {host}"[:64])])
    until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=365.25 * YEARS)
    builder = x509.CertificateBuilder(
        subject, subject, private.public_key(), x509.random_serial_number(), FROM, until
    )
    for extension, critical in _extensions(private.public_key(), names):
        builder = builder.add_extension(extension, critical)
    own = builder.sign(private, hashes.SHA256())
    _write(key, private.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, _PLAIN))
    _write(path, own.public_bytes(_PEM))


def _extensions(
    public: ec.EllipticCurvePublicKey, names: Collection[str]
) -> Iterator[tuple[x509.ExtensionType, bool]]:
    """Yield what is said of a certificate, and whether that is critical.

    It is a CA, its own alone: syslog-ng, for one, trusts no other that has signed itself.
    """
    key = x509.SubjectKeyIdentifier.from_public_key(public)
    yield key, False
    yield x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key), False
    yield x509.BasicConstraints(ca=True, path_length=0), True
    uses = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign"), False
    )
    never = {"encipher_only": False, "decipher_only": False}
    yield x509.KeyUsage(digital_signature=True, key_cert_sign=True, **uses, **never), True
    yield x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False
    yield x509.SubjectAlternativeName([_general(name) for name in names]), False


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name.encode("idna").decode("ascii") if not name.isascii() else name)


def _names_in(own: x509.Certificate) -> Sequence[Any]:
    try:
        return list(own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except (x509.ExtensionNotFound, ValueError):
        return []


def _public(key: Any) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return bytes(key.public_bytes(serialization.Encoding.DER, form))


def _read(path: str, option: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise CertificateError(
            f"{path} can't be read ({error.strerror}): name another with {option}."
        ) from error


def _write(path: Path, content: bytes) -> None:
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    new.replace(path)
