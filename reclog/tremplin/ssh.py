"""One truth about a host: what `ssh -G` says of it, for OpenSSH in the background and for Fabric in front.

The user's configuration is resolved once, with Include, Match, aliases and jumps, by OpenSSH itself. Of
the result only what reaches and proves the host is kept (`KEPT`): the user's forwards, GatewayPorts,
multiplexing and ForkAfterAuthentication have no part in it, so they can't spoil the tunnel. It is written
to a file that every later ssh reads in place of the user's own.
"""

from __future__ import annotations

import dataclasses
import os
import pwd
import re
import shlex
import socket
import subprocess
from pathlib import Path

from ..errors import HostError
from ..recordings.target import Target, parse_target

#: What of a host's configuration is kept: how to reach it, how to know it, how to log in.
# fmt: off
KEPT = frozenset((
    "addressfamily", "bindaddress", "bindinterface", "casignaturealgorithms", "certificatefile",
    "checkhostip", "ciphers", "compression", "globalknownhostsfile", "gssapiauthentication",
    "gssapiclientidentity", "gssapidelegatecredentials", "gssapikeyexchange", "gssapiserveridentity",
    "gssapitrustdns", "hashknownhosts", "hostbasedacceptedalgorithms", "hostbasedauthentication",
    "hostkeyalgorithms", "hostkeyalias", "hostname", "identitiesonly", "identityagent", "identityfile",
    "ipqos", "kexalgorithms", "knownhostscommand", "macs", "nohostauthenticationforlocalhost",
    "pkcs11provider", "port", "preferredauthentications", "proxycommand", "proxyusefdpass",
    "pubkeyacceptedalgorithms", "pubkeyauthentication", "rekeylimit", "requiredrsasize",
    "revokedhostkeys", "securitykeyprovider", "stricthostkeychecking", "updatehostkeys", "user",
    "userknownhostsfile", "verifyhostkeydns",
))
# fmt: on
#: Options whose value is one path, which may hold spaces.
_PATHS = frozenset(("identityfile", "certificatefile", "identityagent", "revokedhostkeys"))
#: Seconds for a person's first connection, and for the background's: a dead link must not hold it up.
CONNECT_WITHIN, RECONNECT_WITHIN = 10, 3


@dataclasses.dataclass(frozen=True)
class Host:
    """A target, resolved."""

    target: Target
    options: dict[str, list[str]]

    def one(self, name: str, otherwise: str = "") -> str:
        """Return the only value of an option."""
        return self.options.get(name, [otherwise])[0]

    @property
    def hostname(self) -> str:
        """The name or address to connect to."""
        return self.one("hostname", self.target.host)

    @property
    def login(self) -> str:
        """The account and where its sshd is: the same for each name that the person has for it."""
        return f"{self.one('user')}@{self.hostname}:{self.one('port', '22')}"

    def path(self, value: str) -> str:
        """Return a path of the configuration with what OpenSSH puts in for `~` and its tokens."""
        account = pwd.getpwuid(os.getuid())  # OpenSSH asks the system, not $HOME
        tokens = {
            "%": "%",
            "d": account.pw_dir,
            "h": self.hostname,
            "i": str(account.pw_uid),
            "k": self.one("hostkeyalias", self.target.host),
            "L": socket.gethostname().partition(".")[0],
            "l": socket.gethostname(),
            "n": self.target.host,
            "p": self.one("port", "22"),
            "r": self.one("user"),
            "u": account.pw_name,
        }
        path = account.pw_dir + value[1:] if value.startswith("~/") else value
        path = re.sub(r"%(.)", lambda match: tokens.get(match[1], match[0]), path)
        return re.sub(r"\$\{(\w+)\}", lambda match: os.environ.get(match[1], match[0]), path)

    def config_text(self) -> str:
        """Return the configuration that reaches this host, and nothing else of the user's."""
        lines = ["Host *"]
        for name, values in sorted(self.options.items()):
            if name in KEPT:
                lines += [f"  {name} {_quoted(name, value)}" for value in values]
        jump = self.one("proxyjump", "none")
        if jump != "none":
            lines.append(f"  proxycommand {self._jump_command(jump)}")
        return "\n".join(lines) + "\n"

    def _jump_command(self, jump: str) -> str:
        # As OpenSSH itself does it (ssh.c), but with the user's configuration: ours names the target only.
        *before, last = jump.split(",")
        words = ["ssh", *_options("BatchMode=yes", "ControlPath=none")]
        words += ["-F", os.path.expanduser(self.target.config)] if self.target.config else []
        words += ["-J", ",".join(before)] if before else []
        via = parse_target(last.removeprefix("ssh://"))
        words += ["-l", via.user] if via.user else []
        words += ["-p", str(via.port)] if via.port else []
        return f"{shlex.join(words).replace('%', '%%')} -W '[%h]:%p' -- {shlex.quote(via.host)}"


def resolve(target: Target) -> Host:
    """Ask OpenSSH what it knows of `target`; nothing is connected. Raises HostError."""
    try:
        done = subprocess.run(
            ["ssh", "-G", *target.words(), "--", target.host],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        raise HostError("OpenSSH's ssh is not installed here: apt-get install openssh-client.") from error
    if done.returncode:
        why = done.stderr.strip().partition("\n")[0].rstrip(". ")  # what follows only counts such lines
        raise HostError(f"{target.host}: ssh can't use its configuration ({why}): correct it.")
    options: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        name, _, value = line.partition(" ")
        options.setdefault(name.lower(), []).append(value)
    return Host(target, options)


def ssh_command(config: Path | str, host: str, *, within: int = CONNECT_WITHIN) -> list[str]:
    """Return the argv of an ssh that can't ask anything, up to the host; a remote command may follow."""
    asks_nobody = _options("BatchMode=yes", f"ConnectTimeout={within}")
    alive = _options("ServerAliveInterval=5", "ServerAliveCountMax=3")
    return ["ssh", "-F", str(config), *asks_nobody, *alive, "-T", "--", host]


def tunnel_command(config: Path | str, host: str, port_local: int, there: str) -> list[str]:
    """Return the argv of the tunnel: a local forward, bound to 127.0.0.1 here, to `there`, and no more."""
    *words, end, name = ssh_command(config, host, within=RECONNECT_WITHIN)
    only = _options("ExitOnForwardFailure=yes", "ForkAfterAuthentication=no")
    alone = _options("ControlMaster=no", "ControlPath=none")
    return [*words, "-N", *only, *alone, "-L", f"127.0.0.1:{port_local}:{there}", end, name]


def _options(*settings: str) -> list[str]:
    return [word for setting in settings for word in ("-o", setting)]


def _quoted(name: str, value: str) -> str:
    return f'"{value}"' if name in _PATHS and " " in value else value
