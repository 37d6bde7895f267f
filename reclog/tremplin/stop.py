"""Stop recordings through a tremplin: the relay drains to the file, then nothing of ours is left there."""

from __future__ import annotations

import contextlib
import shlex
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from reclog.engine.records.events import timestamp
from reclog.engine.records.jsonfile import write_json
from reclog.engine.records.names import CONFIG, SSH_CONFIG

from ..boot.here import gone
from ..console import DrainProgress, size
from ..errors import HostError, NotDrainedError, NotOursError, ReclogError, RelayError
from ..recordings.again import again_command, ports_words
from ..recordings.launch import launch
from ..recordings.processes import exact, marked, runs
from ..recordings.recording import Recording, number
from ..recordings.registry import Registry
from ..recordings.stopped import LastWord, Stopped
from ..recordings.target import Target, recording_name
from ..words import fab, inv
from .at_boot import clear
from .collector import collector_id, end_collector
from .login import Way, login
from .scripts import end_script, restart_words, start_answer
from .ssh import resolve
from .survey import Relay, survey

#: Called with the bytes that are still to come.
Progress = Callable[[int], None]
#: Seconds without any progress after which a tremplin counts as out of reach.
PATIENCE = 12.0


def stop_tremplins(
    recordings: Sequence[Recording], registry: Registry, discard: bool, say: Callable[[str], None]
) -> list[str]:
    """Stop those of `recordings` that are through a tremplin; `say` how, return what went wrong."""
    problems = []
    for recording in recordings:
        if recording.kind != "tremplin":
            continue
        try:
            # A start that is under way ends first; another kill leaves nothing to do.
            with registry.one_at_a_time(recording_name(recording.host, recording.port)):
                now = Recording(recording.folder)
                if now.is_past or not now.facts:
                    continue
                with DrainProgress(now.name, sys.stderr) as progress:
                    stopped = stop_tremplin(now, discard, progress)
            say(stopped.sentence)
            if gone(now):  # as its relay is: there is nothing to come back to
                say(f"{now.name} does not start at boot any more.")
        except ReclogError as error:
            problems.append(str(error))
    return problems


def stop_host(
    target: Target, registry: Registry, take_over: bool, discard: bool, say: Callable[[str], None]
) -> None:
    """Stop all that runs on a host, known here or not; `say` what is done. Raises ReclogError."""
    login = resolve(target).login  # the host may have been given another name, and the name another port
    tremplins = [one for one in registry.here() if one.kind == "tremplin"]
    recordings = [one for one in tremplins if one.facts.get("login") == login]
    problems = stop_tremplins(recordings, registry, discard, say)
    if problems:
        raise NotDrainedError("\n".join(problems))
    found = _stop_unknown(target, registry, take_over, discard, say)
    if not found and not recordings:
        say(f"Nothing to stop on {target.host}.")


def stop_tremplin(
    recording: Recording, discard: bool = False, progress: Progress = lambda lag: None
) -> Stopped:
    """Drain the relay into the file and end both sides; with `discard`, drop what is still there.

    What could not be drained stays, and what is left of the recording here stays too, so that it can be
    tried again; with `discard` that also goes where the host is out of reach. Raises ReclogError.
    """
    since = timestamp()
    if recording.facts.get("starting") and not recording.is_alive():
        recording.clean(began=False)
        raise RelayError(
            f"The start of {recording.name} was cut short: "
            f"`{fab('-H', recording.host, 'kill')}` sees to the rest."
        )
    lines = None
    forgotten = ""
    try:
        try:
            lines = _drain(recording, since, progress)
        except (NotOursError, HostError):
            raise
        except ReclogError:
            if not discard:
                raise
        _clear(recording)
    except NotOursError:
        recording.clean()  # the rest is the new owner's
        raise
    except HostError:
        if not discard:
            raise
        forgotten = recording.host
    recording.clean()
    return Stopped(recording.name, recording.file, lines, 0, 0, "", forgotten=forgotten)


def _drain(recording: Recording, since: str, progress: Progress) -> int:
    """Bring all that the relay has into the file; return the file's lines. Raises ReclogError."""
    word = _ask(recording, since)
    lag = _await_end(recording, progress)
    facts = word.facts()
    if not facts.get("drained"):
        reason = str(facts.get("reason") or recording.word("paused_for") or "no answer")
        raise RelayError(
            f"{recording.host} could not be drained ({reason}): up to {size(lag)} stay in the relay's spool "
            f"there. `{inv('kill', '--host', recording.host)}` tries again, --discard drops them."
        )
    return number(facts.get("lines"))


def _stop_unknown(
    target: Target, registry: Registry, take_over: bool, discard: bool, say: Callable[[str], None]
) -> int:
    """End every relay of this account on a host that no recording here knows; return how many there are.

    Raises NotDrainedError where one is another collector's, or holds lines: the others are ended by then.
    """
    host = resolve(target)
    problems = []
    with tempfile.TemporaryDirectory(prefix="reclog-") as folder:
        way = Way(Path(folder) / SSH_CONFIG, target)
        way.config.write_text(host.config_text())
        seen = survey(way)
        own = collector_id(registry)
        for name, relay in seen.relays.items():
            try:
                if relay.owner not in ("", own) and not take_over:
                    raise RelayError(
                        f"The relay on port {name} of {target.host} belongs to {relay.owner} "
                        f"since {relay.since}: add --take-over to stop it all the same."
                    )
                say(_end_unknown(way, seen.base, name, relay, discard))
            except ReclogError as error:
                problems.append(str(error))
    if problems:
        raise NotDrainedError("\n".join(problems))
    return len(seen.relays)


