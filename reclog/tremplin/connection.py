"""Fabric's connection to a host that OpenSSH has logged in to, by the same settings."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Iterator

import fabric
import paramiko
from fabric import Connection

from ..errors import HostError
from .login import MOST
from .ssh import CONNECT_WITHIN, Host


class _Bounded(fabric.runners.Remote):  # type: ignore[misc]
    """Fabric's runner, which else keeps all that a command prints: one that floods us is ended."""

    _read = 0

    def read_proc_stdout(self, num_bytes: int) -> bytes:
        """Read what it prints."""
        return self._bounded(super().read_proc_stdout(num_bytes))

    def read_proc_stderr(self, num_bytes: int) -> bytes:
        """Read what it complains of."""
        return self._bounded(super().read_proc_stderr(num_bytes))

    def _bounded(self, data: bytes) -> bytes:
        self._read += len(data)
        if self._read <= MOST:
            return data
        self.channel.close()
        return b""


def connect(host: Host) -> Connection:
    """Return Fabric's connection to a host that OpenSSH has logged in to, by the same settings.

    Raises HostError if Fabric can't do what OpenSSH could.
    """
    files = [host.path(path) for path in host.options.get("identityfile", [])]
    agent = host.path(host.one("identityagent", "SSH_AUTH_SOCK"))
    connection = Connection(
        host=host.hostname,
        user=host.one("user"),
        port=int(host.one("port", "22")),
        config=fabric.Config(overrides={"load_ssh_configs": False, "runners": {"remote": _Bounded}}),
        gateway=_proxy(host),
        connect_timeout=CONNECT_WITHIN,
        connect_kwargs={
            "key_filename": [path for path in files if os.path.exists(path)],
            "allow_agent": agent != "none",
            "look_for_keys": False,
        },
    )
    _honour_known_hosts(connection, host)
    try:
        with _agent_at(agent):
            connection.open()
    except (paramiko.SSHException, OSError, EOFError, ValueError) as error:
        raise HostError(
            f"{host.target.host}: ssh logs in and Fabric can't ({error or type(error).__name__}): "
            "load a plain key into ssh-agent (ssh-add)."
        ) from error
    return connection


def _proxy(host: Host) -> str | None:
    for line in host.config_text().splitlines():
        name, _, value = line.strip().partition(" ")
        if name == "proxycommand" and value != "none":
            # OpenSSH gives it to a shell, Fabric does not.
            return shlex.join(["sh", "-c", f"exec {host.path(value)}"])
    return None


@contextlib.contextmanager
def _agent_at(path: str) -> Iterator[None]:
    """Have Fabric ask the agent that OpenSSH asks (IdentityAgent): it only knows the environment's."""
    name = "SSH_AUTH_SOCK"
    before = os.environ.get(name)
    other = os.environ.get(path[1:], "") if path.startswith("$") else path
    if other not in (name, "none"):
        os.environ[name] = other
    try:
        yield
    finally:
        if before is not None:
            os.environ[name] = before
        else:
            os.environ.pop(name, None)


def _honour_known_hosts(connection: Connection, host: Host) -> None:
    """Accept only the host keys that OpenSSH accepts (it has logged in a moment ago, by the same files)."""
    client = connection.client
    names = f"{host.one('userknownhostsfile')} {host.one('globalknownhostsfile')}".split()
    for path in [host.path(name) for name in names]:
        if path != os.devnull and os.path.isfile(path):
            client.load_host_keys(path)
    keys = client.get_host_keys()
    alias = host.one("hostkeyalias", "none")
    port = host.one("port", "22")
    wanted = host.hostname if port == "22" else f"[{host.hostname}]:{port}"
    if alias != "none" and keys.lookup(alias):
        for kind, key in keys.lookup(alias).items():
            keys.add(wanted, kind, key)
    if host.one("stricthostkeychecking") in ("no", "off", "false"):
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    else:
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
    client._host_keys_filename = None  # OpenSSH keeps known_hosts; nothing is to be added by us
