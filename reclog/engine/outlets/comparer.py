"""What a file already holds of a stream that comes again: equal lines are skipped, until one differs.

The file is compared with the stream whole line by whole line; at the first difference appending begins. A
half line at the file's end is completed if it begins the next line.
"""

from __future__ import annotations

from typing import Callable

_BLOCK = 256 * 1024


class Comparer:
    """Skip what a file already holds of a stream. Pure but for `read`."""

    def __init__(
        self,
        read: Callable[[int, int], bytes],
        start: int,
        same_file: bool = True,
        inside: bool = False,
    ) -> None:
        """`read(position, count)` gives the file's bytes; compare from `start` on.

        With `inside` the stream's line goes on at `start`. Without `same_file` what follows goes to another
        file, so a half line can't be completed.
        """
        self._read = read
        self._same_file = same_file
        #: Up to here the file holds what the stream said, in whole lines.
        self.matched = start
        #: Whether the stream's line goes on at `matched`.
        self.inside = inside
        #: Up to here the file holds what the stream said, whole lines or not.
        self.compared = start
        # The bytes of the stream's current line that were equal so far.
        self._line = bytearray()
        self._begun = False

    @property
    def undecided(self) -> int:
        """Bytes of the stream that were compared and belong to a line that may still differ."""
        return len(self._line)

    def break_line(self) -> None:
        """Take note that the stream does not go on with its line: something is missing between."""
        self._line.clear()
        self.matched = self.compared
        self.inside = False
        self._begun = False

    def feed(self, data: bytes) -> tuple[bytes, bool] | None:
        """Take the next bytes of the stream.

        Returns None while all of them are in the file already. Otherwise comparing is over, and these
        bytes are to be appended; the flag tells whether they go on with the half line at the file's end.
        """
        if data and not self._begun:
            self._begun = True
            self._skip_closing()
        taken = 0
        while taken < len(data):
            there = self._read(self.compared, min(_BLOCK, len(data) - taken))
            equal = _common(there, data[taken : taken + len(there)])
            self._accept(data[taken : taken + equal])
            taken += equal
            if equal < len(there):
                return bytes(self._line) + data[taken:], False
            if not there:
                if self._same_file:
                    return data[taken:], self.inside or bool(self._line)
                return bytes(self._line) + data[taken:], False
        return None

    def _skip_closing(self) -> None:
        """Pass the newline that closed another's half line before the stream's first line."""
        start = self.compared
        if self.inside or not start or self._read(start - 1, 1) == b"\n":
            return
        if self._read(start, 1) == b"\n":
            self.compared = self.matched = start + 1

    def _accept(self, equal: bytes) -> None:
        self.compared += len(equal)
        end = equal.rfind(b"\n") + 1
        if end:
            self._line[:] = equal[end:]
            self.matched = self.compared - len(self._line)
            self.inside = False
        else:
            self._line += equal


def _common(one: bytes, other: bytes) -> int:
    """Return how many bytes at the beginning of both are equal."""
    if one == other:
        return len(one)
    low, high = 0, min(len(one), len(other))
    while low < high:  # the longest equal beginning, by halves: comparing slices is quick
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low
