"""What a person waits for on the tremplin: look, put, start, stop, probe. Done with Fabric."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import re
import secrets
import shlex
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fabric
import paramiko
from fabric import Connection

from reclog.engine.records.names import STOPPING

from ..errors import HostError, RelayError, RelayRunsError
from .package import build, digest
from .ssh import CONNECT_WITHIN, Host, login

#: The oldest Python that the engine runs on.
PYTHON = (3, 8)
#: Bytes that must be free there beyond nothing: the program and the first segment.
ROOM = 32 * 1024 * 1024
_LOOK = (Path(__file__).with_name("survey.py")).read_text("utf-8")


def look(config: Path, host: str) -> dict[str, Any]:
    """Log in with OpenSSH, as the background will, and see what is there. Raises HostError."""
    # The login shell may be any: it only has to start sh with one argument.
    python = shlex.join(python_words(_LOOK))
    script = f"command -v python3 >/dev/null || {{ echo reclog-no-python; exit 0; }}; {python}"
    said = login(config, host, shlex.join(["sh", "-c", script]))
    if "reclog-no-python" in said:
        raise HostError(f"{host} has no python3: install it there (apt-get install python3).")
    line = next((one for one in said.splitlines() if one.startswith("reclog-look ")), "")
    if not line:
        raise HostError(
            f"{host} does not run commands as expected: try `ssh {host} true`, it must print nothing."
        )
    try:
        seen: dict[str, Any] = json.loads(line.partition(" ")[2])
    except ValueError as error:
        raise HostError(f"What {host} says of itself makes no sense: try `ssh {host} true`.") from error
    return seen


def check(seen: dict[str, Any], host: str) -> None:
    """See that a relay can live there. Raises HostError."""
    version = tuple(seen["python"][:2])
    if version < PYTHON:
        raise HostError(f"{host} has Python {version[0]}.{version[1]}: a relay needs 3.8 or newer there.")
    if not seen["writable"]:
        raise HostError(
            f"{seen['base']} on {host} can't be written: give the account a home of its own there."
        )
    if seen["free"] < ROOM:
        raise HostError(f"{host} has {seen['free'] // 1024} KiB free in {seen['home']}: make room there.")


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
        config=fabric.Config(overrides={"load_ssh_configs": False}),
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


class RemoteRelay:
    """One relay's folder on the tremplin, through an open connection."""

    def __init__(self, connection: Connection, base: str, name: str) -> None:
        self.connection = connection
        self.folder = f"{base}/{name}"

    def place(self, config: dict[str, Any], known_program: str = "", new: bool = False) -> None:
        """Put config and program there; the program only if it differs. Raises HostError.

        A `new` relay's config comes last and replaces none: of two calls at once, from two machines, one
        wins and the other raises RelayError.
        """
        self._run(["mkdir", "-p", "-m", "700", os.path.dirname(self.folder), self.folder])
        program = build()
        try:
            self.connection.sftp()  # opened once, and kept
        except (OSError, EOFError, paramiko.SSHException, paramiko.SFTPError) as error:
            # What goes wrong here is not the disk: words of a login script in its way, or none at all.
            raise HostError(
                f"{self.connection.host} does not transfer files ({error}): its sftp must work, and "
                "`ssh HOST true` print nothing."
            ) from error
        try:
            if digest(program) != known_program:
                self._put(program, "reclog.pyz")
            self._put(json.dumps(config).encode("utf-8"), "config.json", replace=not new)
        except (OSError, EOFError, paramiko.SSHException, paramiko.SFTPError) as error:
            raise HostError(
                f"{self.folder} can't be written there ({error}): make room, check the rights."
            ) from error

    def start(self, host: str) -> dict[str, Any]:
        """Start the relay and return its answer. Raises RelayError."""
        # Whoever comes back to have a relay listens to senders again, also to one that was asked to stop.
        script = f"rm -f {shlex.quote(self.folder)}/{STOPPING}; exec {shlex.join(self._start_words())}"
        words = ["sh", "-c", script]
        said = self._run(words, must=False)
        try:
            answer = json.loads(said.strip().splitlines()[-1])
        except (ValueError, IndexError) as error:
            raise RelayError(f"The relay does not start: {said.strip() or 'it says nothing'}.") from error
        if not answer.get("ready"):
            cause = str(answer.get("cause"))
            if cause == "folder-taken":
                raise RelayRunsError(f"On {host}: another call has just started the relay: run this again.")
            remedies = {
                "port-taken": " Choose another --port-remote-in or --port-remote-out.",
                "spool": f" `fab -H {host} kill --discard` drops it.",
            }
            raise RelayError(f"On {host}: {answer.get('message')}{remedies.get(cause, '')}")
        return dict(answer)

    def _start_words(self) -> list[str]:
        return ["python3", "-I", f"{self.folder}/reclog.pyz", "start", "relay", "--folder", self.folder]

    def end(self, pid: int) -> None:
        """Let the relay end, its spool kept; wait until it is gone."""
        self._run(shlex.split(end_script(pid)))

    def remove(self) -> None:
        """Leave no file there."""
        self._run(shlex.split(clear_script(self.folder)))

    def send(self, port: int, line: str) -> None:
        """Send a line to the relay's port, from the tremplin itself. Raises RelayError."""
        why = why_not_sent(self._run(send_words(port, line), must=False))
        if why:
            raise RelayError(f"The relay's port {port} does not answer on the tremplin: {why}.")

    def _put(self, content: bytes, name: str, replace: bool = True) -> None:
        path = f"{self.folder}/{name}"
        new = f"{path}.{secrets.token_hex(4)}"
        try:
            # Complete, or not there under its name: a program cut short must never be started.
            self.connection.put(io.BytesIO(content), new)
            verb = "mv -f" if replace else "ln"  # ln(1) refuses a name that is there
            script = f"chmod 600 {shlex.quote(new)} && {verb} {shlex.quote(new)} {shlex.quote(path)}"
            said = self._run(["sh", "-c", f"{script} || echo reclog-not-placed"], must=False)
        finally:
            with contextlib.suppress(OSError, EOFError, paramiko.SSHException, paramiko.SFTPError):
                self._run(["rm", "-f", new], must=False)
        if "reclog-not-placed" in said:
            raise RelayError(
                f"A relay is being started in {self.folder} by another machine: run it again in a moment."
            )

    def _run(self, words: list[str], must: bool = True) -> str:
        command = shlex.join(words)
        result = self.connection.run(command, hide=True, warn=True, in_stream=False, pty=False)
        if must and result.failed:
            said = (result.stderr or result.stdout).strip().splitlines()
            raise HostError(f"On {self.connection.host}: {said[-1] if said else command + ' failed'}.")
        return str(result.stdout + ("" if result.ok else result.stderr))


