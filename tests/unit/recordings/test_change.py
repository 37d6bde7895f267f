"""What the same command again changes of a recording, and what it must not pass over."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from reclog.errors import ReclogError
from reclog.recordings.change import changes, checked, kept, spoken
from reclog.recordings.registry import Recording, Registry
from reclog.recordings.settings import TremplinSettings, resolve_local, resolve_tremplin


@pytest.fixture
def running(tmp_path: Path) -> Recording:
    began = dataclasses.asdict(resolve_tremplin({"file": "/b.log", "stamp": True}, {}, "trem"))
    facts = {"kind": "tremplin", "host": "trem", **began, "listener": "builtin"}
    return Registry(tmp_path).new("tremplin-trem-1", facts)


def asked(flags: dict[str, Any], config: dict[str, Any] | None = None) -> TremplinSettings:
    return resolve_tremplin(flags, config or {}, "trem")


@pytest.mark.parametrize(
    ("flags", "config", "wanted"),
    [
        ({}, {}, {}),
        ({"file": "/b.log", "stamp": True, "foreground": True, "take_over": True}, {}, {}),
        ({"listener": "auto", "bind": "::", "allow": ["any"]}, {"port": 1}, {}),
        ({"allow": ["10.0.0.0/8"]}, {}, {"allow": ["10.0.0.0/8"]}),
        ({"no_stamp": True}, {"stamp": True}, {"stamp": False}),
        ({}, {"spool_max": "2MiB", "stamp": False}, {"spool_max": 2 << 20, "stamp": False}),
        ({"rotate": ["1d,2MiB"], "keep": ["5"]}, {}, {"rotate": ["1d", "2MiB"], "keep": ["5"]}),
        ({"max_senders": "9", "max_per_address": "2"}, {}, {"max_senders": 9, "max_per_address": 2}),
    ],
)
def test_only_what_is_said_changes(
    running: Recording, flags: dict[str, Any], config: dict[str, Any], wanted: dict[str, Any]
) -> None:
    assert changes(running, asked(flags, config)) == wanted


@pytest.mark.parametrize(
    ("flags", "differs"),
    [
        ({"file": "/c.log", "allow": ["10.0.0.0/8"]}, "--file /b.log"),
        ({"bind": "127.0.0.1", "port_remote_out": 9}, "--bind ::, no --port-remote-out"),
        ({"framing": "lines"}, "--framing auto"),
        ({"tls": True}, "--no-tls"),
    ],
)
def test_what_can_not_change_is_no_success(running: Recording, flags: dict[str, Any], differs: str) -> None:
    said = f"runs with {differs}, and that does not change while it runs: `inv kill --host trem`"
    with pytest.raises(ReclogError, match=said):
        changes(running, asked(flags))


def test_a_certificate_changes_where_its_files_are(running: Recording, tmp_path: Path) -> None:
    words: dict[str, Any] = {"tls": True, "tls_cert": "/a.pem", "tls_key": "/a.key", "file": "/b.log"}
    there = Recording(running.folder)
    there.facts.update(tls=True, tls_cert="/own.pem", tls_key="/own.key")
    with pytest.raises(
        ReclogError, match=r"runs with --tls-cert /own\.pem, --tls-key /own\.key, and that does not"
    ):
        changes(there, asked(words))
    there.facts["kind"] = "local"
    here = resolve_local(words, {})
    assert changes(there, here) == {"tls_cert": "/a.pem", "tls_key": "/a.key"}
    with pytest.raises(ReclogError, match="runs with no --tls-clients"):
        changes(there, resolve_local({**words, "tls_clients": "/ca.pem"}, {}))


@pytest.mark.parametrize("answer", [{}, {"error": "no\x1b[2J"}, {"set": 1}, {"message": "invalid choice"}])
def test_no_answer_is_no_change(running: Recording, answer: dict[str, Any]) -> None:
    said = r"is not changed \([a-z 0-9\\\[J]+\): `inv kill --host trem`, then"
    with pytest.raises(ReclogError, match=said):
        checked(running, answer)


def test_what_was_not_said_stays_where_it_makes_sense() -> None:
    facts = {
        "stamp": True,
        "allow": ["10.0.0.0/8"],
        "port_remote_out": 99999,
        "bind": 5,
        "partial_after": 7.0,
    }
    settings = kept(asked({"partial_after": "3"}), {**facts, "said": ["x"], "take_over": True})
    assert settings == dataclasses.replace(asked({"partial_after": "3"}), stamp=True, allow=["10.0.0.0/8"])
    assert kept(asked({}), facts, but=["stamp", "allow"]).partial_after == 7.0


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("stamp", False, "--no-stamp"),
        ("allow", ["a", "b"], "--allow a --allow b"),
        ("allow", [], "--allow any"),
        ("spool_max", 5, "--spool-max 5"),
        ("port_remote_out", 0, "no --port-remote-out"),
        ("dial", ["exec:a b"], "--from 'exec:a b'"),
        ("dial", [], "no --from"),
        ("names", ["10.0.0.1=a"], "--name 10.0.0.1=a"),
        ("names", [], "--name any"),
    ],
)
def test_options_as_a_person_says_them(name: str, value: object, words: str) -> None:
    assert spoken(name, value) == words
