"""Promises 4–9, 12 and 13 of a tremplin: what is killed, filled, edited or intruded upon, with real ssh."""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import subprocess
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from bench import wait_until
from swarm import Crowd, is_closed, stays
from test_file import SmallDisk, mount
from tremplin_bench import Tremplin, TremplinRecording

from reclog.engine.feed.handshake import PROTOCOL

MIB = 1024 * 1024


class Stream:
    """Senders of numbered lines that go on until told to end."""

    def __init__(self, recording: TremplinRecording, senders: int = 1, per_second: int = 200) -> None:
        self.sent = [0] * senders
        self._over = threading.Event()
        self._pause = 1 / per_second
        self._recording = recording
        self._crowd = Crowd([lambda number=number: self._send(number) for number in range(senders)])  # type: ignore[misc]

    def more(self, lines: int) -> None:
        """Wait until so many more lines are sent."""
        wanted = sum(self.sent) + lines
        wait_until(lambda: sum(self.sent) >= wanted, 30, "senders go on")

    def begun(self, number: int) -> int:
        """Return how many lines of a sender may have been recorded by now: it is counted after it is sent."""
        return self.sent[number] + 1

    def end(self) -> None:
        self._over.set()
        self._crowd.join()

    def _send(self, number: int) -> None:
        with self._recording.connect() as sock:
            sock.settimeout(60)
            while not self._over.wait(self._pause):
                sock.sendall(line_of(number, self.sent[number]))
                self.sent[number] += 1


def line_of(sender: int, number: int) -> bytes:
    return b"sender-%d %07d %s\n" % (sender, number, b"." * (number % 50))


def lines_of(recorded: bytes, sender: int) -> list[bytes]:
    begin = b"sender-%d " % sender
    return [line for line in recorded.splitlines(keepends=True) if line.startswith(begin)]


def all_there(recorded: bytes, stream: Stream) -> bool:
    return all(
        lines_of(recorded, sender) == [line_of(sender, number) for number in range(count)]
        for sender, count in enumerate(stream.sent)
    )


def goes_to_the_end(recorded: bytes, stream: Stream, from_number: int) -> bool:
    """Tell whether the lines from `from_number` or earlier to the last are there, each once, in order."""
    found = lines_of(recorded, 0)
    first = stream.sent[0] - len(found)
    wanted = [line_of(0, number) for number in range(first, stream.sent[0])]
    return first <= from_number and found == wanted


def wait_for(recording: TremplinRecording, stream: Stream, within: float = 20.0) -> None:
    wait_until(lambda: len(recording.read().splitlines()) >= sum(stream.sent), within, "all is recorded")
    last = [line_of(sender, count - 1) for sender, count in enumerate(stream.sent)]
    wait_until(lambda: all(line in recording.read() for line in last), within, "the last lines are recorded")


def is_what_the_relay_spooled(recording: TremplinRecording) -> bool:
    """Tell whether the file, which began empty, is byte for byte what the relay spooled."""
    recorded, relay = recording.read(), recording.relay_counters()
    assert relay["crc_from"] == 0
    return bool(len(recorded) == relay["end"] and zlib.crc32(recorded) == relay["crc"])


def counters(recording: TremplinRecording) -> dict[str, object]:
    try:
        found: dict[str, object] = json.loads((recording.folder / "counters.json").read_text())
    except FileNotFoundError:
        return {}
    return found


def kill_collector(recording: TremplinRecording) -> None:
    """Kill -9 the collector; wait until it and its ssh are gone."""
    family = [recording.daemon, *recording.daemon.children(recursive=True)]
    family[0].kill()
    psutil.wait_procs(family, timeout=10)


def again(recording: TremplinRecording, *words: str) -> None:
    done = recording.again(*words)
    assert done.returncode == 0, done.stderr + done.stdout


def relay_died(recording: TremplinRecording, reboot: bool = False) -> None:
    """Kill -9 the relay; at a reboot also all else of its account there, at once."""
    relay = recording.relay
    for process in [relay, *(recording.tremplin.sessions() if reboot else [])]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    wait_until(lambda: not psutil.pid_exists(relay.pid) or relay.status() == psutil.STATUS_ZOMBIE)


