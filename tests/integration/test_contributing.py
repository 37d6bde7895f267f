"""What docs/CONTRIBUTING.md adds as examples, applied to a copy of reclog as it stands there, and run."""

from __future__ import annotations

import re
import shutil
import socket
import sys
from pathlib import Path

import pytest
from bench import ROOT, Home, wait_until

PAGE = (ROOT / "docs" / "CONTRIBUTING.md").read_text()
NEW = re.findall(r"^`(\S+)`:\n\n```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
CHANGED = re.findall(r"^`(\S+)`:\n\n```diff\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
RUN = "from reclog.program import main; main()"
#: What an outlet has to do, done by the example.
OUTLET = """
from reclog.engine.outlets import OUTLETS
from reclog.engine.feed.protocol import FeedError
outlet = OUTLETS["nowhere"](None, "nowhere", "", None, None, None)
outlet.begin("spool", 5)
outlet.take(5, b"one\\ntwo\\n")
outlet.jump(20)
outlet.take(20, b"three\\n")
settling = outlet.settle()
assert outlet.settled == 5
settling.sync(), settling.end()
assert (outlet.settled, outlet.facts()["lines"]) == (26, 3)
try:
    outlet.take(5, b"one\\n")
except FeedError:
    print("refused")
"""


def applied(path: Path, change: str) -> None:
    """Change a file as a diff says; its lines without a sign tell where."""
    for part in change.strip("\n").split("\n\n"):
        lines = [(line[:1], line[1:]) for line in part.splitlines()]
        before, after = (
            "\n".join(text for sign, text in lines if sign in kept) + "\n" for kept in (" -", " +")
        )
        text = path.read_text()
        assert text.count(before) == 1, before
        path.write_text(text.replace(before, after))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return the folder of a reclog with all examples in it."""
    assert (len(NEW), len(CHANGED)) == (3, 3)
    package = tmp_path / "copy" / "reclog"
    shutil.copytree(ROOT / "reclog", package, ignore=shutil.ignore_patterns("__pycache__"))
    for path, text in NEW:
        place = package.parent / path
        assert not place.exists()
        place.write_text(text)
    for path, change in CHANGED:
        applied(package.parent / path, change)
    return package.parent


def test_the_source_and_the_framing_of_the_page_record(home: Home, copy: Path) -> None:
    file = home.path / "file.log"
    with socket.socket(socket.AF_UNIX) as program:
        program.bind(str(home.path / "said"))
        program.listen()
        words = ["local", "--from", f"unix:{home.path}/said", "--framing", "records", "--file", str(file)]
        done = home.run(sys.executable, "-c", RUN, *words, cwd=copy)
        assert done.returncode == 0, done.stderr
        sender, _ = program.accept()
        with sender:
            sender.sendall(b"one\x1etwo\non two lines\x1e")
            wait_until(lambda: file.read_bytes() == b"one\ntwo\non two lines\n")
        done = home.run(sys.executable, "-c", RUN, "kill", cwd=copy)
        assert done.returncode == 0, done.stderr


def test_the_outlet_of_the_page_does_what_one_has_to(home: Home, copy: Path) -> None:
    done = home.run(sys.executable, "-c", OUTLET, cwd=copy)
    assert (done.stdout, done.stderr) == ("refused\n", "")
