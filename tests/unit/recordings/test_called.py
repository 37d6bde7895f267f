"""What recordings are called: by a name that is given, that stays, and that is nobody else's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reclog.errors import NameTakenError, ReclogError, UsageError
from reclog.program import HERE, THERE
from reclog.recordings.again import again_command, stop_command
from reclog.recordings.called import recognised, refuse_another
from reclog.recordings.change import changes
from reclog.recordings.checks import COMMANDS, called
from reclog.recordings.registry import Recording, Registry
from reclog.recordings.settings import resolve_local, resolve_tremplin

FACTS = {"kind": "local", "port": 6000, "dial": ["exec:a"], "dial_in": "/d", "stamp": True}


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path)


def begun(registry: Registry, name: str = "", file: str = "/a.log", **facts: Any) -> Recording:
    return registry.new("local-6000", {**FACTS, "file": file, "called": name, **facts})


def ended(recording: Recording) -> Recording:
    (recording.folder / "past.json").write_text(json.dumps(recording.facts))
    (recording.folder / "config.json").unlink()
    return Recording(recording.folder)


@pytest.mark.parametrize("name", ["k", "9", "Kitchen_2.0-b", "a" * 40, ""])
def test_a_name(name: str) -> None:
    assert called(name) == name


@pytest.mark.parametrize(
    "name",
    [
        *("a" * 41, ".a", "-a", "_", "a/b", "..", "a b", "a\n", "\u00e9", "$(x)", "{host}", ["a"]),
        *("kill", "dev.nats", "publisher-n1"),
    ],
)
def test_what_can_be_no_name(name: Any) -> None:
    with pytest.raises(UsageError, match=r"^--as .*: give a"):
        called(name)


def test_no_command_can_be_a_name() -> None:
    assert {task.name for task in (*HERE, *THERE)} <= {*COMMANDS}


def test_of_several_hosts_each_has_a_name() -> None:
    flags = {"as_": "a-{host}", "file": "{host}.log"}
    assert resolve_tremplin(flags, {}, "my@host", 2).called == "a-my_host"
    with pytest.raises(UsageError, match=r"^--as needs .host. in it"):
        resolve_tremplin({**flags, "as_": "a"}, {}, "h", 2)


def test_a_name_that_is_given_stays_with_the_file(registry: Registry) -> None:
    one = begun(registry, "kitchen")
    assert (one.name, one.is_called) == ("kitchen", True)
    assert stop_command(one) == "inv kill kitchen"
    assert again_command(one) == "inv local --port 6000 --from exec:a --file /a.log --as kitchen"
    ended(one)
    again = begun(registry)
    assert (again.name, again.is_called) == ("kitchen", True)


def test_a_file_is_called_otherwise_from_now_on(registry: Registry) -> None:
    one = ended(begun(registry))
    (one.folder / "index.blocks").write_bytes(b"known of it")
    assert begun(registry, "kitchen").folder.name == "kitchen"
    assert (registry.folder / "kitchen" / "index.blocks").exists()
    assert not one.folder.exists()


@pytest.mark.parametrize("past", [False, True])
def test_a_name_is_one_recordings(registry: Registry, past: bool) -> None:
    one = begun(registry, "kitchen")
    if past:
        ended(one)
    ended(begun(registry, file="/b.log"))
    for file in ("/b.log", "/c.log"):
        free = " with --as, or `inv history --forget kitchen`" if past else " with --as"
        with pytest.raises(NameTakenError, match=f"kitchen is the recording of /a.log: .*{free}.$"):
            begun(registry, "kitchen", file)


@pytest.mark.parametrize("past", [False, True])
def test_a_name_stands_for_what_it_names(registry: Registry, past: bool) -> None:
    one = begun(registry, "kitchen")
    if past:
        ended(one)
    again = recognised(resolve_local({"as_": "kitchen"}, {}), registry, "local")
    assert (again.port, again.dial, again.dial_in, again.file) == (6000, ["exec:a"], "/d", "/a.log")
    assert not again.stamp
    other = recognised(resolve_local({"as_": "kitchen", "port": 7, "file": "/b.log"}, {}), registry, "local")
    assert (other.port, other.file) == (7, "/b.log")


def test_a_name_stands_for_nothing_of_another_kind_or_host(registry: Registry) -> None:
    begun(registry, "kitchen", kind="tremplin", login="me@there:22", port_remote_in=6000)
    local = resolve_local({"as_": "kitchen"}, {})
    assert recognised(local, registry, "local") == local
    through = resolve_tremplin({"as_": "kitchen"}, {}, "there")
    known = recognised(through, registry, "tremplin", "me@there:22")
    assert (known.port_remote_in, known.file) == (6000, "/a.log")
    assert recognised(through, registry, "tremplin", "me@elsewhere:22") == through


def test_what_runs_is_not_called_otherwise(registry: Registry) -> None:
    running = begun(registry)
    assert changes(running, resolve_local({"as_": "local-6000"}, {})) == {}
    said = "local-6000 runs with --as local-6000, and that does not change"
    with pytest.raises(ReclogError, match=said):
        changes(running, resolve_local({"as_": "kitchen"}, {}))
    refuse_another(resolve_local({"as_": "local-6000"}, {}), running)
    with pytest.raises(ReclogError, match="That is the recording local-6000: leave --as out"):
        refuse_another(resolve_local({"as_": "kitchen"}, {}), running)
