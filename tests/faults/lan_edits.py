"""What others do to the recorded file of a recording on a LAN, while it runs and while it is dead."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import psutil
from bench import wait_until
from lan import Lan
from lan_acts import kill_recorder, lan_of
from stage import Fault, Stage

from reclog.engine.records.events import timestamp


def truncated(stage: Stage) -> None:
    """Everything is taken out of the file."""
    path = stage.system.files[-1]
    stage.destroyed.append(path.read_bytes())
    os.truncate(path, 0)


def renamed(stage: Stage) -> None:
    """The file has another name."""
    path, old = _names(stage)
    path.rename(old)


def renamed_and_made(stage: Stage) -> None:
    """The file has another name, and there is a new one, with a line in it."""
    renamed(stage)
    _add(stage, b"\n")


def replaced(stage: Stage) -> None:
    """Another file has taken the place of the file."""
    path, old = _names(stage)
    other = path.with_name("other")
    note = _note(stage)
    other.write_bytes(stage.dice.choice([b"", note, note + b"\n"]))
    os.link(path, old)
    other.replace(path)


def removed(stage: Stage) -> None:
    """The file is removed; a link keeps what was in it."""
    path, old = _names(stage)
    os.link(path, old)
    path.unlink()


def line_added(stage: Stage) -> None:
    """A line is added by hand."""
    _add(stage, b"\n")


def half_a_line_added(stage: Stage) -> None:
    """A line without its newline is added by hand."""
    _add(stage, b"")


#: What is done to the file, and how a recorder that runs states it.
EDITS: dict[str, tuple[Callable[[Stage], None], str]] = {
    "truncated": (truncated, "file changed"),
    "renamed": (renamed, "file reopened"),
    "renamed, a new one made": (renamed_and_made, "file reopened"),
    "replaced": (replaced, "file reopened"),
    "removed": (removed, "file reopened"),
    "added to, a line": (line_added, "file changed"),
    "added to, half a line": (half_a_line_added, "file changed"),
}


def edited(edit: Callable[[Stage], None], event: str) -> Fault:
    """The file is edited while it is recorded into."""

    def fault(stage: Stage) -> None:
        lan, since = lan_of(stage), timestamp()
        recorder = stage.the("recorder")
        _see_written(lan)
        # It looks at the file, then writes. Nobody can tell a half line that comes in between, so it stands
        # still where it has written and not looked yet.
        lan.arm("file.after-write", "stop")
        wait_until(lambda: recorder.status() == psutil.STATUS_STOPPED, 10, "it stands still")
        try:
            edit(stage)
        finally:
            recorder.resume()
        lan.wait_for(event, since)

    return fault


def edited_when_dead(edit: Callable[[Stage], None]) -> Fault:
    """The file is edited while nobody records, after a SIGKILL."""

    def fault(stage: Stage) -> None:
        _see_written(lan_of(stage))
        kill_recorder(stage)
        edit(stage)
        lan_of(stage).again()

    return fault


def _see_written(lan: Lan) -> None:
    wait_until(lambda: lan.file.exists() and lan.file.stat().st_size, 10, "there is something to edit")


def _names(stage: Stage) -> tuple[Path, Path]:
    """Return the file, and the name beside it under which it is kept from now on."""
    files = stage.system.files
    old = files[-1].with_name(f"{files[-1].name}.{len(files)}")
    files.insert(-1, old)
    return files[-1], old


def _note(stage: Stage) -> bytes:
    note = b"by hand %08x" % stage.dice.getrandbits(32)
    stage.notes.add(note)
    return note


def _add(stage: Stage, end: bytes) -> None:
    path, note = stage.system.files[-1], _note(stage)
    there = path.read_bytes()[-1:] if path.exists() else b""
    with path.open("ab") as file:
        file.write((b"" if there in (b"", b"\n") else b"\n") + note + end)
