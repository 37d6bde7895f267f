from __future__ import annotations

import errno
import threading
from typing import List, Optional

import pytest
from scripted import TurnUntil

from reclog.engine.system.aside import Aside
from reclog.engine.system.loop import Loop


def test_work_is_done_beside_the_loop_and_its_end_is_told_in_it(loop: Loop, turn_until: TurnUntil) -> None:
    aside = Aside(loop)
    may_end = threading.Event()
    where: List[threading.Thread] = []
    told: List[Optional[OSError]] = []

    def work() -> None:
        where.append(threading.current_thread())
        may_end.wait(10)

    def done(error: Optional[OSError]) -> None:
        where.append(threading.current_thread())
        told.append(error)

    aside.start(work, done)
    loop.turn(at_most=0.05)  # the loop goes on meanwhile
    assert aside.busy
    assert told == []
    may_end.set()
    turn_until(lambda: bool(told))
    assert told == [None]
    assert not aside.busy
    assert where[0] is not threading.main_thread()
    assert where[1] is threading.main_thread()


def test_what_fails_beside_the_loop_is_told_in_it(loop: Loop, turn_until: TurnUntil) -> None:
    aside = Aside(loop)
    told: List[Optional[OSError]] = []

    def work() -> None:
        raise OSError(errno.EIO, "bad disk")

    aside.start(work, told.append)
    turn_until(lambda: bool(told))
    assert told[0] is not None
    assert told[0].errno == errno.EIO


def test_the_next_may_be_started_when_one_has_ended(loop: Loop, turn_until: TurnUntil) -> None:
    aside = Aside(loop)
    told: List[str] = []
    aside.start(lambda: None, lambda _: _again(aside, told))
    turn_until(lambda: len(told) == 2)
    assert told == ["first", "second"]
    assert not aside.busy


def test_a_loop_that_is_closed_is_not_called() -> None:
    loop = Loop()
    loop.close()
    loop.call(lambda: None)


def _again(aside: Aside, told: List[str]) -> None:
    told.append("first")
    aside.start(lambda: None, lambda _: told.append("second"))


def test_where_no_thread_can_be_had_it_is_done_at_once(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    aside = Aside(loop)
    done: List[Optional[OSError]] = []
    aside.start(lambda: None, done.append)
    assert (done, aside.busy) == ([None], False)
    aside.wait()
