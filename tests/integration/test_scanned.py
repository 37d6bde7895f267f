"""A tremplin's port that is scanned, while senders write (promises 14, 16)."""

from __future__ import annotations

import contextlib
import random
import re
import socket
from pathlib import Path

from bench import wait_until
from scanner import http, nmap, probe_tls
from swarm import Crowd
from tremplin_bench import Tremplin, TremplinRecording

LINES = 200


def scanned(recording: TremplinRecording, folder: Path, token: bytes, said: bytes) -> None:
    """Have everything come while an honest sender writes; see that all it says is there."""

    def write() -> None:
        for number in range(LINES):
            with recording.connect() as sock:
                sock.sendall(token + said % number)

    crowd = Crowd([write, lambda: _fuzz(recording.port)])
    assert re.search(rf"{recording.port}/tcp +open ", nmap(recording.port, folder))
    for answer in probe_tls(recording.port):
        assert token or b"alert" in answer or answer[:1] == b"\x15"
    crowd.join()
    expected = [said % number for number in range(LINES)]
    wait_until(lambda: all(line in recording.read() for line in expected), what="who is honest is recorded")


def _fuzz(port: int) -> None:
    dice = random.Random(7)
    for _ in range(100):
        request = http(dice)
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as sock:
            cut = dice.randrange(len(request))
            sock.sendall(request[:cut])
            sock.sendall(request[cut:])
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass


def test_a_scan_leaves_nothing_binary_and_with_a_token_nothing(trem: Tremplin, tmp_path: Path) -> None:
    recording = trem.open()
    scanned(recording, tmp_path, b"", b"honest %d\n")
    assert not re.search(rb"[^\t\r\n -~]", recording.read())
    done = recording.again("--token")
    assert done.returncode == 0, done.stderr
    (token,) = re.findall(r"^Token: (\S+)$", done.stdout, re.MULTILINE)
    before = recording.read()
    scanned(recording, tmp_path, token.encode() + b"\n", b"trusted %d\n")
    assert recording.kill().returncode == 0
    added = recording.read()[len(before) :].splitlines(keepends=True)
    assert sorted(added) == sorted(b"trusted %d\n" % number for number in range(LINES))
