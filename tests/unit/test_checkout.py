"""The command that brings what is missing, as whoever installed reclog would say it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from reclog import checkout


@pytest.mark.parametrize(
    ("receipt", "command"),
    [
        ("uv-receipt.toml", "uv tool install 'reclog[view]{from}'"),
        ("pipx_metadata.json", "pipx install --force 'reclog[view]{from}'"),
        ("", "{python} -m pip install 'reclog[view]{from}'"),
        ("bootstrap.sh", "sh {root}/bootstrap.sh view"),
    ],
)
@pytest.mark.parametrize("url", ["", " @ file:///x/reclog.whl"])
def test_an_extra_is_installed_as_reclog_was(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, receipt: str, command: str, url: str
) -> None:
    (tmp_path / (receipt or "other")).touch()
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(checkout, "ROOT", tmp_path)
    monkeypatch.setattr(checkout, "_origin", lambda: url)
    said = command.format(**{"from": url, "python": sys.executable, "root": tmp_path})
    assert checkout.install_command("view") == said


def test_where_this_one_came_from_is_known() -> None:
    assert checkout._origin() == f" @ {checkout.ROOT.as_uri()}"
