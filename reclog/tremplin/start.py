"""Record through a tremplin: check the host, place and start the relay, open the tunnel, prove the path."""

from __future__ import annotations

import contextlib
import dataclasses
import getpass
import os
import re
import secrets
import shlex
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reclog.engine.errors import EngineError
from reclog.engine.records.jsonfile import read_json, write_json
from reclog.engine.records.names import CONFIG, SSH_CONFIG
from reclog.engine.stores.file import Sink
from reclog.engine.system.address import allows, parse_network

from ..console import size
from ..errors import (
    AlreadyRecordedError,
    HostError,
    LinesStayError,
    PortBusyError,
    ReclogError,
    RelayError,
    RelayRunsError,
)
from ..look.probe import find_line
from ..recordings.launch import launch
from ..recordings.processes import end, exact, holder_of
from ..recordings.registry import Recording, Registry
from ..recordings.settings import TremplinSettings
from .package import build, digest
from .remote import RemoteRelay, answers, check, connect, look
from .ssh import Host, Target, resolve, ssh_command, tunnel_command

Say = Callable[[str], None]
#: Bytes of backlog behind which the probe line is not waited for.
BACKLOG = 1024 * 1024
#: Seconds for the probe line to come through.
PROBE_WITHIN = 5.0


@dataclasses.dataclass
class Opened:
    """A tremplin that records."""

    recording: Recording
    process: subprocess.Popen[bytes] | None
    port_local: int
    #: Bytes that the relay still has for us.
    backlog: int


def open_tremplin(target: Target, settings: TremplinSettings, registry: Registry, say: Say) -> Opened:
    """Record what senders write to the tremplin; `say` gets a line for each step that passed.

    Raises a ReclogError that says why it can't be done; then nothing of this call is left on either side,
    unless something was sent there meanwhile (LinesStayError).
    """
    host = resolve(target)
    with registry.one_at_a_time(_name(host, settings)):
        return _open_alone(host, settings, registry, say)


def _open_alone(host: Host, settings: TremplinSettings, registry: Registry, say: Say) -> Opened:
    recording = _own_recording(host, settings, registry)
    if recording is not None and recording.is_alive():
        say(f"{recording.name} is recording already, into {recording.file}")
        return Opened(recording, None, recording.port_named("port_local"), recording.count("lag_bytes"))
    _refuse_recorded_file(settings.file, registry, recording)
    _try_file(settings.file)
    port_local, words = _local_port(settings)
    existed = os.path.exists(settings.file)
    fresh = recording is None
    if recording is None:
        begun = {"host": host.target.host, "port": settings.port_remote_in, "file": settings.file}
        recording = registry.new(
            _name(host, settings), {"kind": "tremplin", "starting": True, "login": host.login, **begun}
        )
    try:
        return _open(host, settings, registry, recording, port_local, words, say)
    except BaseException as error:
        if fresh and not isinstance(error, LinesStayError):
            recording.clean()
        with contextlib.suppress(OSError):
            if not existed and os.path.getsize(settings.file) == 0:
                os.unlink(settings.file)
        raise


