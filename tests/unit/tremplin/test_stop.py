"""Stopping what is through a tremplin that can't be reached, or floods us."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from unittest import mock

import pytest

from reclog.errors import HostError, NotDrainedError
from reclog.look.status import hints
from reclog.recordings.registry import Recording, Registry
from reclog.recordings.target import Target
from reclog.tremplin import stop
from reclog.tremplin.connection import _Bounded
from reclog.tremplin.login import MOST
from reclog.tremplin.survey import Relay

#: What relays hold, by their ports.
LEFT = {"7": 0, "8": 5, "90": 0}


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """A tremplin whose collector has ended: Ctrl-C in the foreground leaves it so."""
    registry = Registry(tmp_path)
    facts = {"kind": "tremplin", "host": "trem", "port": 7, "file": "/b.log", "ssh_command": ["ssh"]}
    registry.new("tremplin-trem-7", {**facts, "relay_folder": "/home/me/.local/state/reclog/relay/7"})
    return registry


def kill(registry: Registry, monkeypatch: pytest.MonkeyPatch, discard: bool) -> tuple[list[str], list[str]]:
    out_of_reach = mock.Mock(side_effect=HostError("trem: no sshd answers there."))
    monkeypatch.setattr(stop, "survey", out_of_reach)
    said: list[str] = []
    return said, stop.stop_tremplins(registry.recordings(), registry, discard, said.append)


def test_a_host_out_of_reach_is_kept(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    said, (problem,) = kill(registry, monkeypatch, discard=False)
    assert said == []
    assert "`inv kill --host trem` tries again, --discard forgets" in problem
    assert [one.name for one in registry.recordings()] == ["tremplin-trem-7"]


def test_a_relay_of_another_version_is_said_to_be_one(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = {"ready": False, "cause": "version", "message": "The relay is another version of reclog's."}
    monkeypatch.setattr(stop, "_have_relay", mock.Mock())
    monkeypatch.setattr(stop, "launch", mock.Mock(return_value=(None, answer)))
    (problem,) = stop.stop_tremplins(registry.recordings(), registry, False, print)
    assert problem == (
        "tremplin-trem-7 can't be drained: The relay is another version of reclog's. "
        "`fab -H trem tremplin --file /b.log --port-remote-in 7` brings it up to date; then this again."
    )
    assert [one.name for one in registry.recordings()] == ["tremplin-trem-7"]


def test_discard_forgets_a_host_that_is_gone_for_good(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, problems = kill(registry, monkeypatch, discard=True)
    assert (said, problems) == (["tremplin-trem-7 is forgotten; what its relay on trem has stays there."], [])
    assert registry.recordings() == []


def test_a_collector_that_ended_is_no_relay_that_did(registry: Registry) -> None:
    (hint,) = hints(registry.recordings())
    assert hint.startswith("tremplin-trem-7: The relay on trem goes on: `fab -H trem tremplin --file /b.log")
    assert hint.endswith("brings in what it has, `inv kill --host trem` stops it.")


def test_what_has_lost_its_state_can_be_cleaned_up(tmp_path: Path) -> None:
    recording = Registry(tmp_path).new("local-7", {"kind": "local", "port": 7})
    (hint,) = hints([Recording(recording.folder)])
    assert hint == "local-7 is not readable, it has no state file: `inv kill` cleans it up."


def test_each_relay_of_a_host_is_told_of_whatever_becomes_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    relays = {port: Relay({}, "", "", "", pid=0, left=left, stopping=False) for port, left in LEFT.items()}
    seen = mock.Mock(base="/relay", relays={**relays, "9": dataclasses.replace(relays["7"], owner="bob@pc")})
    monkeypatch.setattr(stop, "resolve", mock.Mock(return_value=mock.Mock(config_text=str, login="me@trem")))
    monkeypatch.setattr(stop, "survey", mock.Mock(return_value=seen))
    monkeypatch.setattr(stop, "clear", mock.Mock())
    said: list[str] = []
    with pytest.raises(NotDrainedError, match=r"port 8 of trem is stopped and holds 5 B(.|\n)*9.* bob@pc"):
        stop.stop_host(Target("trem"), Registry(tmp_path), False, False, said.append)
    assert said == ["Relay on port 7 of trem stopped.", "Relay on port 90 of trem stopped."]


def test_a_command_that_floods_fabric_is_ended() -> None:
    runner = object.__new__(_Bounded)
    runner.channel = mock.Mock()
    runner.channel.recv.return_value = runner.channel.recv_stderr.return_value = b"x" * 65536
    reads = 0
    while runner.read_proc_stdout(65536) and runner.read_proc_stderr(65536):
        reads += 1
        assert reads * 2 * 65536 <= MOST
    runner.channel.close.assert_called_once_with()
