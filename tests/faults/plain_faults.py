"""The faults that any system can meet, by the names that reclog's own catalogue gives them."""

from __future__ import annotations

import contextlib
import signal

from lan_edits import removed, renamed
from lan_faults import nothing
from stage import Fault, Stage
from swarm import frozen, in_threads, reset_at_close
from through_faults import link_cut, link_flaps


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
    "link cut": link_cut(2, 13),
    "link flaps": link_flaps,
    "file renamed": renamed,
}