def end_script(pid: int) -> str:
    """Return the remote command that lets a relay end, its spool kept, and waits until it is gone."""
    # Where nobody collects the dead (a container's pid 1), a pid stays: State Z (proc(5)).
    runs = f"kill -0 {pid} 2>/dev/null && ! grep -qs '^State:.Z' /proc/{pid}/status"
    script = (
        f"kill -TERM {pid} 2>/dev/null; i=0; "
        f"while {runs} && [ $i -lt 130 ]; do sleep 0.1; i=$((i+1)); done; true"
    )
    return shlex.join(["sh", "-c", script])


def clear_script(folder: str) -> str:
    """Return the remote command that removes a relay's folder, and the empty ones above it."""
    if not re.search(r"/reclog/relay/[^/]+$", folder):
        raise RelayError(f"{folder} is no relay's folder.")
    quoted, relays = shlex.quote(folder), shlex.quote(os.path.dirname(folder))
    # The two folders above are ours too, and go with the last relay; those above them are the user's.
    script = f"rm -rf {quoted} && {{ rmdir {relays} {relays}/.. 2>/dev/null; [ ! -e {quoted} ]; }}"
    return shlex.join(["sh", "-c", script])


def python_words(program: str, *words: str) -> list[str]:
    """Return the argv that runs a Python program, on one line: a csh takes no newline in quotes."""
    packed = base64.b64encode(program.encode("utf-8")).decode("ascii")
    return ["python3", "-c", f'exec(__import__("base64").b64decode("{packed}"))', *words]


def send_words(port: int, line: str) -> list[str]:
    """Return the remote argv that sends a line to a port of the same host."""
    program = (
        "import socket, sys\n"
        "try:\n"
        "    with socket.create_connection(('127.0.0.1', int(sys.argv[1])), timeout=5) as sock:\n"
        "        sock.sendall(sys.argv[2].encode() + b'\\n')\n"
        "    print('reclog-sent')\n"
        "except OSError as error:\n"
        "    print(error.strerror or error)\n"
    )
    return python_words(program, str(port), line)


def why_not_sent(said: str) -> str:
    """Return why the line of `send_words` was not sent; empty if it was (a login shell may talk too)."""
    lines = said.strip().splitlines()
    if "reclog-sent" in (line.strip() for line in lines):
        return ""
    return lines[-1].strip() if lines else "it says nothing"


def answers(hostname: str, port: int, within: float = 1.5) -> str:
    """Return why `hostname:port` does not answer from here; empty if it does."""
    try:
        socket.create_connection((hostname, port), timeout=within).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""