def _end_unknown(way: Way, base: str, name: str, relay: Relay, discard: bool) -> str:
    host = way.target.host
    if relay.pid:
        login(way, end_script(relay.pid))
        relay = survey(way).relays.get(name, relay)
    if relay.left and not discard:
        ports = ports_words(relay.config.get("port"), relay.config.get("port_remote_out"))
        again = fab(*way.target.fab_words(), "tremplin", *ports)
        raise RelayError(
            f"The relay on port {name} of {host} is stopped and holds {size(relay.left)}: "
            f"`{again}` records them, --discard drops them."
        )
    clear(way, f"{base}/{name}")
    return f"Relay on port {name} of {host} stopped{f', {size(relay.left)} dropped' if relay.left else ''}."


def _ask(recording: Recording, since: str) -> LastWord:
    """Have the collector ask the relay to stop, and say how it ended; a dead one is started for that."""
    daemon = _daemon(recording)
    if daemon is not None:
        word = LastWord(recording, daemon, since)
        with contextlib.suppress(psutil.NoSuchProcess):
            daemon.send_signal(signal.SIGUSR1)
        return word
    if not recording.facts.get("ssh_command") or not recording.fact("relay_folder"):
        raise RelayError(
            f"{recording.name} has lost its config: `{fab('-H', recording.host, 'kill')}` stops the relay."
        )
    _have_relay(recording)
    # Not who ran, nor whose terminal it belonged to: with that it would end. Nor what was asked for once: the
    # relay may have been taken over since, and then it is not ours to stop.
    past = ("identity", "started", "foreground_of", "take_over", "relay_listens")
    facts = {key: value for key, value in recording.facts.items() if key not in past}
    write_json(str(recording.folder / CONFIG), {**facts, "stop_at_once": True})
    _, answer = launch("collector", recording, within=PATIENCE + 3.0)
    if not answer.get("ready"):
        write_json(str(recording.folder / CONFIG), facts)
        if answer.get("cause") == "refused":
            raise NotOursError(
                f"{recording.name} is left to its new owner, and gone here: {answer.get('message')}"
            )
        if answer.get("cause") == "version":
            raise RelayError(
                f"{recording.name} can't be drained: {answer.get('message')} "
                f"`{again_command(recording)}` brings it up to date; then this again."
            )
        if answer.get("cause"):
            raise RelayError(f"{recording.name} can't be drained: {answer.get('message')}")
        raise HostError(f"{recording.host} is out of reach: the relay there goes on; {_try_again(recording)}")
    return LastWord(recording, None, since)


def _have_relay(recording: Recording) -> None:
    """See that the relay runs, and start it if it died: it gives away what it has. Raises ReclogError."""
    host, folder = recording.host, recording.fact("relay_folder")
    try:
        way = Way.of(recording)
        relay = survey(way).relays.get(folder.rpartition("/")[2])
        if relay is None:
            recording.clean()
            raise RelayError(f"{recording.name} has no relay on {host} any more: it is cleaned up here, too.")
        if relay.pid:
            return
        answer = start_answer(login(way, shlex.join(["sh", "-c", f"{restart_words(folder)} 2>&1 || true"])))
    except HostError as error:
        raise HostError(f"{error} What the relay there has stays there; {_try_again(recording)}") from error
    # Meanwhile somebody else may have started it.
    if not answer.ready and answer.cause != "folder-taken":
        raise RelayError(f"The relay on {host} does not start: {answer.message} --discard drops what it has.")


def _try_again(recording: Recording) -> str:
    again = inv("kill", "--host", recording.host)
    return f"`{again}` tries again, --discard forgets a host that is gone for good."


def _await_end(recording: Recording, progress: Progress) -> int:
    """Wait until the collector has ended, as long as it gets on; end it if it does not. Return the lag."""
    seen: object = None
    lag = 0
    until = time.monotonic() + PATIENCE
    while True:
        now = Recording(recording.folder)
        if _daemon(now) is None:
            return lag
        lag = now.count("lag_bytes")
        state = (lag, now.count("offset"), now.word("state") == "recording" and lag > 0)
        progress(lag)
        if state != seen:
            seen, until = state, time.monotonic() + PATIENCE
        if time.monotonic() > until:
            end_collector(now)
            return lag
        time.sleep(0.02)


def _daemon(recording: Recording) -> psutil.Process | None:
    """Return the collector; by its mark if its state file is lost."""
    if recording.identity is not None:
        return exact(recording.identity)
    family = marked(recording.folder.parent).get(recording.folder, [])
    return next((process for process in family if runs(process)), None)  # the eldest: it started the others


def _clear(recording: Recording) -> None:
    """End the relay if it still runs, leave no file there, and see that nothing is left. Raises HostError."""
    way, folder = Way.of(recording), recording.fact("relay_folder")
    relay = survey(way).relays.get(folder.rpartition("/")[2])
    if relay is not None and relay.pid:
        login(way, end_script(relay.pid))
    clear(way, folder)
