"""Log in with OpenSSH, as the background will, and run a command there.

What comes from there is a stranger's: at most `MOST` bytes of it are read, and none is shown as it is.
"""

from __future__ import annotations

import dataclasses
import os
import selectors
import shlex
import subprocess
import time
from pathlib import Path

from reclog.engine.records.names import SSH_CONFIG

from ..console import brief
from ..errors import HostError, UsageError
from ..recordings.registry import Recording
from ..recordings.target import Target
from .ssh import resolve, ssh_command

#: Bytes of stdout, and of stderr, that a command may print.
MOST = 1024 * 1024
#: Seconds for a login and its command.
WITHIN = 60.0
#: What ssh says, and what to do about it.
_REMEDIES = (
    (
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "its host key has changed: find out why; if that is right, `{keygen}`",
    ),
    (
        "Host key verification failed",
        "its host key is unknown: connect once by hand, `{by_hand}`, and confirm it",
    ),
    (
        "Permission denied",
        "it refuses the login: load a key that it knows into ssh-agent (ssh-add), or give one with -i",
    ),
    ("Too many authentication failures", "it refuses the login: give the one key that it knows with -i"),
    (
        "Could not resolve hostname",
        "its name does not resolve: check the spelling, or give it a HostName in ~/.ssh/config",
    ),
    ("Connection refused", "no sshd answers there: check the port (user@host:port)"),
    ("timed out", "it does not answer: check address and network"),
    ("No route to host", "there is no way to it: check address and network"),
    ("Network is unreachable", "there is no way to it: check the network"),
)


@dataclasses.dataclass(frozen=True)
class Way:
    """How a host is reached: the file that OpenSSH reads in place of the user's own, and what was typed."""

    config: Path
    target: Target

    @classmethod
    def of(cls, recording: Recording) -> Way:
        """Return the way to the tremplin of a recording. Raises HostError."""
        try:
            target = Target.from_json(recording.facts.get("target"), recording.host)
        except UsageError as error:
            raise HostError(f"{recording.name} does not tell its host any more: {error}") from error
        return cls(recording.folder / SSH_CONFIG, target)

    def by_hand(self, *command: str) -> str:
        """Return the call of ssh by which the person gets there."""
        return shlex.join(["ssh", *self.target.words(), self.target.host, *command])


def login(way: Way, command: str = "true", program: str = "") -> str:
    """Log in, run `command` with `program` as its input, return what it printed. Raises HostError."""
    host = way.target.host
    process = subprocess.Popen(
        [*ssh_command(way.config, host), command],
        stdin=subprocess.PIPE if program else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    until = time.monotonic() + WITHIN
    with process:
        try:
            said, complained = _exchange(process, program.encode("utf-8"), host, until)
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired as error:
            process.kill()
            raise HostError(
                f"{host}: it does not answer within a minute: check address and network."
            ) from error
        except BaseException:
            process.kill()
            raise
    if process.returncode == 255:
        raise HostError(_why_key(way, complained) or why_no_login(host, complained, way.by_hand()))
    if process.returncode:
        raise HostError(f"{host}: {_last(complained) or f'the command ended with {process.returncode}'}.")
    return said


def _exchange(process: subprocess.Popen[bytes], program: bytes, host: str, until: float) -> tuple[str, str]:
    """Hand a process its input and return its stdout and stderr. Raises HostError, TimeoutExpired."""
    assert process.stdout is not None
    assert process.stderr is not None
    said = {process.stdout: b"", process.stderr: b""}
    with selectors.DefaultSelector() as selector:
        for pipe in said:
            selector.register(pipe, selectors.EVENT_READ)
        if process.stdin is not None:
            os.set_blocking(process.stdin.fileno(), False)
            selector.register(process.stdin, selectors.EVENT_WRITE)
        while selector.get_map():
            ready = selector.select(until - time.monotonic())
            if not ready or time.monotonic() > until:
                raise subprocess.TimeoutExpired(process.args, WITHIN)
            for key, _ in ready:
                if key.fileobj is process.stdin:
                    try:
                        program = program[os.write(key.fd, program) :]
                    except BrokenPipeError:  # its end says why
                        program = b""
                    if not program:
                        selector.unregister(process.stdin)
                        process.stdin.close()
                    continue
                data = os.read(key.fd, 65536)
                if not data:
                    selector.unregister(key.fileobj)
                said[key.fileobj] += data  # type: ignore[index]
                if len(said[key.fileobj]) > MOST:  # type: ignore[index]
                    raise HostError(
                        f"{host} floods its login with words: its login scripts must print nothing there."
                    )
    out, err = (text.decode("utf-8", "replace") for text in said.values())
    return out, err


def why_no_login(host: str, said: str, by_hand: str) -> str:
    """Return the sentence for what ssh said when it could not log in."""
    for sign, remedy in _REMEDIES:
        if sign in said:
            keygen = next(
                (line.strip() for line in said.splitlines() if "ssh-keygen" in line), "ssh-keygen -R …"
            )
            return f"{host}: {remedy.format(by_hand=by_hand, keygen=brief(keygen))}."
    return f"{host}: ssh can't log in ({_last(said) or 'it says nothing'})."


def _why_key(way: Way, said: str) -> str:
    """Return the sentence about a key that was not tried, since nobody could be asked for its passphrase."""
    if "Permission denied" not in said:
        return ""
    host = resolve(Target(way.target.host, config=str(way.config)))
    for path in map(host.path, host.options.get("identityfile", [])):
        if not os.path.exists(path):
            continue
        opened = _output("ssh-keygen", "-y", "-P", "", "-f", path)
        prints = _output("ssh-keygen", "-l", "-f", path).split()[1:2]
        if "passphrase" in opened and not (prints and prints[0] in _output("ssh-add", "-l")):
            return (
                f"{way.target.host}: the key {path} has a passphrase, and nobody can be asked for it in the "
                f"background: load it into ssh-agent, `{shlex.join(['ssh-add', path])}`."
            )
    return ""


def _output(*command: str) -> str:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    return done.stdout.decode("utf-8", "replace")


def _last(text: str) -> str:
    """Return the last line of what a host said, for a sentence."""
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return brief(lines[-1].strip().rstrip(".")) if lines else ""
