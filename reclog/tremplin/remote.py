"""What a person waits for on the tremplin: put, start, stop, probe. Done with Fabric."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import io
import json
import os
import re
import secrets
import shlex
import socket
from typing import Any

import paramiko
from fabric import Connection

from reclog.engine.records.jsonfile import parse_json
from reclog.engine.records.names import CONFIG, PROGRAM, STOPPING

from ..console import brief
from ..errors import HostError, RelayError, RelayRunsError
from ..words import fab
from .login import Way
from .package import build, digest


class RemoteRelay:
    """One relay's folder on the tremplin, through an open connection."""

    def __init__(self, connection: Connection, way: Way, base: str, name: str) -> None:
        self.connection = connection
        self.way = way
        self.host = way.target.host
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
                f"{self.host} does not transfer files ({brief(str(error))}): its sftp must work, and "
                f"`{self.way.by_hand('true')}` print nothing."
            ) from error
        try:
            if digest(program) != known_program:
                self._put(program, PROGRAM)
            self._put(json.dumps(config).encode("utf-8"), CONFIG, replace=not new)
        except (OSError, EOFError, paramiko.SSHException, paramiko.SFTPError) as error:
            raise HostError(
                f"{self.folder} can't be written there ({brief(str(error))}): make room, check the rights."
            ) from error

    def start(self) -> str:
        """Start the relay and return the name of its listener. Raises RelayError."""
        # Whoever comes back to have a relay listens to senders again, also to one that was asked to stop.
        script = f"rm -f {shlex.quote(self.folder)}/{STOPPING}; exec {shlex.join(self._start_words())}"
        answer = start_answer(self._run(["sh", "-c", script], must=False))
        if not answer.ready:
            if answer.cause == "folder-taken":
                raise RelayRunsError(
                    f"On {self.host}: another call has just started the relay: run this again."
                )
            remedies = {
                "port-taken": " Choose another --port-remote-in or --port-remote-out.",
                "spool": f" `{fab('-H', self.host, 'kill', '--discard')}` drops it.",
            }
            raise RelayError(f"On {self.host}: {answer.message}{remedies.get(answer.cause, '')}")
        return answer.listener

    def _start_words(self) -> list[str]:
        return ["python3", "-I", f"{self.folder}/{PROGRAM}", "start", "relay", "--folder", self.folder]

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
            raise HostError(f"On {self.host}: {brief(said[-1]) if said else command + ' failed'}.")
        return str(result.stdout + ("" if result.ok else result.stderr))


@dataclasses.dataclass(frozen=True)
class StartAnswer:
    """What a relay that was to start said of it; words for a person to read."""

    ready: bool
    cause: str
    message: str
    listener: str


def start_answer(said: str) -> StartAnswer:
    """Return the answer in the last line of what a start printed; any other words are why it failed."""
    *_, last = said.strip().splitlines() or [""]
    try:
        facts = parse_json(last)
    except ValueError:
        facts = {"message": f"The relay does not start: {last or 'it says nothing'}."}
    words = {name: brief(str(facts.get(name) or "")) for name in ("cause", "message", "listener")}
    return StartAnswer(ready=facts.get("ready") is True, **words)


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
    return brief(lines[-1]) if lines else "it says nothing"


def answers(hostname: str, port: int, within: float = 1.5) -> str:
    """Return why `hostname:port` does not answer from here; empty if it does."""
    try:
        socket.create_connection((hostname, port), timeout=within).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""
