"""`fab -H user@host tremplin` and `fab -H user@host kill`."""

from __future__ import annotations

import os
import re
import shlex
import sys
from typing import Any

from invoke.context import Context
from invoke.tasks import task

from reclog import foreground as front
from reclog.errors import UsageError
from reclog.registry import Registry
from reclog.settings import resolve_tremplin
from reclog.ssh import Target, parse_target
from reclog.tremplin import open_tremplin

from .edge import configured, sentences


@task(
    auto_shortflags=False,
    iterable=["allow"],
    help={
        "port-remote-in": "Port on the tremplin that senders use (default 55514).",
        "port-remote-out": "Port on the tremplin's 127.0.0.1 where the tunnel ends (default 55614).",
        "port-local": "Port on 127.0.0.1 here where the tunnel begins (default 55514, or the next free one).",
        "file": "File to append to (default file.log); {host} in it is the host's name.",
        "listener": "On the tremplin: builtin (default; needs python3 alone) or socat.",
        "stamp": "Begin each line with its arrival time (UTC) and its sender's address.",
        "allow": "Only record senders of this network, as 203.0.113.0/24. May be repeated.",
        "partial-after": "Seconds after which text without a newline is passed on (default 2).",
        "spool-max": "Disk space there for lines that wait, as 64MiB (default 1GiB); senders wait when full.",
        "take-over": "Have the relay from now on, though another machine has it.",
        "foreground": "Stay, show counters; Ctrl-C ends the collector here, the relay goes on.",
    },
)
@sentences
def tremplin(
    c: Context,
    port_remote_in: Any = None,
    port_remote_out: Any = None,
    port_local: Any = None,
    file: Any = None,
    listener: Any = None,
    stamp: bool = False,
    allow: Any = None,  # with another default Invoke gives it that one's type, not a list
    partial_after: Any = None,
    spool_max: Any = None,
    take_over: bool = False,
    foreground: bool = False,
) -> None:
    """Record what senders write to a host on the Internet, in a file here.

    Starts a relay there, with a spool that keeps lines while this machine is away, and a tunnel by ssh; no
    port is opened here. Run again it takes up the relay that is there. Stop: `inv kill`.
    """
    words = locals()
    target, hosts = target_of(c)
    settings = resolve_tremplin(words, configured(c), target.host, hosts)
    opened = open_tremplin(target, settings, Registry(), lambda line: print(line, flush=True))
    recording = opened.recording
    if settings.foreground and opened.process is not None:
        front.say_how_it_ended(front.stay_with(recording, opened.process, clean=False))
    else:
        print(f"Follow: tail -f {shlex.quote(recording.file)}   Stop: inv kill --host {target.host}")


@task(
    name="kill",
    auto_shortflags=False,
    help={
        "take-over": "Stop a relay that another machine has, too.",
        "discard": "Drop what could not be brought into the file.",
    },
)
@sentences
def kill_there(c: Context, take_over: bool = False, discard: bool = False) -> None:
    """Stop what runs on that host: drain its relay into the file, then leave nothing there.

    Works with or without a record of it here.
    """
    from .kill import stop_host

    target, _ = target_of(c)
    stop_host(target, take_over, discard)


def target_of(c: Context) -> tuple[Target, int]:
    """Return the host of a task's connection as it was typed, and how many there are. Raises UsageError."""
    host = getattr(c, "original_host", None)
    if host is None:
        raise UsageError("Give a host with -H: fab -H user@host tremplin.")
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


def _absolute(path: Any) -> str:
    # The background's ssh runs in another folder.
    return os.path.abspath(os.path.expanduser(str(path)))


def _typed_hosts(argv: list[str]) -> list[str]:
    """Return the hosts of -H or --hosts: Fabric keeps them only merged with its own idea of ssh's config."""
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
