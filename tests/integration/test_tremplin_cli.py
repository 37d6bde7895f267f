"""The tremplin's commands, as a person uses them."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from bench import Home, free_port, wait_until
from tremplin_bench import ALIAS, Tremplin, TremplinRecording, run_sshd

from reclog.recordings.processes import runs
from reclog.tremplin.package import build


@pytest.fixture
def laptop2(tmp_path: Path) -> Iterator[Home]:
    """Give a test a second laptop: a state directory of its own."""
    home = Home(tmp_path / "laptop2")
    home.path.mkdir()
    yield home
    home.inv("kill")
    assert home.processes() == []


def seen_from(laptop: Home, recording: TremplinRecording) -> TremplinRecording:
    """Return the same tremplin and port, recorded by another laptop."""
    trem = recording.tremplin
    there = Tremplin(laptop, trem.folder, trem.port, trem.account, trem.process)
    file = laptop.path / recording.file.name
    return TremplinRecording(laptop, recording.port, file, there, recording.port_out, free_port())


def lines_of(recording: TremplinRecording, *files: Path) -> list[bytes]:
    """Return the recorded lines without the probes, of these files or of the recording's own."""
    said = b"".join(file.read_bytes() for file in files) if files else recording.read()
    return [line for line in said.splitlines() if not line.startswith(b"reclog probe ")]


def ends_with(recording: TremplinRecording, text: bytes) -> bool:
    return recording.read().endswith(text)


def numbered(start: int, end: int) -> list[bytes]:
    return [b"line %d" % number for number in range(start, end)]


def send(recording: TremplinRecording, start: int, end: int) -> None:
    recording.send(b"".join(line + b"\n" for line in numbered(start, end)))


def kill_9(process: psutil.Process) -> None:
    process.kill()
    wait_until(lambda: not runs(process))


def delivered(counters: dict[str, Any]) -> bool:
    """Tell whether there was something to deliver, and all of it is settled: seen in one look."""
    return bool(counters["acked"] == counters["end"] > 0)


def undelivered(recording: TremplinRecording, end: int) -> None:
    """Kill the collector and send lines up to `end` that only the relay has then."""
    wait_until(lambda: delivered(recording.relay_counters()), what="the probe is settled")
    kill_9(recording.daemon)
    before = recording.relay_counters()["lines"]
    send(recording, 0, end)
    wait_until(lambda: recording.relay_counters()["lines"] >= before + end)


def stop_sshd(trem: Tremplin) -> None:
    """Stop sshd and cut its sessions: the tremplin is out of reach."""
    family = [*trem.sessions(), psutil.Process(trem.process.pid)]
    for one in family:
        one.kill()
    trem.process.wait()


def start_sshd(trem: Tremplin) -> None:
    trem.process = run_sshd(trem.folder / "sshd_config")


def nothing_is_left(trem: Tremplin) -> None:
    assert [process.cmdline() for process in trem.processes()] == []
    assert trem.files() == []
    assert [process.cmdline() for process in trem.home.processes()] == []


