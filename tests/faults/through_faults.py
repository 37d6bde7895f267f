"""Faults of a recording through a tremplin: each does something to a stage whose system is a `Through`."""

from __future__ import annotations

import contextlib
import datetime
import errno
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from bench import wait_until
from clock import COMPILER
from datagrams import floods, while_held_up
from netns import CUT, Namespace, filtered
from pressure import pressing
from rotation_faults import rotation_faults
from small_disk import SmallDisk
from stage import Fault, Stage
from swarm import frozen
from through_acts import at_once, counters, end_collector, events, stating, system_of
from through_edits import EDITS
from through_owners import OWNERS
from through_points import POINTS, arm
from through_strangers import STRANGERS
from token_faults import strangers_come

# -- processes ----------------------------------------------------------------------------------------


def collector_killed(stage: Stage) -> None:
    end_collector(stage, signal.SIGKILL)
    system_of(stage).again()


def collector_told_to_end(stage: Stage) -> None:
    with stating(stage, "stopped", "started"):
        end_collector(stage, signal.SIGTERM)
        system_of(stage).again()


def ended(role: str, number: int) -> Fault:
    """End a process that its collector has started again."""

    def fault(stage: Stage) -> None:
        with stating(stage, "disconnected", "connected"):
            stage.hit(stage.the(role), number)

    return fault


def relay_killed(stage: Stage) -> None:
    with stating(stage, "disconnected", "starting the relay again"):
        relay = stage.the("relay")
        with stage.losing():
            stage.hit(relay, signal.SIGKILL)


def relay_told_to_end(stage: Stage) -> None:
    with stating(stage, "stopped", there=True), stating(stage, "disconnected", "starting the relay again"):
        relay = stage.the("relay")
        with stage.losing(settles=0):
            stage.hit(relay, signal.SIGTERM)


def froze(role: str, least: float, most: float) -> Fault:
    """SIGSTOP for some seconds."""

    def fault(stage: Stage) -> None:
        with frozen(stage.the(role)):
            stage.pause(least, most)

    return fault


def killed_at_once(*roles: str) -> Fault:
    """SIGKILL of several, as near together as it goes."""

    def fault(stage: Stage) -> None:
        victims = [stage.the(role) for role in roles]
        with stage.losing():
            at_once(stage, victims, signal.SIGKILL)
        if "collector" in roles:
            system_of(stage).again()

    return fault


# -- the link -----------------------------------------------------------------------------------------

_RESET = """
table inet cut {
  chain input {
    type filter hook input priority -10
    iifname "laptop" meta l4proto tcp reject with tcp reset
  }
  chain output {
    type filter hook output priority -10
    oifname "laptop" meta l4proto tcp reject with tcp reset
  }
}
"""
_LOSSY = """
table inet cut {
  chain input {
    type filter hook input priority -10
    iifname "laptop" numgen random mod 100 < 5 counter drop
  }
  chain output {
    type filter hook output priority -10
    oifname "laptop" numgen random mod 100 < 5 counter drop
  }
}
"""


def link_reset(stage: Stage) -> None:
    with stating(stage, "disconnected", "connected"), filtered(system_of(stage).jump, _RESET):
        before = len(events(stage, "disconnected"))
        wait_until(lambda: len(events(stage, "disconnected")) > before, 40, "the reset is noticed")


def link_cut(least: float, most: float) -> Fault:
    """Drop all packets without a word."""

    def fault(stage: Stage) -> None:
        before = len(events(stage, "disconnected"))
        seconds = least + stage.dice.random() * (most - least)
        with filtered(system_of(stage).jump, CUT):
            stage.busy(seconds)
        if seconds > 20:
            assert len(events(stage, "disconnected")) > before, "silence is noticed within 20 s"

    return fault


def link_flaps(stage: Stage) -> None:
    for _ in range(5):
        with filtered(system_of(stage).jump, CUT):
            stage.busy(stage.dice.random() * 0.6)
        stage.busy(stage.dice.random() * 0.6)


def link_lossy(stage: Stage) -> None:
    jump = system_of(stage).jump
    with filtered(jump, _LOSSY):
        stage.busy(1.5 + stage.dice.random())
        # Under so little traffic none may fall to the dice for a while.
        wait_until(lambda: _dropped(jump) > 0, 30, "a packet is lost")


