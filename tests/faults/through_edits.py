"""What others do to files: to the recorded one and the daemons' own; what a power loss does to the spool."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from bench import wait_until
from checker import Moment
from stage import Fault, Stage
from through import Through
from through_acts import at_once, end_collector, frozen_idle, stating, system_of

# -- the recorded file --------------------------------------------------------------------------------

#: Does it to the file, while its collector does not write; is told whether there is none.
Edit = Callable[[Stage, bool], None]


def _truncated(stage: Stage, dead: bool) -> None:
    file = system_of(stage).file
    stage.destroyed.append(file.read_bytes())
    os.truncate(file, 0)


def _renamed(stage: Stage, dead: bool) -> None:
    system = system_of(stage)
    other = system.file.with_name(f"{system.file.name}.{len(system.files)}")
    system.file.rename(other)
    system.keep(other)


def _renamed_with_new(stage: Stage, dead: bool) -> None:
    _renamed(stage, dead)
    system_of(stage).file.write_bytes(_note(stage) + b"\n")


def _replaced(stage: Stage, dead: bool) -> None:
    _keep(stage, dead)
    new = system_of(stage).spare("new")
    new.write_bytes(_note(stage) + b"\n")
    new.replace(system_of(stage).file)


def _removed(stage: Stage, dead: bool) -> None:
    _keep(stage, dead)
    system_of(stage).file.unlink()


def _added(stage: Stage, dead: bool) -> None:
    _append(stage, _note(stage) + b"\n")


def _half_added(stage: Stage, dead: bool) -> None:
    _append(stage, _note(stage))


def _append(stage: Stage, text: bytes) -> None:
    with open(system_of(stage).file, "ab") as file:
        file.write(text)


def _note(stage: Stage) -> bytes:
    note = b"note %d" % len(stage.notes)
    stage.notes.add(note)
    return note


def _keep(stage: Stage, dead: bool) -> None:
    """Keep what the file holds, for it is about to go."""
    system = system_of(stage)
    kept = system.spare(system.file.name)
    if dead:
        # Its checkpoint says how much of it was acked. The rest goes with it: the relay has that still.
        kept.write_bytes(system.file.read_bytes()[: _settled(system)])
    else:
        kept.hardlink_to(system.file)
    system.keep(kept)


def _settled(system: Through) -> int:
    saved = json.loads((system.recording.folder / "checkpoint.json").read_text())
    return int(saved["size"]) if saved["inode"] == system.file.stat().st_ino else 0


def edited(edit: Edit, event: str) -> Fault:
    """While it is recorded."""

    def fault(stage: Stage) -> None:
        with stating(stage, event), frozen_idle(stage.the("collector")):
            edit(stage, False)

    return fault


def edited_and_killed(edit: Edit) -> Fault:
    """While it is recorded; the collector is killed when it has written a little behind that."""

    def fault(stage: Stage) -> None:
        system = system_of(stage)
        collector = stage.the("collector")
        with frozen_idle(collector):
            edit(stage, False)
            size = system.file.stat().st_size if system.file.exists() else 0
        wait_until(lambda: system.file.exists() and system.file.stat().st_size > size, 20, "it goes on")
        end_collector(stage)
        system.again()

    return fault


def edited_while_dead(edit: Edit, event: str = "") -> Fault:
    """While nobody records."""

    def fault(stage: Stage) -> None:
        system = system_of(stage)
        with stating(stage, *([event] if event else [])):
            end_collector(stage, stage.dice.choice([signal.SIGKILL, signal.SIGTERM]))
            edit(stage, True)
            stage.busy(stage.dice.random() * 0.5)
            system.again()

    return fault


_EDITS: dict[str, tuple[Edit, str, str]] = {
    "truncated": (_truncated, "file changed", "file changed"),
    "renamed": (_renamed, "file reopened", "file changed"),
    "renamed, and a new one made": (_renamed_with_new, "file reopened", "file changed"),
    "replaced": (_replaced, "file reopened", "file changed"),
    "removed": (_removed, "file reopened", "file changed"),
    "added to": (_added, "file changed", "file changed"),
    "added half a line to": (_half_added, "file changed", "file changed"),
}

# -- the daemons' own files ---------------------------------------------------------------------------


def cut_short(path: Path, dice: random.Random) -> None:
    """Leave a part of a small file, or nothing."""
    os.truncate(path, dice.randrange(path.stat().st_size))


def state_cut_while_it_runs(there: bool, name: str) -> Fault:
    """A file that tells who runs and what: it goes on, and can be stopped."""

    def fault(stage: Stage) -> None:
        system = system_of(stage)
        cut_short(_folder(system, there) / name, stage.dice)
        stage.busy(0.3)
        _status(system)
        if there:  # a command that finds the collector at work does not look there
            end_collector(stage)
        done = system.open()
        assert done.returncode == 0 or _is_sentence(done.stderr), done.stderr
        with stage.losing(settles=0):
            system.stop()
        system.again()

    return fault


def state_cut_while_dead(there: bool, name: str) -> Fault:
    """The same, while nobody runs: it goes on, or one sentence says what to do and a stop leaves nothing."""

    def fault(stage: Stage) -> None:
        system = system_of(stage)
        path = _folder(system, there) / name
        end_collector(stage)
        if there:
            relay = stage.the("relay")
            with stage.losing():
                stage.hit(relay, signal.SIGKILL)
        cut_short(path, stage.dice)
        _status(system)
        done = system.open()
        if done.returncode:
            assert _is_sentence(done.stderr), done.stderr
            with stage.losing(settles=0):
                system.stop()
            system.again()

    return fault


def _folder(system: Through, there: bool) -> Path:
    return system.relay_folder if there else system.recording.folder


def _is_sentence(said: str) -> bool:
    return len(said.splitlines()) == 1 and said.rstrip().endswith(".")


def _status(system: Through) -> None:
    done = system.home.inv("status")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr


_STATES = [
    (False, "state.json"),
    (False, "counters.json"),
    (False, "config.json"),
    (True, "state.json"),
    (True, "counters.json"),
    (True, "owner.json"),
]

# -- the loss of power --------------------------------------------------------------------------------


def power_lost(stage: Stage) -> None:
    """All that runs there ends at once, and what was not synced is gone."""
    system = system_of(stage)
    relay = stage.the("relay")
    safe, sampled = _end_of(system.spool), time.monotonic()
    stage.busy(1.7)  # it syncs each second
    with stating(stage, "gap", "disconnected"):
        monitors = system.trem.sessions()
        at_once(stage, [relay, *monitors, *_account(system)], signal.SIGKILL)
        last = max(system.spool.glob("*.seg"))
        start, size = int(last.stem), last.stat().st_size
        left = stage.dice.randint(max(0, min(size, safe - start)), size)
        os.truncate(last, left)
        path = system.spool / "spool.json"
        state = json.loads(path.read_text())
        path.write_text(json.dumps({**state, "boot": "another"}))
        # All that was spooled at the sample is there; it had been accepted a moment before.
        stage.moments.append(Moment(sampled, time.monotonic()))
        wait_until(lambda: stage.victim("relay"), 40, "the relay is started again")
        wait_until(lambda: _end_of(system.spool) > state["mark"], 40, "lines are spooled")
    with_it = sorted(int(path.stem) for path in system.spool.glob("*.seg"))
    assert all(number >= state["mark"] or number <= start for number in with_it), (with_it, state)


def _end_of(spool: Path) -> int:
    while True:
        try:
            last = max(spool.glob("*.seg"))
            return int(last.stem) + last.stat().st_size
        except (FileNotFoundError, ValueError):
            continue  # it was deleted meanwhile: another is there


def _account(system: Through) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["uids"]):
        uids = process.info["uids"]
        if uids is not None and uids.real == system.trem.account.pw_uid:
            found.append(process)
    return found


def _all() -> dict[str, Fault]:
    found: dict[str, Fault] = {}
    for name, (edit, event, event_dead) in _EDITS.items():
        found[f"file {name}"] = edited(edit, event)
        found[f"file {name}, collector killed behind it"] = edited_and_killed(edit)
        found[f"file {name} while nobody records"] = edited_while_dead(edit, event_dead)
    for there, name in _STATES:
        whose = "relay" if there else "collector"
        found[f"{whose}'s {name} cut short"] = state_cut_while_it_runs(there, name)
        found[f"{whose}'s {name} cut short while it is dead"] = state_cut_while_dead(there, name)
    found["power lost"] = power_lost
    return found


EDITS = _all()
