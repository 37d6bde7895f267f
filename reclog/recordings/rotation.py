"""What is asked for of pieces: whether it goes together, and with the file that is there.

Rules kept here:

- A recording holds no more than it was given: of a file that is cut by the clock alone nobody knows how long
  it gets, and one that is cut later than at half of what is kept leaves room for no piece.
- What was there before is not removed at the first cut, unasked.
"""

from __future__ import annotations

import os

from reclog.engine.stores.retention import Keeping
from reclog.engine.stores.rotation import Rotating

from ..errors import UsageError
from .settings import FileSettings


def check_rotation(settings: FileSettings) -> None:
    """See that what becomes of pieces can be had, where it is said. Raises UsageError."""
    for option in ("keep", "compress"):
        if getattr(settings, option) and option in settings.said and not settings.rotate:
            raise UsageError(f"--{option} is about what --rotate sets aside: add that, as --rotate 100MiB.")
    keeping, rotating = Keeping.parse(settings.keep), Rotating.parse(settings.rotate)
    if not keeping.bytes or not {"keep", "rotate"} & set(settings.said):
        return
    word = " ".join(f"--keep {word}" for word in settings.keep)
    if not 0 < 2 * rotating.bytes <= keeping.bytes:
        half = keeping.bytes // 2 >> 20
        needs = f"--rotate {half}MiB or less" if half else "a larger --keep"
        raise UsageError(f"{word} is of the file and its pieces: have it cut at half of that, by {needs}.")
    try:
        there = os.path.getsize(settings.file)
    except OSError:
        return  # none yet
    if there > keeping.bytes:
        raise UsageError(
            f"{settings.file} has more bytes ({there}) than {word} leaves, and would be removed at the first "
            "cut: give it another name (mv) if it is to stay, or a larger --keep."
        )