def test_the_main_job(trem: Tremplin) -> None:
    home = trem.home
    recording = trem.to_be(home.path / "a b.log")
    began = time.monotonic()
    done = recording.again()
    took = time.monotonic() - began
    assert (done.returncode, done.stderr) == (0, "")
    assert took < 10
    steps = [
        rf"{ALIAS}: reachable, logged in as {trem.account.pw_name}",
        rf"{ALIAS}: Python 3\.\d+\.\d+, .* free",
        rf"{ALIAS}: relay listens on port {recording.port} \(builtin\)",
        rf"tunnel: 127\.0\.0\.1:{recording.port_local} here -> ~/\.local/.*/{recording.port}/feed there",
        rf"proved: a line sent there is in {re.escape(str(recording.file))} after \d+ ms",
        rf"devices write to 127\.0\.0\.1:{recording.port} \(tcp\)",
        rf"Follow: tail -f '{re.escape(str(recording.file))}'   Stop: inv kill --host {ALIAS}",
    ]
    shown = done.stdout.splitlines()
    assert len(shown) == len(steps), done.stdout
    for line, step in zip(shown, steps):
        assert re.fullmatch(step, line), (line, step)

    times = []
    with recording.connect() as sender:
        for text in numbered(0, 20):
            sent = time.monotonic()
            sender.sendall(text + b"\n")
            wait_until(functools.partial(ends_with, recording, b"\n" + text + b"\n"))
            times.append(time.monotonic() - sent)
        assert statistics.median(times) < 0.1
        wait_until(lambda: recording.status()["senders"] == 1)
        wait_until(lambda: recording.status()["lag_bytes"] == 0)
        status = recording.status()
    assert status["kind"] == "tremplin"
    assert (status["state"], status["host"], status["file"]) == ("recording", ALIAS, str(recording.file))
    assert (status["listener"], status["reconnects"], status["lines"]) == ("builtin", 0, 21)
    assert status["pids"] == [recording.daemon.pid, recording.ssh.pid]
    assert status["last_line"] == "line 19"
    assert status["started"]
    assert status["name"] == recording.folder.name

    done = home.inv("tail", "--no-follow", "--lines", "2", "--port", str(recording.port))
    assert (done.returncode, done.stdout) == (0, "line 18\nline 19\n")
    done = home.inv("test-connection")
    assert (done.returncode, done.stderr) == (0, "")
    rows = [re.split(r"\s{2,}", row.strip()) for row in done.stdout.splitlines()[1:]]
    assert [row[1] for row in rows] == [
        *(f"ssh {ALIAS}", "relay process", f"port {recording.port} there", "collector", "tunnel and feed"),
        *(f"file {recording.file}", f"127.0.0.1:{recording.port} from here"),
    ]
    assert {row[2] for row in rows} == {"ok"}

    collector = recording.daemon
    done = recording.again()
    assert (done.returncode, done.stderr) == (0, "")
    assert f"is recording already, into {recording.file}" in done.stdout
    assert recording.daemon == collector
    for folder in (recording.folder, recording.relay_folder):
        assert folder.stat().st_mode & 0o777 == 0o700
        modes = {path.name: oct(path.stat().st_mode) for path in folder.rglob("*") if path.is_file()}
        assert set(modes.values()) == {"0o100600"}, modes
    done = home.inv("kill")
    assert (done.returncode, done.stderr) == (0, "")
    assert "22 lines recorded" in done.stdout
    assert lines_of(recording) == numbered(0, 20)
    nothing_is_left(trem)
    assert home.inv("status", "--json").stdout.strip() == "[]"


def broken_hop(home: Home, *words: str) -> tuple[str, str]:
    """Return which hop test-connection calls broken, and what it says of it."""
    done = home.inv("test-connection", *words)
    assert done.returncode == 1, done.stdout
    assert len(done.stderr.splitlines()) == 1, done.stderr
    broken = [row for row in done.stdout.splitlines() if "BROKEN" in row]
    assert broken == done.stdout.splitlines()[-1:]
    return re.split(r"\s{2,}", broken[0])[1], done.stderr


def test_a_broken_hop_is_named(trem: Tremplin) -> None:
    recording = trem.open()
    again = f"fab -S {trem.config} -H {ALIAS} tremplin --file {recording.file} "
    again += f"--port-remote-in {recording.port}"

    recording.ssh.suspend()
    hop, said = broken_hop(trem.home, "--timeout", "0.5")
    recording.ssh.resume()
    assert hop == f"file {recording.file}"
    assert "did not reach the file" in said

    recording.daemon.suspend()
    kill_9(recording.relay)
    hop, said = broken_hop(trem.home)
    assert hop == "relay process"
    assert f"`{again}` starts it" in said
    recording.daemon.resume()
    wait_until(lambda: recording.status()["reconnects"] >= 1, 15, "the relay is started again")

    kill_9(recording.daemon)
    hop, said = broken_hop(trem.home)
    assert hop == "collector"
    assert f"`{again}` starts it again" in said
    assert recording.status()["state"] == "dead"
    assert recording.again().returncode == 0

    stop_sshd(trem)
    wait_until(lambda: recording.status()["state"] == "reconnecting")
    hop, said = broken_hop(trem.home)
    assert hop == f"ssh {ALIAS}"
    assert "no sshd answers there" in said
    start_sshd(trem)
    wait_until(lambda: recording.status()["state"] == "recording", 15)
    assert trem.home.inv("test-connection").returncode == 0


