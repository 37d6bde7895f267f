"""The faults that any system can meet, by the names that reclog's own catalogue gives them."""

from __future__ import annotations

import contextlib
import os
import signal

from netns import CUT, filtered
from stage import Fault, Stage
from swarm import frozen, in_threads, reset_at_close
from through import Through


def nothing(stage: Stage) -> None:
    """A quiet second."""
    stage.busy(1.0)


def burst(stage: Stage) -> None:
    """2,000 senders at once, a line each."""
    stage.burst(2000)


def killed(role: str, number: int = signal.SIGKILL, loses: bool = True) -> Fault:
    """End one process, then give the same command again; `loses` if what it had read may go with it."""

    def fault(stage: Stage) -> None:
        victim = stage.victim(role)
        if victim is not None:
            with stage.losing() if loses else contextlib.nullcontext():
                stage.hit(victim, number)
        stage.system.again()

    return fault


def told_to_end(role: str) -> Fault:
    """SIGTERM, as a stop does; then the same command again."""

    def fault(stage: Stage) -> None:
        victim = stage.victim(role)
        if victim is not None:
            with stage.losing(settles=0):
                stage.hit(victim, signal.SIGTERM)
        stage.system.again()

    return fault


def froze(role: str) -> Fault:
    """SIGSTOP for a while."""

    def fault(stage: Stage) -> None:
        victim = stage.victim(role)
        if victim is not None:
            with frozen(victim):
                stage.busy(0.2 + stage.dice.random())

    return fault


def link_cut(stage: Stage) -> None:
    """All packets are dropped for some seconds, without a word."""
    assert isinstance(stage.system, Through)
    with filtered(stage.system.jump, CUT):
        stage.busy(2 + stage.dice.random() * 11)


def link_flaps(stage: Stage) -> None:
    """Five cuts of a moment."""
    assert isinstance(stage.system, Through)
    for _ in range(5):
        with filtered(stage.system.jump, CUT):
            stage.busy(stage.dice.random() * 0.6)
        stage.busy(stage.dice.random() * 0.6)


def renamed(stage: Stage) -> None:
    """The file is renamed, as logrotate does."""
    path = stage.system.files[-1]
    old = path.with_name(f"{path.name}.{len(stage.system.files)}")
    path.rename(old)
    stage.system.files.insert(-1, old)


def removed(stage: Stage) -> None:
    """The file is removed; a link keeps what was in it."""
    path = stage.system.files[-1]
    old = path.with_name(f"{path.name}.{len(stage.system.files)}")
    os.link(path, old)
    path.unlink()
    stage.system.files.insert(-1, old)


def vanish(stage: Stage) -> None:
    """1,000 senders that connect, write nothing or half a line, and reset."""

    def some() -> None:
        for number in range(20):
            try:
                with stage.system.connect() as sock:
                    if number % 2:
                        sock.send(b"beacon of one that vanishes")
                    reset_at_close(sock)
            except OSError:
                continue

    in_threads([some] * 50, 120)


LAN: dict[str, Fault] = {
    "nothing": nothing,
    "2,000 senders at once": burst,
    "recorder killed": killed("recorder"),
    "recorder told to end": told_to_end("recorder"),
    "recorder frozen": froze("recorder"),
    "file renamed": renamed,
    "file removed": removed,
    "1,000 senders vanish": vanish,
}

THROUGH: dict[str, Fault] = {
    "nothing": nothing,
    "2,000 senders at once": burst,
    "collector killed": killed("collector"),
    "collector told to end": told_to_end("collector"),
    "collector frozen": froze("collector"),
    "ssh killed": killed("ssh", loses=False),
    "ssh told to end": killed("ssh", signal.SIGTERM, loses=False),
    "session killed": killed("session", loses=False),
    "relay killed": killed("relay"),
    "relay told to end": told_to_end("relay"),
    "relay frozen": froze("relay"),
    "link cut": link_cut,
    "link flaps": link_flaps,
    "file renamed": renamed,
}
