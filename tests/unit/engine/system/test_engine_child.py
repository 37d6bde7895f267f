from __future__ import annotations

import itertools
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted import Clock, TurnUntil

from reclog.engine.system import backoff
from reclog.engine.system.backoff import FIRST_PAUSE, LONGEST_PAUSE, STEADY_AFTER
from reclog.engine.system.child import Child, is_child, reap
from reclog.engine.system.hearing import LONGEST, Hearing
from reclog.engine.system.identity import start_time
from reclog.engine.system.kernel import LINUX
from reclog.engine.system.loop import Loop, Timer

WAITS = "import sys, signal; sys.stderr.write('up\\n'); sys.stderr.flush(); signal.pause()"


class Case:
    """A child of this test, and what was heard of it."""

    def __init__(self, loop: Loop, turn_until: TurnUntil, cwd: Path) -> None:
        self._loop = loop
        self._turn_until = turn_until
        self._cwd = cwd
        self.heard: list[str] = []
        self.ends: list[int] = []
        self.child = self.runs("pass")

    def runs(self, code: str, **more: Any) -> Child:
        command = [sys.executable, "-c", code]
        self.child = Child(self._loop, command, str(self._cwd), self.heard.append, self.ends.append, **more)
        return self.child

    def until_heard(self, words: str) -> None:
        self._turn_until(lambda: words in self.heard)

    def until_it_ends(self) -> int:
        """Reap it as its daemon would; the status that waitpid(2) gave."""
        found: list[int] = []

        def ended() -> bool:
            pid, status = os.waitpid(self.child.pid, os.WNOHANG)
            if pid:
                found.append(status)
                self.child.ended(status)
            return bool(pid)

        self._turn_until(ended)
        return found[0]


@pytest.fixture
def case(loop: Loop, turn_until: TurnUntil, tmp_path: Path) -> Iterator[Case]:
    case = Case(loop, turn_until, tmp_path)
    yield case
    case.child.give_up()
    if case.child.pid:
        case.child.signal(signal.SIGKILL)
        case.until_it_ends()
    case.child.close()


def test_it_runs_in_its_folder_with_its_words_heard(case: Case, tmp_path: Path) -> None:
    child = case.runs("import os, sys; sys.stderr.write(os.getcwd() + '\\nsecond\\n')")
    child.start()
    assert child.pid > 0
    assert case.until_it_ends() == 0
    assert case.heard == [os.path.realpath(tmp_path), "second"]
    assert child.last_words == "second"
    assert case.ends == [0]
    assert child.pid == 0


def test_how_it_ended_is_passed_on(case: Case) -> None:
    case.runs("raise SystemExit(3)").start()
    assert os.WEXITSTATUS(case.until_it_ends()) == 3
    assert [os.WEXITSTATUS(status) for status in case.ends] == [3]


def test_its_environment_and_descriptors_are_as_given(case: Case) -> None:
    reading, writing = os.pipe()
    code = f"import os, sys; sys.stderr.write(os.environ['WORD'] + '\\n'); os.write({writing}, b'here')"
    case.runs(code, env={**os.environ, "WORD": "said"}, pass_fds=(writing,)).start()
    os.close(writing)
    case.until_it_ends()
    assert case.heard == ["said"]
    assert os.read(reading, 10) == b"here"
    assert os.read(reading, 10) == b""
    os.close(reading)


@pytest.mark.parametrize(
    ("code", "heard"),
    [
        ("import sys; sys.stderr.write(repr(sys.stdin.read()) + '\\n')", ["''"]),  # nothing of ours is read
        ("import os; os.write(2, b'caf\\xe9\\n')", ["caf\\xe9"]),
        ("import sys; sys.stderr.write('first\\nno such option')", ["first", "no such option"]),
        (
            "import sys; sys.stderr.write(''.join(f'line {n}\\n' for n in range(20000)))",
            [f"line {number}" for number in range(20000)],
        ),
    ],
    ids=["no input", "no text", "no newline", "much"],
)
def test_what_it_says_is_heard(case: Case, code: str, heard: list[str]) -> None:
    child = case.runs(code, lines_a_second=20000)
    child.start()
    case.until_it_ends()
    assert case.heard == heard
    assert child.last_words == heard[-1]


