"""Faults of a recording on a LAN: each a function that does something to a stage whose system is a `Lan`.

Each finds the recording healthy, sees that what it does has happened and that it is stated where the promises
say so (promise 13), cleans up after itself, and leaves the recording running. What it may cost is said by
`stage.losing`, around nothing but a kill or a stop; any other fault may cost nothing at all.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import resource
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
from bench import wait_until
from checker import SETTLES_WITHIN
from clock import COMPILER, Clock
from lan import Disk, Lan
from stage import Stage
from swarm import Crowd, in_threads, reset_at_close, runs

from reclog.engine.records.events import timestamp

Fault = Callable[[Stage], None]

#: Connections that stay; a second time, the first ones go.
GUESTS = 200
#: A control group hierarchy with the pids controller: version 1, or 2 if the root hands it down.
PIDS_CGROUPS = (Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup"))


def lan_of(stage: Stage) -> Lan:
    """Return the stage's system."""
    assert isinstance(stage.system, Lan)
    return stage.system


def nothing(stage: Stage) -> None:
    """A quiet second."""
    stage.busy(1.0)


def burst(stage: Stage) -> None:
    """2,000 senders at once, a line each."""
    lan = lan_of(stage)
    before = _connections(lan)
    stage.burst(2000)
    wait_until(lambda: _connections(lan) < before + 20, 20, "they are served")


# -- processes ------------------------------------------------------------------------------------


def recorder_killed(stage: Stage) -> None:
    """SIGKILL, then the same command again."""
    _kill_recorder(stage)
    lan_of(stage).again()


def recorder_told_to_end(stage: Stage) -> None:
    """SIGTERM, then the same command again."""
    _kill_recorder(stage, signal.SIGTERM, settles=0)
    lan_of(stage).again()


def recorder_frozen(stage: Stage) -> None:
    """SIGSTOP for a while."""
    with _frozen(_victim(stage, "recorder")):
        stage.pause(0.2, 1.5)


def socat_killed(stage: Stage) -> None:
    """SIGKILL of the socat that listens."""
    _end_socat(stage, signal.SIGKILL)


def socat_told_to_end(stage: Stage) -> None:
    """SIGTERM of the socat that listens."""
    _end_socat(stage, signal.SIGTERM)


def socat_frozen(stage: Stage) -> None:
    """SIGSTOP of the socat that listens, for a while."""
    with _frozen(_listening_socat(stage)):
        stage.pause(0.2, 1.5)


def fork_killed(stage: Stage) -> None:
    """SIGKILL of a socat that serves a sender."""
    _end_fork(stage, signal.SIGKILL)


def fork_told_to_end(stage: Stage) -> None:
    """SIGTERM of a socat that serves a sender."""
    _end_fork(stage, signal.SIGTERM)


def fork_frozen(stage: Stage) -> None:
    """SIGSTOP of a socat that serves a sender, for a while."""
    for _ in range(20):
        try:
            with _frozen(_victim(stage, "fork")):
                stage.pause(0.2, 1.5)
                return
        except psutil.NoSuchProcess:
            continue  # its sender had left just then
    raise AssertionError("no fork stayed")


# -- commands -------------------------------------------------------------------------------------


def stopped(stage: Stage) -> None:
    """`inv kill`, then `inv local` again."""
    _stop(stage)
    lan_of(stage).again()


def stopped_twice_at_once(stage: Stage) -> None:
    """`inv kill` twice at the same time."""
    lan = lan_of(stage)
    with stage.losing(settles=0):
        for done in _at_once(lan, ["kill"], ["kill"]):
            assert done.returncode == 0, done.stderr
    lan.see_nothing_left()
    lan.again()


def stopped_and_started_at_once(stage: Stage) -> None:
    """`inv kill` and `inv local` at the same time."""
    lan = lan_of(stage)
    with stage.losing(settles=0):
        kill, _ = _at_once(lan, ["kill"], lan.words)
        assert kill.returncode == 0, kill.stderr
    lan.again()


def started_twice_at_once(stage: Stage) -> None:
    """`inv local` twice at the same time, when none runs."""
    lan = lan_of(stage)
    _stop(stage)
    started = _at_once(lan, lan.words, lan.words)
    said = "; ".join(one.stdout + one.stderr for one in started)
    assert sorted(one.returncode for one in started) == [0, 1], said
    recorder = lan.recorder()
    assert recorder is not None, said


