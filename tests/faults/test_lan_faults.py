"""Faults of a recording on a LAN, a few on each: nothing is lost but what the design says may be."""

from __future__ import annotations

import pytest
from bench import Home
from dialling import FAULTS as DIALLING
from dialling import Dialling
from lan import Lan
from lan_faults import ROOT, ROTATION, faults_for, of_tls
from lan_tls import LanTls
from stage import play

BOTH, SOCAT, BUILTIN = ("socat", "builtin"), ("socat",), ("builtin",)
#: Faults that share a recording, to save its start and its stop: a name, the listeners, the faults.
#: What both listeners do is done with one of them here, in turns; a campaign does all with both.
GROUPS = [
    ("recorder", BOTH, ["recorder killed", "recorder told to end", "recorder frozen"]),
    ("socat", SOCAT, ["socat killed", "fork killed", "socat frozen", "fork frozen", "fork told to end"]),
    ("socat told", SOCAT, ["socat told to end", "no open files left for socat"]),
    ("fork(2)", SOCAT, ["no processes left for socat"]),
    ("commands", SOCAT, ["stopped twice at once", "started twice at once"]),
    ("more commands", BUILTIN, ["stopped", "stopped and started at once"]),
    ("a second", BUILTIN, ["a second on the file", "a second on the port"]),
    ("writes", BOTH, ["killed before a write", "killed after a write", "writes are short"]),
    (
        "state written",
        BUILTIN,
        ["killed before new counters", "killed after new counters", "counters can't be written"],
    ),
    ("start", SOCAT, ["killed at the start"]),
    ("writes fail", BOTH, ["writes fail, EIO", "writes fail, ENOSPC"]),
    ("disk", BOTH, ["disk full", "disk full, killed", "disk full, stopped"]),
    (
        "file",
        BOTH,
        [
            *("file truncated", "file renamed", "file renamed, a new one made", "file replaced"),
            *("file removed", "file added to, a line", "file added to, half a line"),
        ],
    ),
    (
        "file when dead",
        SOCAT,
        ["file truncated when dead", "file renamed when dead", "file added to, half a line when dead"],
    ),
    (
        "file when dead",
        BUILTIN,
        [
            "file renamed, a new one made when dead",
            "file replaced when dead",
            "file removed when dead",
            "file added to, a line when dead",
        ],
    ),
    (
        "datagrams",
        BUILTIN,
        [
            "datagrams, recorder frozen",
            "datagrams, disk full",
            "datagrams, stopped",
        ],
    ),
    ("clock", BUILTIN, ["clock jumps"]),
    (
        "senders",
        BOTH,
        [
            *("200 silent senders stay", "1,000 senders vanish", "2,000 senders at once"),
            *("no open files left", "nothing"),
        ],
    ),
    ("rotation", BUILTIN, [*ROTATION]),
    ("strangers", BUILTIN, ["strangers come"]),
    ("state", SOCAT, ["state cut short"]),
    ("state", BUILTIN, ["killed, state cut short"]),
]


def _cases() -> list[object]:
    return [
        pytest.param(
            listener,
            names,
            id=f"{listener}-{group}",
            marks=[pytest.mark.root] if set(names) & set(ROOT) else [],
        )
        for number, (group, listeners, names) in enumerate(GROUPS)
        for listener in (listeners[number % len(listeners)],)
    ]


@pytest.mark.root
@pytest.mark.parametrize("names", [["recorder killed", "stopped"], ["disk full", "disk full, stopped"]])
def test_nothing_is_lost_of_tls(home: Home, names: list[str]) -> None:
    play(LanTls(home), {name: of_tls()[name] for name in names}, seed=len(str(names)))


@pytest.mark.parametrize(("listener", "names"), _cases())
def test_nothing_is_lost(home: Home, listener: str, names: list[str]) -> None:
    faults = faults_for(listener)
    wanted = [name for name in names if name in faults]
    if not wanted:
        pytest.skip("can't be done on this system")
    lan = Lan(home, listener)
    lan.set_aside.words = (
        ["--rotate", "1MiB", "--keep", "2", "--compress"] if set(names) & {*ROTATION} else []
    )
    play(lan, {name: faults[name] for name in wanted}, seed=len(str(names)))


@pytest.mark.root
def test_nothing_of_a_device_is_lost(home: Home) -> None:
    play(Dialling(home), DIALLING, seed=12)


def test_every_fault_has_its_test() -> None:
    for listener in BOTH:
        assert not {*faults_for(listener)} - {name for _, _, names in GROUPS for name in names}
