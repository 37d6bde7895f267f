from __future__ import annotations

import os
import select
import selectors
import signal
import socket
import threading
import time
from collections.abc import Iterator
from typing import Tuple

import pytest
from scripted import TurnUntil

from reclog.engine.system.loop import Loop

Pair = Tuple[socket.socket, socket.socket]


@pytest.fixture(params=["epoll", "PollSelector", "SelectSelector"], autouse=True)
def _system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param != "epoll":
        monkeypatch.delattr(select, "epoll")
        monkeypatch.setattr(selectors, "DefaultSelector", getattr(selectors, request.param))


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    yield ours, theirs
    ours.close()
    theirs.close()


def test_what_can_be_read_is_called_for(loop: Loop, pair: Pair) -> None:
    ours, theirs = pair
    seen: list[bytes] = []
    loop.watch(ours, lambda: seen.append(ours.recv(10)))
    loop.turn(at_most=0)
    assert seen == []
    theirs.send(b"one")
    loop.turn(at_most=5)
    theirs.send(b"two")
    loop.turn(at_most=5)
    assert seen == [b"one", b"two"]


def test_a_descriptor_can_be_watched_too(loop: Loop, pair: Pair) -> None:
    ours, theirs = pair
    seen: list[bytes] = []
    loop.watch(ours.fileno(), lambda: seen.append(ours.recv(10)))
    theirs.send(b"one")
    loop.turn(at_most=5)
    loop.unwatch(ours.fileno())
    theirs.send(b"two")
    loop.turn(at_most=0)
    assert seen == [b"one"]


def test_what_is_unwatched_is_not_called_for(loop: Loop, pair: Pair) -> None:
    ours, theirs = pair
    seen: list[bytes] = []
    loop.watch(ours, lambda: seen.append(ours.recv(10)))
    theirs.send(b"one")
    loop.unwatch(ours)
    loop.unwatch(ours)
    loop.turn(at_most=0)
    assert seen == []
    loop.watch(ours, lambda: seen.append(ours.recv(10)))
    loop.turn(at_most=5)
    assert seen == [b"one"]


def test_watching_again_replaces_what_was_asked(loop: Loop, pair: Pair) -> None:
    ours, theirs = pair
    seen: list[bytes] = []
    loop.watch(ours, lambda: pytest.fail("replaced"))
    loop.watch(ours, lambda: seen.append(ours.recv(10)))
    theirs.send(b"one")
    loop.turn(at_most=5)
    assert seen == [b"one"]


def test_room_to_write_is_called_for_where_it_was_asked(loop: Loop, pair: Pair) -> None:
    ours, _ = pair
    seen: list[str] = []
    loop.watch(ours, lambda: seen.append("room"), writing=True)
    loop.turn(at_most=5)
    assert seen == ["room"]
    loop.watch(ours, lambda: seen.append("text"))
    loop.turn(at_most=0)
    assert seen == ["room"]


def test_unwatching_what_is_closed_already_frees_its_place(loop: Loop, pair: Pair) -> None:
    ours, theirs = pair
    loop.watch(ours, lambda: pytest.fail("closed"))
    number = ours.fileno()
    ours.close()
    loop.unwatch(ours)
    seen: list[bytes] = []
    os.dup2(theirs.fileno(), number)
    again = socket.socket(fileno=number)
    try:
        loop.watch(again, lambda: seen.append(again.recv(10)))  # the same number, another socket
        loop.turn(at_most=5)
    finally:
        loop.unwatch(again)
        again.close()
    assert seen == [b""]


def test_a_turn_waits_no_longer_than_it_may(loop: Loop) -> None:
    loop.timer(lambda: pytest.fail("far away")).at(time.monotonic() + 60)
    began = time.monotonic()
    loop.turn(at_most=0.02)
    assert 0.015 <= time.monotonic() - began < 5


def test_a_timer_fires_once_when_it_is_due_and_can_be_moved(loop: Loop) -> None:
    now = 1000.0
    fired: list[str] = []
    loop.now = lambda: now
    timer, off = loop.timer(lambda: fired.append("timer")), loop.timer(lambda: fired.append("off"))
    timer.at(now + 5)
    off.at(now)
    off.off()
    loop.turn(at_most=0)
    timer.at(now + 10)
    now += 9.9
    loop.turn(at_most=0)
    assert fired == []
    now += 0.1
    loop.turn()
    now += 100
    loop.turn(at_most=0)
    assert fired == ["timer"]


