"""The certificate that a relay shows: of this machine, copied to its folder, and gone with that."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from reclog.engine.records.names import CERTIFICATE, CLIENTS, KEY

from ..errors import CertificateError
from ..recordings.certificate import Certificate, certificate_for, names_of
from ..recordings.registry import Registry
from ..recordings.settings import TremplinSettings
from .ssh import Host
from .survey import Relay

#: By its setting, the name that a file of this machine has in the relay's folder.
FILES = {"tls_cert": CERTIFICATE, "tls_key": KEY, "tls_clients": CLIENTS}


def secured(
    host: Host, settings: TremplinSettings, registry: Registry, known: Relay | None
) -> tuple[TremplinSettings, Certificate | None]:
    """Return the settings with the certificate that a relay there is to show, and that.

    Raises CertificateError.
    """
    if not settings.tls:
        return settings, None
    alias = host.target.host
    if known is not None and known.config.get("tls_clients") and not settings.tls_clients:
        raise CertificateError(
            f"The relay on {alias} asks for client certificates, and their CA is not noted here: "
            "name it with --tls-clients."
        )
    shown = certificate_for(settings, registry, alias, names_of(alias, host.hostname))
    return dataclasses.replace(settings, tls_cert=shown.path, tls_key=shown.key), shown


def beside(settings: TremplinSettings) -> dict[str, bytes]:
    """Return the files for the relay's folder, by their names there. Raises CertificateError."""
    try:
        return {
            name: Path(path).read_bytes()
            for field, name in FILES.items()
            if (path := getattr(settings, field))
        }
    except OSError as error:
        raise CertificateError(f"{error.filename} can't be read ({error.strerror}).") from error