def test_a_killed_collector_is_taken_up(trem: Tremplin) -> None:
    recording = trem.open()
    send(recording, 0, 500)
    wait_until(lambda: len(lines_of(recording)) == 500)
    kill_9(recording.daemon)
    send(recording, 500, 1000)
    done = recording.again()
    assert done.returncode == 0, done.stderr
    assert "relay was there already" in done.stdout
    wait_until(lambda: len(lines_of(recording)) >= 1000)
    assert lines_of(recording) == numbered(0, 1000)

    # The same with another file: the rest goes there, once.
    kill_9(recording.daemon)
    send(recording, 1000, 1500)
    first, recording.file = recording.file, recording.file.with_name("second.log")
    assert recording.again().returncode == 0
    wait_until(lambda: recording.file.exists() and lines_of(recording)[-1:] == [b"line 1499"])
    assert lines_of(recording, first, recording.file) == numbered(0, 1500)

    # The same with a new program.
    kill_9(recording.daemon)
    send(recording, 1500, 2000)
    program = recording.relay_folder / "reclog.pyz"
    program.write_bytes(program.read_bytes() + b"\n")
    old = recording.relay
    done = recording.again()
    assert done.returncode == 0, done.stderr
    assert "relay listens on port" in done.stdout
    assert not runs(old)
    assert hashlib.sha256(program.read_bytes()).digest() == hashlib.sha256(build()).digest()
    wait_until(lambda: lines_of(recording)[-1:] == [b"line 1999"])
    assert lines_of(recording, first, recording.file) == numbered(0, 2000)


def test_a_relay_that_was_asked_to_stop_is_brought_back(trem: Tremplin) -> None:
    recording = trem.open()
    undelivered(recording, 10)
    (recording.relay_folder / "stopping").touch()
    kill_9(recording.relay)
    done = recording.again()
    assert done.returncode == 0, done.stderr
    assert "proved: " in done.stdout
    send(recording, 10, 20)
    wait_until(lambda: len(lines_of(recording)) == 20)
    assert lines_of(recording) == numbered(0, 20)


def test_kill_drains_what_a_killed_collector_left(trem: Tremplin) -> None:
    recording = trem.open()
    local = trem.home.local()
    undelivered(recording, 300)
    done = trem.home.inv("kill")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"local-{local.port} stopped" in done.stdout
    assert f"{recording.folder.name} stopped" in done.stdout
    assert lines_of(recording) == numbered(0, 300)
    nothing_is_left(trem)


def test_kill_without_the_tremplin_can_be_tried_again(trem: Tremplin) -> None:
    recording = trem.open()
    local = trem.home.local()
    stop_sshd(trem)
    send(recording, 0, 100)
    done = trem.home.inv("kill")
    assert done.returncode == 1
    assert f"local-{local.port} stopped" in done.stdout
    assert len(done.stderr.splitlines()) == 1
    assert f"{ALIAS} could not be drained" in done.stderr
    assert f"inv kill --host {ALIAS}" in done.stderr
    assert trem.home.processes() == []
    done = trem.home.inv("kill")
    assert done.returncode == 1
    assert f"{ALIAS}: no sshd answers there" in done.stderr
    assert f"inv kill --host {ALIAS}" in done.stderr
    start_sshd(trem)
    done = trem.home.inv("kill", "--host", ALIAS)
    assert (done.returncode, done.stderr) == (0, "")
    assert lines_of(recording) == numbered(0, 100)
    nothing_is_left(trem)