def second_on_the_file(stage: Stage) -> None:
    """A second recording on the same file is refused."""
    lan = lan_of(stage)
    before = lan.recorder()
    words = [*lan.words]
    words[words.index("--port") + 1] = str(lan.port + 20_000)
    done = lan.home.inv(*words)
    assert done.returncode == 1, done.stdout
    assert f"{lan.file} is being recorded by {lan.folder.name} (port {lan.port}) already" in done.stderr
    assert lan.recorder() == before


def second_on_the_port(stage: Stage) -> None:
    """A second recording on the same port is refused."""
    lan = lan_of(stage)
    before = lan.recorder()
    words = [*lan.words]
    words[words.index("--file") + 1] = str(lan.home.path / "another.log")
    done = lan.home.inv(*words)
    assert done.returncode == 1, done.stdout
    assert f"Port {lan.port} is taken by the recording {lan.folder.name}" in done.stderr
    assert lan.recorder() == before


# -- fault points ---------------------------------------------------------------------------------


def killed_at(point: str) -> Fault:
    """SIGKILL at a point of the program, then the same command again."""

    def fault(stage: Stage) -> None:
        lan = lan_of(stage)
        recorder = _victim(stage, "recorder")
        with stage.losing():
            lan.arm(point, "kill")
            wait_until(lambda: not runs(recorder), 20, f"it ends at {point}")
            _see_nobody_listen(lan)
        assert lan.is_reached(point)
        lan.again()

    return fault


def killed_at_start(stage: Stage) -> None:
    """SIGKILL at the start, when it listens and has not said yet who it is: one sentence, and again."""
    lan = lan_of(stage)
    _kill_recorder(stage)
    with stage.losing():
        lan.arm("state.json.before-replace", "kill")
        done = lan.home.inv(*lan.words)
        _see_nobody_listen(lan)
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
    disk, lan, since = _disk_of(stage), lan_of(stage), timestamp()
    _fill(stage)
    stage.pause(0.0, 1.0)
    disk.make_room()
    lan.wait_for("resumed", since)


def killed_on_a_full_disk(stage: Stage) -> None:
    """SIGKILL while there is no room; then room, and the same command again."""
    disk, lan, began = _disk_of(stage), lan_of(stage), time.monotonic()
    _fill(stage)
    recorder = _victim(stage, "recorder")
    # Nothing settles while there is no room: what was accepted meanwhile waits in a kernel, or is read.
    with stage.losing(settles=time.monotonic() - began + SETTLES_WITHIN):
        stage.hit(recorder, signal.SIGKILL)
        _see_nobody_listen(lan)
    disk.make_room()
    lan.again()


def stopped_on_a_full_disk(stage: Stage) -> None:
    """`inv kill` while there is no room, and room again before its time is up."""
    disk, lan = _disk_of(stage), lan_of(stage)
    _fill(stage)
    with stage.losing(settles=0):
        kill = Concurrent(lan, "kill")
        stage.busy(1.0 + stage.dice.random())
        assert lan.recorder() is not None, "it did not wait for room"
        disk.make_room()
        done = kill.done()
    assert done.returncode == 0, done.stderr
    lan.see_nothing_left()
    lan.again()


# -- the file -------------------------------------------------------------------------------------


def truncated(stage: Stage) -> None:
    """Everything is taken out of the file."""
    path = lan_of(stage).file
    stage.destroyed.append(path.read_bytes())
    os.truncate(path, 0)


def renamed(stage: Stage) -> None:
    """The file has another name."""
    path, old = lan_of(stage).file, _old_name(stage)
    stage.system.files.insert(-1, old)
    path.rename(old)


def renamed_and_made(stage: Stage) -> None:
    """The file has another name, and there is a new one, with a line in it."""
    renamed(stage)
    _add(stage, b"\n")


def replaced(stage: Stage) -> None:
    """Another file has taken the place of the file."""
    path, old = lan_of(stage).file, _old_name(stage)
    other = path.with_name("other")
    note = _note(stage)
    other.write_bytes(stage.dice.choice([b"", note, note + b"\n"]))
    os.link(path, old)
    stage.system.files.insert(-1, old)
    other.replace(path)


def removed(stage: Stage) -> None:
    """The file is removed; a link keeps what was in it."""
    path, old = lan_of(stage).file, _old_name(stage)
    os.link(path, old)
    stage.system.files.insert(-1, old)
    path.unlink()


def line_added(stage: Stage) -> None:
    """A line is added by hand."""
    _add(stage, b"\n")


def half_a_line_added(stage: Stage) -> None:
    """A line without its newline is added by hand."""
    _add(stage, b"")


