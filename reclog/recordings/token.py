"""A recording's token: made once, kept where only its user reads it, told to whoever starts the recording.

It is in no argv, no config of a daemon and no log: these have what `engine/intake/token` makes of it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
import shlex
from pathlib import Path
from typing import TypeVar

from reclog.engine.intake.token import Token
from reclog.engine.records.jsonfile import read_json, write_json
from reclog.engine.system.address import with_port

from ..errors import StateError
from .registry import Recording, Registry
from .settings import Settings

S = TypeVar("S", bound=Settings)

#: What one is made of: no letter or digit that could be taken for another, 5 bits each.
LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"
#: How many stand together, and how often: 140 bits.
LETTERS_EACH, GROUPS = 7, 4


def made() -> str:
    """Return a new token."""
    groups = ("".join(secrets.choice(LETTERS) for _ in range(LETTERS_EACH)) for _ in range(GROUPS))
    return "-".join(groups)


def settled(settings: S, registry: Registry, name: str) -> S:
    """Return `settings` with what a daemon is to know of the token of the recording `name`.

    One that is wanted is the one that is kept, if there is one. Raises StateError.
    """
    if not settings.token:
        return dataclasses.replace(settings, token="")
    path = _folder(registry) / name
    known = _kept(path)
    text = settings.token if isinstance(settings.token, str) else known or made()
    if text != known:
        try:
            registry.make()
            path.parent.mkdir(mode=0o700, exist_ok=True)
            write_json(str(path), {"token": text})
        except OSError as error:
            raise StateError(
                f"{path} can't be written ({error.strerror}): make room, make it yours."
            ) from error
    return dataclasses.replace(settings, token=Token.of(text).word)


def text_of(asked: str, registry: Registry) -> str:
    """Return the token of which that much is known; empty if none is asked for, or it is not kept here."""
    for path in _folder(registry).glob("*") if asked else ():
        text = _kept(path)
        if text and Token.of(text).word == asked:
            return text
    return ""


def forgotten(registry: Registry, name: str) -> None:
    """Remove the token of the recording `name`, if it has one. Raises OSError."""
    (_folder(registry) / name).unlink(missing_ok=True)


def told(recording: Recording, registry: Registry, host: str) -> list[str]:
    """Return the token that senders have to say to `host`, and how they do; empty if none is asked for."""
    asked, port = recording.fact("token"), recording.port
    if not asked:
        return []
    text = text_of(asked, registry)
    if not text:
        return ["Its token is not known here: --token makes another one, which its senders then need."]
    says = f"(echo {shlex.quote(text)}; my-program)"
    pem = os.path.basename(recording.fact("tls_cert"))
    options = f"-quiet -no_ign_eof -verify_return_error -CAfile {shlex.quote(pem)}"
    by_tls = f"{says} | openssl s_client {options} -connect {with_port(host, port)}"
    plain = [f"{says} >/dev/tcp/{host}/{port}", f"{says} | nc -N {host} {port}"]
    return [
        f"Token: {text}",
        "A sender says it as its first line:",
        *([by_tls] if recording.facts.get("tls") is True else plain),
        f"sock.sendall({f'{text}{chr(10)}'.encode()!r})  # Python, once connected",
        f"client.println({json.dumps(text)});  // Arduino, once connected",
    ]


def _folder(registry: Registry) -> Path:
    return registry.root / "tokens"


def _kept(path: Path) -> str:
    try:
        text = read_json(str(path)).get("token")
    except (OSError, ValueError):
        return ""
    return text if isinstance(text, str) else ""
