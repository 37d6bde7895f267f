"""The site of docs/: it builds, its links lead somewhere, and nothing in it asks the network."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from bench import ROOT

NAV = re.findall(r'= "(\S+\.md)"', (ROOT / "zensical.toml").read_text())


def built(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict"], cwd=folder, capture_output=True, text=True
    )


def test_the_site_builds_and_needs_no_network(tmp_path: Path) -> None:
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    done = built(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = sorted((tmp_path / "build" / "site").glob("*.html"))
    assert {page.stem for page in pages} >= {Path(page).stem for page in NAV}
    for page in pages:
        assert not re.findall(r'(?:src|<link[^>]*href)="?(?:https?:)?//[^">]*', page.read_text()), page
    # And that it can tell.
    with (tmp_path / "docs" / "index.md").open("a") as index:
        index.write("\n[away](senders.md#nowhere)\n")
    assert built(tmp_path).returncode != 0


def test_each_page_is_in_the_menu_once() -> None:
    assert sorted(NAV) == sorted(page.name for page in (ROOT / "docs").glob("*.md"))
