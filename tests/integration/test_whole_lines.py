"""Promise 1: whole lines, in order, byte for byte, in bounded memory."""

from __future__ import annotations

import contextlib
import hashlib
import random
import socket
import time

import psutil
from bench import Home, Running, wait_until
from swarm import Crowd, in_threads, memory, reset_at_close, stays, unacknowledged

MIB = 1024 * 1024


def size_of(recording: Running) -> int:
    return recording.file.stat().st_size if recording.file.exists() else 0


def test_lines_in_two_pieces_are_not_torn(home: Home, listener: str) -> None:
    recording = home.local("--listener", listener)
    senders, lines = 20, 12

    def arduino(sender: int) -> None:
        with recording.connect() as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for number in range(lines):
                sock.sendall(b"sender %d says " % sender)
                time.sleep(0.04)
                sock.sendall(b"%d\r\n" % number)

    in_threads([lambda sender=sender: arduino(sender) for sender in range(senders)])  # type: ignore[misc]
    wait_until(lambda: recording.read().count(b"\n") >= senders * lines)
    recorded = recording.read().split(b"\n")
    assert recorded.pop() == b""
    for sender in range(senders):
        mine = [line for line in recorded if line.startswith(b"sender %d says " % sender)]
        assert mine == [b"sender %d says %d\r" % (sender, number) for number in range(lines)]
    assert len(recorded) == senders * lines


def test_100_megabytes_without_a_newline(home: Home, listener: str) -> None:
    recording = home.local("--listener", listener)
    sent = hashlib.sha256()
    values: set[int] = set()
    size = 0

    def send() -> None:
        nonlocal size
        with recording.connect() as sock:
            for number in range(100):
                block = random.Random(number).randbytes(1_000_000).replace(b"\n", b"\r")
                if number == 99:
                    block += b"\n"
                sock.sendall(block)
                sent.update(block)
                values.update(block)
                size += len(block)

    crowd = Crowd([send])
    wait_until(lambda: size_of(recording) > 0)
    family = recording.family()
    most = 0
    while crowd.busy:
        most = max(most, memory(family))
        time.sleep(0.005)
    crowd.join()
    wait_until(lambda: size_of(recording) >= size)
    most = max(most, memory(family))
    assert values == set(range(256))
    assert size_of(recording) == size == 100_000_001
    assert hashlib.sha256(recording.read()).digest() == sent.digest()
    assert most < 100 * MIB, f"{most / MIB:.0f} MiB"


def test_bytes_and_crlf_arrive_as_sent(home: Home, listener: str) -> None:
    recording = home.local("--listener", listener)
    text = b"one\r\n\r\n\ntwo\0\xff\xfe\r\n" + bytes(range(256)) + b"\r\n"
    recording.send(text)
    wait_until(lambda: len(recording.read()) >= len(text))
    assert recording.read() == text


def test_a_prompt_is_readable_after_two_seconds(home: Home, listener: str) -> None:
    recording = home.local("--listener", listener)
    with recording.connect() as sock:
        sent_at = time.monotonic()
        sock.sendall(b"login: ")
        wait_until(lambda: recording.read())
        took = time.monotonic() - sent_at
        assert recording.read() == b"login: "
        assert 1.5 < took < 6
        sock.sendall(b"root\n")
        wait_until(lambda: recording.read() == b"login: root\n")