#: What is done to the file, and how a recorder that runs states it.
EDITS: dict[str, tuple[Callable[[Stage], None], str]] = {
    "truncated": (truncated, "file changed"),
    "renamed": (renamed, "file reopened"),
    "renamed, a new one made": (renamed_and_made, "file reopened"),
    "replaced": (replaced, "file reopened"),
    "removed": (removed, "file reopened"),
    "added to, a line": (line_added, "file changed"),
    "added to, half a line": (half_a_line_added, "file changed"),
}


def edited(edit: Callable[[Stage], None], event: str) -> Fault:
    """The file is edited while it is recorded into."""

    def fault(stage: Stage) -> None:
        lan, since = lan_of(stage), timestamp()
        recorder = _victim(stage, "recorder")
        _see_written(lan)
        # It looks at the file, then writes. Nobody can tell a half line that comes in between, so it stands
        # still where it has written and not looked yet.
        lan.arm("file.after-write", "stop")
        wait_until(lambda: recorder.status() == psutil.STATUS_STOPPED, 10, "it stands still")
        try:
            edit(stage)
        finally:
            recorder.resume()
        lan.wait_for(event, since)

    return fault


def edited_when_dead(edit: Callable[[Stage], None]) -> Fault:
    """The file is edited while nobody records, after a SIGKILL."""

    def fault(stage: Stage) -> None:
        _see_written(lan_of(stage))
        _kill_recorder(stage)
        edit(stage)
        lan_of(stage).again()

    return fault


# -- the clock ------------------------------------------------------------------------------------


def clock_jumps(stage: Stage) -> None:
    """The clock of the day goes an hour forward, then two hours back, as this recorder sees it."""
    lan = lan_of(stage)
    clock = Clock(Path(tempfile.mkdtemp(dir=lan.home.path)))
    _stop(stage)
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
    _stop(stage)
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

    before = _connections(lan)
    in_threads([lambda first=first: some(first) for first in range(20)])  # type: ignore[misc]
    wait_until(lambda: _connections(lan) < before + 20, 20, "they are gone")


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
    wait_until(lambda: _connections(lan) >= GUESTS, 20, "they are there")


# -- limits ---------------------------------------------------------------------------------------


def no_files_left(stage: Stage) -> None:
    """The recorder can open nothing any more, and senders come."""
    lan, since = lan_of(stage), timestamp()
    recorder = _victim(stage, "recorder")
    with _no_files_left(recorder):
        stage.burst(50)
        stage.busy(0.5 + 0.5 * stage.dice.random())
    lan.wait_for("listener full", since)
    lan.wait_for("listener has room again", since)


def no_files_left_for_socat(stage: Stage) -> None:
    """The socat that listens can open nothing any more, and senders come: it ends, their queue stays."""
    lan, since = lan_of(stage), timestamp()
    socat = _listening_socat(stage)
    with _no_files_left(socat):
        stage.burst(50)
        _see_end_of_socat(lan, socat, since)


def no_processes_left(stage: Stage) -> None:
    """The socat that listens can fork no more, and senders come: it ends, their queue stays."""
    lan, since = lan_of(stage), timestamp()
    socat = _listening_socat(stage)
    before = stage.broken
    # What it has accepted, and can't fork for, ends with it: one connection (design, section 3).
    with _no_processes_left(socat), stage.losing(broken_only=True):
        _see_end_of_socat(lan, socat, since)
    assert stage.broken <= before + 1, "more than the connection in its hand broke"


# -- state ----------------------------------------------------------------------------------------


def state_cut(stage: Stage) -> None:
    """Every file of its state is cut short while it runs; then `inv status`, `inv kill`, `inv local`."""
    lan = lan_of(stage)
    _cut_state(stage)
    _see_status(lan)
    stage.see_recording(10.0)
    _cut_state(stage)
    with stage.losing(settles=0):
        done = lan.home.inv("kill")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    lan.see_nothing_left()
    lan.again()


def killed_and_state_cut(stage: Stage) -> None:
    """SIGKILL, and the files of its state are cut short; then `inv status`, the same command, `inv kill`."""
    lan = lan_of(stage)
    _kill_recorder(stage)
    _cut_state(stage)
    _see_status(lan)
    lan.again()
    stage.see_recording(10.0)
    with stage.losing(settles=0):
        done = lan.home.inv("kill")
    assert done.returncode == 0, done.stderr
    lan.see_nothing_left()
    lan.again()


# -- what they have in common ---------------------------------------------------------------------