@pytest.mark.parametrize("then", ["again", "discard"])
def test_lines_for_a_relay_that_comes_to_nothing_stay(trem: Tremplin, then: str) -> None:
    settings = trem.folder / "sshd_config"
    text = settings.read_text()
    settings.write_text(f"AllowTcpForwarding no\n{text}")
    stop_sshd(trem)
    start_sshd(trem)
    recording = trem.to_be(at_port=True)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        failing = pool.submit(recording.again)
        # A device that has been trying for long: it says its lines as soon as somebody listens.
        wait_until(lambda: said(recording, 0, 100) or failing.done(), 30, "the relay listens")
        done = failing.result()
    assert done.returncode == 1, done.stdout
    assert "sshd forbids the tunnel" in done.stderr
    assert "stays on trem until this is run again" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not recording.file.exists()
    wait_until(lambda: not recording.home.processes(), what="what did not start has ended")
    wait_until(lambda: not trem.processes(), what="what did not start has ended")
    if then == "discard":
        refused = recording.kill()
        assert refused.returncode == 1
        assert "can't be drained: The tremplin's sshd forbids the tunnel" in refused.stderr
        # It has said why, and ends a moment later.
        wait_until(lambda: [one["state"] for one in recording.home.status()] == ["dead"])
        assert recording.home.inv("kill", "--host", ALIAS, "--discard").returncode == 0
    else:
        settings.write_text(text)
        stop_sshd(trem)
        start_sshd(trem)
        assert recording.again().returncode == 0
        wait_until(lambda: lines_of(recording) == numbered(0, 100), what="they are recorded")
        assert recording.kill().returncode == 0
    nothing_is_left(trem)


def said(recording: TremplinRecording, start: int, end: int) -> bool:
    """Send these lines, and tell whether there was somebody to send them to."""
    try:
        send(recording, start, end)
    except ConnectionRefusedError:
        return False
    return True


def test_discard_drops_only_what_can_not_be_drained(trem: Tremplin) -> None:
    recording = trem.open()
    undelivered(recording, 10)
    recording.file.rename(recording.file.with_suffix(".aside"))
    recording.file.mkdir()
    done = trem.home.inv("kill")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert f"{recording.file} is a directory" in done.stderr
    assert runs(recording.relay)
    done = trem.home.inv("kill", "--discard")
    assert (done.returncode, done.stderr) == (0, "")
    nothing_is_left(trem)

    second = trem.open()
    undelivered(second, 10)
    assert trem.home.inv("kill", "--discard").returncode == 0
    assert lines_of(second) == numbered(0, 10)
    nothing_is_left(trem)


def test_fab_kill_with_and_without_a_local_record(trem: Tremplin, laptop2: Home) -> None:
    assert trem.fab("kill").stdout.strip() == f"Nothing to stop on {ALIAS}."
    recording = trem.open()
    send(recording, 0, 10)
    done = trem.fab("kill")
    assert (done.returncode, done.stderr) == (0, "")
    assert lines_of(recording) == numbered(0, 10)
    nothing_is_left(trem)

    # Its record here is lost, and lines wait there.
    recording = trem.open()
    undelivered(recording, 10)
    shutil.rmtree(trem.home.recordings)
    stranger = seen_from(laptop2, recording)
    done = stranger.tremplin.fab("kill")
    assert done.returncode == 1
    assert re.search(r"belongs to \S+@\S+ \(\w+\) since 2\S+Z: add --take-over", done.stderr)
    done = trem.fab("kill")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "holds 70 B" in done.stderr
    again = f" -H {ALIAS} tremplin --port-remote-in {recording.port}`"
    assert again in done.stderr
    assert "--discard drops them" in done.stderr
    assert trem.processes() == []
    assert recording.again().returncode == 0
    wait_until(lambda: lines_of(recording)[-10:] == numbered(0, 10))

    # Its record is lost and all was delivered.
    wait_until(lambda: recording.status()["lag_bytes"] == 0)
    kill_9(recording.daemon)
    shutil.rmtree(trem.home.recordings)
    done = trem.fab("kill")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Relay on port {recording.port} of {ALIAS} stopped." in done.stdout
    nothing_is_left(trem)

    recording = trem.open()
    undelivered(recording, 10)
    shutil.rmtree(trem.home.recordings)
    done = stranger.tremplin.fab("kill", "--take-over", "--discard")
    assert (done.returncode, done.stderr) == (0, "")
    assert "stopped, 70 B dropped" in done.stdout
    nothing_is_left(trem)


