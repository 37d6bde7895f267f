"""A terminal of a test's own: a program runs in it as a person starts one, and sees what it shows."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench import ROOT, Home, ready_for_ctrl_c, wait_until

#: What a sender could write to take a terminal over, and what a person is to see of it.
HOSTILE = b"\x1b[31mred\x1b]0;title\x07 \xe2\x80\xae [bold]x[/] \x9b\xff"
SHOWN = r"\x1b[31mred\x1b]0;title\x07 \u202e [bold]x[/] \x9b\xff"


class Terminal:
    """A pseudo-terminal and the program that is in charge of it (its session leader)."""

    def __init__(
        self, home: Home, command: Sequence[str], cwd: Path = ROOT, size: tuple[int, int] = (200, 50)
    ) -> None:
        self.shown = b""
        self._master, slave = pty.openpty()
        self.resize(*size)

        def take_charge() -> None:
            ready_for_ctrl_c()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        environment = {name: value for name, value in home.env.items() if name not in ("COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**environment, "TERM": "xterm-256color"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=take_charge,
        )
        os.close(slave)

    def resize(self, columns: int, rows: int) -> None:
        """Have the window be of another size: its program is told by SIGWINCH."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def look(self) -> bytes:
        """Return all that was shown by now."""
        while self._master >= 0 and select.select([self._master], [], [], 0)[0]:
            try:
                data = os.read(self._master, 65536)
            except OSError:  # EIO: the program has closed its side
                break
            if not data:
                break
            self.shown += data
        return self.shown

    def see(self, text: bytes, within: float = 10.0) -> None:
        wait_until(lambda: text in self.look(), within, f"{text!r} on the terminal")

    def ended(self, within: float = 15.0) -> int:
        """Return the exit status, reading along: a full terminal would hold the program back."""

        def end() -> bool:
            self.look()
            return self.process.poll() is not None

        wait_until(end, within, "the program's end")
        self.look()
        return self.process.returncode

    def close(self) -> None:
        """Close the window: the program gets SIGHUP."""
        if self._master >= 0:
            os.close(self._master)
            self._master = -1


@contextlib.contextmanager
def terminal(home: Home, *command: str, size: tuple[int, int] = (200, 50)) -> Iterator[Terminal]:
    """Run a command in a terminal of that size (columns, rows); at the end both are gone."""
    window = Terminal(home, command, size=size)
    try:
        yield window
    finally:
        window.close()
        try:
            window.process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            window.process.kill()
            window.process.wait()
            raise
