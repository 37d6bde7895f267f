from __future__ import annotations

import re
from pathlib import Path

import pytest
from seeded_bugs import BUGS, MODEL, SeededBug, copy_tree, run, seed


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name.replace(" ", "-"))
def test_a_seeded_bug_is_caught_by_its_name(bug: SeededBug, tmp_path: Path) -> None:
    copy_tree(tmp_path)
    seed(tmp_path, bug)
    done = run(tmp_path, bug.caught_by)
    assert done.returncode == 1, f"not caught:\n{done.stdout}"
    # The model begins with its verdict; a test of real processes has it in its sentence.
    pattern = rf"^E +\S*Broken: {bug.verdict}" if MODEL in bug.caught_by else rf"^E .*\b{bug.verdict}\b"
    assert re.search(pattern, done.stdout, re.MULTILINE), f"caught by another name:\n{done.stdout}"


def test_without_a_bug_all_of_them_pass(tmp_path: Path) -> None:
    copy_tree(tmp_path)
    done = run(tmp_path, *sorted({bug.caught_by for bug in BUGS}))
    assert done.returncode == 0, done.stdout