def test_another_laptop_takes_over(trem: Tremplin, laptop2: Home) -> None:
    recording = trem.open()
    first = recording.daemon
    send(recording, 0, 10)
    wait_until(lambda: len(lines_of(recording)) == 10 and recording.status()["lag_bytes"] == 0)
    other = seen_from(laptop2, recording)
    owner = json.loads((trem.home.state / "reclog" / "collector.json").read_text())["id"]
    done = other.again()
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert f"belongs to {owner} since" in done.stderr
    assert "add --take-over" in done.stderr
    wait_until(lambda: not laptop2.processes(), what="what did not start has ended")
    assert recording.status()["state"] == "recording"

    done = other.again("--take-over", "--spool-max", "64MiB")  # which starts the relay anew, too
    assert done.returncode == 0, done.stderr
    wait_until(lambda: not runs(first))
    send(recording, 10, 20)
    wait_until(lambda: len(lines_of(other)) == 10)
    assert lines_of(other) == numbered(10, 20)
    assert lines_of(recording) == numbered(0, 10)
    newer = json.loads((laptop2.state / "reclog" / "collector.json").read_text())["id"]
    status = recording.status()
    assert status["state"] == "dead"
    assert f"belongs to {newer}" in status["paused_for"]
    assert newer in trem.home.inv("status").stdout

    done = trem.home.inv("kill", "--discard")
    assert done.returncode == 1
    assert "left to its new owner" in done.stderr
    assert runs(other.relay)
    assert trem.home.inv("kill").stdout.startswith("Nothing to stop")
    assert laptop2.inv("kill").returncode == 0
    nothing_is_left(trem)


def started(recording: TremplinRecording, output: Path, *words: str) -> subprocess.Popen[str]:
    """Start `fab tremplin` and do not wait for it."""
    words = ("tremplin", *recording.ports, "--file", str(recording.file), *words)
    with output.open("w") as out:
        config = str(recording.tremplin.config)
        return recording.home.start("fab", "-S", config, "-H", ALIAS, *words, stdout=out, stderr=out)


@contextlib.contextmanager
def foreground(trem: Tremplin) -> Iterator[tuple[TremplinRecording, subprocess.Popen[str], Path]]:
    """Record in the foreground; the recording, its command, and what that says."""
    recording, said = trem.to_be(), trem.home.path / "said"
    call = started(recording, said, "--foreground")
    wait_until(lambda: "devices write to" in said.read_text(), what="the end of the start")
    yield recording, call, said


def test_two_calls_at_once_start_one_relay(trem: Tremplin, laptop2: Home) -> None:
    home, recording = trem.home, trem.to_be()
    calls = [started(recording, home.path / f"said{number}") for number in range(2)]
    assert [call.wait(timeout=30) for call in calls] == [0, 0]
    said = [(home.path / f"said{number}").read_text() for number in range(2)]
    assert sum("relay listens on" in one for one in said) == 1, said
    assert sum("is recording already" in one for one in said) == 1, said
    assert len(trem.processes()) == 1
    assert recording.kill().returncode == 0

    # From two laptops: one has it, the other is told why not.
    other = seen_from(laptop2, recording)
    calls = [started(one, one.home.path / "said") for one in (recording, other)]
    codes = [call.wait(timeout=30) for call in calls]
    print(*((one.home.path / "said").read_text() for one in (recording, other)), sep="\n--\n")
    assert sorted(codes) == [0, 1]
    winner, loser = (recording, other) if codes == [0, 1] else (other, recording)
    said_last = (loser.home.path / "said").read_text().splitlines()[-1]
    assert "add --take-over" in said_last or "run it again in a moment" in said_last.lower()
    wait_until(lambda: not loser.home.processes(), what="what did not start has ended")
    assert len(trem.processes()) == 1
    send(winner, 0, 10)
    wait_until(lambda: lines_of(winner) == numbered(0, 10))


