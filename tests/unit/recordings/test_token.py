"""A recording's token: made once, kept for its user alone, known to its daemons by its hash."""

from __future__ import annotations

from pathlib import Path

import pytest

from reclog.errors import StateError
from reclog.recordings.registry import Registry
from reclog.recordings.settings import resolve_local
from reclog.recordings.token import LETTERS, made, settled, text_of, told


def kept_by(registry: Registry, name: str = "local-1") -> Path:
    return registry.root / "tokens" / name


def test_one_is_long_and_types_well() -> None:
    token = made()
    letters = token.replace("-", "")
    assert len(letters) * 5 >= 128
    assert len(set(LETTERS)) == 32
    assert set(letters) <= set(LETTERS)
    assert not set(letters) & set("0Oo1lI")
    assert made() != token


def test_it_is_made_once_and_kept_for_its_user_alone(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "reclog")
    wanted = resolve_local({"token": True}, {})
    first = settled(wanted, registry, "local-1")
    text = text_of(str(first.token), registry)
    assert text not in str(first)
    assert settled(wanted, registry, "local-1") == first
    assert settled(wanted, registry, "local-2") != first
    assert settled(resolve_local({}, {}), registry, "local-1").token == ""
    own = settled(resolve_local({}, {"token": "correct-horse"}), registry, "local-1")
    assert text_of(str(own.token), registry) == "correct-horse"
    assert settled(wanted, registry, "local-1") == own
    path = kept_by(registry)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.parametrize("content", ["", "{}", '{"token": 5}', "[]"])
def test_what_is_kept_may_be_spoiled(tmp_path: Path, content: str) -> None:
    registry = Registry(tmp_path)
    kept_by(registry).parent.mkdir()
    kept_by(registry).write_text(content)
    token = str(settled(resolve_local({"token": True}, {}), registry, "local-1").token)
    assert text_of(token, registry)


def test_where_none_can_be_kept_it_is_said(tmp_path: Path) -> None:
    kept_by(Registry(tmp_path)).parent.write_text("no folder")
    with pytest.raises(StateError, match="can't be written"):
        settled(resolve_local({"token": True}, {}), Registry(tmp_path), "local-1")


@pytest.mark.parametrize("tls", [False, True])
def test_how_it_is_said_fits_a_terminal(tmp_path: Path, tls: bool) -> None:
    registry = Registry(tmp_path)
    token = settled(resolve_local({"token": True}, {}), registry, "local-55514").token
    facts = {"port": 55514, "token": token, "tls": tls, "tls_cert": "/tls/lab.pem"}
    lines = told(registry.new("local-55514", facts), registry, "192.168.1.10")
    assert lines[0] == f"Token: {text_of(str(token), registry)}"
    by_tls = [line for line in lines if "openssl s_client" in line]
    assert len(by_tls) == tls
    assert all("-CAfile lab.pem" in line for line in by_tls)
    assert max(len(line) for line in lines if line not in by_tls) <= 80
    kept_by(registry, "local-55514").unlink()
    (sentence,) = told(registry.new("local-55514", facts), registry, "192.168.1.10")
    assert "--token makes another one" in sentence
