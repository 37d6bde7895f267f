"""The moments at which a collector or a relay dies, or is refused something: each one is really reached."""

from __future__ import annotations

import signal
import time
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
from bench import wait_until
from checker import SETTLES_WITHIN, Moment
from pressure import pressing
from stage import Fault, Stage
from through import Through
from through_acts import end_collector, events, stating, system_of

from reclog.engine.records.events import timestamp


def _around(what: str, *operations: str) -> tuple[str, ...]:
    return tuple(f"{what}.{when}-{one}" for one in operations for when in ("before", "after"))


#: What a running relay comes by, by itself or under pressure.
_RELAY = (
    *_around("segment", "create", "write", "sync", "delete"),
    *_around("folder", "sync"),
    *_around("spool.json", "write", "sync", "replace"),
    *_around("counters.json", "replace"),
    *_around("ack", "take"),
)
#: What it comes by when it starts.
_RELAY_START = _around("state.json", "write", "replace")
#: What it comes by when it gets an owner.
_OWNER = _around("owner.json", "write", "sync", "replace")
_COLLECTOR = (
    *_around("file", "write", "sync"),
    *_around("checkpoint.json", "write", "sync", "replace"),
    *_around("counters.json", "replace"),
    *_around("ack", "send"),
)
_COLLECTOR_START = _RELAY_START

#: What the system may refuse, and the event that states it, if it is one that lasts.
_REFUSED_THERE = {
    "segment.before-write": "paused",
    "segment.before-create": "",
    "segment.before-sync": "",
    "segment.before-delete": "spool not trimmed",
    "folder.before-sync": "",
    "spool.json.before-write": "",
    "spool.json.before-sync": "",
    "spool.json.before-replace": "",
    "counters.json.before-write": "",
}
_REFUSED_HERE = {
    "file.before-write": "paused",
    "file.before-sync": "sync failed",
    "checkpoint.json.before-write": "sync failed",
    "checkpoint.json.before-sync": "sync failed",
    "checkpoint.json.before-replace": "sync failed",
    "counters.json.before-write": "",
}


def _pressed(stage: Stage, point: str) -> AbstractContextManager[None]:
    """Have a relay come by a point soon: what it does for each new segment it does seldom by itself."""
    seldom = point.startswith(("folder", "spool.json")) or point.endswith(("create", "delete"))
    return pressing(stage) if seldom else nullcontext()


def arm(folder: Path, point: str, words: str) -> Path:
    """Arm a point; return the file that is there once it is reached."""
    reached = folder / f"{point}.reached"
    reached.unlink(missing_ok=True)
    new = folder / "new"
    new.write_text(words)
    new.chmod(0o666)
    new.rename(folder / point)  # never seen half written
    return reached


def reached_at(path: Path) -> float:
    """Return when a point was reached (monotonic): that is when its file was renamed."""
    return time.monotonic() - (time.time() - path.stat().st_ctime)


def held_since(stage: Stage, at: float) -> float:
    """Return when the relay had last read all that came, up to `at` (monotonic): then, if it did."""
    ahead = time.time() - time.monotonic()
    for one in reversed(events(stage, "resumed", there=True) + _unended(stage)):
        ended = _when(one) - ahead
        if ended < at - SETTLES_WITHIN:
            break
        at = min(at, ended - one["paused_seconds"])
    return at


def _unended(stage: Stage) -> list[dict[str, Any]]:
    """Return the pause that has not ended, as if it did now."""
    paused, resumed = (events(stage, name, there=True)[-1:] for name in ("paused", "resumed"))
    if not paused or (resumed and resumed[0]["time"] >= paused[0]["time"]):
        return []
    now = time.time()
    return [{"time": timestamp(now), "paused_seconds": now - _when(paused[0])}]


def _when(event: dict[str, Any]) -> float:
    """Return an event's time, as time.time() tells it."""
    return datetime.fromisoformat(event["time"].replace("Z", "+00:00")).timestamp()


def _await(stage: Stage, reached: Path) -> None:
    wait_until(reached.exists, 20, f"{reached.stem} is reached")


def _ends(stage: Stage, process: psutil.Process) -> None:
    stage.hit(process, 0)


def _starts_in_vain(system: Through, reached: Path) -> None:
    done = system.open()
    assert reached.exists(), done.stdout
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr


