from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted import TurnUntil

from reclog.engine.daemons import control as module
from reclog.engine.daemons.control import LONGEST, MOST, Control, Facts
from reclog.engine.system import private
from reclog.engine.system.address import short_name
from reclog.engine.system.loop import Loop

STATUS: Facts = {"state": {"port": 1}, "counters": {"lines": 2}}


class Bench:
    """A control socket whose loop turns while its askers wait."""

    def __init__(self, loop: Loop, path: str, status: Facts = STATUS) -> None:
        self.loop = loop
        self.path = path
        self.control = Control(loop, path, lambda: status, lambda wanted: {"set": wanted})
        self.control.open()
        self.askers: list[socket.socket] = []

    def ask(self, request: bytes = b"") -> socket.socket:
        asker = socket.socket(socket.AF_UNIX)
        self.askers.append(asker)
        with short_name(self.path) as name:
            asker.connect(name)
        asker.setblocking(False)
        if request:
            self.say(asker, request)
        return asker

    def say(self, asker: socket.socket, request: bytes) -> None:
        while request:
            try:
                request = request[asker.send(request) :]
            except BlockingIOError:
                self.loop.turn(at_most=0)
        self.turn()

    def turn(self) -> None:
        for _ in range(4):
            self.loop.turn(at_most=0)

    def answers(self, asker: socket.socket) -> list[Any]:
        """Return all that was answered; None at the end if that is the connection's."""
        heard, ended = b"", False
        try:
            while not ended:
                more = asker.recv(1 << 20)
                heard += more
                ended = not more
        except BlockingIOError:
            pass
        except ConnectionError:
            ended = True
        return [json.loads(line) for line in heard.splitlines()] + [None] * ended

    def close(self) -> None:
        for asker in self.askers:
            asker.close()
        self.control.close()
        for asker in list(self.control._askers):
            self.control._leave(asker)


@pytest.fixture(params=["short", "deep" * 40])
def bench(loop: Loop, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    folder = tmp_path / request.param
    folder.mkdir()
    bench = Bench(loop, str(folder / "control"))
    yield bench
    bench.close()
    assert not Path(bench.path).exists()


WRONG = [{"error": "That is no request."}, None]
FINAL: Facts = {"final": {"lines": 3, "drained": True}}


def test_who_asks_is_answered_at_once_and_as_often_as_it_asks(bench: Bench) -> None:
    asker = bench.ask(b'{"ask": "status"}\n{"ask": "sta')
    assert bench.answers(asker) == [STATUS]
    bench.say(asker, b'tus", "more": 1}\n')
    assert bench.answers(asker) == [STATUS]


def test_who_has_settings_changed_is_told_which(bench: Bench) -> None:
    asker = bench.ask(b'{"set": {"allow": []}}\n')
    assert bench.answers(asker) == [{"set": {"allow": []}}]
    bench.control.end(FINAL["final"])
    bench.say(asker, b'{"set": {"allow": []}}\n')
    assert bench.answers(asker) == [FINAL]


def test_nobody_else_finds_it(bench: Bench) -> None:
    assert stat.S_IMODE(os.stat(bench.path).st_mode) == 0o600


@pytest.mark.parametrize(("uid", "heard"), [(os.geteuid(), True), (0, True), (12345, False), (None, True)])
def test_another_user_is_not_heard(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, uid: int | None, heard: bool
) -> None:
    monkeypatch.setattr(private, "peer_uid", lambda sock: uid)
    assert bench.answers(bench.ask(b'{"ask": "status"}\n')) == ([STATUS] if heard else [None])


def test_who_waits_gets_the_last_word_and_the_end_with_the_process(bench: Bench) -> None:
    early, both = bench.ask(b'{"ask": "final"}\n'), bench.ask(b'{"ask": "status"}\n{"ask": "final"}\n')
    assert (bench.answers(early), bench.answers(both)) == ([], [STATUS])
    unheard = bench.ask()
    unheard.send(b'{"ask": "final"}\n')  # right before the end: the loop turns no more
    bench.control.end(FINAL["final"])
    late = bench.ask()
    late.send(b'{"ask": "status"}\n')
    bench.control.close()
    assert [bench.answers(one) for one in (early, both, unheard, late)] == [[FINAL]] * 4


@pytest.mark.parametrize(
    "request_",
    [
        *(
            *(b"\n", b"x\n", b"[]\n", b"{}\n", b"\xff\n", b'{"ask": "more"}\n', b'{"ask": ["status"]}\n'),
            b'{"set": 1}\n',
        ),
        *(b'{"ask": NaN}\n', b"[" * 60_000 + b"\n", b'{"ask": "status"', b"GET / HTTP/1.1\r\n\r\n"),
    ],
)
def test_what_is_no_request_is_said(bench: Bench, request_: bytes) -> None:
    ends = request_.endswith(b"\n")
    assert bench.answers(bench.ask(request_)) == (WRONG if ends else [])
    assert bench.answers(bench.ask(b'{"ask": "status"}\n')) == [STATUS]


def test_a_request_without_end_is_cut_off(bench: Bench) -> None:
    asker = bench.ask(b" " * (LONGEST - 1))
    assert bench.answers(asker) == []
    bench.say(asker, b" ")
    assert bench.answers(asker) == [None]


def test_who_does_not_read_is_cut_off(bench: Bench) -> None:
    asker = bench.ask()
    asker.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    for _ in range(10):
        try:
            asker.send(b'{"ask": "status"}\n' * 3000)
        except OSError:
            break
        bench.turn()
    assert not bench.control._askers
    assert bench.answers(bench.ask(b'{"ask": "status"}\n')) == [STATUS]


def test_an_answer_that_has_no_room_is_not_left_half_said(loop: Loop, tmp_path: Path) -> None:
    bench = Bench(loop, str(tmp_path / "control"), {"counters": {"last_line": "x" * (1 << 22)}})
    bench.ask(b'{"ask": "status"}\n')
    assert not bench.control._askers
    bench.close()


def test_the_eldest_makes_room_but_for_those_who_wait(bench: Bench) -> None:
    waiting = [bench.ask(b'{"ask": "final"}\n') for _ in range(MOST - 1)]
    silent = bench.ask()
    bench.turn()
    asker = bench.ask(b'{"ask": "status"}\n')
    assert (bench.answers(silent), bench.answers(asker)) == ([None], [STATUS])
    waiting.append(bench.ask(b'{"ask": "final"}\n'))
    assert bench.answers(bench.ask(b'{"ask": "status"}\n')) == [None]
    bench.control.end(FINAL["final"])
    assert [bench.answers(one) for one in waiting] == [[FINAL]] * MOST
    assert len(bench.control._askers) == MOST


def test_where_no_descriptor_is_left_it_rests(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, turn_until: TurnUntil
) -> None:
    monkeypatch.setattr(module, "AGAIN", 0.05)
    real = bench.control._sock
    calls: list[int] = []

    class NoMore:
        def accept(self) -> None:
            calls.append(1)
            raise OSError(24, "Too many open files")

        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

    bench.control._sock = NoMore()  # type: ignore[assignment]
    asker = bench.ask(b'{"ask": "status"}\n')
    assert len(calls) == 1
    bench.control._sock = real
    turn_until(lambda: bench.answers(asker) == [STATUS])


def test_a_dead_daemons_socket_is_replaced(loop: Loop, tmp_path: Path) -> None:
    path = tmp_path / "control"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    bench = Bench(loop, str(path))
    assert bench.answers(bench.ask(b'{"ask": "status"}\n')) == [STATUS]
    bench.close()
