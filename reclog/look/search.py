"""Find the lines that an expression is in: with ripgrep where it is, else with Python's own `re`.

Rules kept here:

- An expression is one of Python's, of bytes, without flags. ripgrep gets those that both read alike.
- It is searched by a process of its own, which prints where lines begin. What is one plain file it reads
  itself: the offset of the open file is one for both, and tells how far that has come, and that it does not
  come on. What stands in several, or is compressed, it is given.
- Nothing waits for ever: who asks says how long, and a block that takes `PATIENCE` is the end. Nothing grows:
  the process has a bound on its memory, and where ripgrep fails for that, or does not take the expression,
  the other goes on.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import resource
import select
import shutil
import subprocess
import sys
import sysconfig
import threading
import time
import warnings
from collections.abc import Callable, Iterator

from ..errors import TooLongError, UsageError
from . import matcher
from .lines import BLOCK, LONGEST
from .text import Text

#: Seconds after which a search that has not come on is given up.
PATIENCE = 5.0
#: Characters of an expression; bytes of memory that a search may take.
_LONGEST_EXPRESSION, _MEMORY = 4096, 1 << 29
#: Seconds between two looks at how far it has come.
_LOOK_EVERY = 0.05
#: What has been read and may not have been searched: a buffer, if no line is longer.
_BUFFER = LONGEST
_ATOM = (
    r"(?:[^\\\[\](){}*+?|^$\x00-\x1f\x7f-\U0010ffff]|\\[dDwWsS\\.(){}*+?|^$\[\]-]"
    r"|\[\^?(?:[^]\[\\&~|^\x00-\x1f\x7f-\U0010ffff-]|-(?!-)|\\[dws.\\\]-])+\])"
)
_TIMES = r"(?:(?:[*+?]|\{\d+(?:,\d*)?\})\??(?![*+?{]))"
#: A piece of an expression that means the same to both; a brace alone is escaped for ripgrep.
_PIECE = re.compile(
    rf"(?:{_ATOM}|\)){_TIMES}?|\((?:\?:|(?!\?))|[|^$}}]|\\[bB]|[^\x00-\x9f](?![*+?{{])|\{{(?![\d,])"
)
_ALIKE = re.compile(rf"(?:\(\?i\)(?=[ -~]*\Z))?(?:{_PIECE.pattern})+")


def compiled(expression: str) -> re.Pattern[bytes]:
    """Return what an expression means. Raises UsageError."""
    given = os.fsencode(expression)
    if len(expression) > _LONGEST_EXPRESSION or b"\0" in given:
        raise UsageError(
            f"--grep is no expression: one has no NUL, and at most {_LONGEST_EXPRESSION} characters."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what will mean something else some day
            return re.compile(given)
    except (re.error, OverflowError, RecursionError) as error:
        raise UsageError(f"--grep {expression[:80]!r} is no regular expression: {error}.") from None


def for_ripgrep(expression: str) -> str:
    """Return how ripgrep is told an expression; empty for one that it may understand in another way."""
    if not _ALIKE.fullmatch(expression):
        return ""
    flag = "(?i)" if expression.startswith("(?i)") else ""
    pieces = _PIECE.findall(expression, len(flag)) if flag else _PIECE.findall(expression)
    return flag + "".join("\\{" if piece == "{" else piece for piece in pieces)


def offsets(text: Text, expression: str, begin: int, end: int, within: float | None = None) -> Iterator[int]:
    """Yield where each line begins, in [begin, end), that an expression is in; `begin` is where one begins.

    It ends at a hole. The offset of an open file is ours meanwhile; `within` is in seconds.
    Raises UsageError, and TooLongError.
    """
    compiled(expression)
    until = float("inf") if within is None else time.monotonic() + within
    last = -1
    for command, told in _commands(expression):
        with _given(text, begin, end) as (fd, reached), _started(command, told, fd) as process:
            for offset in _printed(process, reached, begin, end, until):
                if offset > last:
                    yield offset
                    begin = last = offset
            if process.poll() in (None, 0, 1):  # it was not needed any more, or has seen all
                return


def _commands(expression: str) -> Iterator[tuple[Callable[[int], list[str]], bytes]]:
    """Yield what may search, the best one first, and what each is told."""
    told = for_ripgrep(expression)
    ripgrep = _ripgrep() if told else None
    if ripgrep is not None:
        yield functools.partial(ripgrep_command, ripgrep), os.fsencode(told)
    yield matcher_command, os.fsencode(expression)


def ripgrep_command(ripgrep: str, given: int) -> list[str]:
    """Return ripgrep's command, which reads the expression from the descriptor `given`."""
    return [
        ripgrep,
        "--no-config",
        "--no-unicode",  # of bytes
        "--text",  # also what is none
        "--encoding=none",
        "--crlf",
        "--no-mmap",  # a file that is cut would kill it, and one that is mapped tells nothing by its offset
        "--byte-offset",
        "--max-columns=1",  # of a line that matches nothing but where it begins
        "--line-buffered",
        "--no-filename",
        "--no-line-number",
        "--color=never",
        f"--file=/dev/fd/{given}",
        "-",
    ]