def test_an_open_line_goes_on_or_is_closed(home: Home, listener: str) -> None:
    recording = home.local("--listener", listener, "--partial-after", "0.3")
    with recording.connect() as one, recording.connect() as other:
        sent_at = time.monotonic()
        one.sendall(b"login: ")
        wait_until(lambda: recording.read() == b"login: ")
        assert time.monotonic() - sent_at > 0.25
        one.sendall(b"ro")
        wait_until(lambda: recording.read() == b"login: ro")
        one.sendall(b"ot\n")
        wait_until(lambda: recording.read() == b"login: root\n")
        one.sendall(b"password: ")
        wait_until(lambda: recording.read() == b"login: root\npassword: ")
        other.sendall(b"tick\n")
        wait_until(lambda: recording.read() == b"login: root\npassword: \ntick\n")
        one.sendall(b"secret\n")
        wait_until(lambda: recording.read() == b"login: root\npassword: \ntick\nsecret\n")
        one.sendall(b"bye")
    wait_until(lambda: recording.read().endswith(b"secret\nbye"))
    recording.send(b"next\n")
    wait_until(lambda: recording.read().endswith(b"secret\nbye\nnext\n"))


def test_text_that_keeps_coming_is_not_cut(home: Home, listener: str) -> None:
    """The time counts from the last text, not from the first."""
    recording = home.local("--listener", listener, "--partial-after", "0.5")
    with recording.connect() as sock:
        for _ in range(12):
            sock.sendall(b".")
            time.sleep(0.1)
            assert recording.read() == b""
        sock.sendall(b"\n")
        wait_until(lambda: recording.read() == b"............\n")


def test_a_file_that_ends_in_half_a_line(home: Home, listener: str) -> None:
    file = home.path / "old.log"
    file.write_bytes(b"whole\nhalf")
    recording = home.local("--listener", listener, file=file)
    stays(lambda: recording.read() == b"whole\nhalf", 0.2)
    recording.send(b"new\n")
    wait_until(lambda: recording.read() == b"whole\nhalf\nnew\n")


def test_unfinished_lines_of_many_senders_fit_in_memory(home: Home, listener: str) -> None:
    recording = home.local("--listener", listener, "--partial-after", "60")
    senders, size = 100, 900_000
    daemon = recording.daemon
    before = memory([daemon])
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(recording.connect()) for _ in range(senders)]

        def talk(number: int) -> None:
            socks[number].sendall(bytes([number + 33]) * size)

        crowd = Crowd([lambda number=number: talk(number) for number in range(senders)])  # type: ignore[misc]
        most = 0
        until = time.monotonic() + 20
        while crowd.busy or recording.status()["bytes"] < senders * size - 33 * MIB:
            most = max(most, _highest(daemon, 20))
            assert time.monotonic() < until, f"held in memory: {most / MIB:.0f} MiB"
        crowd.join()
        wait_until(lambda: all(unacknowledged(sock) == 0 for sock in socks))
        most = max(most, _highest(daemon, 5))
        event = "unfinished lines handed on"  # named, or one of many that are summed up
        wait_until(lambda: any(event in (one["event"], *one.get("counts", {})) for one in recording.events()))
        assert most - before < 75 * MIB, f"{before / MIB:.0f} MiB became {most / MIB:.0f} MiB"
    wait_until(lambda: recording.status()["senders"] == 0)
    wait_until(lambda: recording.status()["bytes"] == senders * size)
    found = dict.fromkeys(range(33, 33 + senders), 0)
    for line in recording.read().split(b"\n"):
        if line:
            assert line == line[:1] * len(line), "a line mixes senders"
            found[line[0]] += len(line)
    assert set(found.values()) == {size}


def _highest(daemon: psutil.Process, looks: int) -> int:
    most = 0
    for _ in range(looks):
        most = max(most, memory([daemon]))
        time.sleep(0.005)
    return most


def _resets(recording: Running) -> None:
    with recording.connect() as sock:
        reset_at_close(sock)


def test_odd_senders_leave_no_trace(home: Home, listener: str) -> None:
    recording = home.local("--listener", listener)
    for _ in range(20):
        _resets(recording)
        recording.connect().close()
    recording.send(b"\0\x01\x02\xff\x80 no text \0\n")
    wait_until(lambda: recording.read() == b"\0\x01\x02\xff\x80 no text \0\n")
    wait_until(lambda: recording.status()["senders"] == 0)
    assert recording.status()["lines"] == 1
    assert recording.status()["state"] == "recording"
