"""What users do: two commands at once, stops at any moment, another machine's collector, a new version."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from bench import ROOT, Home, free_port, wait_until
from netns import CUT, filtered
from stage import Fault, Stage
from swarm import in_threads
from through import Through
from through_acts import end_collector, stating, system_of
from tremplin_bench import TremplinRecording

from reclog.engine import __version__

# -- stops --------------------------------------------------------------------------------------------


def stopped(stage: Stage) -> None:
    """`inv kill`, then the same command again."""
    with stage.losing(settles=0):
        system_of(stage).stop()
    system_of(stage).again()


def stopped_twice_at_once(stage: Stage) -> None:
    system = system_of(stage)
    done: list[subprocess.CompletedProcess[str]] = []
    with stage.losing(settles=0):
        in_threads([lambda: done.append(system.home.inv("kill"))] * 2)
        for one in done:
            assert "Traceback" not in one.stderr, one.stderr
        # One of them may find the other at it, and say so.
        assert any(one.returncode == 0 for one in done), [one.stderr for one in done]
        system.see_nothing()
    system.again()


def stopped_by_host(stage: Stage) -> None:
    """`fab -H … kill`."""
    system = system_of(stage)
    with stage.losing(settles=0):
        done = system.trem.fab("kill")
        assert done.returncode == 0, done.stderr
        system.see_nothing()
    system.again()


def stopped_with_a_dead_collector(stage: Stage) -> None:
    end_collector(stage)
    stage.busy(stage.dice.random() * 0.5)
    stopped(stage)


def stopped_while_the_link_is_cut(stage: Stage) -> None:
    """It can't be done, and says so; then it can be tried again."""
    system = system_of(stage)
    with stage.losing(settles=0):
        with filtered(system.jump, CUT):
            done = system.home.inv("kill")
            assert done.returncode == 1, done.stdout
            assert "Traceback" not in done.stderr
            assert "inv kill" in done.stderr, done.stderr
        # It was asked to before the link was cut, or was not: in no case is anything left by this one.
        wait_until(lambda: system.home.inv("kill").returncode == 0, 60, "it is stopped")
        system.see_nothing()
    system.again()


def stopped_while_it_starts(stage: Stage) -> None:
    """`inv kill` at any moment of a `fab tremplin`; what is left by the two, the next one stops."""
    system = system_of(stage)
    with stage.losing(settles=0):
        system.stop()
    # Whatever the two make of it: nothing is promised to who sends meanwhile.
    with stage.losing(settles=0):
        late = stage.dice.random() * 1.5

        def kill() -> None:
            time.sleep(late)  # a moment, whatever the other is at
            done = system.home.inv("kill")
            assert "Traceback" not in done.stderr, done.stderr

        in_threads([lambda: system.open() and None, kill])
        system.trem.fab("kill", "--discard")
        system.stop()
    system.again()


def started_twice_at_once(stage: Stage) -> None:
    """Two of the same command, with a collector or without one."""
    system = system_of(stage)
    if stage.dice.random() < 0.7:
        end_collector(stage)
    done: list[subprocess.CompletedProcess[str]] = []
    in_threads([lambda: done.append(system.open())] * 2)
    assert [one.returncode for one in done] == [0, 0], [one.stderr for one in done]
    assert len(system.processes("collector")) == 1


# -- another machine's collector ----------------------------------------------------------------------


@contextlib.contextmanager
def _another(system: Through) -> Iterator[TremplinRecording]:
    """Give a second user of the same tremplin: his own state, his own file."""
    number = len(list(system.folder.glob("other*")))
    folder = system.folder / f"other{number}"
    folder.mkdir()
    home = Home(folder)
    home.within = system.home.within
    home.env.update({name: system.home.env[name] for name in system.environment_here})
    mine = system.recording
    trem = dataclasses.replace(system.trem, home=home)
    file = system.disk_here.path / f"other.{number}.log"
    yield TremplinRecording(home, mine.port, file, trem, mine.port_out, free_port())
    left = home.processes()
    for process in left:
        process.kill()
    assert not left, "the other's collector is left"