def _dropped(host: Namespace) -> int:
    words = host.run("nft", "list", "table", "inet", "cut").split()
    return sum(int(words[at + 1]) for at, word in enumerate(words) if word == "packets")


def link_slow(stage: Stage) -> None:
    system = system_of(stage)
    ends = ((system.jump, "laptop"), (system.laptop, "uplink"))
    for host, interface in ends:
        words = ["root", "tbf", "rate", "1mbit", "burst", "16kbit", "latency", "400ms"]
        host.run("tc", "qdisc", "add", "dev", interface, *words)
    try:
        with pressing(stage):
            wait_until(
                lambda: counters(system.recording.folder).get("lag_bytes", 0) > 20_000, 10, "it lags behind"
            )
        stage.pause(1.0, 2.0)  # not under pressure: it is to catch up soon
    finally:
        for host, interface in ends:
            host.run("tc", "qdisc", "delete", "dev", interface, "root")


# -- room ---------------------------------------------------------------------------------------------


def _filled(stage: Stage, disk: SmallDisk, there: bool, *idle: str) -> None:
    """Take away all room, give a little of it again and again, so that lines are cut, then all.

    Processes of the roles in `idle` are frozen meanwhile.
    """
    before = len(events(stage, "paused", there))
    # When there is room again the spool may be full too: that ends with the next ack, when nobody is frozen.
    with stating(stage, "paused", "resumed", there=there), contextlib.ExitStack() as stack:
        for role in idle:
            stack.enter_context(frozen(stage.the(role)))
        # Before there is more to write: a mount takes so long that the spool would be full first.
        disk.fill(0)
        with pressing(stage):
            try:
                wait_until(
                    lambda: len(events(stage, "paused", there)) > before or _full(disk), 20, "it is full"
                )
                for _ in range(3):
                    stage.busy(stage.dice.random() * 0.4)
                    disk.fill(4096 * stage.dice.randint(1, 4))
                stage.pause(0.0, 0.4)
            finally:
                disk.make_room()
    reasons = {event["reason"] for event in events(stage, "paused", there)[before:]}
    assert os.strerror(errno.ENOSPC) in reasons, reasons


def _full(disk: SmallDisk) -> bool:
    return os.statvfs(disk.path).f_bavail == 0


def disk_full_here(stage: Stage) -> None:
    _filled(stage, system_of(stage).disk_here, False)


@contextlib.contextmanager
def full_there(stage: Stage) -> Iterator[None]:
    """Leave no room there meanwhile."""
    system = system_of(stage)
    with stating(stage, "paused", "resumed", there=True), frozen(stage.the("collector")):
        before = len(events(stage, "paused", True))
        try:
            system.disk_there.fill(0)
            wait_until(lambda: len(events(stage, "paused", True)) > before, 20, "it is paused")
            yield
        finally:
            system.disk_there.make_room()


def disk_full_there(stage: Stage) -> None:
    # Or it makes room by itself, as fast as its lines are acked.
    _filled(stage, system_of(stage).disk_there, True, "collector")


def spool_full(stage: Stage) -> None:
    """Nobody records for a while: senders wait."""
    system = system_of(stage)
    with stating(stage, "paused", "resumed", there=True):
        end_collector(stage)
        with pressing(stage):
            wait_until(
                lambda: "spool full" in counters(system.relay_folder).get("paused_for", ""), 30, "it is full"
            )
            stage.pause(0.0, 0.5)
            system.again()


# -- clocks -------------------------------------------------------------------------------------------


def clock_jumps(there: bool) -> Fault:
    """Hours on, or back, while it records and while it reconnects; then as it was."""

    def fault(stage: Stage) -> None:
        system = system_of(stage)
        clock = system.clocks[there]
        hours = stage.dice.choice([-30, -1, 1, 30])
        for seconds in (hours * 3600, 0):
            clock.set(seconds)
            stage.busy(0.3 + stage.dice.random() * 0.5)
            with stating(stage, "collector connected", there=True), stating(stage, "connected"):
                stage.hit(stage.the("ssh"), signal.SIGKILL)
            newest = events(stage, "collector connected" if there else "connected", there)[-1]
            told = datetime.datetime.strptime(newest["time"], "%Y-%m-%dT%H:%M:%S.%fZ")
            ahead = told.replace(tzinfo=datetime.timezone.utc).timestamp() - time.time()
            assert abs(ahead - seconds) < 60, f"the clock is {ahead:.0f} s ahead"

    return fault


