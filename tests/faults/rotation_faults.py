"""Deaths in the middle of a rotation, a compression, or a removal: each is really come by, under pressure.

On a recording that is not rotated nothing is done.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable
from pathlib import Path

from pressure import pressing
from stage import Fault, Stage

#: What is done on the way from one file to the next.
CUT = (
    "new.before-create",
    "new.after-create",
    "piece.before-link",
    "piece.after-link",
    "file.before-replace",
    "file.after-replace",
    "journal.before-write",
    "journal.after-write",
    "journal.after-sync",
    "index.before-replace",
    "index.after-replace",
)
#: … to a compressed piece; and as pieces go.
PACKED = (
    "packed.before-create",
    "packed.before-write",
    "packed.after-write",
    "packed.before-sync",
    "packed.after-sync",
    "packed.before-link",
    "packed.after-link",
    "packed.before-delete",
    "packed.after-delete",
    "piece.before-delete",
    "piece.after-delete",
)
REMOVED = ("piece.before-delete", "piece.after-delete", "index.before-delete", "index.after-delete")


def killed_in(points: tuple[str, ...], word: str, role: str, arm: Callable[[Stage, str], Path]) -> Fault:
    """SIGKILL at one of the points, if recording is told `word`; then the same command again."""

    def fault(stage: Stage) -> None:
        if word not in stage.system.set_aside.words:
            return
        point, process = stage.dice.choice(points), stage.the(role)
        # What a recorder had read goes with it; a collector loses nothing.
        with stage.losing() if role == "recorder" else contextlib.nullcontext():
            reached = arm(stage, point).exists
            # With rests: a compression takes the time that nobody else wants, and loses its piece to --keep
            # for as long as pieces come quicker than it gets done.
            until = time.monotonic() + 60
            for press in itertools.cycle((True, False)):
                with pressing(stage) if press else contextlib.nullcontext():
                    if _within(3, reached):
                        stage.hit(process, 0)
                        break
                assert time.monotonic() < until, f"{point} is not reached"
        stage.system.again()

    return fault


def _within(seconds: float, reached: Callable[[], bool]) -> bool:
    until = time.monotonic() + seconds
    while not reached() and time.monotonic() < until:
        time.sleep(0.01)
    return reached()


def rotation_faults(role: str, arm: Callable[[Stage, str], Path]) -> dict[str, Fault]:
    """Return them, by name."""
    return {
        "killed as it sets aside": killed_in(CUT, "--rotate", role, arm),
        "killed as it compresses": killed_in(PACKED, "--compress", role, arm),
        "killed as it removes": killed_in(REMOVED, "--keep", role, arm),
    }