def _open(
    host: Host,
    settings: TremplinSettings,
    registry: Registry,
    recording: Recording,
    port_local: int,
    words: str,
    say: Say,
) -> Opened:
    alias = host.target.host
    config_file = recording.folder / SSH_CONFIG
    config_file.touch(mode=0o600)
    config_file.write_text(host.config_text())
    seen = look(config_file, alias)
    say(f"{alias}: reachable, logged in as {host.one('user')}")
    check(seen, alias)
    say(f"{alias}: Python {'.'.join(map(str, seen['python']))}, {size(seen['free'])} free")
    collector = collector_id(registry)
    name = str(settings.port_remote_in)
    known = seen["relays"].get(name, {})
    _refuse_foreign(known, collector, alias, settings)
    _refuse_other_name(known, registry, recording)
    secret = str(known.get("config", {}).get("secret") or secrets.token_hex(32))
    relay_config = {
        "name": name,
        "kind": "relay",
        "port": settings.port_remote_in,
        "port_remote_out": settings.port_remote_out,
        "bind": "0.0.0.0",
        "listener": settings.listener,
        "stamp": settings.stamp,
        "allow": list(settings.allow),
        "partial_after": settings.partial_after,
        "spool_max": settings.spool_max,
        "secret": secret,
    }
    connection = connect(host)
    try:
        relay = RemoteRelay(connection, seen["base"], name)
        began_here = False
        try:
            if not _is_current(known, relay_config):
                if known.get("alive"):
                    relay.end(int(known["pid"]))  # its spool stays
                began_here = not known
                relay.place(relay_config, str(known.get("program", "")), new=not known)
                try:
                    answer = relay.start(alias)
                except RelayRunsError:
                    # The collector of its owner so far was quicker, with the old program and config.
                    now = look(config_file, alias)["relays"][name]
                    relay.end(int(now["pid"]))
                    answer = relay.start(alias)
                say(f"{alias}: relay listens on port {settings.port_remote_in} ({answer.get('listener')})")
            else:
                say(f"{alias}: relay was there already, on port {settings.port_remote_in}")
            if not _is_free(port_local):  # the relay is on this very machine, and has it now
                port_local, words = _local_port(settings)
            collector_config = {
                **dataclasses.asdict(settings),
                "name": recording.name,
                "kind": "tremplin",
                "host": alias,
                "login": host.login,
                "hostname": host.hostname,
                "target": dataclasses.asdict(host.target),
                "port": settings.port_remote_in,
                "port_local": port_local,
                "listener": settings.listener if settings.listener != "auto" else "builtin",
                "secret": secret,
                "collector": collector,
                "relay_folder": relay.folder,
                "ssh_command": tunnel_command(config_file, alias, port_local, settings.port_remote_out),
                "start_command": [*ssh_command(config_file, alias), restart_words(relay.folder)],
            }
            if settings.foreground:
                collector_config["foreground_of"] = os.getpid()
            write_json(str(recording.folder / CONFIG), collector_config)
            process, lag = _start_collector(recording)
            say(f"tunnel: 127.0.0.1:{port_local} here -> 127.0.0.1:{settings.port_remote_out} there{words}")
            if lag > BACKLOG:
                say(f"{size(lag)} were waiting there and are coming now")
            elif not allows([parse_network(word) for word in settings.allow], "127.0.0.1"):
                say("note: --allow leaves 127.0.0.1 out, so no line was sent there to prove the path")
            else:
                _prove(relay, settings, say)
        except BaseException as error:
            _end_collector(recording)
            left = 0
            if began_here:
                with contextlib.suppress(HostError):  # why it failed is worth more than that this did too
                    left = _undo(relay, config_file, alias, name, secret)
            if left:
                why = str(error) if isinstance(error, ReclogError) else "It was interrupted."
                raise LinesStayError(
                    f"{why} What was sent there meanwhile ({size(left)}) stays on {alias} until this is run "
                    f"again; `inv kill --host {alias} --discard` drops it."
                ) from error
            raise
    finally:
        connection.close()
    why = answers(host.hostname, settings.port_remote_in)
    if why:
        say(
            f"note: {host.hostname}:{settings.port_remote_in} is not reachable from here ({why}): "
            "a firewall, or a network that your devices don't share"
        )
    return Opened(Recording(recording.folder), process, port_local, lag)


def collector_id(registry: Registry) -> str:
    """Return the name by which relays know this user on this machine; made once, kept in the state folder."""
    path = registry.root / "collector.json"
    try:
        known = read_json(str(path)).get("id")
    except (OSError, ValueError):
        known = None
    if not isinstance(known, str) or not known:
        known = f"{getpass.getuser()}@{socket.gethostname()} ({secrets.token_hex(4)})"
        registry.make()
        write_json(str(path), {"id": known})
    return known


def restart_words(folder: str) -> str:
    """Return the remote command that starts the relay of `folder` again, if it is still to run."""
    program = f"{folder}/reclog.pyz"
    words = ["python3", "-I", program, "start", "relay", "--folder", folder, "--again"]
    return shlex.join(["sh", "-c", f"exec {shlex.join(words)}"])


def _own_recording(host: Host, settings: TremplinSettings, registry: Registry) -> Recording | None:
    for other in registry.here():
        same = other.kind == "tremplin" and other.facts.get("login") == host.login
        if same and other.port == settings.port_remote_in:
            return other
    return None


def _refuse_recorded_file(file: str, registry: Registry, own: Recording | None) -> None:
    for other in registry.here():
        if own is not None and other.folder == own.folder:
            continue
        if other.file and os.path.realpath(other.file) == os.path.realpath(file) and other.is_alive():
            raise AlreadyRecordedError(
                f"{file} is being recorded by {other.name} (port {other.port}) already: "
                "name another file with --file."
            )


