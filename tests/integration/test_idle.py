"""What a recorder costs while nobody sends, and how long it takes to start."""

from __future__ import annotations

import time

import psutil
from bench import Home, Running, wait_until

#: Seconds of idleness that are looked at, and of CPU that may be used in them (0.1 %).
WINDOW, AT_MOST = 10.0, 0.010
#: Times that a process of an idle recorder may be woken in the window.
WAKE_UPS = 5


def test_a_start_takes_less_than_a_second(home: Home, listener: str) -> None:
    took = []
    for _ in range(5):
        running = home.to_be()
        began = time.monotonic()
        done = home.inv(*running.words, "--listener", listener)
        took.append(time.monotonic() - began)
        assert done.returncode == 0, done.stderr
        running.kill()
    assert min(took) < 1.0, took  # the others may have waited for a core


def cost(family: list[psutil.Process]) -> dict[int, tuple[float, int]]:
    """Return the CPU seconds and the wake-ups of each process so far."""
    found = {}
    for process in family:
        times = process.cpu_times()
        switches = process.num_ctx_switches()
        found[process.pid] = (
            times.user + times.system + times.children_user + times.children_system,
            switches.voluntary + switches.involuntary,
        )
    return found


def settled(running: Running) -> dict[int, tuple[float, int]]:
    """Wait until no process of the recording has anything left to do; return what all cost so far."""
    seen = cost(running.family())
    since = time.monotonic()

    def still() -> bool:
        nonlocal seen, since
        now = cost(running.family())
        if now != seen:
            seen, since = now, time.monotonic()
        return time.monotonic() - since > 1.5

    wait_until(still, within=30, what="the recorder has nothing left to do")
    return seen


def test_an_idle_recorder_uses_no_cpu(home: Home, listener: str) -> None:
    running = home.local("--listener", listener)
    senders = [running.connect() for _ in range(3)]
    try:
        for number, sender in enumerate(senders):
            sender.sendall(b"sender %d\nhalf a line" % number)
        wait_until(lambda: running.read().count(b"half a line") == 3)
        before = settled(running)
        assert len(before) == (5 if listener == "socat" else 1)  # the daemon; socat and a fork a sender
        until = time.monotonic() + WINDOW
        wait_until(lambda: time.monotonic() >= until, within=WINDOW + 1)
        after = cost(running.family())
    finally:
        for sender in senders:
            sender.close()
    assert after.keys() == before.keys()
    used = sum(after[pid][0] - before[pid][0] for pid in before)
    woken = {pid: after[pid][1] - before[pid][1] for pid in before}
    assert used < AT_MOST, f"{used} s of CPU in {WINDOW} s"
    assert max(woken.values()) <= WAKE_UPS, woken
