"""What is kept for the next boot, and who is refused; systemd is a stand-in."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from reclog.boot import crontab, here, systemd
from reclog.boot.commands import CommandError
from reclog.boot.units import unit_name
from reclog.engine.daemons.config import RecorderConfig
from reclog.engine.daemons.daemon import ConfigUnusable, Daemon
from reclog.engine.intake.token import Token
from reclog.errors import BootError
from reclog.recordings import past
from reclog.recordings.recording import Recording
from reclog.recordings.registry import Registry
from reclog.recordings.target import Target
from reclog.tremplin.at_boot import takes_an_agent
from reclog.tremplin.login import Way

TOLD: dict[str, Any] = {
    "port": 1,
    "bind": "::",
    "listener": "builtin",
    "allow": [],
    "stamp": False,
    "partial_after": 2.0,
    "token": Token.of("open sesame, of 16 or more").word,
}


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "reclog")


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Have a systemd that does what it is told; return that."""
    said: list[tuple[str, ...]] = []
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(systemd, "is_here", lambda: True)

    def answer(*words: str) -> str:
        said.append(words[2:])
        if "enable" in words:
            wants = Path(systemd.folder()) / "default.target.wants"
            wants.mkdir(exist_ok=True)
            if not systemd.is_enabled(words[-1]):
                (wants / words[-1]).symlink_to(systemd.path(words[-1]))
        return "inactive"

    monkeypatch.setattr(systemd, "_said", answer)
    return said


def recording(registry: Registry, tmp_path: Path, **facts: Any) -> Recording:
    new = registry.new("local-1", {**TOLD, "file": str(tmp_path / "a.log"), "kind": "local", **facts})
    (new.folder / "state.json").write_text(json.dumps({"role": "recorder", **facts}))
    return Recording(new.folder)


def ran(folder: Path, again: bool, **more: Any) -> RecorderConfig:
    """Have a daemon be told, and end; return what it was told."""
    daemon = Daemon(str(folder), again=again, role="recorder")
    config = daemon.told(RecorderConfig)
    daemon.announce()
    daemon.show(lambda: None, dict)
    daemon._told.update(more)
    daemon.leave()
    return config


def test_it_comes_back_as_it_was_when_it_ended(
    registry: Registry, tmp_path: Path, asked: list[tuple[str, ...]]
) -> None:
    one = recording(registry, tmp_path, foreground_of=7)
    assert here.have(one) == "reclog-local-1.service"
    assert here.comes_back(one)
    kept = one.folder / "boot.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    ran(one.folder, again=False, stamp=True)
    assert not (one.folder / "config.json").exists()
    first = ran(one.folder, again=True)
    assert (first.listening.stamp, first.foreground_of) == (True, 0)
    assert first.listening.token == TOLD["token"]
    # And after a kill -9: who cleans up keeps it, too.
    (one.folder / "config.json").write_text(json.dumps({**json.loads(kept.read_text()), "max_senders": 9}))
    Recording(one.folder).clean()
    assert ran(one.folder, again=True).listening.max_senders == 9
    # What a power cut has left half written.
    (one.folder / "config.json").write_text("")
    assert ran(one.folder, again=True).listening.max_senders == 9
    assert [path.name for path in here.coming_back(registry)] == ["local-1"]
    here.off(one)
    assert not here.coming_back(registry)
    assert not Path(systemd.folder()).exists()
    with pytest.raises(ConfigUnusable, match=r"config\.json"):
        ran(one.folder, again=True)


def test_another_name_of_its_folder_ends_it(
    registry: Registry, tmp_path: Path, asked: list[tuple[str, ...]]
) -> None:
    one = recording(registry, tmp_path)
    here.have(one)
    ran(one.folder, again=False)
    moved = registry.new("local-2", {"file": str(tmp_path / "a.log"), "kind": "local"})
    (tmp_path / "a.log").touch()
    assert moved.name == "local-2"
    assert not here.comes_back(moved)
    here.sweep(registry)
    assert not systemd.ours()