def another_is_refused(stage: Stage) -> None:
    system = system_of(stage)
    with _another(system) as other:
        done = other.again(*system.words)
        assert done.returncode == 1
        assert "belongs to" in done.stderr
        assert "--take-over" in done.stderr
        assert not other.file.exists()


def taken_over_and_back(stage: Stage) -> None:
    """Another takes over; the first ends and says so; then the first takes over again."""
    system = system_of(stage)
    mine = system.file
    with _another(system) as other:
        with stating(stage, "refused"):
            first = stage.the("collector")
            done = other.again(*system.words, "--take-over")
            assert done.returncode == 0, done.stderr
            psutil.wait_procs([first], timeout=20)
            assert not first.is_running()
        assert "belongs to" in system.home.inv("status").stdout
        # From here on the other's file is the one that is written.
        system.files.append(other.file)
        stage.see_recording(20)
        before = other.daemon
        # What the first had goes before what the other has, and what it gets now after that.
        aside = mine.with_name(f"{mine.name}.{len(system.files)}")
        mine.rename(aside)
        system.files[system.files.index(mine)] = aside
        done = system.open("--take-over")
        assert done.returncode == 0, done.stderr
        psutil.wait_procs([before], timeout=20)
        assert not before.is_running()
        system.files.append(mine)
        stage.see_recording(20)
        _without_doubles(system, aside, other.file, mine)
        stopped_there = other.home.inv("kill")
        assert "Traceback" not in stopped_there.stderr
        assert not (other.folder / "config.json").exists()


def _without_doubles(system: Through, first: Path, other: Path, again: Path) -> None:
    """See that nothing is twice in the other's file; take from it what the first has, too.

    Each file is whole for the time that its owner had the relay. What a collector had and had not acked when
    it was taken over, its successor gets as well, and it is nobody's fault that both have it.
    """
    lines = other.read_bytes().split(b"\n")  # not splitlines: a line of ours may hold a carriage return
    assert len(set(lines)) == len(lines), "doubled in the other's file"
    mine = (path.read_bytes().split(b"\n") for path in (first, again, *system.set_aside.all()))
    known = {line for its in mine for line in its} - {b""}
    kept, written = system.spare("other.log"), other.stat().st_mtime_ns
    kept.write_bytes(b"\n".join(line for line in lines if line not in known))
    os.utime(kept, ns=(written, written))
    system.files[system.files.index(other)] = kept


# -- a new version ------------------------------------------------------------------------------------


def upgraded(stage: Stage) -> None:
    """The same command from a checkout of another version, then from this one again."""
    system = system_of(stage)
    with _another_version(system) as checkout:
        pid = stage.the("relay").pid
        done = system.open(cwd=checkout)
        assert done.returncode == 0, done.stderr
        assert stage.the("relay").pid == pid, "what records goes on as it is"
        end_collector(stage, signal.SIGTERM)
        with stage.losing(settles=0):
            done = system.open(cwd=checkout)
            assert done.returncode == 0, done.stderr
        assert stage.the("relay").pid != pid, "its program is the new one"
        stage.see_recording(20)
        end_collector(stage, signal.SIGKILL)
        with stage.losing(settles=0):
            system.again()


@contextlib.contextmanager
def _another_version(system: Through) -> Iterator[Path]:
    checkout = system.folder / "checkout"
    checkout.mkdir()
    try:
        for name in ("tasks.py", "fabfile.py"):
            shutil.copy(ROOT / name, checkout)
        shutil.copytree(ROOT / "reclog", checkout / "reclog", ignore=shutil.ignore_patterns("__pycache__"))
        version = checkout / "reclog/engine/_version.py"
        version.write_text(f'__version__ = "{__version__}+{os.getpid()}"\n')
        yield checkout
    finally:
        shutil.rmtree(checkout)


OWNERS: dict[str, Fault] = {
    "stopped": stopped,
    "stopped twice at once": stopped_twice_at_once,
    "stopped by host": stopped_by_host,
    "stopped with a dead collector": stopped_with_a_dead_collector,
    "stopped while the link is cut": stopped_while_the_link_is_cut,
    "stopped while it starts": stopped_while_it_starts,
    "started twice at once": started_twice_at_once,
    "another collector refused": another_is_refused,
    "another collector takes over": taken_over_and_back,
    "another version": upgraded,
}
