"""One external process that belongs to a daemon: it ends with it, and is started again if it ends alone.

Where a daemon has several, or adopts orphans, nobody waits for one alone: `reap` collects all that ended, and
tells each.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import Callable, Mapping, Sequence

from .backoff import LONGEST_PAUSE, Backoff
from .hearing import Hearing
from .kernel import LINUX, die_with_parent, listens
from .loop import Loop

#: Bytes that are read of its words in one turn, reads at its end, and lines a second that are passed on: what
#: it says may be a stranger's, and must not hold anything up.
READ_SIZE, READS_AT_END, LINES_A_SECOND = 65536, 16, 1000

#: Those that run and were not waited for, by pid.
_running: dict[int, Child] = {}


def reap() -> bool:
    """Collect every descendant that ended, and tell whose it was; True if none is left."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return True
        if pid == 0:
            return False
        if pid in _running:
            _running[pid].ended(status)


def is_child(pid: int) -> bool:
    """Tell whether a pid is that of a `Child` of ours."""
    return pid in _running


class Child:
    """Run `command`, and run it again with growing, jittered pauses when it ends."""

    def __init__(
        self,
        loop: Loop,
        command: Sequence[str],
        cwd: str,
        hear: Callable[[str], None],
        on_end: Callable[[int], None] = lambda status: None,
        on_due: Callable[[], None] | None = None,
        prepare: Callable[[], object] = lambda: None,
        env: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
        longest_pause: float = LONGEST_PAUSE,
        lines_a_second: int = LINES_A_SECOND,
    ) -> None:
        """`hear` is called with each line that it says; `longest_pause`: seconds.

        `on_end` is called when it has ended and was not given up, with the status that waitpid(2) gave;
        `on_due` when it is time to start it again (without it, it is started); `prepare` in the child before
        its program runs.
        """
        self.command = list(command)
        self.pid = 0
        self.restarts = 0
        self._loop = loop
        self._cwd = cwd
        self._hear = hear
        self._on_end = on_end
        self._on_due = on_due or self.start
        self._prepare = prepare
        self._env = env
        self._pass_fds = pass_fds
        self._backoff = Backoff(longest_pause)
        self._started_at = 0.0
        self._timer = loop.timer(self._due)
        self._hearing = Hearing(loop, lambda line: self._hear(line), lines_a_second)
        self._process: subprocess.Popen[bytes] | None = None
        self._errors = -1
        self._given_up = False

    @property
    def last_words(self) -> str:
        """The last line that it said."""
        return self._hearing.last

    def start(
        self, stdin: int = subprocess.DEVNULL, stdout: int = subprocess.DEVNULL, words_too: bool = False
    ) -> None:
        """Start it now, from the main thread (prctl(2): its death follows the thread's). Raises OSError.

        `words_too`: what it says goes where its output goes, and is not heard.
        """
        me = os.getpid()

        def prepare() -> None:
            die_with_parent(me)
            self._prepare()

        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        self._started_at = self._loop.now()
        try:
            self._process = subprocess.Popen(
                self.command,
                cwd=self._cwd,
                env=self._env,
                stdin=stdin,
                stdout=stdout,
                stderr=stdout if words_too else writing,
                pass_fds=self._pass_fds,
                preexec_fn=prepare,
            )
        except OSError:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        self.close()
        self.pid = self._process.pid
        _running[self.pid] = self
        self._errors = reading
        self._started_at = self._loop.now()
        self._loop.watch(reading, self._hear_more)

    def ended(self, status: int) -> None:
        """Take note that waitpid(2) returned its pid: it is gone."""
        for _ in range(READS_AT_END):
            if not self._hear_more():
                break
        self._hearing.end()
        if self._process is not None:
            # We reap all descendants together; this tells Popen not to wait for what is reaped.
            self._process.returncode = status
        _running.pop(self.pid, None)
        self.pid = 0
        self._backoff.lasted(self._loop.now() - self._started_at)
        if not self._given_up:
            self._on_end(status)

    def start_later(self, at_least: float = 0.0) -> None:
        """Start it again after a pause (at least so many seconds) that doubles with each quick death."""
        self._timer.at(self._loop.now() + self._backoff.pause(at_least))

    def poll(self) -> None:
        """Notice that it ended, where nobody reaps all descendants together."""
        if self.pid:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                pid, status = self.pid, 0
            if pid:
                self.ended(status)

    def stop(self, within: float = 1.0) -> None:
        """End it: TERM, and KILL after `within` seconds."""
        self.give_up()
        self.signal()
        until = self._loop.now() + within
        while self.pid:
            self.poll()
            if self.pid and self._loop.now() >= until:
                self.signal(signal.SIGKILL)
            if self.pid:
                time.sleep(0.005)
        self.close()

    def listens_on(self, port: int) -> bool:
        """Tell whether it, and nobody else, listens on TCP `port` of 127.0.0.1."""
        if not self.pid:
            return False
        if not LINUX:
            return self._loop.now() - self._started_at > 0.5  # nobody tells; the handshake will
        return listens(self.pid, "127.0.0.1", port)

    def give_up(self) -> None:
        """Don't start it again, and let it end without a word."""
        self._given_up = True
        self._timer.off()

    def signal(self, number: int = signal.SIGTERM) -> None:
        """Send it a signal; nothing happens if it is gone."""
        if self.pid:
            os.kill(self.pid, number)  # ours and not reaped yet: the pid can't be anyone else's

    def mute(self) -> None:
        """Pass on no more of what it says."""
        self._hear = lambda words: None

    def close(self) -> None:
        """Hear no more from it."""
        if self._errors >= 0:
            self._loop.unwatch(self._errors)
            os.close(self._errors)
            self._errors = -1

    def _due(self) -> None:
        self.restarts += 1
        self._on_due()

    def _hear_more(self) -> bool:
        """Hear what it said by now, a part of it if that is much; False if there is nothing."""
        if self._errors < 0:
            return False
        try:
            data = os.read(self._errors, READ_SIZE)
        except BlockingIOError:
            return False
        if data:
            self._hearing.take(data)
        else:
            self.close()
        return bool(data)
