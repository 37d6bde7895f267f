"""Which host a call of `fab` means, by its own words: Fabric merges them with its idea of your ssh config."""

from __future__ import annotations

import os
import re
import sys
from typing import Any

from invoke.context import Context

from reclog.errors import UsageError
from reclog.recordings.target import Target, parse_target
from reclog.words import fab


def target_of(c: Context) -> tuple[Target, int]:
    """Return the host of a task's connection as it was typed, and how many there are. Raises UsageError."""
    host = getattr(c, "original_host", None)
    if host is None:
        raise UsageError(f"Give a host with -H: {fab('-H', 'user@host', 'tremplin')}.")
    typed = _typed_hosts(sys.argv)
    config = getattr(c.config, "_runtime_ssh_path", None)  # Fabric has no other name for what -S gave
    config = _absolute(config) if config else None
    # Fabric adds what it makes of the user's ssh config, which OpenSSH is asked for.
    added = [str(one) for one in c.ssh_config.get("identityfile", [])]
    given = c.connect_kwargs.get("key_filename") or []
    keys = [given] if isinstance(given, str) else [str(one) for one in given]
    identities = [_absolute(one) for one in keys if one not in added]
    for words in typed:
        target = parse_target(words, config, identities)
        named = words == host or host in (words.rpartition("@")[2], target.host, f"[{target.host}]")
        # The same host may be there twice, with two users or two ports.
        if named and target.user in (None, c.user) and (target.port in (None, c.port) or "[" in words):
            return target, len(typed)
    # Called by a program: Fabric's own idea of the user and port is all there is.
    shorthand = f"{c.user}@{host}" if getattr(c, "user", None) else str(host)
    return parse_target(shorthand, config, identities), max(1, len(typed))


def check_words(argv: list[str]) -> None:
    """Refuse hosts and files of a command line over which Fabric would stumble. Raises UsageError."""
    for typed in _values(argv, "-H", "--hosts"):
        for host in filter(None, map(str.strip, typed.split(","))):
            rest = host.rpartition("@")[2]
            if rest.count(":") == 1 and not re.fullmatch(r"[^:]+:\d+", rest):
                raise UsageError(f"{host!r} is no host: give user@host or user@host:port with -H.")
            parse_target(host)
    for path in _values(argv, "-S", "--ssh-config"):
        if not os.path.isfile(_absolute(path)):
            raise UsageError(f"{path!r} is no file: give your ssh config with -S.")
    for path in _values(argv, "-i", "--identity"):
        if not os.path.isfile(_absolute(path)):
            raise UsageError(f"{path!r} is no file: give a key of yours with -i.")


def _absolute(path: Any) -> str:
    # The background's ssh runs in another folder.
    return os.path.abspath(os.path.expanduser(str(path)))


def _typed_hosts(argv: list[str]) -> list[str]:
    """Return the hosts of -H or --hosts."""
    values = ",".join(_values(argv, "-H", "--hosts"))
    return [one.strip() for one in values.split(",") if one.strip()]


def _values(argv: list[str], short: str, long: str) -> list[str]:
    """Return the values that a command line gives to an option."""
    found: list[str] = []
    for number, word in enumerate(argv):
        if word in (short, long) and number + 1 < len(argv):
            found.append(argv[number + 1])
        elif word.startswith(f"{long}="):
            found.append(word.partition("=")[2])
        elif word.startswith(short) and not word.startswith("--") and len(word) > 2:
            found.append(word[2:].removeprefix("="))
    return found