def relay_dies(point: str) -> Fault:
    """SIGKILL of the relay there; the collector has it started again."""

    def fault(stage: Stage) -> None:
        system = system_of(stage)
        relay = stage.the("relay")
        pressed = _pressed(stage, point)
        with stating(stage, "disconnected", "starting the relay again"), pressed:
            reached = arm(system.points_there, point, "kill")
            _await(stage, reached)
            _ends(stage, relay)
            # What it died of was reached a moment before we know it: what was accepted until then is owed,
            # unless the pressure had filled the spool: then it waited, unread, in the kernel that lost it.
            at = held_since(stage, reached_at(reached))
            # Beside one who writes as fast as it can, others are read later.
            settles = SETTLES_WITHIN if isinstance(pressed, nullcontext) else 4 * SETTLES_WITHIN
            stage.moments.append(Moment(at, time.monotonic(), settles))

    return fault


def relay_dies_at_its_start(point: str) -> Fault:
    """SIGKILL of a relay that starts: the command says so, and does it when it is run again."""

    def fault(stage: Stage) -> None:
        system = system_of(stage)
        with stage.losing():
            end_collector(stage)
            stage.hit(stage.the("relay"), signal.SIGKILL)
            _starts_in_vain(system, arm(system.points_there, point, "kill"))
        system.again()

    return fault


def relay_dies_with_a_new_owner(point: str) -> Fault:
    """SIGKILL of a new relay that notes its first owner."""

    def fault(stage: Stage) -> None:
        system = system_of(stage)
        with stage.losing(settles=0):
            system.stop()
        reached, began = arm(system.points_there, point, "kill"), time.monotonic()
        done = system.open()
        assert reached.exists(), done.stdout
        if done.returncode == 0:
            at = until = reached_at(reached)
        else:
            # A start that fails leaves nothing there: what the new relay had taken is gone with it.
            assert len(done.stderr.splitlines()) == 1, done.stderr
            at, until = began, time.monotonic()
        stage.moments.append(Moment(at, until, 0 if done.returncode else SETTLES_WITHIN))
        system.again()

    return fault


def collector_dies(point: str) -> Fault:
    """SIGKILL of the collector there, then the same command again."""

    def fault(stage: Stage) -> None:
        system = system_of(stage)
        collector = stage.the("collector")
        _await(stage, arm(system.points_here, point, "kill"))
        _ends(stage, collector)
        system.again()

    return fault


def collector_dies_at_its_start(point: str) -> Fault:
    """SIGKILL of a collector that starts: the command says so, and does it when it is run again."""

    def fault(stage: Stage) -> None:
        system = system_of(stage)
        end_collector(stage, stage.dice.choice([signal.SIGKILL, signal.SIGTERM]))
        _starts_in_vain(system, arm(system.points_here, point, "kill"))
        system.again()

    return fault


def refused(there: bool, point: str, words: str, event: str) -> Fault:
    """One operation fails, or is done in part; it goes on by itself."""

    def fault(stage: Stage) -> None:
        system = system_of(stage)
        process = stage.the("relay" if there else "collector")
        before = len(events(stage, event, there)) if event else 0
        with _pressed(stage, point):
            _await(stage, arm(system.points_there if there else system.points_here, point, words))
        # What fails in a rotation is not stated if it is mended before anything is written.
        if event and words != "short" and not system.set_aside.words:
            wait_until(lambda: len(events(stage, event, there)) > before, 20, f"{event!r} is stated")
        assert process.is_running(), "it survives that"

    return fault


def _all() -> dict[str, Fault]:
    found: dict[str, Fault] = {}
    for point in _RELAY:
        found[f"relay killed at {point}"] = relay_dies(point)
    for point in _RELAY_START:
        found[f"relay killed at its start at {point}"] = relay_dies_at_its_start(point)
    for point in _OWNER:
        found[f"relay killed at {point}"] = relay_dies_with_a_new_owner(point)
    for point in _COLLECTOR:
        found[f"collector killed at {point}"] = collector_dies(point)
    for point in _COLLECTOR_START:
        found[f"collector killed at its start at {point}"] = collector_dies_at_its_start(point)
    for there, points in ((True, _REFUSED_THERE), (False, _REFUSED_HERE)):
        where = "relay" if there else "collector"
        for point, event in points.items():
            for words in ("EIO", "ENOSPC"):
                name = f"{where}'s {point.replace('before-', '')} fails with {words}"
                found[name] = refused(there, point, f"fail {words}", event)
        for size in (1, 100, 5000):
            point = "segment.before-write" if there else "file.before-write"
            found[f"{where}'s write takes {size} bytes"] = refused(there, point, f"short {size}", "")
    return found


POINTS = _all()
