from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reclog.engine.daemons.asking import Reached, ask
from reclog.recordings.registry import Recording
from reclog.recordings.stopped import LastWord

STATUS = {"state": {"port": 7, "file": "/a.log"}, "counters": {"lines": 3, "state": "paused"}}
FINAL = {"lines": 3, "drained": True}

Serve = Callable[..., Path]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Be a daemon that says `answers` to whoever connects, and then hangs up, or not."""
    threads: list[threading.Thread] = []
    socks: list[socket.socket] = []

    def start(*answers: object, hangs_up: bool = True) -> Path:
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(str(tmp_path / "control"))
        sock.listen(16)
        socks.append(sock)

        def run() -> None:
            asker, _ = sock.accept()
            socks.append(asker)
            asker.recv(1000)
            for answer in answers:
                asker.sendall(answer if isinstance(answer, bytes) else json.dumps(answer).encode() + b"\n")
            if hangs_up:
                asker.close()

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return tmp_path

    yield start
    for thread in threads:
        thread.join()
    for sock in socks:
        sock.close()


def test_who_lives_answers(serve: Serve) -> None:
    folder = serve(STATUS)
    assert ask(folder) == (Reached.ALIVE, STATUS)


def test_what_a_daemon_says_comes_before_its_files(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"port": 7}')
    (tmp_path / "counters.json").write_text('{"lines": 1, "state": "recording"}')
    recording = Recording(serve(STATUS))
    assert (recording.file, recording.count("lines"), recording.word("state")) == ("/a.log", 3, "paused")


@pytest.mark.parametrize(
    "answer", [b"", b"x\n", b"[]\n", b'{"state": 1, "counters": []}\n', b'{"state": {}}']
)
def test_what_is_no_answer_leaves_the_files(answer: bytes, serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "counters.json").write_text('{"lines": 1}')
    assert Recording(serve(answer)).count("lines") == 1


def test_who_is_stopped_does_not_answer(tmp_path: Path) -> None:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(tmp_path / "control"))
    sock.listen(0)
    assert ask(tmp_path, 0.05) == (Reached.SILENT, {})
    assert ask(tmp_path, 0.05) == (Reached.SILENT, {})  # the queue is full by now
    sock.close()
    assert ask(tmp_path) == (Reached.DEAD, {})


@pytest.mark.parametrize("name", ["here", "deep" * 50, "\udcff", "no/where"])
def test_a_daemon_from_before_has_no_socket(name: str, tmp_path: Path) -> None:
    assert ask(tmp_path / name) == (Reached.ABSENT, {})


OLD, NEW = ({"event": "stopped", "time": f"2026-01-0{day}T00:00:00.000Z", **FINAL} for day in (1, 3))
SINCE = "2026-01-02T00:00:00.000Z"


@pytest.mark.parametrize(
    ("answers", "known"),
    [([{"final": FINAL}], FINAL), ([], {}), ([b'{"final": {"lines": 3, "dra'], {}), ([{"final": 5}], {})],
)
@pytest.mark.parametrize("event", [OLD, NEW])
def test_the_last_line_is_how_it_ended_and_nothing_else_is(
    answers: list[object], known: object, event: object, serve: Serve, tmp_path: Path
) -> None:
    (tmp_path / "events.log").write_text(json.dumps(event) + "\n")
    assert LastWord(Recording(tmp_path), None, SINCE).facts() == (
        NEW if event is NEW else {}
    )  # it has no socket
    recording = Recording(tmp_path)
    serve(*answers)
    assert LastWord(recording, None, SINCE).facts() == known