def test_without_systemd_it_comes_back_once_the_crontab_has_its_line(
    registry: Registry, tmp_path: Path, asked: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systemd, "is_here", lambda: False)
    one = recording(registry, tmp_path)
    line = here.reboot_line(one)
    table = b"0 5 * * * backup\n"
    monkeypatch.setattr(crontab, "read", lambda: table)
    assert not here.comes_back(one)
    table = crontab.with_line(table, line, one.name)
    assert here.comes_back(one)
    assert "'# reclog local-1'" in here.off(one)
    assert not here.comes_back(one)
    here.reboot_line(one)
    assert here.comes_back(one)

    def unreadable() -> bytes:
        raise CommandError("you (root) are not allowed to use this program")

    monkeypatch.setattr(crontab, "read", unreadable)
    assert not here.comes_back(one)
    assert here.off(one) == ""


def test_who_starts_at_boot_is_not_forgotten_by_itself(
    registry: Registry, tmp_path: Path, asked: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = recording(registry, tmp_path)
    here.have(one)
    ran(one.folder, again=False)
    monkeypatch.setattr(past, "MOST", 0)
    assert past.forget_the_oldest(registry) == []
    (one.folder / "boot.json").unlink()
    assert past.forget_the_oldest(registry) == ["local-1"]


def test_another_state_folders_unit_stays(
    registry: Registry, tmp_path: Path, asked: list[tuple[str, ...]]
) -> None:
    here.have(recording(registry, tmp_path))
    other = Registry(tmp_path / "other")
    with pytest.raises(BootError, match="another state folder's"):
        here.have(namesake := recording(other, tmp_path))
    (namesake.folder / "boot.json").write_text("{}")
    del asked[:]
    assert (here.comes_back(namesake), here.hold([namesake]), here.gone(namesake)) == (False, ([], []), False)
    here.off(namesake)
    here.sweep(other)
    assert not asked
    assert systemd.ours() == ["reclog-local-1.service"]
    assert systemd.is_enabled("reclog-local-1.service")


def test_a_kill_stops_the_unit_and_takes_away_what_does_not_come_back(
    registry: Registry, tmp_path: Path, asked: list[tuple[str, ...]]
) -> None:
    one = recording(registry, tmp_path)
    assert here.hold([one]) == ([], [])
    here.have(one)
    del asked[:]
    assert "inv boot local-1 --off" in here.hold([one])[0][0]
    assert asked == [("stop", unit_name("local-1")), ("reset-failed", unit_name("local-1"))]
    (one.folder / "boot.json").unlink()
    assert here.hold([one]) == ([], [])
    assert not systemd.ours()
    assert not here.gone(one)
    here.have(one)
    del asked[:]
    assert here.gone(one)
    assert asked[0] == ("stop", unit_name("local-1"))
    assert not systemd.ours()


def test_who_runs_programs_of_the_users_is_in_no_sandbox(
    registry: Registry, tmp_path: Path, asked: list[tuple[str, ...]]
) -> None:
    one = recording(registry, tmp_path)
    for dial, proxy, sandboxed in (([], "", True), (["exec:a"], "", False), ([], "  proxycommand x", False)):
        one.facts["dial"] = dial
        (one.folder / "ssh_config").write_text(proxy)
        here.have(one)
        assert ("SystemCallFilter" in systemd.text(unit_name("local-1"))) is sandboxed


@pytest.mark.parametrize(("facts", "why"), [({"role": ""}, "older reclog"), ({}, "enable-linger")])
def test_why_it_does_not_is_said(
    registry: Registry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    facts: dict[str, str],
    why: str,
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))  # where no systemd is
    with pytest.raises(BootError, match=why):
        here.have(recording(registry, tmp_path, **facts))
    assert not systemd.ours()
    assert not list(registry.folder.glob("*/boot.json"))


@pytest.mark.parametrize(
    ("words", "status"), [("echo Permission denied >&2; exit 255", True), ("exit 255", False)]
)
def test_a_login_by_an_agent_alone_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, status: bool
) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text(f'#!/bin/sh\ncase "$*" in *IdentityAgent=none*) {words};; esac\n')
    ssh.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert takes_an_agent(Way(tmp_path / "config", Target("trem"))) is status


def test_an_end_that_no_start_mends_has_a_status_of_its_own(tmp_path: Path) -> None:
    command = [sys.executable, "-I", "-m", "reclog.engine", "recorder", "--folder", str(tmp_path), "--again"]
    assert subprocess.run(command, check=False).returncode == 2
    (tmp_path / "config.json").write_text(json.dumps({**TOLD, "file": str(tmp_path / "no" / "a.log")}))
    assert subprocess.run(command, check=False).returncode == 1
