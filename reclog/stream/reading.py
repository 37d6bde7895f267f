"""What of a recording is to be published next: whole lines that have settled in the file, from one offset on.

Rules kept here:

- What is published is in the file, and was for a tenth of a second, and the index tells of it, or was late by
  a second: who reads before it is written would publish that nothing is known. Half a line waits until it
  is ended, or for 2 s. Who ends publishes what there was when that began, in the same way; half a line, too.
- What comes behind a message that is on its way may be read meanwhile. Nothing is decided then.
- With each read the bytes before it are read again: where they are not what was published, the file is
  another line of bytes, and has another identity, which is on disk before a message has it.
- What was let go of before it was published is a gap, and stated.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable

from reclog.engine.records.events import Say
from reclog.engine.stores.index.reader import Run

from .message import Identity, fit
from .place import KNOWN, Kept, Place, another, is_there
from .text import Growing

#: Seconds that bytes are in the file before they are published; that an index is waited for, and half a line.
SETTLED, LATE, HALF = 0.1, 1.0, 2.0
#: Seconds that a file which lost its name is read, as its recorder may not have noticed yet.
LEFT = 1.0
#: Seconds between two times that where it is gets kept.
KEEP = 2.0


class Reading:
    """A recording, from where its publisher goes on."""

    def __init__(self, folder: str, file: str, say: Say, clock: Callable[[], float] = time.monotonic) -> None:
        """`folder` is the recording's."""
        self._folder = folder
        self._say, self._clock = say, clock
        self.text = Growing(folder, file)
        self._kept = Kept.read(folder)
        #: Where it stands, once it does.
        self.offset = self._kept.end if self._kept is not None else 0
        self.placed = False
        #: Nothing more is published than what there is at the next look; half a line is a line then.
        self.ending = False
        # Up to where that is.
        self._last: int | None = None
        self.gaps = 0
        self._identity = Identity("", 0)
        self._tail = self._kept.tail if self._kept is not None else b""
        # Up to where it is published, and the subject's last message then.
        self._end, self._sequence = self.offset, self._kept.sequence if self._kept is not None else 0
        self._settled, self._late = _Past(SETTLED), _Past(LATE)
        # Since when half a line, or a file without its name, is; when where it is was kept.
        self._half_since = self._left_since = self._kept_at = 0.0

    @property
    def identity(self) -> Identity:
        """What it is now."""
        return self._identity

    @property
    def kept(self) -> Kept | None:
        """What is to be kept of it; None until there is something."""
        if self._kept is None:
            return None
        return dataclasses.replace(self._kept, end=self._end, tail=self._tail, sequence=self._sequence)

    @property
    def lag(self) -> int:
        """Bytes that are in the recording, and not published; of one that is ending, which still will be."""
        end = self.text.end if self._last is None else self._last
        return max(0, end - max(self.offset, 0 if self.placed else self.text.begin()))

    @property
    def is_over(self) -> bool:
        """Whether it is ending, and all of it was told."""
        return self.ending and not self.text.replaced

    def stand(self, at: Place, sequence: int, created: str) -> None:
        """Go on there; `sequence` is the subject's last, in a stream made at `created`. Raises OSError."""
        kept = self._kept
        self._identity, self.offset, self._tail = at.identity, at.offset, at.tail[-KNOWN:]
        # Its sequence counts, too: what comes behind that may be of others alone.
        self._end, self._sequence, self._half_since = at.offset, sequence, 0.0
        if kept is None or kept.identity != at.identity:
            head = self.text.read(self.text.base, max(0, min(KNOWN, at.offset - self.text.base)))
            self._kept = Kept(at.identity, at.offset, at.offset, sequence, created, head, self.text.base)
            self._keep(sync=True)
        elif created != kept.created:
            self._kept = dataclasses.replace(kept, created=created)
            self._keep(sync=True)
        self.placed = True
        if not is_there(at, self.text):
            self._begin_another(at)

    def sent(self, payload: bytes, sequence: int) -> None:
        """Take note that this was published next."""
        kept = self._kept
        assert kept is not None
        base, into = self.text.base, self.offset - self.text.base
        self.offset += len(payload)
        head = b"" if into == 0 else kept.head
        if into == len(head) < KNOWN or base != kept.base:
            head = (head + payload)[:KNOWN] if into == len(head) else head
            self._kept = dataclasses.replace(kept, head=head, base=base)
        self._tail = payload[-KNOWN:] if len(payload) >= KNOWN else (self._tail + payload)[-KNOWN:]
        self._end, self._sequence, self._half_since = self.offset, sequence, 0.0
        if self._clock() - self._kept_at >= KEEP:
            self._keep()

    def next(self, most: int) -> bytes:
        """Return what the next message holds; nothing if it is not here yet. Raises OSError."""
        text, now = self.text, self._clock()
        text.look()
        if self.ending and self._last is None:
            self._last = text.end
        self._settled.look(now, text.end)
        self._late.look(now, text.end)
        begin = text.begin(self.offset)
        if begin > self.offset:
            self.gaps += 1
            self._say(
                "gap", offset=self.offset, bytes=begin - self.offset, why="removed before it was published"
            )
            self.offset, self._tail = begin, b""
        if text.replaced and self.offset >= text.end and self._is_left(now):
            text.take_up()
            self._compare()
            return b""
        data, last = self._there(self.offset, self._tail, most)
        if not data:
            self._compare()  # it may have been emptied, and be as long again
            return b""
        size = fit(data, most, last or (self._half_since > 0 and now - self._half_since >= HALF))
        if not size and not self._half_since:
            self._half_since = now
        return data[:size]

    def behind(self, payload: bytes, most: int) -> bytes:
        """Return what comes behind what `next` returned, if that is certain now. Raises OSError."""
        data, last = self._there(self.offset + len(payload), payload[-KNOWN:], most)
        return data[: fit(data, most, last)]

    def runs(self, begin: int, payload: bytes) -> list[Run]:
        """Return who said what of a stretch, and when."""
        return self.text.runs(begin, begin + len(payload))

    def close(self) -> None:
        """Keep where it is, and let go of the file."""
        if self.placed:
            self._keep()
        self.text.close()

    # -- inside ---------------------------------------------------------------------------------

    def _there(self, offset: int, tail: bytes, most: int) -> tuple[bytes, bool]:
        """Return what may be published from an offset on, and whether nothing comes behind that.

        Nothing, if `tail` does not stand before it any more, even after that was read.
        """
        text = self.text
        in_piece = offset < text.base
        end = text.base if in_piece else text.end if text.replaced else self._known_end(offset + most)
        last = in_piece or text.replaced or end == self._last
        if not offset < end <= text.end:
            return b"", last
        data = text.read(offset, min(most, end - offset))
        before = tail[max(0, len(tail) - max(0, offset - text.base)) :]
        is_there = text.read(offset - len(before), len(before)) == before
        return (data if is_there else b""), last

    def _known_end(self, most: int) -> int:
        """Return up to where the text has settled, and its index tells of it, or is late; at most `most`."""
        settled = self._settled.end if self._last is None else self._last
        end = min(self.text.end, settled, most)
        return end if end <= self._late.end else max(self._late.end, self.text.known_end(end))

    def _compare(self) -> None:
        """See whether the file is still what was published of it."""
        at = Place(self._identity, self.offset, self._tail)
        if not is_there(at, self.text):
            self._begin_another(at)

    def _begin_another(self, before: Place) -> None:
        kept = self.kept
        assert kept is not None
        at = another(before, kept, self.text)
        self.gaps += 1
        self._say(at.event, identity=str(at.identity), published=before.offset, offset=at.offset)
        self._settled, self._late, self._last = _Past(SETTLED), _Past(LATE), None
        self.stand(at, kept.sequence, kept.created)

    def _keep(self, sync: bool = False) -> None:
        """Keep where it is. Raises OSError if that is to be on disk, and can't be."""
        kept = self.kept
        assert kept is not None
        self._kept_at = self._clock()
        with contextlib.nullcontext() if sync else contextlib.suppress(OSError):
            kept.write(self._folder, sync)

    def _is_left(self, now: float) -> bool:
        """Tell whether a file that lost its name had time for what its recorder still wrote."""
        self._left_since = self._left_since or now
        if now - self._left_since < LEFT and not self.ending:
            return False
        self._left_since = 0.0
        return True


class _Past:
    """Where a text ended a while ago."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._seen, self._seen_at = 0, 0.0
        #: So many seconds ago, or up to twice as many.
        self.end = 0

    def look(self, now: float, end: int) -> None:
        """Take note of where it ends now."""
        if now - self._seen_at >= self._seconds:
            self.end, self._seen, self._seen_at = self._seen, end, now
