"""The listeners: who may send, from where, what a line is stamped with, and what happens if one dies."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from bench import Home, Running, wait_until
from swarm import Crowd, is_closed, is_turned_away, listening_socat, runs, unacknowledged


def connect_from(source: str, recording: Running) -> socket.socket:
    return socket.create_connection(("127.0.0.1", recording.port), 10, source_address=(source, 0))


def test_socat_dies_and_nobody_loses_a_line_or_is_turned_away(home: Home) -> None:
    recording = home.local("--listener", "socat")
    done = threading.Event()
    turned_away: list[OSError] = []
    sent: list[list[bytes]] = [[] for _ in range(30)]

    def stays_connected(mine: list[bytes], name: int) -> None:
        with recording.connect() as sock:
            while not done.is_set():
                mine.append(b"sender %d line %d" % (name, len(mine)))
                sock.sendall(mine[-1] + b"\n")
                time.sleep(0.01)

    def comes_and_goes(mine: list[bytes], name: int) -> None:
        while not done.is_set():
            line = b"sender %d line %d" % (name, len(mine))
            try:
                recording.send(line + b"\n")
                mine.append(line)
            except OSError as error:
                turned_away.append(error)
            time.sleep(0.005)

    old = Crowd([lambda n=n: stays_connected(sent[n], n) for n in range(10)])  # type: ignore[misc]
    wait_until(lambda: all(sent[:10]) and recording.status()["senders"] == 10)
    socat = listening_socat(recording)
    assert socat is not None
    socat.kill()
    wait_until(lambda: not runs(socat))
    # At once: the kernel's queue takes them, and it is the recorder's now.
    new = Crowd([lambda n=n: comes_and_goes(sent[n], n) for n in range(10, 30)])  # type: ignore[misc]
    wait_until(lambda: recording.events("listener taken over"))
    wait_until(lambda: all(len(mine) > 50 for mine in sent))
    done.set()
    old.join()
    new.join()
    assert turned_away == []
    lines = sorted(line for mine in sent for line in mine)
    wait_until(lambda: recording.read().count(b"\n") >= len(lines))
    assert sorted(recording.read().splitlines()) == lines
    assert recording.events("listener died")
    status = recording.status()
    assert (status["state"], status["listener"]) == ("recording", "builtin")
    assert listening_socat(recording) is None
    assert recording.kill().returncode == 0
    assert sorted(recording.read().splitlines()) == lines


def test_raws_socat_is_started_again_each_time(home: Home) -> None:
    recording = home.local("--raw")
    for number in range(2):
        socat = wait_until(lambda: listening_socat(recording))
        socat.kill()
        wait_until(lambda number=number: len(recording.events("listener restarted")) == number + 1)  # type: ignore[misc]
        recording.send(b"%d\n" % number)
        wait_until(lambda number=number: recording.read().endswith(b"%d\n" % number))  # type: ignore[misc]
    assert recording.kill().returncode == 0


def test_a_fork_that_stands_still_tears_no_line(home: Home) -> None:
    recording = home.local("--listener", "socat", "--partial-after", "1")
    parent = listening_socat(recording)
    assert parent is not None
    with recording.connect() as sock, recording.connect() as other:
        sock.sendall(b"connected\n")
        wait_until(lambda: recording.read() == b"connected\n")
        fork = fork_of(sock, parent)
        sock.sendall(b"first\nhalf of a line,")
        wait_until(lambda: recording.read() == b"connected\nfirst\n")
        fork.suspend()
        try:
            sock.sendall(b" the other half\n")
            wait_until(lambda: not unacknowledged(sock))
            other.sendall(b"prompt>")
            # What is really silent is due meanwhile, twice.
            wait_until(lambda: recording.read().endswith(b"prompt>"))
            other.sendall(b" more>")
            wait_until(lambda: recording.read().endswith(b" more>"))
            assert recording.read() == b"connected\nfirst\nprompt> more>"
        finally:
            fork.resume()
        line = b"half of a line, the other half\n"
        wait_until(lambda: recording.read() == b"connected\nfirst\nprompt> more>\n" + line)


def test_a_stop_while_socat_is_down(home: Home) -> None:
    recording = home.local("--listener", "socat")
    daemon = recording.daemon
    socat = listening_socat(recording)
    assert socat is not None
    socat.kill()
    wait_until(lambda: not runs(socat))
    recording.send(b"nobody listens\n")
    daemon.terminate()
    wait_until(lambda: not runs(daemon))
    assert recording.read() == b"nobody listens\n"
    assert home.processes() == []


def test_a_fork_dies_alone(home: Home) -> None:
    recording = home.local("--listener", "socat")
    parent = listening_socat(recording)
    assert parent is not None
    with recording.connect() as one, recording.connect() as other:
        one.sendall(b"one\nhalf")
        wait_until(lambda: recording.read() == b"one\n")
        other.sendall(b"other\n")
        wait_until(lambda: recording.read() == b"one\nother\n")
        fork = fork_of(one, parent)
        fork.kill()
        wait_until(lambda: is_closed(one), what="its sender learns it")
        wait_until(lambda: recording.read() == b"one\nother\nhalf")
        other.sendall(b"goes on\n")
        wait_until(lambda: recording.read() == b"one\nother\nhalf\ngoes on\n")
    recording.send(b"new\n")
    wait_until(lambda: recording.read().endswith(b"goes on\nnew\n"))
    assert runs(parent)
    assert recording.status()["reconnects"] == 0
    assert wait_until(lambda: recording.events("disconnect"))


def fork_of(sock: socket.socket, parent: psutil.Process) -> psutil.Process:
    """Return the fork of `parent` that serves `sock`."""
    for fork in parent.children():
        if any(c.raddr and c.raddr.port == sock.getsockname()[1] for c in fork.net_connections("tcp")):
            return fork
    raise AssertionError("no fork serves it")


def test_ipv6_any_takes_both(home: Home, listener: str) -> None:
    recording = home.local("--listener", listener, "--bind", "::")
    for host in ("::1", "127.0.0.1"):
        with recording.connect(host) as sock:
            sock.sendall(f"from {host}\n".encode())
            wait_until(lambda host=host: f"from {host}\n".encode() in recording.read())  # type: ignore[misc]
    assert recording.read() == b"from ::1\nfrom 127.0.0.1\n"
    assert recording.kill().returncode == 0


@pytest.mark.parametrize(("bind", "other"), [("::1", "127.0.0.1"), ("127.0.0.1", "::1")])
def test_bound_to_one_address(home: Home, listener: str, bind: str, other: str) -> None:
    recording = home.local("--listener", listener, "--bind", bind)
    with recording.connect(bind) as sock:
        sock.sendall(b"here\n")
        wait_until(lambda: recording.read() == b"here\n")
    with pytest.raises(ConnectionRefusedError):
        recording.connect(other)


def test_allow(home: Home, listener: str) -> None:
    networks = ["--allow", "127.0.0.2/32"]
    if listener == "builtin":
        networks += ["--allow", "127.0.3.0/24"]
    recording = home.local("--listener", listener, *networks)
    allowed = ["127.0.0.2"] + (["127.0.3.9"] if listener == "builtin" else [])
    for source in allowed:
        with connect_from(source, recording) as sock:
            sock.sendall(f"from {source}\n".encode())
    wait_until(lambda: recording.read().count(b"\n") == len(allowed))
    for source in ("127.0.0.1", "127.0.0.3"):
        assert is_turned_away(lambda source=source: connect_from(source, recording))  # type: ignore[misc]
    wait_until(lambda: refusals(recording) == 2)
    with connect_from("127.0.0.2", recording) as sock:
        sock.sendall(b"last\n")
    wait_until(lambda: recording.read().endswith(b"last\n"))
    assert b"intruder" not in recording.read()


def refusals(recording: Running) -> int:
    """Return how many senders the event log says were turned away."""
    said = [event["text"] for event in recording.events("socat says")]
    return len(recording.events("refused")) + sum("refusing connection from" in text for text in said)


def test_allow_works_for_ipv6(home: Home) -> None:
    recording = home.local("--bind", "::", "--allow", "::1", "--allow", "127.0.0.2")
    with recording.connect("::1") as sock:
        sock.sendall(b"six\n")
        wait_until(lambda: recording.read() == b"six\n")
    with connect_from("127.0.0.2", recording) as sock:
        sock.sendall(b"four\n")
        wait_until(lambda: recording.read() == b"six\nfour\n")
    assert is_turned_away(lambda: recording.connect("127.0.0.1"))


STAMP = rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (127\.0\.0\.1:\d+|\[::1\]:\d+) "


def test_stamp(home: Home) -> None:
    recording = home.local("--stamp", "--bind", "::", "--partial-after", "0.2")
    assert recording.status()["listener"] == "builtin"
    with recording.connect() as one, recording.connect("::1") as other:
        one.sendall(b"first\nsecond\n\n")
        wait_until(lambda: recording.read().count(b"\n") == 3)
        one.sendall(b"login: ")
        wait_until(lambda: recording.read().endswith(b" login: "))
        one.sendall(b"ro")
        wait_until(lambda: recording.read().endswith(b" login: ro"))
        one.sendall(b"ot\nnext\npass")
        wait_until(lambda: recording.read().endswith(b" pass"))
        other.sendall(b"other\n")
        wait_until(lambda: recording.read().endswith(b" other\n"))
        one.sendall(b"word\n")
        wait_until(lambda: recording.read().endswith(b"word\n"))
        names = [f"127.0.0.1:{one.getsockname()[1]}".encode(), f"[::1]:{other.getsockname()[1]}".encode()]
    found = [re.fullmatch(STAMP + rb"(.*)", line) for line in recording.read().splitlines()]
    assert [match[3] if match else None for match in found] == [
        *(b"first", b"second", b"", b"login: root", b"next", b"pass", b"other", b"word")
    ]
    assert [match[2] for match in found if match] == [names[n] for n in (0, 0, 0, 0, 0, 0, 1, 0)]
    times = [match[1] for match in found if match]
    assert times == sorted(times)
    now = time.strftime("%Y-%m-%dT%H:%M", time.gmtime(time.time() - 30)).encode()
    assert times[0] >= now


ODD_NAMES = (
    *("with space", "a,b", "c:d", 'it\'s "quoted"', "!!exec", "new\nline", "-dash", "ümlaut-日本"),
    "back\\slash [x] {y} $HOME",
)


def test_raw_records_bytes_under_any_name(home: Home) -> None:
    text = bytes(range(256)) + b"\r\nno newline at the end"

    def record(name: str) -> Running:
        return home.local("--raw", file=home.path / name)

    with ThreadPoolExecutor(2) as pool:
        recordings = list(pool.map(record, ODD_NAMES))
    for recording in recordings:
        recording.send(text)
    for recording in recordings:
        wait_until(lambda recording=recording: recording.read() == text)  # type: ignore[misc]
    described = {one["file"]: one for one in home.status()}
    assert set(described) == {str(home.path / name) for name in ODD_NAMES}
    assert {one["listener"] for one in described.values()} == {"socat"}
    assert home.inv("kill").returncode == 0
    assert home.processes() == []
    assert {path.name for path in home.path.iterdir()} == {*ODD_NAMES, "state"}


def test_raw_stop_keeps_what_was_sent(home: Home) -> None:
    recording = home.local("--raw")
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(recording.connect()) for _ in range(20)]
        for number, sock in enumerate(socks):
            sock.sendall(b"%d\n" % number)
        wait_until(lambda: not any(unacknowledged(sock) for sock in socks))
        assert recording.kill().returncode == 0
        assert sorted(recording.read().split()) == sorted(b"%d" % number for number in range(20))
        wait_until(lambda: all(is_closed(sock) for sock in socks))


@pytest.mark.parametrize("words", [["--listener", "socat"], ["--listener", "builtin"], ["--raw"]])
def test_a_dead_sender_would_be_found(home: Home, words: list[str]) -> None:
    """Keepalive is on, at what the listener asks for, on each sender's connection."""
    recording = home.local(*words)
    with recording.connect() as sock:
        sock.sendall(b"here\n")
        wait_until(lambda: recording.read() == b"here\n")
        command = ["ss", "-tnoH", "state", "established", f"sport = :{recording.port}"]

        def timer() -> str:
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            found = re.search(r"timer:\(keepalive,(\w+)", said)
            return found[1] if found else ""

        left = wait_until(timer)
        assert left in ("1min", "59sec", "58sec", "57sec")


def test_nobody_else_can_join_the_port(home: Home) -> None:
    recording = home.local("--listener", "socat")
    other = f"TCP4-LISTEN:{recording.port},reuseaddr,reuseport,fork"
    done = home.run("socat", "-u", other, "OPEN:/dev/null")
    assert done.returncode != 0
    assert "Address already in use" in done.stderr