def test_a_word_without_end_is_bounded(case: Case) -> None:
    case.runs("import sys; sys.stderr.write('x' * 300000 + '\\nlast\\n')").start()
    case.until_it_ends()
    assert case.heard[-1] == "last"
    assert sum(map(len, case.heard)) < 100_000


def test_a_flood_of_words_holds_nothing_up_and_is_summed_up(case: Case, loop: Loop) -> None:
    code = (
        "import sys, os, signal; signal.alarm(30); text = b'words\\n' * 10000\nwhile True: os.write(2, text)"
    )
    pauses, last = [0.0], time.monotonic()
    case.runs(code, lines_a_second=5).start()

    def timed() -> bool:
        nonlocal last
        before, last = last, time.monotonic()
        pauses.append(last - before)
        return any("more" in words for words in case.heard)

    case._turn_until(timed)
    assert max(pauses) < 0.5
    assert case.heard[:5] == ["words"] * 5
    assert re.fullmatch(r"\([0-9]{4,} lines more\)", case.heard[5])
    assert len(case.heard) <= 11
    case.child.signal(signal.SIGKILL)
    case.until_it_ends()
    assert case.child.last_words.startswith("words"[: len(case.child.last_words)])


@pytest.mark.parametrize("size", [1, 7, 65536])
def test_what_is_kept_of_words_is_bounded(loop: Loop, size: int) -> None:
    heard: list[str] = []
    hearing = Hearing(loop, heard.append, 3)
    said = b"a\n" + b"x" * 5000 + b"\nb\nc\nd\n" + b"y" * 5000
    for at in range(0, len(said), size):
        hearing.take(said[at : at + size])
        assert len(hearing._rest) <= LONGEST
    assert (heard, hearing.last) == (["a", "x" * LONGEST, "b"], "d")
    hearing.end()
    assert heard[3:] == ["(3 lines more)"]
    hearing.take(b"again\n")
    assert heard[4:] == ["again"]


def test_words_of_one_run_do_not_begin_the_next(case: Case, tmp_path: Path) -> None:
    code = "import os, sys; sys.stderr.write('half' if not os.path.exists('again') else 'whole\\n')"
    child = case.runs(code)
    child.start()
    case.until_it_ends()
    (tmp_path / "again").touch()
    child.start()
    case.until_it_ends()
    assert case.heard[-1] == "whole"


def test_it_gets_signals_while_it_runs(case: Case) -> None:
    child = case.runs(WAITS)
    child.start()
    case.until_heard("up")
    child.signal()
    assert os.WTERMSIG(case.until_it_ends()) == signal.SIGTERM
    child.signal()  # gone: nothing happens
    assert child.pid == 0


def test_its_end_is_noticed_by_asking(case: Case, turn_until: TurnUntil) -> None:
    child = case.runs("import sys; sys.stderr.write('last\\n'); raise SystemExit(3)")
    child.poll()  # not started: nothing happens
    child.start()

    def ended() -> bool:
        child.poll()
        return not child.pid

    turn_until(ended)
    child.poll()
    assert [os.WEXITSTATUS(status) for status in case.ends] == [3]
    assert case.heard == ["last"]


def test_one_that_somebody_else_reaped_has_ended(case: Case) -> None:
    child = case.runs("pass")
    child.start()
    os.waitpid(child.pid, 0)
    child.poll()
    assert child.pid == 0
    assert len(case.ends) == 1


def test_it_is_stopped_politely(case: Case) -> None:
    child = case.runs(WAITS)
    child.start()
    case.until_heard("up")
    child.stop(within=60)
    assert child.pid == 0
    assert case.ends == []  # it was told to


def test_it_is_stopped_in_any_case(case: Case) -> None:
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + WAITS
    child = case.runs(code.replace("import sys, signal", "import sys"))
    child.start()
    case.until_heard("up")
    began = time.monotonic()
    child.stop(within=0.1)
    assert time.monotonic() - began >= 0.1
    assert child.pid == 0


