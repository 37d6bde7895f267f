"""What is written next: one stream out of many senders' texts, in which no line mixes two of them.

Rules kept here:

- Texts of one sender stay in the order in which they are added.
- A text without a newline at its end leaves the stream open. Only its own sender goes on there; anyone
  else's text is preceded by a newline.
- Bytes are never changed or dropped; the only byte with a meaning is the newline (0x0a). The newline that
  closes an open line, and the stamps, are added.
- Who said what, and when, is noted behind each text, and told of what is written (`noted`).
- What a stream says is received where it will be written from, if its framing leaves messages as they were
  sent: only the beginning of one that is not finished is copied, out by its sender's next read and in again
  with the message's end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Hashable, Iterable, Union

from .noted import Came, Notes, Who

if TYPE_CHECKING:
    from .framing import Framing

#: Stands for whoever wrote the open end of a file before we came, or beside us.
STRANGER = "stranger"
#: Bytes of the buffer to begin with, and after a batch that needed more. Untouched ones take no memory.
ROOM = 1024 * 1024
#: Bytes of the last line that are kept for a person to read.
GLIMPSE = 200

#: Bytes that tell whether lines are long, bytes a line from which on they are, bytes counted at a time.
SAMPLE, LONG, PIECE = 2048, 32, 64 * 1024

Bytes = Union[bytes, bytearray, memoryview]


class Batch:
    """Bytes on their way into a file: senders' texts come in at one end, writes go out at the other."""

    def __init__(self) -> None:
        #: Who may go on with the line at the stream's end; None when the stream ends in a newline.
        self.open_by: Hashable | None = None
        #: Newlines and bytes of all texts so far, without what was added between them.
        self.lines = 0
        self.bytes = 0
        #: Bytes that are not written yet.
        self.queued = 0
        self._buffer = bytearray(ROOM)
        self._view = memoryview(self._buffer)
        # Of what is in the batch, before `_noted`.
        self._notes = Notes()
        self._noted = 0
        # The batch is what is before `_end`; `_done` of it are written.
        self._end = 0
        self._done = 0
        # How many of its first bytes are of no text: the newline that closes another's line.
        self._inserted = 0
        # The stamp that its first line would have, did that not go on with the stream's last.
        self._owed = b""
        # Where the last text is and what its lines begin with; what a person sees of it once it is written;
        # where the next is received.
        self._last = (0, 0)
        self._stamp = b""
        self._glimpse = b""
        self._at = 0

    # -- in -------------------------------------------------------------------------------------

    def room(self, who: Hashable, before: int, size: int) -> memoryview:
        """Return where to receive up to `size` bytes of `who`, who has said `before` of a message already."""
        at = self._end + (self.open_by is not None and self.open_by != who) + before
        if at + size > len(self._buffer):
            self._grow(at + size)
        self._at = at
        return self._view[at : at + size]

    def settled(self, framing: Framing, count: int) -> Framing:
        """Return what `framing` is after the `count` bytes that were put into `room`, the first of all."""
        return framing.settle(self._buffer, self._at, self._at + count, False)

    def received(self, count: int) -> bytes:
        """Return the `count` bytes that were put into `room`, of which nothing is in the batch."""
        return bytes(self._view[self._at : self._at + count])

    def commit(
        self,
        who: Hashable,
        before: Bytes,
        count: int,
        framing: Framing,
        stamp: bytes = b"",
        origin: Who = "",
        ms: int | None = None,
        came: Came | None = None,
    ) -> tuple[int, bytes] | None:
        """Bring in the whole messages of `before` and of the `count` bytes that were put into its `room`.

        Return how many lines they are, and the bytes behind them; None if there is none, and all stays out. A
        `stamp` is put before each line that begins. With `ms` they are noted, as by `note`.
        """
        buffer, at, lines_as_sent = self._buffer, self._at, framing.verbatim
        begin, stop = at, at + count
        if not lines_as_sent:
            cut = framing.cut(buffer, at, stop)
        elif buffer[stop - 1] == 0x0A:  # as nearly always
            cut = stop
        else:
            cut = buffer.rfind(b"\n", at, stop) + 1 or at
        if cut == at:
            return None
        rest = bytes(self._view[cut:stop]) if cut < stop else b""
        if before:
            begin -= len(before)
            self._view[begin:at] = before
        if stamp or not lines_as_sent:
            lines = self.lines
            text = bytes(self._view[begin:cut])
            self.add(who, text if lines_as_sent else framing.strip(text), stamp)
            if ms is not None:
                self.note(origin, ms, came if before else None)
            return self.lines - lines, rest
        lines = buffer.count(b"\n", at, cut) if cut - at <= SAMPLE else self._count(at, cut)
        if begin > self._end:  # the newline that closes another's line
            buffer[begin - 1] = 0x0A
            self._inserted = self._inserted or int(not self._end)
        self.open_by = None
        self._last = (begin, cut)
        self._stamp = b""
        self._end = cut
        self.queued = cut - self._done
        self.lines += lines
        self.bytes += cut - begin
        if before and came is not None:
            self.note(origin, ms, came)
        elif ms is not None:  # as `Notes.add` does: a call for each receive would be felt
            notes = self._notes
            if notes.times and notes.times[-1] == ms and notes.whos[-1] == origin:
                notes.sizes[-1] += cut - self._noted
            else:
                notes.sizes.append(cut - self._noted)
                notes.times.append(ms)
                notes.whos.append(origin)
            self._noted = cut
        return lines, rest

    def add(self, who: Hashable, text: Bytes, stamp: bytes = b"") -> None:
        """Take `text` of `who`; `stamp` goes before each line that begins in it."""
        if not len(text):
            return
        goes_on = self.open_by == who
        if not goes_on and self.open_by is not None:
            self._inserted = self._inserted or int(not self._end)
            self._put(b"\n")
        ended = text[-1] == 0x0A
        self.open_by = None if ended else who
        self.bytes += len(text)
        begin = self._end
        if not stamp:
            self._put(text)
            self.lines += self._count(begin, self._end)
        else:
            text = bytes(text)
            self.lines += text.count(b"\n")
            if goes_on and not begin:
                self._owed = stamp
            # One replace for the whole text: a stamp made once, not once a line.
            body = text.replace(b"\n", b"\n" + stamp)
            self._put((b"" if goes_on else stamp) + (body[: -len(stamp)] if ended else body))
        self._last = (begin, self._end)
        self._stamp = stamp

    def note(self, who: Who, ms: int | None, came: Came | None = None) -> None:
        """Take note of who said the text that came in last, and when that was read (ms since 1970).

        `came` tells when the first of its lines began, if they were held.
        """
        end = self._end
        if came is not None and came.lines == 1:  # as nearly always
            at = self._buffer.find(b"\n", self._last[0], end) + 1 or end
            self._note_before(at, came.since[0][1], who)
            if at == end:
                return
        elif came is not None:
            at, line = self._last[0], 0
            for (_, when), until in zip(came.since, [*(first for first, _ in came.since[1:]), came.lines]):
                while line < until and at < end:
                    at, line = self._buffer.find(b"\n", at, end) + 1 or end, line + 1
                self._note_before(at, when, who)
        self._note_before(end, ms, who)

    def note_each(self, sizes: Iterable[int], times: Iterable[int | None], whos: Iterable[Who]) -> None:
        """Take notes of the text that came in last, column by column (see `Notes`)."""
        notes = self._notes
        first = len(notes.sizes)
        notes.extend(sizes, times, whos)
        if len(notes.sizes) > first:
            notes.sizes[first] += self._last[0] - self._noted
            self._noted = self._end

    # -- out ------------------------------------------------------------------------------------

    @property
    def unwritten(self) -> int:
        """Bytes of the texts that are not written yet (where no stamps are added)."""
        return self._end - max(self._done, self._inserted)

    def next(self, at_most: int) -> memoryview:
        """Return what is to be written next."""
        return self._view[self._done : min(self._end, self._done + at_most)]

    def written(self, count: int) -> Notes:
        """Take note that the next `count` bytes are written; return who said them."""
        begin, end = self._done, self._done + count
        if self._noted < self._end:
            self._note_before(self._end, None, "")
        notes = self._notes if count == self._end else self._notes.part(begin, end)
        self._done = end
        self.queued -= count
        if not self.queued:
            self._glimpse = self._last_line()
            self._reset()
        return notes

    def restart(self, inside_line: bool) -> None:
        """Begin anew at another place, which is inside of another's line or not.

        The half line that is written already lost its place: that line comes again, whole.
        """
        if not self.queued:
            self.open_by = STRANGER if inside_line else None
            return
        start = max(self._buffer.rfind(b"\n", 0, self._done) + 1, self._inserted)
        stamp = self._owed if start == self._inserted else b""
        rest = bytes(self._view[start : self._end])
        last, noted, notes = self._last, self._noted, self._notes.part(start, self._end)
        self._reset()
        self._put((b"\n" if inside_line else b"") + stamp + rest)
        self._inserted = int(inside_line)
        moved = self._end - len(rest) - start
        self._last = (max(last[0] + moved, 0), last[1] + moved)
        if notes.sizes:
            notes.sizes[0] += start + moved
            self._notes, self._noted = notes, noted + moved

    @property
    def last_line(self) -> bytes:
        """The first bytes of the last line that was taken, without its stamp."""
        return self._last_line() if self._end else self._glimpse

    # -- inside ---------------------------------------------------------------------------------

    def _note_before(self, end: int, ms: int | None, who: Who) -> None:
        self._notes.add(end - self._noted, ms, who)
        self._noted = end

    def _last_line(self) -> bytes:
        begin, end = self._last
        end -= self._buffer[end - 1] == 0x0A
        start = max(self._buffer.rfind(b"\n", begin, end) + 1, begin)
        if self._stamp and self._buffer.startswith(self._stamp, start):
            start += len(self._stamp)
        return bytes(self._view[start : min(end, start + GLIMPSE)])

    def _count(self, begin: int, end: int) -> int:
        """Return the newlines from `begin` to `end`."""
        buffer = self._buffer
        if end - begin <= SAMPLE or buffer.count(b"\n", begin, begin + SAMPLE) * LONG > SAMPLE:
            return buffer.count(b"\n", begin, end)
        # `count` looks at each byte; `replace` jumps from newline to newline, and is three times as quick for
        # lines of 100 bytes. By pieces: larger ones would come from mmap(2) and be given back each time.
        left = 0
        for at in range(begin, end, PIECE):
            left += len(bytes(self._view[at : min(at + PIECE, end)]).replace(b"\n", b""))
        return end - begin - left

    def _put(self, data: Bytes) -> None:
        end = self._end + len(data)
        if end > len(self._buffer):
            self._grow(end)
        self._view[self._end : end] = data
        self._end = end
        self.queued = end - self._done

    def _reset(self) -> None:
        self._end = self._done = self.queued = self._inserted = self._noted = 0
        self._notes = Notes()
        self._owed = b""
        if len(self._buffer) > 4 * ROOM:
            self._buffer = bytearray(ROOM)
            self._view = memoryview(self._buffer)

    def _grow(self, size: int) -> None:
        # Another one: views of the old one may be in use.
        buffer = bytearray(max(size, 2 * len(self._buffer)))
        buffer[: self._end] = self._view[: self._end]
        self._buffer = buffer
        self._view = memoryview(buffer)
