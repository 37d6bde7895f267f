"""The parts of test-connection that need no connection."""

from __future__ import annotations

import io
import socket
import threading
from pathlib import Path

import pytest

from reclog.look.probe import Hop, find_line, probe_datagram, probe_local, size_of
from reclog.recordings.registry import Registry


def test_a_hop_works_when_it_was_reached_without_trouble() -> None:
    assert Hop("local-1", "process", 0.0).ok
    assert not Hop("local-1", "process", None).ok
    assert not Hop("local-1", "process", None, "dead").ok
    assert not Hop("local-1", "process", 0.1, "slow").ok


def test_the_nonce_is_looked_for_behind_the_start(tmp_path: Path) -> None:
    file = tmp_path / "file.log"
    file.write_bytes(b"nonce\n")
    assert find_line(str(file), b"nonce", 6, 0.0) is None
    with file.open("ab") as more:
        more.write(b"nonce\n")
    assert find_line(str(file), b"nonce", 6, 0.0) is not None


def test_a_backlog_before_the_nonce_is_read_once_and_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file.log"
    file.write_bytes(b"x" * 3_000_000 + b"no")
    monkeypatch.setattr("reclog.look.probe.time.sleep", lambda _: file.open("ab").write(b"nce\n"))
    read: list[int] = []

    class Counting(io.FileIO):
        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size) or b""
            read.append(len(data))
            return data

    monkeypatch.setattr("reclog.look.probe.open", lambda name, mode: Counting(name), raising=False)
    assert find_line(str(file), b"nonce", 0, 10.0) is not None
    assert max(read) <= 1024 * 1024
    assert sum(read) < 3_000_100


def test_a_file_that_was_truncated_is_read_whole(tmp_path: Path) -> None:
    file = tmp_path / "file.log"
    file.write_bytes(b"nonce\n")
    assert find_line(str(file), b"nonce", 1000, 0.0) is not None


def test_a_line_is_found_that_was_set_aside_or_comes_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file.log"
    file.write_bytes(b"before\n")

    def rotated(last: bytes, first: bytes) -> None:
        with file.open("ab") as more:
            more.write(last)
        file.rename(file.with_suffix(".1"))
        file.write_bytes(first)

    texts = iter([(b"x\n", b"y\n"), (b"nonce\n", b"z\n")])
    monkeypatch.setattr("reclog.look.probe.time.sleep", lambda _: rotated(*next(texts)))
    assert find_line(str(file), b"nonce", 7, 10.0) is not None
    assert next(texts, None) is None  # it was not there before


def test_a_file_that_is_not_there_yet_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file.log"
    monkeypatch.setattr("reclog.look.probe.time.sleep", lambda _: file.write_bytes(b"nonce\n"))
    assert find_line(str(file), b"nonce", 0, 10.0) is not None


@pytest.mark.parametrize("name", ["", "missing/file.log"])
def test_what_can_not_be_read_is_not_found(tmp_path: Path, name: str) -> None:
    assert find_line(str(tmp_path / name), b"nonce", 0, 0.0) is None


def test_size(tmp_path: Path) -> None:
    (tmp_path / "file.log").write_bytes(b"123")
    assert size_of(str(tmp_path / "file.log")) == 3
    assert size_of(str(tmp_path / "missing")) == 0


def test_a_dead_recorder_is_the_first_hop_and_the_last(tmp_path: Path) -> None:
    recording = Registry(tmp_path).new("local-7", {"port": 7, "file": "/tmp/a b.log"})
    (hop,) = probe_local(recording, 1.0)
    assert (hop.path, hop.name, hop.ok) == ("local-7", "process", False)
    assert "`inv local --port 7 --file '/tmp/a b.log'` starts it again" in hop.trouble


def test_a_datagram_that_is_recorded_is_seen_and_one_that_is_not_is_said(tmp_path: Path) -> None:
    file = tmp_path / "file.log"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]

        def record() -> None:
            file.write_bytes(sock.recv(100) + b"\n")

        recorder = threading.Thread(target=record)
        recorder.start()
        hop = probe_datagram("local-7", "127.0.0.1", port, str(file), 10.0)
        recorder.join()
        assert (hop.name, hop.ok, hop.trouble) == (f"datagram to 127.0.0.1:{port}", True, "")
        assert file.read_bytes().startswith(b"reclog probe ")
        lost = probe_datagram("local-7", "127.0.0.1", port, str(file), 0.01, "recording is paused")
    assert not lost.ok
    assert lost.trouble == "The datagram did not reach the file within 0.01 s: recording is paused."
