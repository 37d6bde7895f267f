"""How long a person waits: for a recording to start, and for the status."""

from __future__ import annotations

import time
from collections.abc import Callable
from subprocess import CompletedProcess

from bench import Home, free_port
from tremplin_bench import Tremplin

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
            took = _timed(lambda: home.inv("local", *words))
            status = _timed(lambda: home.inv("status"))
            _timed(lambda: home.inv("kill"))
            statuses.runs.append({"wall": status})
            return {"wall": took}

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
        took = _timed(lambda: trem.fab("tremplin", *ports, "--file", str(file)))
        _timed(lambda: trem.home.inv("kill", "--port", ports[1]))
        return {"wall": took}

    return there.stage.rows([Job(Row(TREMPLIN, "reclog"), there.stage.times(JUDGED), once)])


def _timed(command: Callable[[], CompletedProcess[str]]) -> float:
    began = time.monotonic()
    done = command()
    took = time.monotonic() - began
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip() or done.stdout.strip())
    return took
