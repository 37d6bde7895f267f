"""Works 5 and 6 through a tremplin: a backlog is pulled, senders write live, lines have an age."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from bench import Home
from tremplin_bench import Tremplin, TremplinRecording, tremplin

from benchmarks import measure
from benchmarks.load import LINE, Sent
from benchmarks.ours import Local, end
from benchmarks.rows import Job, Row, Run
from benchmarks.through import CAT, PLAIN, TUNED, Chain, wait
from benchmarks.trial import JUDGED, QUIET_FOR, Stage, outcome, size_of, until_recorded
from benchmarks.works import latency

TITLE = "6. Through a tremplin, both ends on this machine"
TITLE_AGES = "5. From send to being readable in the file, through a tremplin"
RECLOG = "reclog"
BACKLOG_LINES = 1_250_000
SENDERS = 8
BACKLOG = f"backlog of {SENDERS * BACKLOG_LINES * LINE / 1e9:g} GB"
LIVE = {"8 senders live, one send a line": (100_000, 1), "8 senders live, bulk": (250_000, 650)}


@dataclasses.dataclass
class Far:
    """The tremplin, reclog's recording through it, and a backlog for the others."""

    stage: Stage
    trem: Tremplin
    recording: TremplinRecording
    spool: Path
    words: tuple[str, ...] = ("--spool-max", "2GiB")

    @property
    def roots(self) -> list[int]:
        """The processes whose trees are all of reclog that works here, and sshd."""
        return [self.trem.process.pid, self.recording.relay.pid, self.recording.daemon.pid]


@contextlib.contextmanager
def far(stage: Stage) -> Iterator[Far]:
    """Give a tremplin with a recording; needs root."""
    with stage.fresh() as folder, tremplin(Home(folder), folder / "tremplin") as trem:
        # In the home of the account there, where the relay's spool is too.
        spool = Path(trem.account.pw_dir) / "bench.spool"
        recording = trem.open("--spool-max", "2GiB")
        try:
            _make_backlog(stage, spool)
            yield Far(stage, trem, recording, spool)
        finally:
            spool.unlink(missing_ok=True)
            recording.kill()


def run(there: Far) -> list[Row]:
    """Do work 6."""
    stage = there.stage
    jobs = []
    for name, times in ((RECLOG, JUDGED), (PLAIN, JUDGED), (TUNED, JUDGED), (CAT, 2)):

        def pull(_: int, name: str = name) -> Run:
            return _pull_ours(there) if name == RECLOG else _pull_theirs(there, name)

        jobs.append(Job(Row(BACKLOG, name), stage.times(times), pull))
    for case, (lines, block) in LIVE.items():
        for name in (RECLOG, PLAIN, TUNED, CAT):

            def live(_: int, name: str = name, lines: int = lines, block: int = block) -> Run:
                return _live(there, name, lines, block)

            jobs.append(Job(Row(case, name), stage.times(2 if name == CAT else JUDGED), live))
    return stage.rows(jobs)


def ages(there: Far) -> list[Row]:
    """Do work 5."""
    jobs = []
    for rate, seconds in latency.rates(there.stage):
        for name, times in ((RECLOG, JUDGED), (TUNED, 1), (CAT, 1)):

            def once(_: int, name: str = name, rate: int = rate, seconds: float = seconds) -> Run:
                with _live_path(there, name) as (file, port, roots):
                    return latency.ages(there.stage, file, port, roots, rate, seconds)

            jobs.append(Job(Row(f"{rate:,} lines/s", name), there.stage.times(times), once))
    return there.stage.rows(jobs)


# -- live -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _live_path(there: Far, name: str) -> Iterator[tuple[Path, int, list[int]]]:
    """Give the file here, the port there, and the processes of a system that stands."""
    if name == RECLOG:
        yield there.recording.file, there.recording.port, there.roots
        return
    with there.stage.fresh() as folder, Chain(there.trem, folder, name, there.spool) as chain:
        port = chain.ready_for_senders()
        chain.file.touch()
        yield chain.file, port, chain.roots