def test_muted_it_is_heard_no_more(case: Case) -> None:
    child = case.runs("import sys; sys.stderr.write('last\\n')")
    child.start()
    child.mute()
    case.until_it_ends()
    assert case.heard == []
    assert child.last_words == "last"


@pytest.mark.skipif(not LINUX, reason="/proc/net/tcp is Linux's")
def test_what_it_listens_on_is_known(case: Case) -> None:
    code = "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(1); "
    said = "sys.stderr.write(str(s.getsockname()[1]) + '\\n'); "
    child = case.runs(code + WAITS.replace("signal;", "signal; " + said, 1))
    assert not child.listens_on(1)
    child.start()
    case.until_heard("up")
    port = int(case.heard[0])
    assert child.listens_on(port)
    assert not child.listens_on(port - 1)
    with socket.socket() as ours:
        ours.bind(("127.0.0.1", 0))
        ours.listen(1)
        assert not child.listens_on(ours.getsockname()[1])


def test_it_is_started_again(case: Case, turn_until: TurnUntil, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST_PAUSE", 0.01)
    child = case.runs("import sys; sys.stderr.write('up\\n')")
    child.start()
    case.until_it_ends()
    began = time.monotonic()
    child.start_later()
    turn_until(lambda: child.pid != 0)
    assert time.monotonic() - began >= 0.008
    case.until_it_ends()
    assert child.restarts == 1
    assert case.heard == ["up", "up"]


def test_each_of_several_is_told_of_its_own_end(case: Case, turn_until: TurnUntil) -> None:
    first = case.runs("raise SystemExit(3)")
    ends = case.ends
    second = case.runs(WAITS)
    first.start()
    second.start()
    assert is_child(first.pid)
    turn_until(lambda: not reap() and not first.pid)
    assert [os.WEXITSTATUS(status) for status in ends] == [3]
    assert second.pid
    second.signal()
    turn_until(lambda: reap() or not second.pid)  # where all tests run, others may have children here
    assert (second.pid, len(ends)) == (0, 2)


def test_its_output_goes_where_it_is_told_with_its_words_or_without(case: Case, loop: Loop) -> None:
    for words_too, output in ((False, b"out\n"), (True, b"out\nerr\n")):
        reading, writing = os.pipe()
        code = "import os; os.write(1, b'out\\n'); os.write(2, b'err\\n')"
        case.runs(code).start(stdout=writing, words_too=words_too)
        os.close(writing)
        case.until_it_ends()
        assert os.read(reading, 100) == output
        os.close(reading)
    assert case.heard == ["err"]


def test_once_given_up_it_is_not_started_again(timed: Timed, clock: Clock, tmp_path: Path) -> None:
    child = Child(timed, ["none"], str(tmp_path), lambda words: None, on_due=lambda: pytest.fail("given up"))
    child.start_later()
    child.give_up()
    clock.time += 2 * FIRST_PAUSE
    timed.turn(at_most=0)
    assert child.restarts == 0


def test_closed_it_is_heard_no_more(case: Case, loop: Loop) -> None:
    child = case.runs(WAITS)
    child.start()
    case.until_heard("up")
    child.close()
    child.close()
    child.signal()
    case.until_it_ends()
    assert case.heard == ["up"]


def test_a_missing_program_is_an_error_and_costs_no_descriptor(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = Child(loop, ["/nonexistent/socat"], str(tmp_path), lambda words: None)
    pipes = [os.pipe() for _ in range(3)]  # subprocess makes one, too
    left = iter(pipes)
    monkeypatch.setattr(os, "pipe", lambda: next(left))
    with pytest.raises(FileNotFoundError):
        child.start()
    unused = list(itertools.chain(*left))
    for descriptor in unused:
        os.close(descriptor)
    assert len(unused) < 6
    for descriptor in itertools.chain(*pipes):
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)
    assert child.pid == 0


class Timed(Loop):
    """A loop whose timers can be read."""

    def __init__(self, clock: Clock) -> None:
        self.made: list[Timer] = []
        super().__init__(clock)

    def timer(self, callback: Callable[[], None]) -> Timer:
        self.made.append(super().timer(callback))
        return self.made[-1]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(random, "uniform", lambda low, high: 1.0)
    return Clock()


@pytest.fixture
def timed(clock: Clock) -> Iterator[Timed]:
    timed = Timed(clock)
    yield timed
    timed.close()


def pauses(child: Child, timed: Timed, clock: Clock, count: int, runs_for: float) -> list[float]:
    """Let it try to start and end so many times; the pauses it makes (seconds)."""
    found = []
    for _ in range(count):
        try:
            child.start()
        except OSError:
            pass  # what then follows is the point
        else:
            _, status = os.waitpid(child.pid, 0)
            clock.time += runs_for
            child.ended(status)
        child.start_later()
        found.append(timed.made[0].when - clock.time)
        clock.time = timed.made[0].when
    child.close()
    return found


ENDS, MISSING = [sys.executable, "-S", "-c", ""], ["/nonexistent/socat"]


@pytest.mark.parametrize("command", [ENDS, MISSING])
def test_quick_deaths_make_the_pauses_longer(
    timed: Timed, clock: Clock, tmp_path: Path, command: list[str]
) -> None:
    child = Child(timed, command, str(tmp_path), lambda words: None)
    found = pauses(child, timed, clock, 7, runs_for=1)
    assert found == [FIRST_PAUSE * 2**number for number in range(5)] + [LONGEST_PAUSE] * 2


def test_a_steady_child_starts_again_soon(timed: Timed, clock: Clock, tmp_path: Path) -> None:
    child = Child(timed, ENDS, str(tmp_path), lambda words: None)
    assert pauses(child, timed, clock, 3, runs_for=1)[-1] > FIRST_PAUSE
    assert pauses(child, timed, clock, 2, runs_for=STEADY_AFTER + 1) == [FIRST_PAUSE] * 2


def test_failing_to_start_after_a_steady_run_makes_the_pauses_longer(
    timed: Timed, clock: Clock, tmp_path: Path
) -> None:
    child = Child(timed, ENDS, str(tmp_path), lambda words: None)
    pauses(child, timed, clock, 1, runs_for=STEADY_AFTER + 1)
    child.command = MISSING
    found = pauses(child, timed, clock, 4, runs_for=0)
    assert found == sorted(found)
    assert found[-1] > found[0]


def test_a_pause_that_is_asked_for_is_not_cut_short(
    timed: Timed, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: low)
    child = Child(timed, ["none"], str(tmp_path), lambda words: None)
    child.start_later(at_least=60)
    assert timed.made[0].when - clock.time >= 60


def test_the_longest_pause_can_be_set(timed: Timed, clock: Clock, tmp_path: Path) -> None:
    child = Child(timed, ENDS, str(tmp_path), lambda words: None, longest_pause=2.0)
    assert pauses(child, timed, clock, 4, runs_for=1) == [0.5, 1.0, 2.0, 2.0]


def test_pauses_are_spread(tmp_path: Path) -> None:
    clock = Clock()
    timed = Timed(clock)
    child = Child(timed, ["none"], str(tmp_path), lambda words: None)
    child.start_later()
    assert FIRST_PAUSE * 0.8 <= timed.made[0].when - clock.time <= FIRST_PAUSE * 1.2
    timed.close()


@pytest.mark.skipif(not LINUX, reason="prctl(2) is Linux's")
def test_it_ends_with_its_daemon(tmp_path: Path) -> None:
    code = f"""
import sys
from reclog.engine.system.child import Child
from reclog.engine.system.loop import Loop
loop = Loop()
child = Child(loop, [sys.executable, "-c", {WAITS!r}], ".", lambda words: print(child.pid, flush=True))
child.start()
while True:
    loop.turn()
"""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    daemon = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=env, cwd=tmp_path)
    assert daemon.stdout is not None
    try:
        pid = int(daemon.stdout.readline())
        assert start_time(pid) is not None
    finally:
        daemon.kill()
        daemon.communicate()
    give_up_at = time.monotonic() + 10
    while start_time(pid) is not None:
        assert time.monotonic() < give_up_at
