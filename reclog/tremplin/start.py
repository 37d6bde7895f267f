"""Record through a tremplin: check the host, place and start the relay, open the tunnel, prove the path."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
from collections.abc import Callable
from typing import Any

from reclog.engine.daemons.config import RelayConfig
from reclog.engine.errors import EngineError
from reclog.engine.records.jsonfile import write_json
from reclog.engine.records.names import CONFIG, SSH_CONFIG
from reclog.engine.stores.file import RecordedFile

from ..console import size
from ..errors import AlreadyRecordedError, ForbiddenError, LinesStayError, ReclogError
from ..recordings.again import entrances
from ..recordings.called import recognised, refuse_another
from ..recordings.change import apply, changes, checked, kept, spoken
from ..recordings.choice import keeps_from
from ..recordings.past import forget_the_oldest
from ..recordings.registry import Recording, Registry
from ..recordings.rotation import check_rotation
from ..recordings.settings import TremplinSettings
from ..recordings.target import Target, recording_name
from ..recordings.token import settled, text_of
from ..words import inv
from .at_boot import start_at_boot
from .collector import collector_id, end_collector, is_free, local_port, start_collector
from .connection import connect
from .ends import ends, where
from .login import Way, login
from .place import Say, Undo, have_relay, refuse_foreign, relay_config
from .probe import answers, prove
from .remote import RemoteRelay
from .scripts import ask_words, last_object, restart_words
from .secured import FILES, beside, secured
from .ssh import Host, resolve, ssh_command, tunnel_command
from .survey import Relay, survey

#: Bytes of backlog behind which the probe line is not waited for.
BACKLOG = 1024 * 1024


@dataclasses.dataclass
class Opened:
    """A tremplin that records."""

    recording: Recording
    #: Its collector; None where that ran already.
    process: subprocess.Popen[bytes] | None
    #: Bytes that were in the file before.
    begin: int = 0


def open_tremplin(target: Target, settings: TremplinSettings, registry: Registry, say: Say) -> Opened:
    """Record what senders write to the tremplin; `say` gets a line for each step that passed.

    Raises a ReclogError that says why it can't be done; then nothing of this call is left on either side,
    unless something was sent there meanwhile (LinesStayError).
    """
    host = resolve(target)
    settings = recognised(settings, registry, "tremplin", host.login)
    with registry.one_at_a_time(_name(host, settings)):
        settings = settled(settings, registry, _name(host, settings))
        recording = _own_recording(host, settings, registry)
        if recording is not None and recording.is_alive():
            _take_up(recording, settings, say)
            _at_boot(recording, settings, say)
            return Opened(Recording(recording.folder), None)  # as it is by now
        if recording is not None:
            refuse_another(settings, recording)
            settings = kept(settings, recording.facts, but=["listener"])
        check_rotation(settings)
        _refuse_recorded_file(settings.file, registry, recording)
        with contextlib.ExitStack() as undo:
            _try_file(settings.file, undo)
            port_local = local_port(settings)
            if recording is None:
                recording = _new_recording(host, settings, registry, undo)
            opened = _open(host, settings, registry, recording, port_local, say)
            undo.pop_all()
        _at_boot(opened.recording, settings, say)
        return opened


def _open(
    host: Host,
    settings: TremplinSettings,
    registry: Registry,
    recording: Recording,
    port_local: tuple[int, str],
    say: Say,
) -> Opened:
    alias, port = host.target.host, settings.port_remote_in
    way = _way(host, recording)
    seen = survey(way)
    say(f"{alias}: reachable, logged in as {host.one('user')}")
    seen.check(alias)
    say(f"{alias}: Python {'.'.join(map(str, seen.python))}, {size(seen.free)} free")
    known = seen.relays.get(str(port))
    if not settings.take_over:
        refuse_foreign(known, collector_id(registry), alias)
    _refuse_other_name(known, registry, recording)
    if known is not None:
        # What is noted here comes first: a tremplin can say anything.
        settings = kept(settings, known.config, but={*recording.facts.keys() - {"listener"}, *FILES})
    settings, shown = secured(host, settings, registry, known)
    config = relay_config(settings, known, shown)
    with contextlib.closing(connect(host)) as connection, contextlib.ExitStack() as undo:
        relay = RemoteRelay(connection, way, seen.base, config["name"])
        if known is None:
            undo.push(Undo(relay, way, config))
        undo.callback(end_collector, recording)
        tries = ends(settings, known, relay.folder)
        for config["port_remote_out"] in tries:
            have_relay(relay, way, config, known, beside(settings), say)
            if not is_free(port_local[0]):  # the relay is on this very machine, and has it now
                port_local = local_port(settings)
            told = _collector_config(host, settings, registry, recording, way, relay, config, port_local[0])
            write_json(str(recording.folder / CONFIG), told)
            begin = Recording(recording.folder).end
            try:
                process, lag = start_collector(recording)
                break
            except ForbiddenError:
                if config["port_remote_out"] == tries[-1]:
                    raise
                say(f"{alias}: its sshd forwards to no UNIX socket, so the tunnel is to end at a port")
                known = survey(way).relays.get(config["name"])
        there = where(config["port_remote_out"], relay.folder.replace(seen.home, "~", 1))
        say(f"tunnel: 127.0.0.1:{port_local[0]} here -> {there} there{port_local[1]}")
        if lag > BACKLOG:
            say(f"{size(lag)} were waiting there and are coming now")
        else:
            prove(relay, settings, config["fingerprint"], text_of(str(settings.token), registry), say)
        undo.pop_all()
    why = answers(host.hostname, port)
    if why:
        say(
            f"note: {host.hostname}:{port} is not reachable from here ({why}): "
            "a firewall, or a network that your devices don't share"
        )
    return Opened(Recording(recording.folder), process, begin)


def _way(host: Host, recording: Recording) -> Way:
    """Write down how the host is reached, for every ssh from now on."""
    way = Way(recording.folder / SSH_CONFIG, host.target)
    way.config.touch(mode=0o600)
    way.config.write_text(host.config_text())
    return way


def _collector_config(
    host: Host,
    settings: TremplinSettings,
    registry: Registry,
    recording: Recording,
    way: Way,
    relay: RemoteRelay,
    config: dict[str, Any],
    port_local: int,
) -> dict[str, Any]:
    alias, port_out = host.target.host, config["port_remote_out"]
    told = dataclasses.asdict(settings)
    del told["said"], told["boot"]
    return {
        **told,
        "name": recording.name,
        "called": recording.fact("called"),
        "kind": "tremplin",
        "host": alias,
        "login": host.login,
        "hostname": host.hostname,
        "target": dataclasses.asdict(host.target),
        "port": settings.port_remote_in,
        "port_local": port_local,
        "listener": settings.listener if settings.listener != "auto" else "builtin",
        "fingerprint": config["fingerprint"],
        "collector": collector_id(registry),
        "secret": config["secret"],
        "relay_folder": relay.folder,
        "relay_listens": not port_out,
        "port_remote_out": port_out,
        "ssh_command": tunnel_command(way.config, alias, port_local, where(port_out, relay.folder)),
        "start_command": [*ssh_command(way.config, alias), restart_words(relay.folder)],
        **({"foreground_of": os.getpid()} if settings.foreground else {}),
    }


def _new_recording(
    host: Host, settings: TremplinSettings, registry: Registry, undo: contextlib.ExitStack
) -> Recording:
    """Make the recording's folder; it goes again if the call fails, unless the relay has lines for it."""
    begun = {"host": host.target.host, "port": settings.port_remote_in, "file": settings.file}
    facts = {"kind": "tremplin", "starting": True, "login": host.login, "called": settings.called, **begun}
    recording = registry.new(_name(host, settings), facts)
    forget_the_oldest(registry)

    def forget(kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None and not isinstance(error, LinesStayError):
            recording.clean(began=False)

    undo.push(forget)
    return recording


def _own_recording(host: Host, settings: TremplinSettings, registry: Registry) -> Recording | None:
    for other in registry.here():
        same = other.kind == "tremplin" and other.facts.get("login") == host.login
        if same and other.port == settings.port_remote_in:
            return other
    return None


def _at_boot(recording: Recording, settings: TremplinSettings, say: Say) -> None:
    """Have the relay start with its host, or not, if that is said. Raises ReclogError: the rest is done."""
    if "boot" in settings.said:
        say(start_at_boot(Way.of(recording), recording.fact("relay_folder"), settings.boot))


def _take_up(running: Recording, settings: TremplinSettings, say: Say) -> None:
    """Have a recording that runs be as it is asked for. Raises ReclogError if it can't."""
    check_rotation(kept(settings, running.facts))
    wanted = changes(running, settings)
    say(f"{running.name} is recording already, into {running.file}")
    there = {name: value for name, value in wanted.items() if name in RelayConfig.CHANGEABLE}
    if wanted:
        notes = []
        if there:
            told = json.dumps({"set": there})
            answer = last_object(login(Way.of(running), ask_words(running.fact("relay_folder")), told))
            # The relay first: what is noted here is what it is started with when it has died.
            notes = checked(running, answer)
        notes += apply(running, wanted)
        say(f"{running.host}: changed: {' '.join(spoken(name, value) for name, value in wanted.items())}")
        for note in notes:
            say(f"note: {note}")


def _refuse_recorded_file(file: str, registry: Registry, own: Recording | None) -> None:
    for other in registry.here():
        if own is not None and other.folder == own.folder:
            continue
        if keeps_from(other, file) and other.is_alive():
            raise AlreadyRecordedError(
                f"{file} is being recorded by {other.name} ({entrances(other)}) already: "
                "name another file with --file."
            )


def _try_file(path: str, undo: contextlib.ExitStack) -> None:
    """Refuse a file that can't be recorded to, before anything is started; if all fails it goes again.

    Its folder is made: of several hosts, each may have its own. Raises ReclogError.
    """
    if not os.path.lexists(path):  # a link stays, and what it names
        with contextlib.suppress(OSError):  # the file's own sentence says what is wrong there
            os.mkdir(os.path.dirname(path))
            undo.callback(_remove, os.rmdir, os.path.dirname(path))
        undo.callback(_remove, _unlink_empty, path)
    sink = RecordedFile(path, lambda event, **facts: None)
    try:
        sink.open()
    except EngineError as error:
        raise ReclogError(str(error)) from error
    sink.close()


def _remove(how: Callable[[str], None], path: str) -> None:
    with contextlib.suppress(OSError):
        how(path)


def _unlink_empty(path: str) -> None:
    if os.path.getsize(path) == 0:
        os.unlink(path)


def _refuse_other_name(known: Relay | None, registry: Registry, own: Recording) -> None:
    """Refuse a relay that is recorded under another name of its host: two collectors would fight for it."""
    secret = known.secret if known else ""
    for other in registry.here() if secret else ():
        if other.folder != own.folder and other.facts.get("secret") == secret:
            stop = inv("kill", "--host", other.host, "--port", str(other.port))
            raise AlreadyRecordedError(
                f"That relay is {other.name} here, recorded into {other.file}: use the name {other.host} for "
                f"its host, or stop it first with `{stop}`."
            )


def _name(host: Host, settings: TremplinSettings) -> str:
    return recording_name(host.target.host, settings.port_remote_in)