class Concurrent:
    """A command that runs while the test does something else."""

    def __init__(self, lan: Lan, *words: str) -> None:
        self._found: list[subprocess.CompletedProcess[str]] = []
        self._crowd = Crowd([lambda: self._found.append(lan.home.inv(*words))])

    def done(self) -> subprocess.CompletedProcess[str]:
        """Wait for its end; see that it did not fall over."""
        self._crowd.join()
        done = self._found[0]
        assert "Traceback" not in done.stderr, done.stderr
        return done


def _at_once(lan: Lan, *commands: list[str]) -> list[subprocess.CompletedProcess[str]]:
    running = [Concurrent(lan, *words) for words in commands]
    return [one.done() for one in running]


def _victim(stage: Stage, role: str) -> psutil.Process:
    found: psutil.Process = wait_until(lambda: stage.victim(role), 10, f"a {role} runs")
    return found


def _listening_socat(stage: Stage) -> psutil.Process:
    """Return the socat that listens; where it has died so often that none is due soon, start all anew."""
    found: psutil.Process | None = None
    until = time.monotonic() + 3
    while found is None and time.monotonic() < until:
        found = stage.victim("socat")
    if found is None:
        _stop(stage)
        lan_of(stage).again()
        found = _victim(stage, "socat")
    return found


def _see_nobody_listen(lan: Lan) -> None:
    # socat gets its signal when its recorder has ended, and may accept for a moment longer.
    wait_until(lambda: not lan.listens(), 10, "nobody listens")


def _kill_recorder(stage: Stage, number: int = signal.SIGKILL, settles: float = SETTLES_WITHIN) -> None:
    recorder = _victim(stage, "recorder")
    with stage.losing(settles=settles):
        stage.hit(recorder, number)
        _see_nobody_listen(lan_of(stage))


def _stop(stage: Stage) -> None:
    lan = lan_of(stage)
    with stage.losing(settles=0):
        done = lan.home.inv("kill", "--port", str(lan.port))
    assert done.returncode == 0, done.stderr
    lan.see_nothing_left()


def _end_socat(stage: Stage, number: int) -> None:
    lan, since = lan_of(stage), timestamp()
    socat = _listening_socat(stage)
    before = stage.broken
    # It accepts, forks, and lets go: the one connection in its hand then ends with it (design, section 3).
    with stage.losing(broken_only=True):
        stage.hit(socat, number)
        _see_end_of_socat(lan, socat, since)
    assert stage.broken <= before + 1, "more than the connection in its hand broke"


def _see_end_of_socat(lan: Lan, socat: psutil.Process, since: str) -> None:
    """See that socat ends, as somebody connects, and that its queue is served without it."""

    def ends() -> bool:
        with contextlib.suppress(OSError), lan.connect() as sock:
            sock.sendall(b"beacon for a socat that ends\n")
        return not runs(socat)

    wait_until(ends, 10, "socat ends")
    lan.wait_for("listener died", since)
    # Served, and not tried again and again in vain.
    assert lan.listens(), "nobody listens any more"
    assert not lan.events("listener full", since), lan.events("listener full", since)[0]


def _end_fork(stage: Stage, number: int) -> None:
    before = stage.broken
    # What it has read, or its kernel accepted, ends with it (design, section 3); told to end, socat passes
    # nothing on either.
    with stage.losing(broken_only=True):
        stage.hit(_victim(stage, "fork"), number)
        until = time.monotonic() + 1.0  # its sender may have been about to leave, and then never knows
        while stage.broken == before and time.monotonic() < until:
            stage.busy(0.01)
    assert stage.broken <= before + 1, "more than its own connection broke"


@contextlib.contextmanager
def _frozen(process: psutil.Process) -> Iterator[None]:
    process.suspend()
    try:
        wait_until(lambda: process.status() == psutil.STATUS_STOPPED, 5, "it stands still")
        yield
    finally:
        process.resume()


def _disk_of(stage: Stage) -> Disk:
    disk = lan_of(stage).disk
    assert disk is not None
    return disk


def _fill(stage: Stage) -> None:
    """Leave so little room that recording pauses, and see that it is said."""
    lan, since = lan_of(stage), timestamp()
    _disk_of(stage).fill(stage.dice.randrange(64 * 1024))
    reason = "No space left on device"
    assert lan.wait_for("paused", since)["reason"] == reason

    def is_said() -> bool:
        status = lan.running.status()
        return bool(status["state"] == "paused" and status["paused_for"] == reason)

    wait_until(is_said, 10, "the status says paused")


def _see_written(lan: Lan) -> None:
    wait_until(lambda: lan.file.exists() and lan.file.stat().st_size, 10, "there is something to edit")


def _old_name(stage: Stage) -> Path:
    files = stage.system.files
    return files[-1].with_name(f"{files[-1].name}.{len(files)}")