def test_a_tremplin_that_is_gone_for_good_is_forgotten(trem: Tremplin) -> None:
    recording = trem.open()
    stop_sshd(trem)
    send(recording, 0, 10)
    assert trem.home.inv("kill").returncode == 1
    done = trem.home.inv("kill", "--host", ALIAS, "--discard")
    assert (done.returncode, done.stderr) == (0, "")
    assert "is forgotten" in done.stdout
    assert trem.home.status() == []
    start_sshd(trem)
    assert "--discard drops them" in trem.fab("kill").stderr
    assert trem.fab("kill", "--discard").returncode == 0
    nothing_is_left(trem)


def test_foreground(trem: Tremplin) -> None:
    home = trem.home
    with foreground(trem) as (recording, call, said):
        send(recording, 0, 10)
        wait_until(lambda: len(lines_of(recording)) == 10)
        wait_until(lambda: lines_of(recording)[-1].decode() in said.read_text(), what="the lines themselves")
        call.send_signal(signal.SIGINT)
        assert call.wait(timeout=15) == 0, said.read_text()
    assert "Stopped: 11 lines" in said.read_text()
    assert f"The relay on {ALIAS} goes on: `fab" in said.read_text()
    assert f"The relay on {ALIAS} goes on: `fab" in home.inv("status").stderr
    assert home.processes() == []
    assert runs(recording.relay)
    send(recording, 10, 20)  # the relay keeps them
    done = home.inv("kill")
    assert (done.returncode, done.stderr) == (0, "")
    assert lines_of(recording) == numbered(0, 20)
    nothing_is_left(trem)


def test_a_killed_foreground_can_be_drained(trem: Tremplin) -> None:
    with foreground(trem) as (recording, call, _):
        kill_9(recording.daemon)
        assert call.wait(timeout=15) == 1
    send(recording, 0, 10)
    done = trem.home.inv("kill")
    assert (done.returncode, done.stderr) == (0, "")
    assert lines_of(recording) == numbered(0, 10)


def test_options_of_the_listener(trem: Tremplin) -> None:
    recording = trem.open("--listener", "socat", "--allow", "127.0.0.0/8")
    assert recording.status()["listener"] == "socat"
    assert [one.name() for one in recording.relay.children()] == ["socat"]
    senders = [recording.connect() for _ in range(3)]
    for number, sender in enumerate(senders):
        sender.sendall(b"line %d\n" % number)
        wait_until(functools.partial(ends_with, recording, b"line %d\n" % number))
        sender.close()
    assert lines_of(recording) == numbered(0, 3)
    assert recording.kill().returncode == 0

    recording = trem.open("--stamp", "--allow", "127.0.0.1", "--partial-after", "0.3")
    recording.send(b"stamped\nhalf")
    stamp = rb"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z 127\.0\.0\.1:\d+ "
    wait_until(lambda: re.search(rb"^" + stamp + rb"stamped\n" + stamp + rb"half", recording.read(), re.M))
    assert recording.kill().returncode == 0

    # Our own probe is no exception to --allow.
    recording = trem.open("--allow", "203.0.113.0/24")
    with contextlib.suppress(ConnectionError):
        recording.send(b"not allowed\n")
    # The look whether the public port answers from here, and ours.
    wait_until(lambda: recording.relay_counters()["refused"] == 2)
    assert recording.kill().returncode == 0
    assert recording.read() == b""


def test_the_local_port(trem: Tremplin) -> None:
    home = trem.home
    port, out = free_port(), free_port()
    words = ["--port-remote-in", str(port), "--port-remote-out", str(out), "--file", str(home.path / "x.log")]
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", 55514))
            sock.listen()
        except OSError:
            pass  # somebody else has it: that will do
        done = trem.fab("tremplin", *words)
        assert done.returncode == 0, done.stderr
        used = re.search(
            r"tunnel: 127\.0\.0\.1:(\d+) here.* \(55514 is taken here: the next free", done.stdout
        )
        assert used
        assert int(used[1]) > 55514
    assert home.inv("kill").returncode == 0
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        taken = sock.getsockname()[1]
        done = trem.fab("tremplin", *words, "--port-local", str(taken))
        assert done.returncode == 1
        assert f"Port {taken} is taken by process {os.getpid()} (" in done.stderr
        assert "--port-local" in done.stderr
    nothing_is_left(trem)