def matcher_command(given: int) -> list[str]:
    """Return the command of our own program, which reads the expression from the descriptor `given`."""
    return [sys.executable, "-I", "-S", matcher.__file__, str(given)]


@functools.cache
def _ripgrep() -> str | None:
    """Return where ripgrep is; that of the wheel is beside Python, which need not be on the PATH."""
    return shutil.which("rg") or shutil.which("rg", path=sysconfig.get_path("scripts"))


@contextlib.contextmanager
def _given(text: Text, begin: int, end: int) -> Iterator[tuple[int, Callable[[], int]]]:
    """Have a descriptor from which [begin, end) can be read, and how far that was."""
    plain = text.descriptor(begin, end)
    if plain is not None:
        fd, first = plain
        os.lseek(fd, begin - first, os.SEEK_SET)
        yield fd, lambda: first + os.lseek(fd, 0, os.SEEK_CUR)
        return
    reading, writing = os.pipe()
    reached = begin

    def give() -> None:
        nonlocal reached
        with contextlib.suppress(BrokenPipeError), open(writing, "wb", buffering=0) as pipe:
            while reached < end:
                data = memoryview(text.pread(min(BLOCK, end - reached), reached))
                if not data:
                    text.lacks(reached)
                    return
                while data:
                    written = pipe.write(data)
                    data, reached = data[written:], reached + written

    giver = threading.Thread(target=give, daemon=True)
    giver.start()
    try:
        yield reading, lambda: reached
    finally:
        os.close(reading)
        giver.join()


@contextlib.contextmanager
def _started(command: Callable[[int], list[str]], told: bytes, fd: int) -> Iterator[subprocess.Popen[bytes]]:
    """Have a process search what it reads from `fd`; it is gone at the end."""
    given, giving = os.pipe()
    try:
        os.write(giving, told)  # a pipe holds more
        os.close(giving)
        process = subprocess.Popen(
            command(given),
            stdin=fd,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=[given],
            cwd="/",
            env={},
        )
    finally:
        os.close(given)
    with contextlib.suppress(ProcessLookupError):
        resource.prlimit(process.pid, resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _printed(
    process: subprocess.Popen[bytes], reached: Callable[[], int], begin: int, end: int, until: float
) -> Iterator[int]:
    """Yield the offsets that it prints, until one is not before `end`, or it has come so far."""
    assert process.stdout is not None
    out = process.stdout.fileno()
    cut, place, waited, pause = b"", begin, 0.0, 0.001
    while True:
        if select.select([out], [], [], pause)[0]:
            *printed, cut = (cut + (data := os.read(out, 65536))).split(b"\n")
            for one in printed:
                offset = begin + int(one.partition(b":")[0])
                if offset >= end:
                    return
                yield offset
            if not data:
                process.wait()
                return
            waited, pause = 0.0, 0.001
        else:
            waited, pause = waited + pause, min(2 * pause, _LOOK_EVERY)
        before, place = place, reached()
        if place > end + _BUFFER:
            return
        if place != before:
            waited = 0.0
        if waited > PATIENCE or time.monotonic() > until:
            come = max(begin, min(place - _BUFFER, end))
            raise TooLongError(f"The search takes too long: it has come to byte {come}.", come)