def listens(recording: TremplinRecording) -> bool:
    try:
        recording.connect().close()
    except ConnectionError:
        return False
    return True


@contextlib.contextmanager
def frozen(recording: TremplinRecording) -> Iterator[None]:
    """Stop the collector meanwhile."""
    collector = recording.daemon
    collector.suspend()
    try:
        wait_until(lambda: collector.status() == psutil.STATUS_STOPPED)
        yield
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            collector.resume()


# -- kills ------------------------------------------------------------------------------------------


@pytest.mark.timeout(180)
def test_40_kills_lose_nothing_and_double_nothing(trem: Tremplin) -> None:
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")
    dice = random.Random(seed)
    recording = trem.open()
    stream = Stream(recording, senders=8)
    victims = ["collector"] * 6 + ["ssh"] * 17 + ["session"] * 17
    dice.shuffle(victims)
    for victim in victims:
        stream.more(dice.randrange(1, 500))
        if victim == "collector":
            kill_collector(recording)
            again(recording)
            continue
        with contextlib.suppress(psutil.NoSuchProcess, StopIteration):  # it is being started again
            if victim == "ssh":
                recording.ssh.kill()
            elif sessions := trem.sessions():
                dice.choice(sessions).kill()
    stream.end()
    wait_for(recording, stream)
    assert all_there(recording.read(), stream)
    wait_until(lambda: is_what_the_relay_spooled(recording), what="the file is what the relay spooled")


def test_a_session_that_dies_inside_a_frame(trem: Tremplin) -> None:
    recording = trem.open()
    stream = Bulk(recording, 30 * MIB)
    for _ in range(6):
        size = recording.file.stat().st_size
        wait_until(lambda size=size: recording.file.stat().st_size > size + MIB or not stream.busy, 20)  # type: ignore[misc]
        for session in trem.sessions():
            with contextlib.suppress(psutil.NoSuchProcess):
                session.kill()
    stream.join()
    wait_until(lambda: stream.is_recorded(recording.read()), 20, "all is recorded")
    wait_until(lambda: is_what_the_relay_spooled(recording))
    assert recording.events("disconnected")


