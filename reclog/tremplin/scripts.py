"""What is run on the tremplin, as words for any login shell, and what its answers mean."""

from __future__ import annotations

import base64
import dataclasses
import os
import re
import shlex
from typing import Any

from reclog.engine.records.jsonfile import parse_json
from reclog.engine.records.names import PROGRAM

from ..console import brief
from ..errors import RelayError

#: Printed where what a person has started ends as they log out, and nobody could be asked to keep it.
ENDS = "reclog-ends-at-logout"
#: Sets `stays` to what runs a command so that it stays: logind can end all of a session (KillUserProcesses in
#: logind.conf(5)), and then the user's own systemd, which it leaves alone, is asked to have it.
_STAYS = (
    'stays=; if [ "$(loginctl show-user --property=KillUserProcesses --value 2>/dev/null)" = yes ] '
    '&& [ "$(id -u)" -gt 0 ]; then export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"; '
    'stays="systemd-run --user --scope --quiet --collect"; '
    f"if $stays true 2>/dev/null; then :; else stays=; echo {ENDS}; fi; fi; "
)


def start_script(folder: str, *more: str) -> str:
    """Return the shell's words that start the relay of `folder`, in the place of the shell."""
    words = ["python3", "-I", f"{folder}/{PROGRAM}", "start", "relay", "--folder", folder, *more]
    return f"{_STAYS}exec $stays {shlex.join(words)}"


def restart_words(folder: str) -> str:
    """Return the remote command that starts the relay of `folder` again, and says on stderr how that went."""
    return shlex.join(["sh", "-c", f"exec 1>&2; {start_script(folder, '--again')}"])


def ask_words(folder: str) -> str:
    """Return the remote command that asks the relay of `folder` what is on standard input."""
    words = ["python3", "-I", f"{folder}/{PROGRAM}", "ask", "--folder", folder]
    return shlex.join(["sh", "-c", f"{shlex.join(words)} || true"])


def last_object(said: str) -> dict[str, Any]:
    """Return the object in the last line of what was printed; any other words are its `message`."""
    *_, last = said.strip().splitlines() or [""]
    try:
        return parse_json(last)
    except ValueError:
        return {"message": last or "It says nothing."}


#: Sentences that a start is heard to the end for.
NOTES_MOST = 10


@dataclasses.dataclass(frozen=True)
class StartAnswer:
    """What a relay that was to start said of it; words for a person to read."""

    ready: bool
    cause: str
    message: str
    listener: str
    #: What the person should know; a few.
    notes: list[str]


def start_answer(said: str) -> StartAnswer:
    """Return the answer in the last line of what a start printed; any other words are why it failed."""
    facts = last_object(said)
    words = {name: brief(str(facts.get(name) or "")) for name in ("cause", "message", "listener")}
    notes = facts.get("notes")
    said_too = [brief(str(note)) for note in notes[:NOTES_MOST]] if isinstance(notes, list) else []
    return StartAnswer(ready=facts.get("ready") is True, notes=said_too, **words)


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


def send_words(host: str, port: int, fingerprint: str = "") -> list[str]:
    """Return the remote argv that sends its input to a port, at an address that is the remote's own.

    With a `fingerprint` by TLS, to whoever has that certificate alone.
    """
    program = (
        "import hashlib, socket, sys\n"
        "_, host, port, *fingerprint = sys.argv\n"
        "try:\n"
        "    with socket.create_connection((host, int(port)), timeout=5) as sock:\n"
        "        if fingerprint:\n"
        "            import ssl\n"
        "            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)\n"
        "            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE\n"
        "            sock = context.wrap_socket(sock)\n"
        "            if [hashlib.sha256(sock.getpeercert(True)).hexdigest()] != fingerprint:\n"
        "                raise OSError('it shows another certificate')\n"
        "        sock.sendall(sys.stdin.buffer.read())\n"
        "        if fingerprint:\n"
        "            sock.unwrap().close()\n"
        "    print('reclog-sent')\n"
        "except OSError as error:\n"
        "    print(error.strerror or error)\n"
    )
    return python_words(program, host, str(port), *filter(None, [fingerprint]))


def why_not_sent(said: str) -> str:
    """Return why the line of `send_words` was not sent; empty if it was (a login shell may talk too)."""
    lines = said.strip().splitlines()
    if "reclog-sent" in (line.strip() for line in lines):
        return ""
    return brief(lines[-1]) if lines else "it says nothing"
