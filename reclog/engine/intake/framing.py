"""What ends a message in a stream. It is asked between the stream and the batch, whatever carries the bytes.

Rules kept here:

- A framing is of one stream and may remember where in a message that stream is; it waits for nothing, and
  knows no socket, no time and no file.
- It sees each byte of its stream once and in order (`cut`), and once more when that leaves: in whole messages
  (`strip`), or as the beginning of one that is due before it is whole (`part`), by time, by memory, at the
  sender's end or ours. What then follows goes on with that message.
- One that is not settled is shown what is held of its stream (`settle`) whenever more has come, and before
  that has to leave. What takes its place then sees all of that.
- What that depends on is bytes alone, and never where a receive ended: what follows may not have come yet.
"""

from __future__ import annotations

import re
from typing import Callable, Pattern, Protocol

from .batch import Bytes
from .binary import LOOKS, Buffer, NoText, may_become, no_text
from .counted import HEADER, HEADER_BEGUN, Counted, size_of


class Framing(Protocol):
    """Where one stream's messages end, and what of them is framing."""

    #: Whether it stays what it is. Until then nothing is cut: all that comes is held.
    settled: bool
    #: Whether messages are lines, written just as they were sent: then neither `cut` nor `strip` is asked for
    #: what comes, and nothing is copied.
    verbatim: bool
    #: Why nothing of the stream is taken, if it is no text.
    refusal: NoText | None

    def settle(self, buffer: Buffer, begin: int, end: int, last: bool) -> Framing:
        """Return what the stream's framing is from now on, as far as the text from `begin` to `end` tells.

        That is all that is held. `last`: it leaves now, whatever it is.
        """

    def cut(self, buffer: bytearray, begin: int, end: int) -> int:
        """Return where in the text that has come, from `begin` to `end`, its last whole message ends.

        `begin` if no message ends there.
        """

    def strip(self, text: bytes) -> bytes:
        """Return whole messages, from where the last went to a `cut`, as lines without their framing."""

    def part(self, text: Bytes, last: bool) -> Bytes | None:
        """Return without framing what there is of a message that is not whole, and is not waited for.

        None, unless nothing follows it (`last`): it is framing, and stays.
        """


class Lines:
    """Messages end in a newline, which is theirs."""

    __slots__ = ()
    settled = True
    verbatim = True
    refusal: NoText | None = None

    def settle(self, buffer: Buffer, begin: int, end: int, last: bool) -> Framing:
        """Return itself."""
        return self

    def cut(self, buffer: bytearray, begin: int, end: int) -> int:
        """Return where the last line ends."""
        return buffer.rfind(b"\n", begin, end) + 1 or begin

    def strip(self, text: bytes) -> bytes:
        """Return lines as they are."""
        return text

    def part(self, text: Bytes, last: bool) -> Bytes | None:
        """Return the beginning of a line as it is."""
        return text


class Nul(Lines):
    """Messages end in a NUL, which becomes a newline where there is none before it."""

    verbatim = False

    def __init__(self) -> None:
        # Whether what left of a message that was not whole ended in a newline.
        self._newline = False

    def cut(self, buffer: bytearray, begin: int, end: int) -> int:
        """Return where the last NUL is passed."""
        return buffer.rfind(b"\0", begin, end) + 1 or begin

    def strip(self, text: bytes) -> bytes:
        """Return messages with a newline at their ends."""
        if self._newline:
            self._newline = False
            text = text[text[0] == 0 :]
        return text.replace(b"\n\0", b"\n").replace(b"\0", b"\n")

    def part(self, text: Bytes, last: bool) -> Bytes | None:
        """Return the beginning of a message as it is."""
        self._newline = text[-1] == 0x0A
        return text


class Refused(Lines):
    """No text, and nothing of it is taken."""

    settled = False

    def __init__(self, refusal: NoText) -> None:
        self.refusal = refusal


LINES = Lines()

_PRI = re.compile(rb"<\d{1,3}>")
_OBJECT = re.compile(rb'\{\s{0,64}"')
#: What a message has to begin with that ends in a NUL, and beginnings of that.
BEGINS, _BEGUN = re.compile(rb"<\d{1,3}>|\{"), re.compile(rb"(?:<\d{0,3})?")
#: Beginnings of what a stream has to begin with, not to be lines at once.
_ODD_BEGUN = re.compile(HEADER_BEGUN.pattern + rb"|<\d{0,3}|\{\s{0,64}")
#: By its first byte, how it looks otherwise, of so many bytes at least; a count is looked for by itself.
_ENOUGH, _LOOKS = (
    16,
    {**LOOKS, **{digit: LOOKS.get(digit, ()) for digit in b"123456789"}, 0x3C: (b"<",), 0x7B: (b"{",)},
)


