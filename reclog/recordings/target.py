"""A host as the person typed it."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Sequence
from typing import Any

from ..errors import UsageError


@dataclasses.dataclass(frozen=True)
class Target:
    """A host as the person typed it."""

    host: str
    user: str | None = None
    port: int | None = None
    #: The file given with -S, instead of ~/.ssh/config.
    config: str | None = None
    #: Key files given with -i.
    identities: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what ssh would take for an option. Raises UsageError."""
        if not self.host or self.host.startswith("-") or (self.user or "").startswith("-"):
            raise UsageError(f"{self.host!r} is no host: give user@host with -H.")
        if not re.fullmatch(r"[\w.:%\-]+", self.host):
            raise UsageError(
                f"{self.host!r} is no host name: give user@host, an address, or an alias of yours."
            )
        if self.user is not None and not re.fullmatch(r"\S+", self.user):
            raise UsageError(f"{self.user!r} is no user: give user@host with -H.")
        if self.port is not None and not 1 <= self.port <= 65535:
            raise UsageError(f"{self.port} is no port of sshd: give user@host:port, from 1 to 65535.")

    @classmethod
    def from_json(cls, value: Any, host: str) -> Target:
        """Return the target that `asdict` was saved from, as far as it makes sense; `host` is its name.

        Raises UsageError.
        """
        facts = value if isinstance(value, dict) else {}
        words = {key: facts[key] for key in ("user", "config") if isinstance(facts.get(key), str)}
        given, port = facts.get("identities"), facts.get("port")
        identities = tuple(one for one in given if isinstance(one, str)) if isinstance(given, list) else ()
        return cls(host, port=port if type(port) is int else None, identities=identities, **words)

    def fab_words(self) -> list[str]:
        """Return fab's options for what was typed."""
        words = ["-S", self.config] if self.config else []
        for identity in self.identities:
            words += ["-i", identity]
        user = f"{self.user}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return [*words, "-H", f"{user}{host}{f':{self.port}' if self.port else ''}"]

    def words(self) -> list[str]:
        """Return ssh's options for what was typed."""
        words = ["-F", os.path.expanduser(self.config)] if self.config else []
        words += ["-l", self.user] if self.user else []
        words += ["-p", str(self.port)] if self.port else []
        for identity in self.identities:
            words += ["-i", os.path.expanduser(identity)]
        return words


def parse_target(typed: str, config: str | None = None, identities: Sequence[str] = ()) -> Target:
    """Return the target of `[user@]host[:port]`, an IPv6 address in brackets or bare. Raises UsageError."""
    user, _, rest = typed.rpartition("@")
    bracketed = re.fullmatch(r"\[([^\]]+)\](?::(\d+))?", rest)
    named = re.fullmatch(r"([^:]+):(\d+)", rest)
    host, port = (bracketed or named).groups() if (bracketed or named) else (rest, None)  # type: ignore[union-attr]
    return Target(host, user or None, int(port) if port else None, config, tuple(identities))


def recording_name(host: str, port: int) -> str:
    """Return what a recording through a host is called; one that finds that taken has a number behind it."""
    return "tremplin-" + re.sub(r"[^A-Za-z0-9.-]", "_", host) + f"-{port}"
