"""Where a stream is, and who we are there: words of a call and of the environment, checked.

Rules kept here:

- No secret stands in an argv, or in an address: a login is in a file, or in the environment, from where it
  goes to a file of the daemon's folder (0600), so that it is there at a restart, too.
- A file with a secret in it is nobody else's to read.
- What goes over a network as it is, and could be read there, is said.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import os
import re
import shlex
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from reclog.engine.daemons.fields import YES_OR_NO, Config, Meant, passes, whole, word, words
from reclog.engine.records import names

from ..errors import UsageError
from ..recordings.checks import file_path

#: The environment variable with a login: USER:PASSWORD, or a token.
LOGIN = "RECLOG_NATS_LOGIN"
#: The port of a server where none is named.
PORT = 4222
#: Three ways to say who we are.
WHO = {"creds", "nkey", "login"}
#: Bytes of a login at most.
_LONGEST_LOGIN = 4096


class Plain(Config):
    """A config whose fields are words, lists of words, numbers and yes or no, and may be empty."""

    MEANT: ClassVar[Mapping[str, Meant]] = {
        "str": (word(passes), "a word"),
        "bool": YES_OR_NO,
        "int": (whole(0, 1 << 62), "a number of things"),
        "Sequence[str]": (words(passes, 0), "a list of words"),
    }


@dataclasses.dataclass(frozen=True)
class Account(Plain):
    """Where, and as whom."""

    #: `nats://host:port` or `tls://host:port` each.
    servers: Sequence[str]
    #: Files: a JWT with its seed, a seed, a login; then PEM files. Empty: none.
    creds: str = ""
    nkey: str = ""
    login: str = ""
    ca: str = ""
    cert: str = ""
    key: str = ""

    #: The options that name these files.
    OPTIONS: ClassVar[Mapping[str, str]] = {
        "creds": "--creds",
        "nkey": "--nkey",
        "login": "--login",
        "ca": "--ca",
        "cert": "--cert",
        "key": "--key",
    }

    @property
    def encrypted(self) -> bool:
        """Whether TLS is asked for: then nothing is said without it."""
        return all(server.startswith("tls://") for server in self.servers)

    @property
    def hosts(self) -> str:
        """The servers, for a person to read."""
        return ", ".join(server.partition("://")[2] for server in self.servers)

    def called(self, role: str) -> str:
        """Return the name of what has that role there: by the first server's host."""
        host = urlsplit(self.servers[0]).hostname or "nats"
        return f"{role}-" + re.sub(r"[^A-Za-z0-9.]+", "-", host).strip("-")[:40]

    def notes(self) -> list[str]:
        """Return what a person should know of it."""
        away = [server for server in self.servers if not server.startswith("tls://") and not _is_here(server)]
        if not away:
            return []
        return [f"What goes to {', '.join(away)} can be read on its way: tls:// encrypts it."]

    def said(self) -> tuple[str, str]:
        """Return the user and the password of the login, or a token and nothing. Raises OSError."""
        with open(self.login, encoding="utf-8", errors="surrogateescape") as file:
            user, _, password = file.read(_LONGEST_LOGIN).strip().partition(":")
        return user, password


def account(option: str, words: Sequence[str], files: Mapping[str, Any]) -> Account:
    """Return what a call asks for: the servers of `option`, and files by the names of an account's fields.

    Raises UsageError.
    """
    typed = [word.strip() for given in words for word in str(given).split(",") if word.strip()]
    # One that is named without it speaks what the others do: `tls://a,b` is not half of it in plain text.
    usual = next((word.partition("://")[0] for word in typed if "://" in word), "nats")
    servers = [_server(option, word, usual) for word in typed]
    if not servers:
        raise UsageError(f"{option} is missing: name the server, as {option} nats://host:{PORT}.")
    if len({server.partition(":")[0] for server in servers}) > 1:
        raise UsageError(f"{option} has both nats:// and tls://: give one of them.")
    named = {
        name: file_path(files[name], of, "a file") for name, of in Account.OPTIONS.items() if files.get(name)
    }
    if len(named.keys() & WHO) > 1:
        raise UsageError("--creds, --nkey and --login are three ways to say who we are: give one of them.")
    if bool(named.get("cert")) != bool(named.get("key")):
        raise UsageError("--cert and --key belong together: give both.")
    for name, path in named.items():
        _check(Account.OPTIONS[name], path, is_secret=name not in ("ca", "cert"))
    return Account(servers, **named)


def with_login(one: Account, folder: Path, environment: Mapping[str, str] = os.environ) -> Account:
    """Return it with the login that the environment has, kept in a daemon's folder. Raises OSError."""
    login = environment.get(LOGIN, "")
    if not login or one.creds or one.nkey or one.login:
        return one
    path = folder / names.LOGIN
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(fd, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(login + "\n")
    return dataclasses.replace(one, login=str(path))


def _server(option: str, word: str, usual: str) -> str:
    scheme, mark, rest = word.partition("://")
    if not mark:
        scheme, rest = usual, word
    example = f"as {option} nats://host:{PORT}"
    try:
        parts = urlsplit(f"//{rest}")
        host, port = parts.hostname, parts.port or PORT
    except ValueError:
        host, port = None, PORT
    if scheme not in ("nats", "tls"):
        raise UsageError(f"{option} {scheme}:// is unknown: give nats:// or tls://.")
    if "@" in rest:
        # Not what it is: others may look on.
        raise UsageError(
            f"{option} has a login in it that others can see: name a file with --login, or set {LOGIN}."
        )
    if (
        not host
        or parts.path.strip("/")
        or parts.query
        or parts.fragment
        or not host.isprintable()
        or " " in host
    ):
        raise UsageError(f"{option} {word!r} is no server: give it {example}.")
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _is_here(server: str) -> bool:
    host = urlsplit(server).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check(option: str, path: str, is_secret: bool) -> None:
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
    except OSError as error:
        raise UsageError(f"{option} {path} can't be read ({error.strerror}): name another file.") from error
    if not stat.S_ISREG(mode):
        raise UsageError(f"{option} {path} is no file: name one.")
    if is_secret and mode & 0o077:
        raise UsageError(f"{path} has a secret in it, and others can read it: chmod 600 {shlex.quote(path)}")
