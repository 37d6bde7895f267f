"""systemd user units as text, by the rules of systemd.syntax(7), systemd.service(5) and systemd.exec(5).

Rules kept here:

- A unit says where a daemon's folder is, and nothing that is in it: whoever reads it learns no secret.
- The daemon is the unit's own process, and it alone is told to end (`KillMode=mixed`): a socat that is told
  at the same time loses what waits in its queue.
- After a kill, a crash and a start that fails it is started again, for ever; not after an end that was asked
  for (exit status 0), nor after what trying again does not mend (2).
- No sandbox that takes a mount namespace: where the system gives none to users, the unit would not start.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

#: How unit names of ours begin and end.
PREFIX, SUFFIX = "reclog-", ".service"
#: Seconds until it is tried again; until an end that was asked for is forced: a stop drains for 10 s.
AGAIN_AFTER, STOP_WITHIN = 2, 20
#: What every daemon can do without; seccomp(2) and prctl(2) do it all, which a user may. `@system-service` is
#: systemd's own list.
SANDBOX = """\
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
"""


class Unit(NamedTuple):
    """A unit file."""

    name: str
    text: str


def unit_name(name: str) -> str:
    """Return what the unit of a daemon is called that has that name, of which nobody else's has one."""
    plain = re.sub(rb"[^A-Za-z0-9:_.-]", lambda match: b"\\x%02x" % ord(match[0]), name.encode("utf-8"))
    return f"{PREFIX}{plain.decode('ascii')}{SUFFIX}"


def unit(
    name: str,
    command: Sequence[str],
    folder: str,
    needs: str,
    environment: Mapping[str, str],
    sandboxed: bool = True,
) -> Unit:
    """Return the unit that runs a daemon's `command` in its `folder`, if the file `needs` is in that.

    Raises ValueError for a word that no unit can hold.
    """
    for word in (name, *command, folder, *environment.values()):
        if not word.isprintable():
            raise ValueError(f"{word!r} has a character in it that a unit can't hold")
    program, *words = command
    # Nothing is put in for a `$` in the path of the program (systemd.service(5)).
    start = " ".join([quoted(program), *(quoted(word).replace("$", "$$") for word in words)])
    lines = [
        "# Made by reclog: `inv boot`, or `fab tremplin --boot`; --off and --no-boot take it away.",
        "[Unit]",
        f"Description=reclog {doubled(name)}",
        f"ConditionPathExists={doubled(folder)}/{needs}",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        "Type=exec",
        f"ExecStart={start}",
        *(f"Environment={quoted(f'{key}={value}')}" for key, value in environment.items()),
        f"WorkingDirectory={doubled(folder)}",
        "UMask=0077",
        "Restart=on-failure",
        f"RestartSec={AGAIN_AFTER}",
        "RestartPreventExitStatus=2",
        "KillMode=mixed",
        f"TimeoutStopSec={STOP_WITHIN}",
        *(SANDBOX.splitlines() if sandboxed else ()),
        "",
        "[Install]",
        "WantedBy=default.target",
    ]
    return Unit(unit_name(name), "\n".join(lines) + "\n")


def quoted(word: str) -> str:
    """Return a word in quotes, as ExecStart= and Environment= read it."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{doubled(escaped)}"'


def doubled(text: str) -> str:
    """Return a text in which no specifier is put in for a `%`."""
    return text.replace("%", "%%")
