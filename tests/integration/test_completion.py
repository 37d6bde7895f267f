"""The Tab key in real shells: a recording's name, and none that the shell would act on."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from bench import BIN, Home, wait_until
from terminal import Terminal

HOSTILE = "$(touch pwned)"


@pytest.fixture
def shelf(home: Home) -> Home:
    """A home with recordings that somebody else made up, too."""
    for name in ("kitchen", HOSTILE):
        (home.recordings / name).mkdir(parents=True)
        (home.recordings / name / "past.json").write_text(json.dumps({"port": 1}))
    return home


def script(home: Home, shell: str) -> Path:
    done = home.inv("completion", shell)
    assert done.returncode == 0, done.stderr
    path = home.path / f"_reclog.{shell}"
    path.write_text(done.stdout)
    return path


def plain(shown: bytes) -> bytes:
    """Return what was written, without where and how."""
    return re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]|.\x08", b"", shown)


@pytest.mark.parametrize(
    ("shell", "argv"), [("bash", ["bash", "--norc", "--noprofile", "-i"]), ("zsh", ["zsh", "-f", "-i"])]
)
def test_a_name_is_completed(shelf: Home, shell: str, argv: Sequence[str]) -> None:
    terminal = Terminal(shelf, argv, cwd=shelf.path)
    try:
        terminal.type(f"source {script(shelf, shell)}; echo sourc''ed\n".encode())
        wait_until(lambda: b"sourced" in terminal.look())
        for typed, whole in (
            ("ki", "ll"),
            ("tail --rec", "ording"),
            ("tail ki", "tchen"),
            ("tail ", "kitchen"),
        ):
            begun = len(terminal.look())
            terminal.type(f"{BIN}/reclog {typed}\t".encode())
            wait_until(lambda: f"{typed}{whole} ".encode() in plain(terminal.look()[begun:]))  # noqa: B023
            terminal.type(b"\x15")
    finally:
        terminal.process.kill()
        terminal.process.wait()
    assert not list(shelf.path.glob("pwned"))
    assert b"rror" not in terminal.shown


def test_fish_is_offered_a_name(shelf: Home) -> None:
    ask = f"source {script(shelf, 'fish')}; complete -C 'reclog tail '; complete -C 'reclog ki'"
    done = shelf.run("fish", "-N", "-c", ask, cwd=shelf.path)
    assert (done.stdout.split(), done.stderr) == (["kitchen", "kill"], "")
    assert not list(shelf.path.glob("pwned"))
