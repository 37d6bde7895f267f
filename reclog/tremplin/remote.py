"""What a person waits for on the tremplin: put, start, stop, probe. Done with Fabric."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import secrets
import shlex
from collections.abc import Mapping
from typing import Any

import paramiko
from fabric import Connection

from reclog.engine.records.names import CONFIG, PROGRAM, STOPPING

from ..console import brief
from ..errors import HostError, RelayError, RelayRunsError
from ..words import fab
from .login import MOST, WITHIN, Way
from .package import build, digest
from .scripts import (
    ENDS,
    StartAnswer,
    clear_script,
    end_script,
    send_words,
    start_answer,
    start_script,
    why_not_sent,
)


class RemoteRelay:
    """One relay's folder on the tremplin, through an open connection."""

    def __init__(self, connection: Connection, way: Way, base: str, name: str) -> None:
        self.connection = connection
        self.way = way
        self.host = way.target.host
        self.folder = f"{base}/{name}"

    def place(
        self,
        config: dict[str, Any],
        known_program: str = "",
        new: bool = False,
        beside: Mapping[str, bytes] | None = None,
    ) -> None:
        """Put config and program there, and what is `beside` them; the program only if it differs.

        Raises HostError.

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
            for name, content in (beside or {}).items():
                self._put(content, name)
            self._put(json.dumps(config).encode("utf-8"), CONFIG, replace=not new)
        except (OSError, EOFError, paramiko.SSHException, paramiko.SFTPError) as error:
            raise HostError(
                f"{self.folder} can't be written there ({brief(str(error))}): make room, check the rights."
            ) from error

    def start(self) -> StartAnswer:
        """Start the relay and return what it says of itself. Raises RelayError."""
        # Whoever comes back to have a relay listens to senders again, also to one that was asked to stop.
        script = f"rm -f {shlex.quote(self.folder)}/{STOPPING}; {start_script(self.folder)}"
        said = self._run(["sh", "-c", script], must=False)
        answer = start_answer(said)
        if not answer.ready:
            if answer.cause == "folder-taken":
                raise RelayRunsError(
                    f"On {self.host}: another call has just started the relay: run this again."
                )
            remedies = {
                "port-taken": " Choose another --port-remote-in or --port-remote-out.",
                "spool": f" `{fab('-H', self.host, 'kill', '--discard')}` drops it.",
            }
            where = f"On {self.host}:" if answer.cause else f"The relay on {self.host} does not start:"
            raise RelayError(f"{where} {answer.message}{remedies.get(answer.cause, '')}")
        if ENDS in said:
            ends = f"{self.host} ends it when you log out (KillUserProcesses), and has no systemd of yours"
            return dataclasses.replace(answer, notes=[*answer.notes, ends])
        return answer

    def end(self, pid: int) -> None:
        """Let the relay end, its spool kept; wait until it is gone."""
        self._run(shlex.split(end_script(pid)))

    def remove(self) -> None:
        """Leave no file there."""
        self._run(shlex.split(clear_script(self.folder)))

    def send(self, host: str, port: int, text: str, fingerprint: str = "") -> None:
        """Send a text, which nobody else there sees, to an address of the tremplin from itself.

        Raises RelayError.
        """
        command = shlex.join(send_words(host, port, fingerprint))
        try:
            # Not by Fabric: it takes 10 ms for each byte of a command's input.
            stdin, stdout, _ = self.connection.client.exec_command(command, timeout=WITHIN)
            stdin.write(text)
            stdin.channel.shutdown_write()
            why = why_not_sent(stdout.read(MOST).decode("utf-8", "replace"))
        except (OSError, EOFError, paramiko.SSHException) as error:
            why = brief(str(error)) or "no answer"
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