# -- senders ------------------------------------------------------------------------------------------


def senders_come_and_go(stage: Stage) -> None:
    stage.burst(1000)


def senders_stay_silent(stage: Stage) -> None:
    """200 that never read, write or close, until they do."""
    system = system_of(stage)
    with contextlib.ExitStack() as held:
        for _ in range(200):
            held.enter_context(system.connect())
        stage.busy(1.0)
        stage.see_recording(20)


def no_descriptors(stage: Stage) -> None:
    """The relay can open nothing for a while; who connects meanwhile waits."""
    system = system_of(stage)
    relay = stage.the("relay")
    line = next(one for one in _proc(relay, "limits") if one.startswith("Max open files"))
    soft, hard = line.split()[3:5]

    def limit(number: int) -> None:
        user = system.trem.account  # as itself: to be root is not enough in a container
        words = ["prlimit", f"--pid={relay.pid}", f"--nofile={number}:{hard}"]
        subprocess.run(words, check=True, user=user.pw_uid, group=user.pw_gid)

    limit(relay.num_fds() + 2)
    try:
        with contextlib.ExitStack() as held:
            for _ in range(10):
                held.enter_context(system.connect())
            stage.busy(1.0)
            assert relay.num_fds() < 200
    finally:
        limit(int(soft))
    assert relay.is_running()


def _proc(process: psutil.Process, name: str) -> list[str]:
    return Path(f"/proc/{process.pid}/{name}").read_text().splitlines()


DATAGRAMS: dict[str, Fault] = {
    **floods("relay"),
    "datagrams, disk full there": while_held_up(full_there),
}
FAULTS: dict[str, Fault] = {
    "collector killed": collector_killed,
    "collector told to end": collector_told_to_end,
    "collector frozen": froze("collector", 0.3, 2.0),
    "ssh killed": ended("ssh", signal.SIGKILL),
    "ssh told to end": ended("ssh", signal.SIGTERM),
    "ssh frozen": froze("ssh", 0.2, 1.0),
    "session killed": ended("session", signal.SIGKILL),
    "session told to end": ended("session", signal.SIGTERM),
    "session frozen": froze("session", 0.2, 1.0),
    "relay killed": relay_killed,
    "relay told to end": relay_told_to_end,
    "relay frozen": froze("relay", 0.3, 2.0),
    "collector and relay killed": killed_at_once("collector", "relay"),
    "ssh and relay killed": killed_at_once("ssh", "relay"),
    "link reset": link_reset,
    "link away": link_cut(0.3, 1.5),
    "link cut": link_cut(2, 13),
    "link cut for long": link_cut(25, 25),
    "link flaps": link_flaps,
    "link lossy": link_lossy,
    "link slow": link_slow,
    "disk full here": disk_full_here,
    "disk full there": disk_full_there,
    "spool full": spool_full,
    "senders come and go": senders_come_and_go,
    "senders stay silent": senders_stay_silent,
    **STRANGERS,
    **DATAGRAMS,
    "no descriptors": no_descriptors,
    "strangers come": strangers_come,
    **POINTS,
    **rotation_faults("collector", lambda stage, point: arm(system_of(stage).points_here, point, "kill")),
    **EDITS,
    **OWNERS,
}
if COMPILER:
    FAULTS.update({"clock jumps here": clock_jumps(False), "clock jumps there": clock_jumps(True)})


def of_tls() -> dict[str, Fault]:
    """Return those in which it matters that senders speak TLS, and in which they can shake hands."""
    # Another machine has another certificate, which these senders don't know.
    others = {*DATAGRAMS, *POINTS, *EDITS, "no descriptors", "another collector takes over"}
    return {name: fault for name, fault in FAULTS.items() if name not in others}
