"""What a stream in any framing is as lines, slow and obvious; what the engine makes of any pieces of it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ledger import Broken

from reclog.engine.intake.binary import NoText
from reclog.engine.intake.framing import DIALLED, FRAMINGS, Framing

#: Pieces of each framing, and of what looks like it.
SYNTAX = [
    *(
        b"<13>",
        b"<1",
        b"<191>",
        b">",
        b"\0",
        b"\n",
        b"\r\n",
        b"{",
        b"}",
        b'{"a":1}',
        b'{ "b": [',
        b" ",
        b"a",
        b"\xff",
    ),
    *(
        b"9 <13>12345",
        b"11 <13>1234567",
        b"5 <1>a\n",
        b"6 <13>a\n",
        b"3 <1>",
        b"12 <1",
        b"5 ",
        b"5 apples\n",
        b"3 <13>",
    ),
    *(b"1000000 <13>", b"0 <13>", b"2", b"\n<14>", b"\0<14>", b'\0{"'),
]
PRI = rb"<[0-9]{1,3}>"


def as_lines(stream: bytes) -> bytes:
    """Return what is recorded of a stream that is text, and has ended."""
    for lines in (counted(stream), ended_by_nul(stream)):
        if lines is not None:
            return lines
    return stream


def ended(message: bytes) -> bytes:
    return message if message.endswith(b"\n") else message + b"\n"


def frame(stream: bytes) -> tuple[bytes, int] | None:
    """Return the message that the header at the beginning counts, as far as it is there, and its size."""
    header = re.match(rb"([1-9][0-9]{0,5}) (?=(%b))" % PRI, stream)
    if header is None or int(header[1]) < len(header[2]):
        return None
    return stream[header.end() :][: int(header[1])], int(header[1])


def behind(stream: bytes) -> bytes:
    """Return what follows the frame at the stream's beginning."""
    return stream[stream.index(b" ") + 1 :][int(stream.split(b" ")[0]) :]


def counted(stream: bytes) -> bytes | None:
    first = frame(stream)
    if first is None or len(first[0]) < first[1] or (behind(stream) and not frame(behind(stream))):
        return None
    lines = b""
    while True:
        found = frame(stream)
        if found is None:
            return lines + stream
        message, size = found
        if len(message) < size:
            return lines + message
        lines, stream = lines + ended(message), behind(stream)


def ended_by_nul(stream: bytes) -> bytes | None:
    first, nul, rest = stream.partition(b"\0")
    if not nul or (rest and not re.match(rb"%b|\{" % PRI, rest)):
        return None
    if re.match(PRI, stream):
        if re.search(rb"\n%b" % PRI, first):  # messages that end in newlines
            return None
    elif not re.match(rb'\{\s{0,64}"', stream) or re.match(rb"[^\n]*\}\r?\n", first):
        return None
    *messages, rest = stream.split(b"\0")
    return b"".join(map(ended, messages)) + rest


class Reader:
    """One stream and its framing, without an intake."""

    def __init__(self, framing: Framing) -> None:
        self.framing = framing
        self.lines = b""
        self.refused: NoText | None = None
        self._held = b""

    def hears(self, piece: bytes) -> None:
        if self.refused or not piece:
            return
        if not self.framing.settled:
            self._held += piece
            self._settle(last=False)
        else:
            self._cut(piece)

    def ends(self) -> bytes:
        if self._held and not self.framing.settled:
            self._settle(last=True)
        if self._held:
            part = self.framing.part(self._held, True)
            assert part is not None
            self.lines += part
        return self.lines

    def _settle(self, last: bool) -> None:
        found = self.framing = self.framing.settle(self._held, 0, len(self._held), last)
        if found.refusal is not None:
            self.refused, self._held = found.refusal, b""
        elif found.settled:
            piece, self._held = self._held, b""
            self._cut(piece)

    def _cut(self, piece: bytes) -> None:
        # Somewhere in a buffer, as in the batch.
        buffer = bytearray(b"\0<13>" + piece + b"3 <1>\n\0{")
        end = 5 + len(piece)
        cut = self.framing.cut(buffer, 5, end) - 5
        if cut:
            self.lines += self.framing.strip(self._held + piece[:cut])
            self._held = piece[cut:]
        else:
            self._held += piece


def read(pieces: Sequence[bytes], refuses: bool = False) -> Reader:
    """Return who has read a stream in these pieces, to its end."""
    reader = Reader((FRAMINGS if refuses else DIALLED)["auto"]())
    for piece in pieces:
        reader.hears(piece)
    reader.ends()
    return reader


def told(stream: bytes, expected: bytes) -> None:
    """Have a stream read in every pair of pieces, and byte by byte. Raises Broken."""
    cuts = [[stream[:at], stream[at:]] for at in range(len(stream))]
    for pieces in ([stream[at : at + 1] for at in range(len(stream))], *cuts):
        lines = read(pieces).lines
        if lines != expected:
            raise Broken(f"misread: {pieces} is {lines!r}, not {expected!r}")
