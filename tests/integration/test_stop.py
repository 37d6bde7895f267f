"""Promises 3 and 10: a stop keeps what was accepted, leaves nothing, and touches nobody else's process."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from bench import HISTORY, Home, Running, free_port, wait_until
from swarm import Crowd, in_threads, listening_socat, runs, stays, unacknowledged

from reclog.engine.system.identity import Identity

Popen = subprocess.Popen[bytes]


class Accepted:
    """Lines that the recorder's kernel is known to have taken, each with the time at which it was known."""

    def __init__(self) -> None:
        self.at: dict[bytes, float] = {}
        self.sent = 0
        self._lock = threading.Lock()

    def send(self, recording: Running, line: bytes) -> bool:
        """Send `line` over a connection of its own; False once nobody takes it any more."""
        try:
            with socket.create_connection(("127.0.0.1", recording.port), timeout=1) as sock:
                with self._lock:
                    self.sent += 1
                sock.sendall(line + b"\n")
                until = time.monotonic() + 1
                while unacknowledged(sock):
                    if time.monotonic() > until:
                        return False
                    time.sleep(0.0005)
                self.at[line] = time.time()
        except OSError:
            return False
        return True

    def before(self, moment: float) -> set[bytes]:
        return {line for line, at in self.at.items() if at < moment}


def stop_began(recording: Running) -> float:
    """Return the time at which the recorder began to stop, rounded down to a millisecond."""
    said = str(recording.events("stopping")[-1]["time"])
    return datetime.datetime.fromisoformat(said.replace("Z", "+00:00")).timestamp()


def assert_kept(recording: Running, accepted: Accepted, moment: float) -> set[bytes]:
    """See that each line accepted before `moment` was recorded, and none twice; return those lines."""
    times = Counter(recording.read().split(b"\n"))
    assert times.pop(b"") == 1, "an empty line, or half a line at the end"
    twice = [line for line, count in times.items() if count > 1]
    assert not twice, f"recorded twice: {twice[:5]}"
    kept = accepted.before(moment)
    lost = kept - set(times)
    assert not lost, f"{len(lost)} of {len(kept)} accepted lines are lost: {sorted(lost)[:5]}"
    return kept


def assert_gone(recording: Running) -> None:
    """See that no process, no listening port and no state of `recording` is left."""
    assert recording.home.processes() == []
    # Half a handshake outlives its listener: the kernel drops it when its own timer finds the listener gone.
    wait_until(lambda: states_of(recording.port) <= {"TIME-WAIT"}, 10, "its kernel has none")
    with pytest.raises(ConnectionRefusedError):
        recording.connect()
    left = {path.name for path in (recording.folder).iterdir()}
    assert left <= {*HISTORY, "daemon.log"}
    assert recording.home.status() == []


def states_of(port: int) -> set[str]:
    """Return the states of the TCP connections that have `port` here."""
    said = subprocess.run(["ss", "-tanH", f"sport = :{port}"], capture_output=True, text=True, check=True)
    return {line.split()[0] for line in said.stdout.splitlines()}