class Bulk:
    """One sender of so many bytes of numbered lines, as fast as it can."""

    def __init__(self, recording: TremplinRecording, size: int) -> None:
        self.lines = [b"sender-0 %07d %s\n" % (number, b"." * 82) for number in range(size // 100)]
        self._recording = recording
        self._crowd = Crowd([self._send])

    @property
    def busy(self) -> bool:
        return self._crowd.busy

    def join(self) -> None:
        self._crowd.join(90)

    def is_recorded(self, recorded: bytes) -> bool:
        return lines_of(recorded, 0) == self.lines

    def _send(self) -> None:
        with self._recording.connect() as sock:
            sock.settimeout(80)
            sock.sendall(b"".join(self.lines))


def test_a_killed_collector_goes_on_inside_a_line(trem: Tremplin) -> None:
    recording = trem.open()
    with recording.connect() as sender:
        sender.sendall(b"half of a line")
        wait_until(lambda: recording.read().endswith(b"half of a line"))
        wait_until(lambda: counters(recording).get("lag_bytes") == 0, what="the half line is acked")
        kill_collector(recording)
        again(recording)
        sender.sendall(b" and its rest\n")
        wait_until(lambda: b" and its rest\n" in recording.read())
    wait_until(lambda: is_what_the_relay_spooled(recording))


def test_the_same_command_twice_changes_nothing(trem: Tremplin) -> None:
    recording = trem.open()
    before = [recording.daemon.pid, recording.ssh.pid, recording.relay.pid]
    done = recording.again()
    assert done.returncode == 0
    assert "recording already" in done.stdout
    assert [recording.daemon.pid, recording.ssh.pid, recording.relay.pid] == before


# -- the relay's death -------------------------------------------------------------------------------


@pytest.mark.parametrize("reboot", [False, True], ids=["kill -9", "reboot"])
def test_a_dead_relay_is_started_again_and_keeps_its_spool(trem: Tremplin, reboot: bool) -> None:
    recording = trem.open()
    with frozen(recording):
        recording.send(b"".join(line_of(0, number) for number in range(1000)))
        wait_until(lambda: recording.relay_counters()["lines"] >= 1001, what="all is spooled")
        relay_died(recording, reboot)
        assert not listens(recording)
    wait_until(lambda: listens(recording), 15, "the relay is back")
    recording.send(b"".join(line_of(0, number) for number in range(1000, 2000)))
    wait_until(lambda: line_of(0, 1999) in recording.read())
    assert lines_of(recording.read(), 0) == [line_of(0, number) for number in range(2000)]
    assert recording.events("disconnected")
    assert recording.events("starting the relay again")
    assert len(recording.relay_events("started")) == 2
    assert not recording.events("gap")


def test_a_relay_told_to_end_is_started_again(trem: Tremplin) -> None:
    recording = trem.open()
    with frozen(recording):
        recording.send(b"".join(line_of(0, number) for number in range(1000)))
        relay = recording.relay
        relay.terminate()  # as its host does when it goes down
        wait_until(lambda: not psutil.pid_exists(relay.pid) or relay.status() == psutil.STATUS_ZOMBIE)
        assert any(path.suffix == ".seg" for path in trem.files())
    wait_until(lambda: listens(recording), 15, "the relay is back")
    recording.send(line_of(0, 1000))
    wait_until(lambda: line_of(0, 1000) in recording.read())
    assert lines_of(recording.read(), 0) == [line_of(0, number) for number in range(1001)]


def test_a_relay_waits_for_its_port(trem: Tremplin) -> None:
    recording = trem.open()
    with socket.socket() as stranger:
        with frozen(recording):
            relay_died(recording)
            stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            stranger.bind(("0.0.0.0", recording.port))
            stranger.listen()
        wait_until(lambda: counters(recording).get("state") == "paused", 15, "status says it")
        status = recording.status()
        assert status["state"] == "paused"
        assert str(recording.port) in str(counters(recording)["paused_for"])
    wait_until(lambda: counters(recording).get("state") == "recording", what="the relay has its port")
    recording.send(b"hello again\n")
    wait_until(lambda: recording.read().endswith(b"hello again\n"))
    assert recording.relay_events("port is taken")
    assert recording.relay_events("port is free again")


def test_after_a_power_cut_no_offset_is_used_twice(trem: Tremplin) -> None:
    recording = trem.open()
    spool = trem.relays / str(recording.port) / "spool"
    recording.send(b"".join(line_of(0, number) for number in range(500)))
    wait_until(lambda: line_of(0, 499) in recording.read())
    wait_until(lambda: counters(recording).get("lag_bytes") == 0)
    with frozen(recording):
        recording.ssh.kill()  # what comes now is not on its way here when the power goes
        recording.send(b"".join(line_of(0, number) for number in range(500, 1000)))
        wait_until(lambda: recording.relay_counters()["lines"] >= 1001)
        end = recording.relay_counters()["end"]
        relay_died(recording, reboot=True)
        # What was written since the last sync is gone: part of what the collector has already, and more.
        segment = max(spool.glob("*.seg"))
        left = len(b"".join(line_of(0, number) for number in range(300))) + 7
        os.truncate(segment, left)
        state = json.loads((spool / "spool.json").read_text())
        (spool / "spool.json").write_text(json.dumps({**state, "boot": "another"}))
    wait_until(lambda: listens(recording), 15, "the relay is back")
    recording.send(b"".join(line_of(0, number) for number in range(1000, 1500)))
    wait_until(lambda: line_of(0, 1499) in recording.read())
    expected = [line_of(0, number) for number in [*range(500), *range(1000, 1500)]]
    assert lines_of(recording.read(), 0) == expected
    gap = recording.events("gap")[-1]
    assert gap["end"] == state["mark"] >= end
    assert recording.relay_events("gap")[-1]["start"] == int(segment.stem) + left
    assert int(max(spool.glob("*.seg")).stem) == state["mark"]


# -- foreign edits -----------------------------------------------------------------------------------

Edit = Callable[[Path], None]


def echo(file: Path) -> None:
    subprocess.run(f"echo note >> {file}", shell=True, check=True)


def echo_half(file: Path) -> None:
    subprocess.run(f"printf 'half a note' >> {file}", shell=True, check=True)


def truncate(file: Path) -> None:
    os.truncate(file, 0)


def rename(file: Path) -> None:
    count = len(list(file.parent.glob("*.old")))
    file.rename(file.with_name(f"{file.name}.{count}.old"))


def rename_with_new(file: Path) -> None:
    rename(file)
    file.write_text("a new file\n")


EVENTS: dict[Edit, str] = {
    echo: "file changed",
    echo_half: "file changed",
    rename: "file reopened",
    rename_with_new: "file reopened",
}


def with_renamed(recording: TremplinRecording) -> bytes:
    renamed = sorted(recording.file.parent.glob("*.old"))
    return b"".join(path.read_bytes() for path in renamed) + recording.read()


def killed_behind_the_edit(recording: TremplinRecording, stream: Stream, edit: Edit) -> None:
    """Kill the collector when it has written behind the edit, and before it has acked that."""
    edit(recording.file)
    size = recording.file.stat().st_size
    wait_until(lambda: recording.file.stat().st_size > size + 20)
    kill_collector(recording)
    again(recording)
    stream.more(50)


def edited_while_dead(recording: TremplinRecording, stream: Stream, edit: Edit) -> None:
    kill_collector(recording)
    edit(recording.file)
    stream.more(50)
    again(recording)
    stream.more(50)


@pytest.mark.parametrize("edit", EVENTS)
def test_an_addition_or_a_rename_loses_and_doubles_nothing(trem: Tremplin, edit: Edit) -> None:
    recording = trem.open()
    stream = Stream(recording)
    stream.more(100)
    wait_until(lambda: len(recording.read().splitlines()) > 50)
    edit(recording.file)
    stream.more(100)
    wait_until(lambda: recording.events(EVENTS[edit]), what="the event is reported")
    if edit in (echo, echo_half):
        killed_behind_the_edit(recording, stream, edit)
    edited_while_dead(recording, stream, edit)
    stream.end()
    wait_until(lambda: line_of(0, stream.sent[0] - 1) in recording.read())
    assert all_there(with_renamed(recording), stream)
    if edit in (echo, echo_half):
        notes = [line for line in recording.read().splitlines() if b"note" in line]
        assert len(notes) == 3
        assert not any(line.startswith(b"sender") for line in notes)


@pytest.mark.parametrize("edit", [truncate, Path.unlink], ids=["truncate", "remove"])
def test_after_a_truncation_or_removal_all_that_comes_is_there(trem: Tremplin, edit: Edit) -> None:
    recording = trem.open()
    stream = Stream(recording)
    stream.more(100)
    wait_until(lambda: len(recording.read().splitlines()) > 50)
    edit(recording.file)
    at_edit = stream.begun(0)
    stream.more(100)
    wait_until(lambda: recording.events("file changed") or recording.events("file reopened"))
    wait_until(lambda: len(lines_of(recording.read(), 0)) > 50)
    assert lines_of(recording.read(), 0)[0] <= line_of(0, at_edit)
    kill_collector(recording)
    edit(recording.file)
    at_edit = stream.begun(0)
    stream.more(50)
    again(recording)
    stream.more(50)
    stream.end()
    wait_until(lambda: line_of(0, stream.sent[0] - 1) in recording.read())
    assert goes_to_the_end(recording.read(), stream, at_edit)
    assert any("while nobody recorded" in str(event.get("how")) for event in recording.events("file changed"))


# -- room --------------------------------------------------------------------------------------------


def test_a_full_spool_holds_senders_back(trem: Tremplin) -> None:
    recording = trem.open("--spool-max", "4MiB")
    kill_collector(recording)
    stream = Bulk(recording, 40 * MIB)
    wait_until(lambda: "spool full" in recording.relay_counters()["paused_for"], what="the spool is full")

    def room() -> int:
        used = 0
        for path in trem.files():
            with contextlib.suppress(FileNotFoundError):  # a segment may be deleted meanwhile
                used += path.stat().st_blocks * 512
        return used

    stays(lambda: room() < 6 * MIB and stream.busy, 1.0, "senders wait, and the spool stays small")
    again(recording, "--spool-max", "4MiB")
    wait_until(lambda: room() < 6 * MIB and not stream.busy, 30, "the senders go on")
    stream.join()
    wait_until(lambda: stream.is_recorded(recording.read()), 20, "all is recorded")
    wait_until(lambda: is_what_the_relay_spooled(recording))
    assert recording.relay_events("paused")
    assert recording.relay_events("resumed")


def test_a_frozen_collector_catches_up(trem: Tremplin) -> None:
    recording = trem.open()
    stream = Stream(recording, senders=4)
    stream.more(100)
    with frozen(recording):
        stays(lambda: recording.daemon.status() == psutil.STATUS_STOPPED, 15)
    thawed = time.monotonic()
    until_now = list(stream.sent)
    wait_until(
        lambda: all(line_of(n, count - 1) in recording.read() for n, count in enumerate(until_now)), 5.0
    )
    assert time.monotonic() - thawed < 5
    stream.end()
    wait_for(recording, stream)
    assert all_there(recording.read(), stream)
    wait_until(lambda: is_what_the_relay_spooled(recording))


@pytest.mark.root
def test_a_full_disk_here_pauses_and_loses_nothing(trem: Tremplin, tmp_path: Path) -> None:
    disk = SmallDisk(tmp_path / "disk")
    try:
        recording = trem.open(file=disk.path / "file.log")
        stream = Bulk(recording, 6 * MIB)
        wait_until(lambda: counters(recording).get("state") == "paused", what="the collector pauses")
        assert "No space left" in str(counters(recording)["paused_for"])
        assert recording.status()["state"] == "paused"
        disk.grow("20m")
        stream.join()
        wait_until(lambda: stream.is_recorded(recording.read()), 20, "all is recorded")
        wait_until(lambda: is_what_the_relay_spooled(recording))
        assert recording.events("paused")
        assert recording.events("resumed")
    finally:
        trem.home.inv("kill")
        subprocess.run(["umount", str(disk.path)], check=True, capture_output=True)


@pytest.mark.root
def test_a_full_disk_there_pauses_and_loses_nothing(trem: Tremplin) -> None:
    state = Path(trem.account.pw_dir) / ".local/state"
    state.mkdir(parents=True, exist_ok=True)
    ids = f"uid={trem.account.pw_uid},gid={trem.account.pw_gid}"
    mount("-t", "tmpfs", "-o", f"size=40m,mode=700,{ids}", "reclog-test", str(state))
    try:
        recording = trem.open()
        free = os.statvfs(state)
        ballast = state / "ballast"
        ballast.write_bytes(b"x" * (free.f_bavail * free.f_frsize - 2 * MIB))
        with frozen(recording):
            stream = Bulk(recording, 30 * MIB)
            wait_until(
                lambda: (
                    "No space left" in recording.relay_counters()["paused_for"]
                    or recording.relay_events("paused")
                ),
                what="the relay pauses",
            )
        stream.join()
        wait_until(lambda: stream.is_recorded(recording.read()), 20, "all is recorded")
        # Its counters could not be written meanwhile; with room they are again.
        ballast.unlink()
        wait_until(lambda: is_what_the_relay_spooled(recording))
        assert recording.relay_events("paused")
        assert recording.relay_events("resumed")
    finally:
        trem.home.inv("kill")
        subprocess.run(["umount", str(state)], check=True, capture_output=True)


# -- strangers ---------------------------------------------------------------------------------------


def said_to(sock: socket.socket, words: bytes) -> bytes:
    """Return all that the other side says to `words` until it closes."""
    heard = b""
    sock.settimeout(10)
    with contextlib.suppress(ConnectionError):
        sock.sendall(words)
        while data := sock.recv(65536):
            heard += data
    return heard


def test_both_ports_are_for_this_host_alone(trem: Tremplin) -> None:
    recording = trem.open()
    ours = (recording.port_out, recording.port_local)
    listening = [c.laddr for c in psutil.net_connections("tcp") if c.laddr and c.status == psutil.CONN_LISTEN]
    found = sorted((address.ip, address.port) for address in listening if address.port in ours)
    assert found == sorted(("127.0.0.1", port) for port in ours)


def test_a_stranger_reads_nothing_of_the_spool(trem: Tremplin) -> None:
    recording = trem.open()
    with frozen(recording):
        recording.send(b"a secret of the sender\n" * 100)
        hello = b'{"collector": "me", "spool": null, "offset": 0, "take_over": true}\n'
        attempts = [b"", hello, b"0" * 32 + b" " + b"0" * 64 + b"\n" + hello, b"x" * 5000, b"\0" * 17]
        for port in (recording.port_out, recording.port_local):
            for attempt in attempts if port == recording.port_out else attempts[1:3]:
                with socket.create_connection(("127.0.0.1", port)) as sock:
                    heard = said_to(sock, attempt)
                # A reset can come before the greeting is read.
                assert heard == b"" or heard.startswith(b"reclog-feed %d " % PROTOCOL), heard
                assert heard.count(b"\n") <= 1, heard
    wait_until(lambda: recording.read().count(b"a secret of the sender\n") == 100)


def test_a_stranger_in_the_relays_place_learns_and_feeds_nothing(trem: Tremplin) -> None:
    recording = trem.open()
    config = json.loads((recording.folder / "config.json").read_text())
    recorded = recording.read()
    heard: list[bytes] = []
    with socket.socket() as stranger:
        with frozen(recording):
            relay_died(recording)
            stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            stranger.bind(("127.0.0.1", recording.port_out))
            stranger.listen()
        stranger.settimeout(10)
        answer = b'{"spool": "%s", "offset": %d, "end": 9999999}\n' % (b"0" * 16, len(recorded))
        for _ in range(3):
            sock, _ = stranger.accept()
            with sock:
                sock.sendall(b"reclog-feed %d " % PROTOCOL + b"0" * 32 + b"\n")
                heard.append(sock.recv(4096))
                heard.append(said_to(sock, b"0" * 64 + b"\n" + answer + b"intruder\n" * 100))
        assert counters(recording)["state"] == "reconnecting"
    everything = b"".join(heard)
    assert len(everything) == 3 * (32 + 1 + 64 + 1)  # its nonce and its proof, and not a word more
    assert config["secret"].encode() not in everything
    assert bytes.fromhex(config["secret"]) not in everything
    assert recording.read() == recorded
    wait_until(lambda: listens(recording), 15, "the relay is back")
    recording.send(b"hello again\n")
    wait_until(lambda: recording.read().endswith(b"hello again\n"))
    assert b"intruder" not in recording.read()


def test_strangers_in_numbers_do_not_keep_the_owner_out(trem: Tremplin) -> None:
    recording = trem.open()
    with contextlib.ExitStack() as open_ones:
        for number in range(200):
            sock = open_ones.enter_context(socket.create_connection(("127.0.0.1", recording.port_out)))
            with contextlib.suppress(ConnectionError):
                sock.sendall([b"", b"half a line", b"no collector\n", b"x" * 2000][number % 4])
        reconnects = counters(recording)["reconnects"]
        recording.ssh.kill()
        began = time.monotonic()
        wait_until(lambda: counters(recording)["reconnects"] != reconnects, 5.0, "the owner is back")
        recording.send(b"hello\n")
        wait_until(lambda: recording.read().endswith(b"hello\n"), 5.0)
        assert time.monotonic() - began < 5.0
        last = open_ones.enter_context(socket.create_connection(("127.0.0.1", recording.port_out)))
        wait_until(lambda: last.recv(4096) == b"" or is_closed(last), what="nobody stays without a word")
