"""The commands that take a recording up again, or stop it, for a person to copy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reclog.engine.records import names
from reclog.engine.system.address import with_port

from ..errors import UsageError
from ..words import fab, inv
from .defaults import DEFAULTS
from .registry import Recording
from .target import Target

#: Columns of a narrow terminal.
WIDTH = 80


def entrances(recording: Recording) -> str:
    """Return where what it records comes from, for a person to read."""
    port = [f"port {recording.port}"] if recording.port else []
    subject = [recording.fact("subject")] if recording.fact("subject") else []
    return ", ".join([*port, *recording.listed("dial"), *subject]) or "no port"


def again_command(recording: Recording) -> str:
    """Return the command that takes a recording up again."""
    return {"local": _local, "tremplin": _tremplin, "subscriber": _subscriber}[recording.kind](recording)


def stop_command(recording: Recording) -> str:
    """Return the command that stops a recording."""
    if recording.is_called:
        return inv("kill", recording.name)
    if recording.host:
        return inv("kill", "--host", recording.host)
    if recording.port:
        return inv("kill", "--port", str(recording.port))
    if recording.kind == "subscriber":
        return inv("kill", recording.of or recording.name)
    return inv("kill", "--file", recording.file) if recording.file else inv("kill")


def write_to(addresses: Sequence[str], recording: Recording) -> str:
    """Return where devices write to, in as many addresses as a narrow terminal has room for; one at least."""
    targets = [with_port(address, recording.port) for address in addresses]
    ways = ["tls" if recording.facts.get("tls") is True else "tcp"]
    ways += ["udp"] if recording.hears_datagrams else []
    while True:
        sentence = f"devices write to {' or '.join(targets)} ({', '.join(ways)})"
        if len(sentence) <= WIDTH or len(targets) == 1:
            return sentence
        targets.pop()


def goes_on(recording: Recording) -> str:
    """Return what is to be said of a recording through a tremplin whose collector does not run."""
    return (
        f"The relay on {recording.host} goes on: `{again_command(recording)}` brings in what it has, "
        f"`{stop_command(recording)}` stops it."
    )


def ports_words(port_remote_in: Any, port_remote_out: Any) -> list[str]:
    """Return the options that name a relay's ports where they are not the built-in ones."""
    ports = {"port_remote_in": port_remote_in, "port_remote_out": port_remote_out}
    words = []
    for name, port in ports.items():
        if port and port != DEFAULTS[name]:
            words += ["--" + name.replace("_", "-"), str(port)]
    return words


def _local(recording: Recording) -> str:
    port = ["--port", str(recording.port)] if recording.port else []
    dial = [word for address in recording.listed("dial") for word in ("--from", address)]
    return inv("local", *port, *dial, "--file", recording.file, *_called(recording))


def _subscriber(recording: Recording) -> str:
    words = [word for one in recording.listed("servers") for word in ("--from", one)]
    for name in ("creds", "nkey", "login", "ca", "cert", "key"):
        # One that was in the environment is kept in the folder while it runs.
        if recording.fact(name) not in ("", str(recording.folder / names.LOGIN)):
            words += [f"--{name}", recording.fact(name)]
    words += ["--subject", recording.fact("subject"), "--file", recording.files]
    return inv("subscribe", *words, *_called(recording))


def _tremplin(recording: Recording) -> str:
    facts = recording.facts
    try:
        where = Target.from_json(facts.get("target"), recording.host).fab_words()
    except UsageError:  # its state was lost
        where = ["-H", recording.host]
    ports = ports_words(recording.port, facts.get("port_remote_out"))
    return fab(*where, "tremplin", "--file", recording.file, *ports, *_called(recording))


def _called(recording: Recording) -> list[str]:
    return ["--as", recording.name] if recording.is_called else []