def _live(there: Far, name: str, lines: int, block: int) -> Run:
    with _live_path(there, name) as (file, port, roots):
        skip = size_of(file)
        used = measure.cpu(roots)
        generator = there.stage.load.start("lines", port, SENDERS, lines, block)
        sent, wall = until_recorded(generator, file, skip)
        used = measure.cpu(roots) - used
        judged = there.stage.judged(sent, file, (SENDERS, lines), skip)
        return {**outcome(sent, wall, used, judged["whole"]), **judged}


# -- a backlog --------------------------------------------------------------------------------------------


def _make_backlog(stage: Stage, path: Path) -> None:
    """Have a file of whole lines, as a relay's spool would hold them."""
    with stage.running(Local("a recorder", "builtin")) as (running, port):
        generator = stage.load.start("lines", port, SENDERS, BACKLOG_LINES, 650)
        sent, _ = until_recorded(generator, running.file)
        if size_of(running.file) != sent.sent * LINE:
            raise RuntimeError("the backlog could not be made")
        # Not linked: the account there must be able to read it.
        with running.file.open("rb") as source, path.open("wb") as copy:
            while piece := source.read(1 << 20):
                copy.write(piece)


def _pull_theirs(there: Far, name: str) -> Run:
    """Pull the backlog with ssh; time begins when the tunnel is up."""
    with there.stage.fresh() as folder, Chain(there.trem, folder, name, there.spool) as chain:
        go = chain.ready_for_backlog()
        skip = size_of(chain.file)
        used = measure.cpu(chain.roots)
        began = time.monotonic()
        go()
        wall = _until_complete(chain.file, skip) - began
        used = measure.cpu(chain.roots) - used
        return _judged(there.stage, chain.file, skip, wall, used)


def _pull_ours(there: Far) -> Run:
    """Have a relay's spool fill while the collector is away; time begins when that has connected again."""
    recording = there.recording
    end(recording.daemon)
    # Each repetition begins with an empty file, as the others'.
    recording.file.unlink()
    had = int(recording.relay_counters()["bytes"])
    there.stage.load.run("lines", recording.port, SENDERS, BACKLOG_LINES, 650)
    wanted = had + SENDERS * BACKLOG_LINES * LINE
    wait(lambda: _counted(recording) >= wanted, "the spool has it all", within=60)
    known = len(recording.events("connected"))
    said: list[Any] = []
    command = threading.Thread(target=lambda: said.append(recording.again(*there.words)))
    command.start()
    try:
        wait(lambda: len(recording.events("connected")) > known, "the collector connects")
        used = measure.cpu(there.roots)
        event = datetime.fromisoformat(recording.events("connected")[-1]["time"].replace("Z", "+00:00"))
        began = time.monotonic() - (time.time() - event.timestamp())
        wall = _until_complete(recording.file, 0) - began
        used = measure.cpu(there.roots) - used
    finally:
        command.join()
    if said[0].returncode != 0:
        raise RuntimeError(said[0].stderr.strip())
    return _judged(there.stage, recording.file, 0, wall, used)


def _counted(recording: TremplinRecording) -> int:
    with contextlib.suppress(OSError, json.JSONDecodeError):
        return int(recording.relay_counters()["bytes"])
    return 0


def _until_complete(file: Path, skip: int) -> float:
    """Return when the backlog's last byte was in the file; on a loss, when it last grew."""
    size, grown = size_of(file), time.monotonic()
    while size < skip + SENDERS * BACKLOG_LINES * LINE and time.monotonic() < grown + 5 * QUIET_FOR:
        time.sleep(0.001)
        now = size_of(file)
        if now != size:
            size, grown = now, time.monotonic()
    return grown


def _judged(stage: Stage, file: Path, skip: int, wall: float, used: float) -> Run:
    sent = Sent(0.0, 0.0, SENDERS * BACKLOG_LINES)
    judged = stage.judged(sent, file, (SENDERS, BACKLOG_LINES), skip)
    return {**outcome(sent, wall, used, judged["whole"]), **judged}