class Auto(Lines):
    """Not known yet: messages end in newlines, in NULs, or are counted; or it is no text."""

    __slots__ = ("_refuses",)
    settled = False

    def __init__(self, refuses: bool) -> None:
        """`refuses`: what is no text is not taken for some."""
        self._refuses = refuses

    def settle(self, buffer: Buffer, begin: int, end: int, last: bool) -> Framing:
        """Return what it is, once that is known."""
        looks = _LOOKS.get(buffer[begin])
        if looks is None:
            return LINES
        # Cheap, since a line often begins with its time, or with DEBUG.
        if (
            end - begin >= _ENOUGH
            and not buffer.startswith(looks, begin)
            and buffer.find(b" <", begin, begin + 8) < 0
        ):
            return LINES
        refusal = no_text(buffer, begin, end) if self._refuses else None
        if refusal is not None:
            return Refused(refusal)
        header = HEADER.match(buffer, begin, end)
        size = size_of(header)
        if header and size:
            return self._counted(buffer, header.end(1) + 1 + size, end, last)
        if _PRI.match(buffer, begin, end):
            return EndsInNul(_PRI_TELLS).settle(buffer, begin, end, last)
        if _OBJECT.match(buffer, begin, end):
            return EndsInNul(_OBJECT_TELLS).settle(buffer, begin, end, last)
        begun = _ODD_BEGUN.fullmatch(buffer, begin, end) or (self._refuses and may_become(buffer, begin, end))
        return self if begun and not last else LINES

    def _counted(self, buffer: Buffer, at: int, end: int, last: bool) -> Framing:
        """Return whether messages are counted, once the first one, which would end at `at`, tells."""
        if size_of(HEADER.match(buffer, at, end)) or (last and at == end):
            return Counted()
        return LINES if last or (at < end and not HEADER_BEGUN.fullmatch(buffer, at, end)) else self


#: What tells whether the first message of a stream that begins with a priority, or an object, ends in a NUL.
_PRI_TELLS, _OBJECT_TELLS, _NUL_TELLS = (
    re.compile(rb"\0|\n<\d{1,3}>"),
    re.compile(rb"\0|\n"),
    re.compile(rb"\0"),
)
#: Bytes that more may make the longest of these.
_TELLS_MOST = 6
#: Bytes within which that has to be: what comes behind it is known before a message is too long to be held.
_TOLD_WITHIN = 1024 * 1024 - 16


class EndsInNul(Lines):
    """Not known yet: messages end in newlines, or in NULs."""

    settled = False

    def __init__(self, tells: Pattern[bytes]) -> None:
        self._tells = tells
        # How far that was looked for.
        self._looked = 0

    def settle(self, buffer: Buffer, begin: int, end: int, last: bool) -> Framing:
        """Return what the first message ends in, once that is known."""
        within = min(end, begin + _TOLD_WITHIN)
        found = self._tells.search(buffer, begin + self._looked, within)
        if found and buffer[found.start()] != 0:
            line = found.start()
            if self._tells is _PRI_TELLS or buffer.endswith((b"}", b"}\r"), begin, line):
                return LINES
            self._tells = _NUL_TELLS
            found = _NUL_TELLS.search(buffer, line, within)
        if found:
            nul, next_one = found.span()
            self._looked = nul - begin
            if BEGINS.match(buffer, next_one, end) or (last and next_one == end):
                return Nul()
            return LINES if last or not _BEGUN.fullmatch(buffer, next_one, end) else self
        # What a stall cut may end in a NUL as well, unless it was several lines.
        if end - begin >= _TOLD_WITHIN or (last and buffer.find(b"\n", begin, end) >= 0):
            return LINES
        self._looked = 0 if last else max(0, end - begin - _TELLS_MOST)
        return self


# They remember nothing: one is enough.
_AUTO, _AUTO_DIALLED = Auto(refuses=True), Auto(refuses=False)
#: By its name, what makes a stream's framing: of one that comes to us, and of one that we dialled.
FRAMINGS: dict[str, Callable[[], Framing]] = {"auto": lambda: _AUTO, "lines": lambda: LINES}
DIALLED: dict[str, Callable[[], Framing]] = {"auto": lambda: _AUTO_DIALLED, "lines": lambda: LINES}
