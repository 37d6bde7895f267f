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
from typing import Callable, Match, Pattern, Protocol

from .batch import Bytes
from .binary import FIRSTS, LOOKS, NoText, may_become, no_text


class Framing(Protocol):
    """Where one stream's messages end, and what of them is framing."""

    #: Whether it stays what it is. Until then nothing is cut: all that comes is held.
    settled: bool
    #: Whether messages are written just as they were sent: then `strip` is not asked, and nothing is copied.
    verbatim: bool
    #: Why nothing of the stream is taken, if it is no text.
    refusal: NoText | None

    def settle(self, text: Bytes, last: bool) -> Framing:
        """Return what the stream's framing is from now on, as far as `text` tells, which is held.

        `last`: it leaves now, whatever it is.
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

    def settle(self, text: Bytes, last: bool) -> Framing:
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

    __slots__ = ("_newline",)
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


# RFC 6587, 3.4.1. Below a million, so that a first message, with the header behind it, is settled before it
# is too long to be held.
_HEADER = re.compile(rb"([1-9]\d{0,5}) (<\d{1,3}>)")
_HEADER_BEGUN = re.compile(rb"(?:[1-9]\d{0,5}(?: (?:<\d{0,3})?)?)?")
#: Bytes of the longest header.
_HEADER_MOST = 12


class Counted(Lines):
    """Each message follows a header that counts its bytes; a newline is added where it has none at its end.

    What is no header where one has to be is text, and lines are what follows.
    """

    __slots__ = ("_at", "_begin", "_end", "_head", "_lost", "_seen", "_whole")
    verbatim = False

    def __init__(self) -> None:
        # All by the bytes that came since the last whole message: how many were seen; where a header begins,
        # and what there is of it; where the message behind it begins and ends (0: not known yet).
        self._seen = 0
        self._at = 0
        self._head = b""
        self._begin = 0
        self._end = 0
        # The whole messages that `strip` will see, and whether there was a header that is none.
        self._whole: list[tuple[int, int]] = []
        self._lost = False

    def cut(self, buffer: bytearray, begin: int, end: int) -> int:
        """Return where the last whole message ends."""
        base, stop, whole = begin - self._seen, self._seen + end - begin, 0
        while not self._lost:
            if self._end:
                if self._end > stop:
                    break
                self._whole.append((self._begin, self._end))
                whole = self._at = self._end
                self._end = 0
            if self._head:
                header = _HEADER.match(self._head + buffer[begin : min(begin + _HEADER_MOST, end)])
            else:
                header = _HEADER.match(buffer, base + self._at, end)
            size = _size(header)
            if header and size:
                self._begin = self._at + len(header[1]) + 1
                self._end = self._begin + size
                self._head = b""
                continue
            at = base + self._at + len(self._head)
            self._head += buffer[at : min(at + _HEADER_MOST, end)]
            if _HEADER_BEGUN.fullmatch(self._head):
                break
            self._lost = True
        if self._lost:
            newline = buffer.rfind(b"\n", max(base + self._at, begin), end) + 1
            if newline:
                self._whole.append((self._at, newline - base))
                whole = self._at = newline - base
        self._seen = stop - whole
        self._at -= whole
        if self._end:
            self._begin -= whole
            self._end -= whole
        return base + whole if whole else begin

    def strip(self, text: bytes) -> bytes:
        """Return messages without headers."""
        lines = []
        for begin, end in self._whole:
            lines.append(text[begin:end])
            if text[end - 1] != 0x0A:
                lines.append(b"\n")
        self._whole.clear()
        return b"".join(lines)

    def part(self, text: Bytes, last: bool) -> Bytes | None:
        """Return the beginning of a message without its header, which stays as long as it is not whole."""
        begin = self._begin if self._end else 0
        if not (self._end or self._lost or last):
            return None
        if self._end:
            self._begin, self._end = 0, self._end - len(text)
        self._seen = self._at = 0
        self._head = b""
        return text[begin:]


def _size(header: Match[bytes] | None) -> int:
    """Return the bytes of the message behind a header; 0 if that is none, or they hold no beginning."""
    size = int(header[1]) if header else 0
    return size if header and size >= len(header[2]) else 0


class Refused(Lines):
    """No text, and nothing of it is taken."""

    __slots__ = ("refusal",)
    settled = False

    def __init__(self, refusal: NoText) -> None:
        self.refusal = refusal


LINES = Lines()

_PRI = re.compile(rb"<\d{1,3}>")
_OBJECT = re.compile(rb'\{\s{0,64}"')
#: What a message has to begin with that ends in a NUL, and beginnings of that.
_BEGINS, _BEGUN = re.compile(rb"<\d{1,3}>|\{"), re.compile(rb"(?:<\d{0,3})?")
#: Beginnings of what a stream has to begin with, not to be lines at once.
_ODD_BEGUN = re.compile(_HEADER_BEGUN.pattern + rb"|<\d{0,3}|\{\s{0,64}")
_ODD = FIRSTS | frozenset(b"<{123456789")
#: Bytes from which on none of it has to be tried that does not begin so.
_SEEN_AFTER, _SEEN = 16, re.compile(rb'[1-9]\d{0,5} <|<\d|\{[\s"]|' + LOOKS)


class Auto(Lines):
    """Not known yet: messages end in newlines, in NULs, or are counted; or it is no text."""

    __slots__ = ("_refuses",)
    settled = False

    def __init__(self, refuses: bool) -> None:
        """`refuses`: what is no text is not taken for some."""
        self._refuses = refuses

    def settle(self, text: Bytes, last: bool) -> Framing:
        """Return what it is, once that is known."""
        if text[0] not in _ODD or (len(text) >= _SEEN_AFTER and not _SEEN.match(text)):
            return LINES
        refusal = no_text(text) if self._refuses else None
        if refusal is not None:
            return Refused(refusal)
        header = _HEADER.match(text)
        if header and _size(header):
            return self._counted(text, header.end(1) + 1 + _size(header), last)
        if _PRI.match(text):
            return EndsInNul(_PRI_TELLS).settle(text, last)
        if _OBJECT.match(text):
            return EndsInNul(_OBJECT_TELLS).settle(text, last)
        if not last and (_ODD_BEGUN.fullmatch(text) or (self._refuses and may_become(text))):
            return self
        return LINES

    def _counted(self, text: Bytes, end: int, last: bool) -> Framing:
        """Return whether messages are counted, once the first one, which would end at `end`, tells."""
        if _size(_HEADER.match(text, end)) or (last and len(text) == end):
            return Counted()
        return LINES if last or (len(text) > end and not _HEADER_BEGUN.fullmatch(text, end)) else self


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

    __slots__ = ("_looked", "_tells")
    settled = False

    def __init__(self, tells: Pattern[bytes]) -> None:
        self._tells = tells
        # How far that was looked for.
        self._looked = 0

    def settle(self, text: Bytes, last: bool) -> Framing:
        """Return what the first message ends in, once that is known."""
        found = self._tells.search(text, self._looked, _TOLD_WITHIN)
        if found and text[found.start()] != 0:
            end = found.start()
            if self._tells is _PRI_TELLS or text[end - 1] == 0x7D or text[end - 2 : end] == b"}\r":
                return LINES
            self._tells = _NUL_TELLS
            found = _NUL_TELLS.search(text, end, _TOLD_WITHIN)
        if found:
            nul, end = found.span()
            self._looked = nul
            if _BEGINS.match(text, end) or (last and len(text) == end):
                return Nul()
            return LINES if last or not _BEGUN.fullmatch(text, end) else self
        # What a stall cut may end in a NUL as well, unless it was several lines.
        if len(text) >= _TOLD_WITHIN or (last and re.search(b"\n", text)):
            return LINES
        self._looked = 0 if last else max(0, len(text) - _TELLS_MOST)
        return self


# They remember nothing: one is enough.
_AUTO, _AUTO_DIALLED = Auto(refuses=True), Auto(refuses=False)
#: By its name, what makes a stream's framing: of one that comes to us, and of one that we dialled.
FRAMINGS: dict[str, Callable[[], Framing]] = {"auto": lambda: _AUTO, "lines": lambda: LINES}
DIALLED: dict[str, Callable[[], Framing]] = {"auto": lambda: _AUTO_DIALLED, "lines": lambda: LINES}
