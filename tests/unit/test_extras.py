"""The command that brings what is missing, as whoever installed reclog would say it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from reclog import extras
from reclog.errors import ReclogError


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
    monkeypatch.setattr(extras, "ROOT", tmp_path)
    monkeypatch.setattr(extras, "_origin", lambda: url)
    said = command.format(**{"from": url, "python": sys.executable, "root": tmp_path})
    assert extras.install_command("view") == said


def test_where_this_one_came_from_is_known() -> None:
    assert extras._origin() == f" @ {extras.ROOT.as_uri()}"


def test_what_is_not_there_is_said_with_the_command_that_brings_it() -> None:
    extras.need("This", "view", "json", "sys")
    with pytest.raises(ReclogError, match=r"^This needs what is not installed here: `.*view.*` brings it\.$"):
        extras.need("This", "view", "json", "no_such_module")
