"""A serial line, read by socat and opened by us.

Rules kept here:

- It is opened once: each time a board may start anew (DTR). And we can tell why it can't be.
- It belongs to whoever opened it first: two who read it would each have a part.
"""

from __future__ import annotations

import errno
import fcntl
import grp
import os
import pwd
import termios
from typing import Hashable, Sequence

from ..system.loop import Loop
from .commands import Socat, socat_words
from .dialler import Lost, Reached

#: Of a line that is named alone.
BAUD = 115200


class Serial(Socat):
    """A serial line: `/dev/ttyUSB0@115200`."""

    @staticmethod
    def named(address: str) -> Hashable:
        """Return the device, whatever leads to it. Raises ValueError."""
        path = _path_and_baud(address)[0]
        os.fsencode(path)  # what can't be a path's bytes is refused: before 3.9 realpath takes it
        return os.path.realpath(path)

    def __init__(self, loop: Loop, address: str, cwd: str, reached: Reached, lost: Lost) -> None:
        super().__init__(loop, address, cwd, reached, lost)
        self._path, _ = _path_and_baud(address)

    def dial(self) -> None:
        """Open the line ourselves, for an error that can be told, and have socat read it."""
        try:
            line = _open_line(self._path)
        except OSError as error:
            self._lost(_why_not(self._path, error))
            return
        try:
            self.start(line)
        finally:
            os.close(line)

    def _command(self, address: str) -> Sequence[str]:
        return socat_words(f"STDIN,b{_path_and_baud(address)[1]},raw,echo=0,clocal=1,cs8")


def _path_and_baud(address: str) -> tuple[str, int]:
    path, at, baud = address.rpartition("@")
    if not at or not baud.isdigit():
        path, baud = address, str(BAUD)
    if baud == "0" or not hasattr(termios, f"B{baud}"):
        raise ValueError(f"this system knows no {baud[:20]} baud: give one as 9600 or 115200")
    if "\0" in path or not path.strip("/"):
        raise ValueError("name a device, as /dev/ttyUSB0")
    return path, int(baud)


def _open_line(path: str) -> int:
    """Return a serial line that is nobody else's from now on. Raises OSError."""
    line = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not os.isatty(line):
            raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))
        fcntl.flock(line, fcntl.LOCK_EX | fcntl.LOCK_NB)  # what pyserial and tio ask
        fcntl.ioctl(line, termios.TIOCEXCL)  # and who asks nobody does not get in (tty_ioctl(4))
        os.set_blocking(line, True)
    except OSError:
        os.close(line)
        raise
    return line


def _why_not(path: str, error: OSError) -> str:
    if error.errno == errno.EACCES:
        return _not_permitted(path)
    return {
        errno.ENOENT: "it is not there: is it plugged in?",
        errno.EBUSY: "another program has it: end that one",
        errno.EWOULDBLOCK: "another program has it: end that one",
        errno.ENOTTY: "it is no serial line",
    }.get(error.errno or 0, error.strerror or str(error))


def _not_permitted(path: str) -> str:
    """Return why a line can't be opened, and how it could: on Debian it is the group dialout's."""
    try:
        there = os.stat(path)
        group, user = grp.getgrgid(there.st_gid).gr_name, pwd.getpwuid(os.getuid()).pw_name
    except (OSError, KeyError):
        return "not permitted"
    if there.st_mode & 0o060 != 0o060:
        return "not permitted: its mode lets its owner in alone"
    return f"not permitted, it is of the group {group}: `sudo usermod -aG {group} {user}`, then log in anew"