def test_a_turn_ends_when_a_timer_is_due(loop: Loop) -> None:
    began = time.monotonic()
    fired: list[float] = []
    loop.timer(lambda: fired.append(time.monotonic())).at(began + 0.02)
    while not fired:
        loop.turn()
    assert 0.02 <= fired[0] - began < 5


def test_a_timer_may_be_set_again_by_its_own_call(loop: Loop) -> None:
    fired: list[int] = []

    def again() -> None:
        fired.append(len(fired))
        timer.at(time.monotonic())

    timer = loop.timer(again)
    timer.at(time.monotonic())
    for _ in range(3):
        loop.turn()
    assert fired == [0, 1, 2]


def test_a_timer_set_by_what_was_read_does_not_wait_for_more(loop: Loop, pair: Pair) -> None:
    ours, theirs = pair
    fired: list[str] = []
    timer = loop.timer(lambda: fired.append("due"))

    def read() -> None:
        ours.recv(10)
        timer.at(time.monotonic())

    loop.watch(ours, read)
    theirs.send(b"x")
    loop.turn()
    loop.turn()
    assert fired == ["due"]


def test_timers_may_be_made_by_a_timer(loop: Loop, turn_until: TurnUntil) -> None:
    fired: list[str] = []
    loop.timer(lambda: loop.timer(lambda: fired.append("inner")).at(time.monotonic())).at(time.monotonic())
    turn_until(lambda: bool(fired))
    assert fired == ["inner"]


def test_a_turn_ends_with_what_was_asked_for(loop: Loop, pair: Pair) -> None:
    ours, theirs = pair
    order: list[str] = []

    def read() -> None:
        ours.recv(10)
        order.append("read")

    loop.after_turn(lambda: order.append("first"))
    loop.after_turn(lambda: order.append("second"))
    timer = loop.timer(lambda: order.append("timer"))
    timer.at(time.monotonic())
    loop.watch(ours, read)
    theirs.send(b"x")
    loop.turn()
    assert order == ["read", "timer", "first", "second"]


def test_a_signal_is_called_for_within_a_turn(loop: Loop, turn_until: TurnUntil) -> None:
    came: list[str] = []
    loop.on_signal(signal.SIGUSR1, lambda: came.append("one"))
    loop.on_signal(signal.SIGUSR2, lambda: came.append("two"))
    os.kill(os.getpid(), signal.SIGUSR1)
    os.kill(os.getpid(), signal.SIGUSR1)
    turn_until(lambda: bool(came))
    assert set(came) == {"one"}
    os.kill(os.getpid(), signal.SIGUSR2)
    turn_until(lambda: "two" in came)
    assert came[-1] == "two"


def test_a_signal_ends_a_wait_without_end(loop: Loop) -> None:
    came: list[str] = []
    loop.on_signal(signal.SIGUSR1, lambda: came.append("one"))
    os.kill(os.getpid(), signal.SIGUSR1)
    loop.turn()
    assert came == ["one"]


def test_a_closed_loop_hears_no_signals() -> None:
    loop = Loop()
    loop.close()
    assert signal.set_wakeup_fd(-1) == -1


def test_a_rest_comes_after_all_else_and_once(loop: Loop) -> None:
    seen: list[float] = []
    loop.after_turn(lambda: seen.append(time.monotonic()))
    loop.rest(0.05)
    loop.turn(at_most=0)
    ended = time.monotonic()
    assert ended - seen[0] >= 0.05
    loop.turn(at_most=0)
    assert time.monotonic() - ended < 0.05


def test_another_thread_may_call(loop: Loop, turn_until: TurnUntil) -> None:
    seen: list[threading.Thread] = []
    thread = threading.Thread(target=loop.call, args=(lambda: seen.append(threading.current_thread()),))
    thread.start()
    turn_until(lambda: bool(seen))
    thread.join()
    assert seen == [threading.main_thread()]
