"""What is kept of what rotation has set aside: a number of pieces, so many bytes, so many days.

Rules kept here:

- Of several bounds the strictest wins. Without any, all is kept.
"""

from __future__ import annotations

import re
from typing import Iterable, List, NamedTuple, Tuple

#: Bytes that can be asked for, at least and at most: an offset takes 63 bits, and there is none twice.
LEAST, MOST = 1024 * 1024, 1 << 60
DAY = 86_400


class Keeping(NamedTuple):
    """What is kept; 0: all."""

    pieces: int = 0
    #: Of the whole recording.
    bytes: int = 0
    seconds: int = 0
    #: Whether pieces are compressed.
    compress: bool = False

    @classmethod
    def parse(cls, words: Iterable[str]) -> Keeping:
        """Return what `words` (as 10, 5GiB, 30d) ask for. Raises ValueError with what is wrong."""
        found: List[Tuple[int, int, int]] = []
        for word in words:
            count = re.fullmatch(r"(\d{1,9})(d?)", word.strip(), re.ASCII)
            if not count:
                found.append((0, parse_size(word), 0))
            elif not int(count[1]):
                raise ValueError("nothing would be kept")
            else:
                found.append((0, 0, int(count[1]) * DAY) if count[2] else (int(count[1]), 0, 0))
        least = [min((one for one in kind if one), default=0) for kind in zip(*found)] or [0, 0, 0]
        return cls(least[0], least[1], least[2])


def parse_size(word: str) -> int:
    """Return the bytes that `word` (as 64MiB, 1GiB, 2000000) means, from 1 MiB on. Raises ValueError."""
    # Eighteen digits: Python refuses to read thousands. ASCII: the Kelvin sign is no K.
    match = re.fullmatch(r"(\d{1,18})\s*([KMGT]?)(i?)B?", word.strip(), re.IGNORECASE | re.ASCII)
    if not match:
        raise ValueError("it is no size")
    times: int = (1024 if match[3] else 1000) ** " KMGT".index(match[2].upper() or " ")
    size = int(match[1]) * times
    if not LEAST <= size <= MOST:
        raise ValueError("it is no size from 1 MiB on")
    return size
