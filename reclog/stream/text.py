"""A recording's bytes by their offset, while it goes on: what is set aside, or has another file in its place.

Rules kept here:

- What is read of the recorded file is that of one descriptor: it stays that file, whatever has its name now.
- That one is let go of once it is a piece, or once whoever reads has all of it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from reclog.engine.stores.index.reader import Run

from ..look.known import Known
from ..look.text import Text
from ..recordings.recording import Recording

#: Bytes of which an index is asked at once.
AHEAD = 8 << 20


class Growing:
    """What a recording has said, and says."""

    def __init__(self, folder: str, file: str) -> None:
        """`folder` is the recording's."""
        self._folder, self._file = folder, file
        self._known = Known(Recording(Path(folder)))
        self._text: Text | None = None
        #: The recording offsets of the recorded file's first byte, and behind the last one that was seen.
        self.base = self.end = 0
        # What is being told of who said what, the last that was told, and up to where there is anything.
        self._told: Iterator[Run] = iter(())
        self._run = Run(0, 0, None, None)
        self._told_to = self._known_end = 0
        #: Another file, and no piece of ours, has the name of the one that is read.
        self.replaced = False

    def look(self) -> None:
        """See what there is now. Raises OSError if there is nothing, and was nothing, or it is a device."""
        text = self._text
        if text is None:
            self._have(self._opened())
        elif not text.is_current and not self.replaced:
            new = self._opened()
            own = next((part for part in new.parts(0, new.end + 1) if part.begin == text.base), None)
            # A piece has another inode once it is compressed; that it is one is what counts.
            if new.base == text.base or own is None or own.piece is None:
                self.replaced = True
                new.close()
            else:
                self._have(new)
        assert self._text is not None
        self.end = self._text.end

    def take_up(self) -> None:
        """Read the file that has the name now. Raises OSError."""
        self._have(self._opened())
        self.replaced = False

    def begin(self, offset: int = 0) -> int:
        """Return the first offset from `offset` on that is still there."""
        run = self._text.run(offset) if self._text is not None and offset < self.base else None
        return max(offset, run[0]) if run is not None else max(offset, self.base)

    def read(self, offset: int, most: int) -> bytes:
        """Return bytes from `offset` on, so many at most: fewer before a hole, and at the end."""
        text = self._text
        if text is None:
            return b""
        found = text.pread(most, offset)
        if not found and most > 0 and offset < self.base:
            text.lacks(offset)
        return found

    def runs(self, begin: int, end: int) -> list[Run]:
        """Return who said what of a stretch, and when, as far as an index tells.

        Of stretches one behind the other, the index is not looked for anew with each.
        """
        text, run = self._text, self._run
        assert text is not None
        if not run.begin <= begin <= run.end or end > self._told_to:
            self._told_to = max(end, self.known_end(min(text.end, begin + AHEAD)))
            self._told = self._known.runs(text, begin, self._told_to)
            run = Run(begin, begin, None, None)
        found = []
        while run.begin < end:
            if run.end > begin:
                found.append(run._replace(begin=max(run.begin, begin), end=min(run.end, end)))
            if run.end >= end:
                break
            run = next(self._told, Run(end, end, None, None))
        self._run = run
        return found

    def known_end(self, most: int) -> int:
        """Return up to where an index tells when it came, `most` if further; 0 if there is none."""
        if self._text is not None and not most <= self._known_end <= self._text.end:
            self._known_end = self._known.indexed(self._text)
        return min(most, self._known_end)

    def close(self) -> None:
        """Let go of all that is open."""
        if self._text is not None:
            self._text.close()
            self._text = None

    def _opened(self) -> Text:
        text = Text(self._folder, self._file)
        try:
            mode = os.stat(self._file).st_mode
        except OSError:
            mode = stat.S_IFREG  # there are pieces alone
        if not stat.S_ISREG(mode):
            text.close()
            raise OSError(0, "it is no regular file", self._file)
        return text

    def _have(self, text: Text) -> None:
        self.close()
        self._text, self.base, self.end = text, text.base, text.end
        self._told_to = self._known_end = 0