def _try_file(path: str) -> None:
    """Refuse a file that can't be recorded to, before anything is started anywhere."""
    existed = os.path.exists(path)
    sink = Sink(path, lambda event, **facts: None)
    try:
        sink.open()
    except EngineError as error:
        raise ReclogError(str(error)) from error
    sink.close()
    if not existed:
        os.unlink(path)


def _local_port(settings: TremplinSettings) -> tuple[int, str]:
    """Return the local port to use, and what is to be said of it. Raises PortBusyError."""
    port = settings.port_local
    if _is_free(port):
        return port, ""
    if settings.port_local_given:
        holder = holder_of(port) or "another process"
        raise PortBusyError(f"Port {port} is taken by {holder}: choose another --port-local.")
    while not _is_free(port):
        port += 1
        if port > 65535:
            raise PortBusyError("No port above is free: choose one with --port-local.")
    return port, f" ({settings.port_local} is taken here: the next free port)"


def _is_free(port: int) -> bool:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            # On all addresses: a relay or recorder of this machine, on 0.0.0.0, holds it too.
            sock.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True


def _refuse_foreign(known: dict[str, Any], collector: str, host: str, settings: TremplinSettings) -> None:
    owner = str(known.get("owner", {}).get("name") or "")
    if owner and owner != collector and not settings.take_over:
        raise RelayError(
            f"The relay on {host} belongs to {owner} since {known['owner'].get('since')}: "
            "add --take-over to have it from now on."
        )


def _refuse_other_name(known: dict[str, Any], registry: Registry, own: Recording) -> None:
    """Refuse a relay that is recorded under another name of its host: two collectors would fight for it."""
    secret = known.get("config", {}).get("secret")
    for other in registry.here() if secret else ():
        if other.folder != own.folder and other.facts.get("secret") == secret:
            raise AlreadyRecordedError(
                f"That relay is {other.name} here, recorded into {other.file}: use the name {other.host} for "
                f"its host, or stop it first with `inv kill --host {other.host} --port {other.port}`."
            )


def _is_current(known: dict[str, Any], config: dict[str, Any]) -> bool:
    runs = bool(known.get("alive")) and not known["stopping"]
    return runs and known["config"] == config and known["program"] == digest(build())


def _start_collector(recording: Recording) -> tuple[subprocess.Popen[bytes], int]:
    process, answer = launch("collector", recording, within=30.0)
    if not answer.get("ready"):
        trouble = Recording(recording.folder).word("paused_for")
        if trouble and "cause" not in answer:
            raise RelayError(f"The tunnel does not come up ({trouble}): see that sshd and the relay can run.")
        raise RelayError(str(answer.get("message")))
    return process, int(answer.get("lag_bytes", 0))


def _end_collector(recording: Recording) -> None:
    now = Recording(recording.folder)
    daemon = exact(now.identity) if now.identity else None
    if daemon is not None:
        end([daemon], term_within=5.0)


def _undo(relay: RemoteRelay, config_file: Path, alias: str, name: str, secret: str) -> int:
    """End a relay that this call began, and remove it if it has no lines; return the bytes that it has."""
    there = look(config_file, alias)["relays"].get(name, {})
    if there.get("config", {}).get("secret", secret) != secret:
        return 0  # another machine's, which was quicker
    if there.get("alive"):
        relay.end(int(there["pid"]))
        # It takes in what was sent before it ends.
        there = look(config_file, alias)["relays"].get(name, {})
    left = int(there.get("left", 0))
    if not left:
        relay.remove()
    return left


def _prove(relay: RemoteRelay, settings: TremplinSettings, say: Say) -> None:
    nonce = secrets.token_hex(8)
    start = os.path.getsize(settings.file) if os.path.exists(settings.file) else 0
    began = time.monotonic()
    relay.send(settings.port_remote_in, f"reclog probe {nonce}")
    seen = find_line(settings.file, nonce.encode("ascii"), start, PROBE_WITHIN)
    if seen is None:
        raise RelayError(
            f"A line sent on the tremplin did not reach {settings.file} within {PROBE_WITHIN:g} s: "
            "`inv test-connection` names the hop."
        )
    say(f"proved: a line sent there is in {settings.file} after {(seen - began) * 1000:.0f} ms")


def _name(host: Host, settings: TremplinSettings) -> str:
    return "tremplin-" + re.sub(r"[^A-Za-z0-9.-]", "_", host.target.host) + f"-{settings.port_remote_in}"
