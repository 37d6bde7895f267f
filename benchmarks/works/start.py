"""How long a person waits: for a recording to start, and for the status.

Each command is a process that begins with its interpreter, as a person's does (the tests fork theirs).
"""

from __future__ import annotations

import resource
import time

from bench import BIN, Home, free_port
from tremplin_bench import ALIAS, Tremplin

from benchmarks.rows import Job, Row, Run
from benchmarks.trial import JUDGED, Stage
from benchmarks.works.tremplin import Far

TITLE = "Starting"
LOCAL, STATUS, TREMPLIN = "inv local", "inv status, one recording", "fab tremplin, on loopback"


def run(stage: Stage) -> list[Row]:
    """Time `inv local` and `inv status`."""
    with stage.fresh() as folder:
        home = Home(folder)

        def local(_: int) -> Run:
            words = ("--port", str(free_port()), "--file", str(folder / "file.log"))
            took = _timed(home, "inv", "local", *words)
            status = _timed(home, "inv", "status")
            _timed(home, "inv", "kill")
            statuses.runs.append(status)
            return took

        statuses = Row(STATUS, "reclog")
        rows = stage.rows([Job(Row(LOCAL, "reclog"), stage.times(JUDGED), local)])
    return [*rows, statuses]


def tremplin(there: Far) -> list[Row]:
    """Time `fab tremplin`, with a relay that is not there yet."""
    trem: Tremplin = there.trem

    def once(_: int) -> Run:
        ports = [word for name in ("in", "out") for word in (f"--port-remote-{name}", str(free_port()))]
        ports += ["--port-local", str(free_port())]
        file = trem.home.path / "start.log"
        host = ("-S", str(trem.config), "-H", ALIAS)
        took = _timed(trem.home, "fab", *host, "tremplin", *ports, "--file", str(file))
        _timed(trem.home, "inv", "kill", "--port", ports[1])
        return took

    return there.stage.rows([Job(Row(TREMPLIN, "reclog"), there.stage.times(JUDGED), once)])


def _timed(home: Home, program: str, *words: str) -> Run:
    """Run a command to its end; return how long it took, and its CPU with what it waited for."""
    began, used = time.monotonic(), _used()
    done = home.run(str(BIN / program), *words)
    took = {"wall": time.monotonic() - began, "cpu": _used() - used}
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip() or done.stdout.strip())
    return took


def _used() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
