"""Faults of a recording on a LAN: each a function that does something to a stage whose system is a `Lan`.

Each finds the recording healthy, sees that what it does has happened and that it is stated where the promises
say so (promise 13), cleans up after itself, and leaves the recording running. What it may cost is said by
`stage.losing`, around nothing but a kill or a stop; any other fault may cost nothing at all.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from bench import wait_until
from checker import SETTLES_WITHIN
from clock import COMPILER, Clock
from datagrams import floods, while_held_up
from lan import Lan
from lan_acts import (
    Concurrent,
    at_once,
    connections,
    disk_of,
    fill,
    kill_recorder,
    lan_of,
    listening_socat,
    pids_cgroup,
    see_end_of_socat,
    see_nobody_listen,
    stop,
    without_files,
    without_processes,
)
from lan_edits import EDITS, edited, edited_when_dead
from rotation_faults import rotation_faults
from stage import Fault, Stage
from swarm import frozen, in_threads, reset_at_close, runs
from token_faults import strangers_come

from reclog.engine.records.events import timestamp
from reclog.engine.stores.index.files import BLOCKS, HEADS, LATEST

#: Connections that stay; a second time, the first ones go.
GUESTS = 200


def nothing(stage: Stage) -> None:
    """A quiet second."""
    stage.busy(1.0)


def burst(stage: Stage) -> None:
    """2,000 senders at once, a line each."""
    lan = lan_of(stage)
    before = connections(lan)
    stage.burst(2000)
    wait_until(lambda: connections(lan) < before + 20, 20, "they are served")


# -- processes ------------------------------------------------------------------------------------


def recorder_killed(stage: Stage) -> None:
    """SIGKILL, then the same command again."""
    kill_recorder(stage)
    lan_of(stage).again()


def recorder_told_to_end(stage: Stage) -> None:
    """SIGTERM, then the same command again."""
    kill_recorder(stage, signal.SIGTERM, settles=0)
    lan_of(stage).again()


def recorder_frozen(stage: Stage) -> None:
    """SIGSTOP for a while."""
    with frozen(stage.the("recorder")):
        stage.pause(0.2, 1.5)


def socat_ended(number: int) -> Fault:
    """A signal to the socat that listens."""

    def fault(stage: Stage) -> None:
        lan, since = lan_of(stage), timestamp()
        socat = listening_socat(stage)
        before = stage.broken
        # It accepts, forks, and lets go: the one connection in its hand ends with it (design, section 3).
        with stage.losing(broken_only=True):
            stage.hit(socat, number)
            see_end_of_socat(lan, socat, since)
        assert stage.broken <= before + 1, "more than the connection in its hand broke"

    return fault


def socat_frozen(stage: Stage) -> None:
    """SIGSTOP of the socat that listens, for a while."""
    with frozen(listening_socat(stage)):
        stage.pause(0.2, 1.5)


def fork_ended(number: int) -> Fault:
    """A signal to a socat that serves a sender."""

    def fault(stage: Stage) -> None:
        before = stage.broken
        # What it has read, or its kernel accepted, ends with it (design, section 3); told to end, it passes
        # nothing on either.
        with stage.losing(broken_only=True):
            stage.hit(stage.the("fork"), number)
            until = time.monotonic() + 1.0  # its sender may have been about to leave, and then never knows
            while stage.broken == before and time.monotonic() < until:
                stage.busy(0.01)
        assert stage.broken <= before + 1, "more than its own connection broke"

    return fault


def fork_frozen(stage: Stage) -> None:
    """SIGSTOP of a socat that serves a sender, for a while."""
    for _ in range(20):
        try:
            with frozen(stage.the("fork")):
                stage.pause(0.2, 1.5)
                return
        except psutil.NoSuchProcess:
            continue  # its sender had left just then
    raise AssertionError("no fork stayed")


# -- commands -------------------------------------------------------------------------------------


def stopped(stage: Stage) -> None:
    """`inv kill`, then `inv local` again."""
    stop(stage)
    lan_of(stage).again()


def stopped_twice_at_once(stage: Stage) -> None:
    """`inv kill` twice at the same time."""
    lan = lan_of(stage)
    with stage.losing(settles=0):
        for done in at_once(lan, ["kill"], ["kill"]):
            assert done.returncode == 0, done.stderr
    lan.see_nothing_left()
    lan.again()


def stopped_and_started_at_once(stage: Stage) -> None:
    """`inv kill` and `inv local` at the same time."""
    lan = lan_of(stage)
    with stage.losing(settles=0):
        kill, _ = at_once(lan, ["kill"], lan.words)
        assert kill.returncode == 0, kill.stderr
    lan.again()


def started_twice_at_once(stage: Stage) -> None:
    """`inv local` twice at the same time, when none runs."""
    lan = lan_of(stage)
    stop(stage)
    started = at_once(lan, lan.words, lan.words)
    said = "; ".join(one.stdout + one.stderr for one in started)
    # Whoever comes second finds it on its way (1), or running, as it wants it (0).
    assert sorted(one.returncode for one in started) in ([0, 1], [0, 0]), said
    recorder = lan.recorder()
    assert recorder is not None, said


def second(option: str, said: str) -> Fault:
    """A second recording, on the same file or the same port, is refused."""

    def fault(stage: Stage) -> None:
        lan = lan_of(stage)
        before = lan.recorder()
        words = [*lan.words]
        other = {"--port": str(lan.port + 20_000), "--file": str(lan.home.path / "another.log")}
        words[words.index(option) + 1] = other[option]
        done = lan.home.inv(*words)
        assert done.returncode == 1, done.stdout
        assert said.format(lan=lan) in done.stderr
        assert lan.recorder() == before

    return fault


# -- fault points ---------------------------------------------------------------------------------


def killed_at(point: str) -> Fault:
    """SIGKILL at a point of the program, then the same command again."""

    def fault(stage: Stage) -> None:
        lan = lan_of(stage)
        recorder = stage.the("recorder")
        with stage.losing():
            lan.arm(point, "kill")
            wait_until(lambda: not runs(recorder), 20, f"it ends at {point}")
            see_nobody_listen(lan)
        assert lan.is_reached(point)
        lan.again()

    return fault


def killed_at_start(stage: Stage) -> None:
    """SIGKILL at the start, when it listens and has not said yet who it is: one sentence, and again."""
    lan = lan_of(stage)
    kill_recorder(stage)
    with stage.losing():
        lan.arm("state.json.before-replace", "kill")
        done = lan.home.inv(*lan.words)
        see_nobody_listen(lan)
    assert lan.is_reached("state.json.before-replace")
    assert done.returncode == 1, done.stdout
    assert len(done.stderr.strip().splitlines()[-1]) > 20, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    lan.again()


def failing(point: str, words: str, reason: str = "") -> Fault:
    """An operation fails some times in a row; with `reason` that pauses the recording, which says so."""

    def fault(stage: Stage) -> None:
        lan, since = lan_of(stage), timestamp()
        for _ in range(stage.dice.randint(2, 5)):
            lan.arm(point, words)
            wait_until(lambda: lan.is_reached(point), 10, f"{point} is reached")
        if reason:
            assert lan.wait_for("paused", since)["reason"] == reason
            lan.wait_for("resumed", since)

    return fault


def short_writes(stage: Stage) -> None:
    """Writes take only a few bytes, some times in a row."""
    failing("file.before-write", f"short {stage.dice.choice([1, 2, 7, 30])}")(stage)


# -- the file's disk ------------------------------------------------------------------------------


def disk_full(stage: Stage) -> None:
    """No room, as a rule inside a line; then room again."""
    disk, lan, since = disk_of(stage), lan_of(stage), timestamp()
    fill(stage)
    stage.pause(0.0, 1.0)
    disk.make_room()
    lan.wait_for("resumed", since)


@contextlib.contextmanager
def full(stage: Stage) -> Iterator[None]:
    """Leave no room meanwhile."""
    try:
        fill(stage)
        yield
    finally:
        disk_of(stage).make_room()


def killed_on_a_full_disk(stage: Stage) -> None:
    """SIGKILL while there is no room; then room, and the same command again."""
    disk, lan, began = disk_of(stage), lan_of(stage), time.monotonic()
    fill(stage)
    recorder = stage.the("recorder")
    # Nothing settles while there is no room: what was accepted meanwhile waits in a kernel, or is read.
    with stage.losing(settles=time.monotonic() - began + SETTLES_WITHIN):
        stage.hit(recorder, signal.SIGKILL)
        see_nobody_listen(lan)
    disk.make_room()
    lan.again()


def stopped_on_a_full_disk(stage: Stage) -> None:
    """`inv kill` while there is no room, and room again before its time is up."""
    disk, lan = disk_of(stage), lan_of(stage)
    fill(stage)
    with stage.losing(settles=0):
        kill = Concurrent(lan, "kill")
        stage.busy(1.0 + stage.dice.random())
        assert lan.recorder() is not None, "it did not wait for room"
        disk.make_room()
        done = kill.done()
    assert done.returncode == 0, done.stderr
    lan.see_nothing_left()
    lan.again()


# -- the clock ------------------------------------------------------------------------------------


def clock_jumps(stage: Stage) -> None:
    """The clock of the day goes an hour forward, then two hours back, as this recorder sees it."""
    lan = lan_of(stage)
    clock = Clock(Path(tempfile.mkdtemp(dir=lan.home.path)) / "clock")
    stop(stage)
    lan.home.env.update(clock.env)
    try:
        lan.again()
    finally:
        for name in clock.env:
            del lan.home.env[name]
    began = time.time()
    for offset in (3600, -3600):
        clock.set(offset)
        stage.see_recording(10.0)  # over a connection of its own: that is an event
        _see_its_clock(lan, began + offset)
        stage.busy(0.5 * stage.dice.random())
    stop(stage)
    lan.again()


# -- senders --------------------------------------------------------------------------------------


def vanish(stage: Stage) -> None:
    """1,000 senders that connect, say half a line, a line or nothing, and close or reset."""
    lan = lan_of(stage)
    words = [b"vanished %08x" % stage.dice.getrandbits(32) for _ in range(1000)]
    stage.notes.update(words)
    ways = [(word, stage.dice.choice([b"", word, word + b"\n"]), stage.dice.random() < 0.5) for word in words]

    def some(first: int) -> None:
        for _, text, reset in ways[first::20]:
            with contextlib.suppress(OSError), lan.connect() as sock:
                sock.sendall(text)
                if reset:
                    reset_at_close(sock)

    before = connections(lan)
    in_threads([lambda first=first: some(first) for first in range(20)])  # type: ignore[misc]
    wait_until(lambda: connections(lan) < before + 20, 20, "they are gone")


def guests(stage: Stage) -> None:
    """200 senders that never read, never write and never close; a few have said half a line."""
    lan = lan_of(stage)
    lan.say_goodbye()
    for number in range(GUESTS):
        sock = lan.connect()
        lan.guests.append(sock)
        if number % 10 == 0:
            note = b"half a line of a guest %08x" % stage.dice.getrandbits(32)
            stage.notes.add(note)
            sock.sendall(note)
    wait_until(lambda: connections(lan) >= GUESTS, 20, "they are there")


# -- limits ---------------------------------------------------------------------------------------


def no_files_left(stage: Stage) -> None:
    """The recorder can open nothing any more, and senders come."""
    lan, since = lan_of(stage), timestamp()
    recorder = stage.the("recorder")
    with without_files(recorder):
        stage.burst(50)
        stage.busy(0.5 + 0.5 * stage.dice.random())
    lan.wait_for("listener full", since)
    lan.wait_for("listener has room again", since)


def no_files_left_for_socat(stage: Stage) -> None:
    """The socat that listens can open nothing any more, and senders come: it ends, their queue stays."""
    lan, since = lan_of(stage), timestamp()
    socat = listening_socat(stage)
    with without_files(socat):
        stage.burst(50)
        see_end_of_socat(lan, socat, since)


def no_processes_left(stage: Stage) -> None:
    """The socat that listens can fork no more, and senders come: it ends, their queue stays."""
    lan, since = lan_of(stage), timestamp()
    socat = listening_socat(stage)
    before = stage.broken
    # What it has accepted, and can't fork for, ends with it: one connection (design, section 3).
    with without_processes(socat), stage.losing(broken_only=True):
        see_end_of_socat(lan, socat, since)
    assert stage.broken <= before + 1, "more than the connection in its hand broke"


# -- state ----------------------------------------------------------------------------------------


def state_cut(stage: Stage) -> None:
    """Every file of its state is cut short while it runs; then `inv status`, `inv kill`, `inv local`."""
    lan = lan_of(stage)
    _cut_state(stage)
    _see_status(lan)
    stage.see_recording(10.0)
    _cut_state(stage)
    stop(stage)
    lan.again()


def killed_and_state_cut(stage: Stage) -> None:
    """SIGKILL, and the files of its state are cut short; then `inv status`, the same command, `inv kill`."""
    lan = lan_of(stage)
    kill_recorder(stage)
    _cut_state(stage)
    _see_status(lan)
    lan.again()
    stage.see_recording(10.0)
    stop(stage)
    lan.again()


# -- what they have in common ---------------------------------------------------------------------


def _see_its_clock(lan: Lan, at_about: float) -> None:
    """See that the newest event is of that time, or of up to five minutes later."""

    def is_there() -> bool:
        path = lan.folder / "events.log"
        lines = path.read_bytes().splitlines() if path.exists() else []
        said = json.loads(lines[-1])["time"] if lines else ""
        return bool(timestamp(at_about) <= said <= timestamp(at_about + 300))

    wait_until(is_there, 15, f"its clock says about {timestamp(at_about)}")


def _cut_state(stage: Stage) -> None:
    """Cut every file of its state to half, or to nothing."""
    folder = lan_of(stage).folder
    for name in ("state.json", "counters.json", "config.json", "events.log", BLOCKS, HEADS, LATEST):
        with contextlib.suppress(FileNotFoundError):
            size = (folder / name).stat().st_size
            os.truncate(folder / name, stage.dice.choice([0, size // 2]))


def _see_status(lan: Lan) -> None:
    done = lan.home.inv("status")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr


# -- the catalogue --------------------------------------------------------------------------------

DATAGRAMS = floods("recorder")
# What is done to a recording that is rotated.
ROTATION = rotation_faults("recorder", lambda stage, point: lan_of(stage).arm(point, "kill"))
DATAGRAMS_ROOT: dict[str, Fault] = {"datagrams, disk full": while_held_up(full)}

FAULTS: dict[str, Fault] = {
    "nothing": nothing,
    "2,000 senders at once": burst,
    "recorder killed": recorder_killed,
    "recorder told to end": recorder_told_to_end,
    "recorder frozen": recorder_frozen,
    "stopped": stopped,
    "stopped twice at once": stopped_twice_at_once,
    "stopped and started at once": stopped_and_started_at_once,
    "started twice at once": started_twice_at_once,
    "a second on the file": second("--port", "{lan.file} is being recorded by {lan.folder.name} (port"),
    "a second on the port": second("--file", "{lan.folder.name} runs with --file {lan.file}, and"),
    "killed before a write": killed_at("file.before-write"),
    "killed after a write": killed_at("file.after-write"),
    "killed before new counters": killed_at("counters.json.before-replace"),
    "killed after new counters": killed_at("counters.json.after-replace"),
    "killed at the start": killed_at_start,
    "writes fail, EIO": failing("file.before-write", "fail EIO", "Input/output error"),
    "writes fail, ENOSPC": failing("file.before-write", "fail ENOSPC", "No space left on device"),
    "writes are short": short_writes,
    "counters can't be written": failing("counters.json.before-write", "fail ENOSPC"),
    **{f"file {name}": edited(edit, event) for name, (edit, event) in EDITS.items()},
    **{f"file {name} when dead": edited_when_dead(edit) for name, (edit, _) in EDITS.items()},
    "1,000 senders vanish": vanish,
    "200 silent senders stay": guests,
    "no open files left": no_files_left,
    "state cut short": state_cut,
    "killed, state cut short": killed_and_state_cut,
    **DATAGRAMS,
    **ROTATION,
}
#: Faults that need root.
ROOT: dict[str, Fault] = {
    "disk full": disk_full,
    "disk full, killed": killed_on_a_full_disk,
    "disk full, stopped": stopped_on_a_full_disk,
    **DATAGRAMS_ROOT,
}
SOCAT: dict[str, Fault] = {
    "socat killed": socat_ended(signal.SIGKILL),
    "socat told to end": socat_ended(signal.SIGTERM),
    "socat frozen": socat_frozen,
    "fork killed": fork_ended(signal.SIGKILL),
    "fork told to end": fork_ended(signal.SIGTERM),
    "fork frozen": fork_frozen,
    "no open files left for socat": no_files_left_for_socat,
}
#: What socat can't ask for.
BUILTIN: dict[str, Fault] = {"strangers come": strangers_come}


def faults_for(listener: str) -> dict[str, Fault]:
    """Return what can be done here to a recording with that listener, by name."""
    faults = dict(FAULTS)
    if COMPILER:
        faults["clock jumps"] = clock_jumps
    if os.geteuid() == 0:
        faults.update(ROOT)
    faults.update(SOCAT if listener == "socat" else BUILTIN)
    if listener == "socat" and os.geteuid() == 0 and pids_cgroup() is not None:
        faults["no processes left for socat"] = no_processes_left
    return faults


def of_tls() -> dict[str, Fault]:
    """Return those in which it matters that senders speak TLS, as far as they can be done here."""
    commands = ("stopped", "stopped and started at once", "2,000 senders at once", "nothing")
    faults = {name: FAULTS[name] for name in (*commands, *(name for name in FAULTS if "recorder" in name))}
    faults.update(BUILTIN)
    faults.update(ROOT if os.geteuid() == 0 else {})
    return {name: fault for name, fault in faults.items() if name not in (*DATAGRAMS, *DATAGRAMS_ROOT)}
