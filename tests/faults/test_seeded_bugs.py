from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ledger import Broken
from seeded_bugs import BUGS, ROOT, SeededBug, seeded, write_seeded
from stream_bugs import BUGS as STREAM_BUGS


@pytest.mark.parametrize("bug", [*BUGS, *STREAM_BUGS], ids=lambda bug: bug.name.replace(" ", "-"))
def test_a_seeded_bug_is_caught_by_its_name(bug: SeededBug) -> None:
    with seeded(bug), pytest.raises(Broken, match=f"^{bug.verdict}: "):
        bug.caught_by()


def test_a_drain_that_is_skipped_is_caught(tmp_path: Path) -> None:
    """The same in real processes: a copy of all, in which a stop takes nothing out of the queue."""
    ignore = shutil.ignore_patterns("__pycache__", ".*", "corpus")
    for name in ("reclog", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignore)
    for name in ("pyproject.toml", "tasks.py", "fabfile.py"):
        shutil.copy(ROOT / name, tmp_path)
    write_seeded(tmp_path, "Entrance.drain", "self._let_arrive()", "return Drained(True, 0, 0)")
    test = "tests/integration/test_stop.py::test_kill_keeps_the_queue[{}-recorder]"
    nodes = [test.format(listener) for listener in ("builtin", "socat")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n0", "-p", "no:cacheprovider", "-q", *nodes],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    said = re.findall(r"^E .*\bof \d+ accepted lines are lost\b", done.stdout, re.MULTILINE)
    assert len(said) == len(nodes), done.stdout
