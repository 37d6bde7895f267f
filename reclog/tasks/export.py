"""`export`: a stretch of a recording."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.context import Context

from reclog.console import counted, note, say, size
from reclog.errors import UsageError

from .edge import task
from .options import ASKED

if TYPE_CHECKING:
    from reclog.look.export import Exported
    from reclog.look.query import Gap

#: Gaps that are told one by one.
_MOST = 20


@task(
    iterable=["recording", "sender"],
    help={
        **ASKED,
        "out": "File to write, a new one; with .gz compressed.",
        "recording": "The one of this name, an ended one too; NAME alone is it.",
        "file": "The recording of this file.",
        "port": "The recording on this port.",
        "stamp": "Begin each line with its time (UTC), sender; tell gaps.",
        "per-sender": "Make --out a folder, with a file for each sender.",
    },
)
def export(
    c: Context,
    out: Any = None,
    recording: Any = None,
    file: Any = None,
    port: Any = None,
    since: Any = None,
    until: Any = None,
    sender: Any = None,  # with another default Invoke gives it that one's type, not a list
    grep: Any = None,
    stamp: bool = False,
    per_sender: bool = False,
) -> None:
    """Write a stretch of a recording to a file, as it was said.

    Or stamped, with who said each line when. The file is there whole or not at
    all. What is missing of the recording is said.
    """
    from reclog.look.asked import question
    from reclog.look.export import Export
    from reclog.look.query import History
    from reclog.recordings.choice import the_one
    from reclog.recordings.registry import Registry

    if out is None:
        raise UsageError("Say where to with --out FILE.")
    registry = Registry()
    known = registry.known()
    history = History(the_one(known, recording or (), port, file))
    asked = question(since, until, sender or (), grep)
    export = Export(history, asked, stamp)
    path = Path(str(out)).absolute()
    done = (export.to_folder if per_sender else export.to_file)(path, known)
    _tell(done, in_time=since is not None or until is not None, stamp=stamp)
    files = f" in {counted(done.files, 'file')}" if per_sender else ""
    say(f"{counted(done.lines, 'line')}, {size(done.size)}{files}: {path}")


def _tell(done: Exported, in_time: bool, stamp: bool) -> None:
    """Say what the file can't."""
    if not stamp:
        _tell_gaps(done.gaps, "Missing")
    _tell_gaps(done.unplaced, "Missing, nobody knows where")
    if done.undated and in_time:
        note(f"Of {counted(done.undated, 'line')} nobody knows when: they are there by where they stand.")


def _tell_gaps(gaps: list[Gap], what: str) -> None:
    from reclog.look.export import shown

    for gap in gaps[:_MOST]:
        note(f"{what}: {shown(gap)}")
    if len(gaps) > _MOST:
        note(f"{what}: {len(gaps) - _MOST} more; --stamp has each in its place.")