def _note(stage: Stage) -> bytes:
    note = b"by hand %08x" % stage.dice.getrandbits(32)
    stage.notes.add(note)
    return note


def _add(stage: Stage, end: bytes) -> None:
    path, note = lan_of(stage).file, _note(stage)
    there = path.read_bytes()[-1:] if path.exists() else b""
    with path.open("ab") as file:
        file.write((b"" if there in (b"", b"\n") else b"\n") + note + end)


def _see_its_clock(lan: Lan, at_about: float) -> None:
    """See that the newest event is of that time, or of up to five minutes later."""

    def is_there() -> bool:
        path = lan.folder / "events.log"
        lines = path.read_bytes().splitlines() if path.exists() else []
        said = json.loads(lines[-1])["time"] if lines else ""
        return bool(timestamp(at_about) <= said <= timestamp(at_about + 300))

    wait_until(is_there, 15, f"its clock says about {timestamp(at_about)}")


def _connections(lan: Lan) -> int:
    """Return how many senders the recorder has, as it says itself."""
    try:
        return int(json.loads((lan.folder / "counters.json").read_bytes())["senders"])
    except FileNotFoundError:
        return 0


@contextlib.contextmanager
def _no_files_left(process: psutil.Process) -> Iterator[None]:
    """Let a process open nothing more: its limit is the lowest number that it has free."""
    before = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    # Looked at a few times: what it has accepted and not yet let go would leave it a place later.
    free = min(_lowest_free(process) for _ in range(100))
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (free, before[1]))
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, before)


def _lowest_free(process: psutil.Process) -> int:
    used = {int(name) for name in os.listdir(f"/proc/{process.pid}/fd")}
    return next(number for number in itertools.count() if number not in used)


def pids_cgroup() -> Path | None:
    """Return where control groups that bound processes can be made; None if they can't."""
    for root in PIDS_CGROUPS:
        control = root / "cgroup.subtree_control"
        controllers = control.read_text().split() if control.exists() else [root.name]
        if "pids" in controllers and os.access(root, os.W_OK) and (root / "cgroup.procs").exists():
            return root
    return None


@contextlib.contextmanager
def _no_processes_left(process: psutil.Process) -> Iterator[None]:
    """Let a process fork no more: it is alone in a control group that has room for one."""
    root = pids_cgroup()
    assert root is not None
    group = root / f"reclog-faults-{process.pid}"
    group.mkdir()
    try:
        (group / "cgroup.procs").write_text(str(process.pid))
        (group / "pids.max").write_text("1")
        yield
    finally:
        for pid in (group / "cgroup.procs").read_text().split():
            with contextlib.suppress(OSError):
                (root / "cgroup.procs").write_text(pid)
        wait_until(lambda: _removed(group), 10, "the control group is empty")


def _removed(group: Path) -> bool:
    try:
        group.rmdir()
    except OSError:  # one that ended is still being let go
        return False
    return True


def _cut_state(stage: Stage) -> None:
    """Cut every file of its state to half, or to nothing."""
    folder = lan_of(stage).folder
    for name in ("state.json", "counters.json", "config.json", "events.log"):
        with contextlib.suppress(FileNotFoundError):
            size = (folder / name).stat().st_size
            os.truncate(folder / name, stage.dice.choice([0, size // 2]))


def _see_status(lan: Lan) -> None:
    done = lan.home.inv("status")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr


# -- the catalogue --------------------------------------------------------------------------------

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
    "a second on the file": second_on_the_file,
    "a second on the port": second_on_the_port,
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
}
#: Faults that need root.
ROOT: dict[str, Fault] = {
    "disk full": disk_full,
    "disk full, killed": killed_on_a_full_disk,
    "disk full, stopped": stopped_on_a_full_disk,
}
SOCAT: dict[str, Fault] = {
    "socat killed": socat_killed,
    "socat told to end": socat_told_to_end,
    "socat frozen": socat_frozen,
    "fork killed": fork_killed,
    "fork told to end": fork_told_to_end,
    "fork frozen": fork_frozen,
    "no open files left for socat": no_files_left_for_socat,
}


def faults_for(listener: str) -> dict[str, Fault]:
    """Return what can be done here to a recording with that listener, by name."""
    faults = dict(FAULTS)
    if COMPILER:
        faults["clock jumps"] = clock_jumps
    if os.geteuid() == 0:
        faults.update(ROOT)
    if listener == "socat":
        faults.update(SOCAT)
        if os.geteuid() == 0 and pids_cgroup() is not None:
            faults["no processes left for socat"] = no_processes_left
    return faults