@contextlib.contextmanager
def bystander(*command: str, cwd: str = "/") -> Iterator[Popen]:
    """Run somebody else's process."""
    process = subprocess.Popen(command, cwd=cwd, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
        assert process.poll() is None, "somebody else's process was ended"
    finally:
        process.kill()
        process.wait()


def connects_to(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def test_kill_in_a_burst_keeps_what_was_accepted(home: Home, listener: str) -> None:
    recording = home.local("--listener", listener)
    accepted = Accepted()

    def some(thread: int) -> None:
        for number in range(100_000):  # until it is refused
            if not accepted.send(recording, b"line %d of thread %d" % (number, thread)):
                return
            time.sleep(0.03)  # some 3,000 connections a second: a longer queue, never a full one

    crowd = Crowd([lambda thread=thread: some(thread) for thread in range(100)])  # type: ignore[misc]
    wait_until(lambda: accepted.sent > 2500, 20)
    done = recording.kill()
    crowd.join()
    assert done.returncode == 0, done.stderr
    began = stop_began(recording)
    kept = assert_kept(recording, accepted, began)
    assert len(kept) > 2500
    # The kernel refuses before it acknowledges: not even those of the stop's own duration are lost.
    assert_kept(recording, accepted, float("inf"))
    assert max(accepted.at.values()) > began - 0.1, "there was no load when the stop began"
    assert_gone(recording)


@pytest.mark.parametrize(
    ("listener", "stopped"), [("socat", "listener"), ("socat", "recorder"), ("builtin", "recorder")]
)
def test_kill_keeps_the_queue(home: Home, listener: str, stopped: str) -> None:
    """Connections that nobody has taken out of the kernel's queue yet are recorded, too."""
    recording = home.local("--listener", listener)
    process = listening_socat(recording) if stopped == "listener" else recording.daemon
    assert process is not None
    accepted = Accepted()

    def some(thread: int) -> None:
        for number in range(20):
            assert accepted.send(recording, b"line %d of thread %d" % (number, thread))

    process.suspend()
    try:
        in_threads([lambda thread=thread: some(thread) for thread in range(40)])  # type: ignore[misc]
        assert len(accepted.at) == 800
        assert recording.read() == b""
        kill = home.start("inv", "kill")
        if stopped == "listener":  # the recorder begins to stop while its listener stands still
            wait_until(lambda: recording.events("stopping"))
    finally:
        if stopped == "listener":  # a recorder that is suspended goes on when it is told to stop
            process.resume()
    out, err = kill.communicate(timeout=30)
    assert kill.returncode == 0, err
    assert len(assert_kept(recording, accepted, float("inf"))) == 800
    assert "800 lines recorded" in out
    assert_gone(recording)


class Talker:
    """A sender that talks on one connection until it is cut off, and knows what was acknowledged when."""

    def __init__(self, recording: Running, letter: bytes) -> None:
        self.letter = letter
        self.acknowledged: list[tuple[float, int]] = []
        self._sock = recording.connect()
        self._line = 0

    def talk(self) -> None:
        sent = 0
        rest = b""
        with self._sock as sock, contextlib.suppress(OSError):
            while True:
                while len(rest) < 3000:
                    rest += self.line(self._line)
                    self._line += 1
                sent += sock.send(rest[:2001])  # not at a line's end
                rest = rest[2001:]
                taken = sent - unacknowledged(sock)
                self.acknowledged.append((time.time(), taken))
                time.sleep(0.0005)

    def line(self, number: int) -> bytes:
        return b"%s%09d\n" % (self.letter, number)

    def assert_kept(self, recorded: list[bytes], moment: float) -> int:
        """See that all acknowledged before `moment` is in `recorded`, in order; return its bytes."""
        mine = [line for line in recorded if line.startswith(self.letter)]
        expected = b"".join(self.line(number) for number in range(len(mine)))
        text = b"\n".join(mine)
        assert expected.startswith(text)
        taken = max((count for at, count in self.acknowledged if at < moment), default=0)
        # Its last newline may have been the recorder's, at the end of half a line.
        assert len(text) + 1 >= taken, f"{taken - len(text)} acknowledged bytes are lost"
        return taken


def test_kill_keeps_what_long_lived_senders_were_acknowledged(home: Home, listener: str) -> None:
    recording = home.local("--listener", listener)
    talkers = [Talker(recording, bytes([letter])) for letter in b"abcdefgh"]
    crowd = Crowd([talker.talk for talker in talkers])
    wait_until(lambda: all(len(talker.acknowledged) > 50 for talker in talkers))
    done = recording.kill()
    crowd.join(5)  # each one's send fails: it learns that nobody records any more
    assert done.returncode == 0, done.stderr
    began = stop_began(recording)
    recorded = recording.read().split(b"\n")
    assert all(line[:1] in b"abcdefgh" and len(line) <= 10 for line in recorded)
    for talker in talkers:
        assert talker.assert_kept(recorded, began) > 50_000
        assert talker.assert_kept(recorded, float("inf")) > 50_000
        assert talker.acknowledged[-1][0] > began - 0.2, "it did not talk when the stop began"
    assert_gone(recording)


def test_an_endless_sender_does_not_hold_the_stop_up(home: Home, listener: str) -> None:
    recording = home.local("--listener", listener)
    block = b"no end of it\n" * 10_000

    def endless() -> None:
        with recording.connect() as sock, contextlib.suppress(OSError):
            while True:
                sock.sendall(block)

    crowd = Crowd([endless, endless])
    wait_until(lambda: recording.file.exists() and recording.file.stat().st_size > 1_000_000)
    began = time.monotonic()
    done = recording.kill()
    took = time.monotonic() - began
    crowd.join(5)
    assert done.returncode == 0, done.stderr
    assert took < 5, "bounded at 10 s, and quick where the kernel can refuse"
    with recording.file.open("rb") as file:
        file.seek(-100_000, os.SEEK_END)
        recorded = file.read().split(b"\n")[1:]
    halves = [line for line in recorded if line != b"no end of it"]
    assert len(halves) <= 2, "each may have been cut off inside a line"
    assert all(b"no end of it".startswith(half) for half in halves)
    assert_gone(recording)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_drains_too(home: Home, listener: str, number: int) -> None:
    recording = home.local("--listener", listener)
    accepted = Accepted()

    def some(thread: int) -> None:
        for count in range(100_000):
            if not accepted.send(recording, b"line %d of thread %d" % (count, thread)):
                return

    crowd = Crowd([lambda thread=thread: some(thread) for thread in range(20)])  # type: ignore[misc]
    wait_until(lambda: len(accepted.at) > 300)
    daemon = recording.daemon
    daemon.send_signal(number)
    wait_until(lambda: not runs(daemon))
    crowd.join()
    assert len(assert_kept(recording, accepted, float("inf"))) > 300
    assert_gone(recording)


def test_others_live_on(home: Home) -> None:
    recording = home.local("--listener", "socat")
    socat = listening_socat(recording)
    assert socat is not None
    neighbour, twin = free_port(), free_port()  # the next above, as a rule
    same = [word.replace(str(recording.port), str(twin)) for word in socat.cmdline()]
    assert same != socat.cmdline()
    folder = str(recording.folder)
    with (
        bystander("socat", f"TCP4-LISTEN:{neighbour},reuseaddr,fork", "OPEN:/dev/null"),
        bystander(*same, cwd=socat.cwd()),
        bystander("sh", "-c", "sleep 60; :", "reclog-engine", "recorder", "--folder", folder),
    ):
        wait_until(lambda: connects_to(neighbour))
        wait_until(lambda: connects_to(twin))
        assert recording.kill().returncode == 0
        assert_gone(recording)
        assert home.inv("kill").returncode == 0
        assert connects_to(neighbour)
        assert connects_to(twin)


def test_the_recorder_killed(home: Home, listener: str) -> None:
    """A recorder that is killed takes its socat along, its senders learn it, and the next start cleans up."""
    recording = home.local("--listener", listener)
    socks = [recording.connect() for _ in range(3)]
    with contextlib.ExitStack() as stack:
        for sock in socks:
            stack.enter_context(sock)
            sock.sendall(b"before\n")
        wait_until(lambda: recording.read() == b"before\n" * 3)
        family = recording.family()
        assert len(family) == (5 if listener == "socat" else 1)
        recording.daemon.kill()
        wait_until(lambda: not any(runs(process) for process in family), 5, "all are gone")
        for sock in socks:
            wait_until(lambda sock=sock: _fails(sock), what="a send that fails")  # type: ignore[misc]
    assert recording.status()["state"] == "dead"
    assert home.processes() == []
    done = home.inv(*recording.words)
    assert done.returncode == 0, done.stderr
    assert f"Cleaned up local-{recording.port}" in done.stderr
    recording.send(b"after\n")
    wait_until(lambda: recording.read() == b"before\n" * 3 + b"after\n")
    assert recording.status()["state"] == "recording"


def test_a_start_right_after_the_recorder_was_killed(home: Home, listener: str) -> None:
    recording = home.local("--listener", listener)
    with recording.connect() as sock:
        sock.sendall(b"before\n")
        wait_until(lambda: recording.read() == b"before\n")
        recording.daemon.kill()
        done = home.inv(*recording.words, "--listener", listener)
        assert done.returncode == 0, done.stderr
        assert "Cleaned up" in done.stderr
        recording.send(b"after\n")
        wait_until(lambda: recording.read() == b"before\nafter\n")
        wait_until(lambda: _fails(sock), what="the old connection is dead")
    assert recording.read() == b"before\nafter\n"


def _fails(sock: socket.socket) -> bool:
    try:
        sock.sendall(b"lost\n")
    except OSError:
        return True
    return False


def test_a_recycled_pid_is_not_touched(home: Home) -> None:
    with bystander("sleep", "60") as innocent:
        identity = Identity.of(innocent.pid)._replace(started="1")
        folder = home.recordings / "local-29999"
        folder.mkdir(parents=True)
        state = {"identity": identity._asdict(), "kind": "local", "host": None, "port": 29999, "file": "/x"}
        (folder / "state.json").write_text(json.dumps(state))
        assert home.status()[0]["state"] == "dead"
        done = home.inv("kill")
        assert done.returncode == 0
        assert "local-29999 was dead; cleaned up." in done.stdout
        stays(lambda: innocent.poll() is None, 0.2)
        assert home.status() == []


@pytest.mark.parametrize("lost", ["state", "everything"])
def test_a_recording_that_lost_its_state_is_stopped(home: Home, listener: str, lost: str) -> None:
    recording = home.local("--listener", listener)
    with recording.connect() as sock:
        sock.sendall(b"line\nhalf")
        wait_until(lambda: recording.read() == b"line\n")
        folder = recording.folder
        for path in folder.iterdir():
            if lost == "everything" or path.name == "state.json":
                path.unlink()
        done = home.inv("kill")
    assert done.returncode == 0, done.stderr
    assert home.processes() == []
    assert recording.read() == b"line\nhalf"
    assert "Nothing to stop" not in done.stdout
    assert "Nothing to stop" in home.inv("kill").stdout


def test_kill_of_one_leaves_the_other(home: Home) -> None:
    one, other = home.local(), home.local()
    assert home.inv("kill", "--file", str(one.file)).returncode == 0
    other.send(b"still here\n")
    wait_until(lambda: other.read() == b"still here\n")
    assert [recording["port"] for recording in home.status()] == [other.port]


def test_what_is_on_its_way_arrives(home: Home, listener: str) -> None:
    """A sender that has sent a lot and closed is gone before its kernel had all of it acknowledged."""
    recording = home.local("--listener", listener)
    daemon = recording.daemon
    burst = b"".join(b"line %d\n" % number for number in range(300_000))
    recording.send(burst)
    daemon.terminate()
    wait_until(lambda: not runs(daemon))
    assert recording.read() == burst
