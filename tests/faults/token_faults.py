"""A token is asked for, and strangers come in floods: a fault of whatever can ask for one."""

from __future__ import annotations

import threading
from pathlib import Path

from lan import Lan
from scanner import PROBES
from stage import Stage
from swarm import Crowd
from through import Through

from reclog.engine.records.jsonfile import write_json
from reclog.recordings.token import made

#: What a stranger says.
SAID = [probe for probe in PROBES if probe]


def strangers_come(stage: Stage) -> None:
    """A token is asked for, then 1,000 strangers a second come, then none is asked for any more."""
    system = stage.system
    assert isinstance(system, (Lan, Through))
    name = f"local-{system.port}" if isinstance(system, Lan) else system.recording.folder.name
    token = made()
    # Known before it is asked for: who says it a moment too early or too late says a line.
    stage.notes.add(token.encode())
    path = Path(system.home.state / "reclog" / "tokens" / name)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    write_json(str(path), {"token": token})
    system.token = token.encode() + b"\n"
    _ask(system, "--token")
    over, came = threading.Event(), [0]

    def come() -> None:
        came[0] = system.flood(SAID, over)

    crowd = Crowd([come])
    try:
        for _ in range(4):
            stage.see_recording(15.0)
            stage.busy(0.3)
    finally:
        over.set()
        crowd.join()
    assert came[0] > 500, "few strangers came"
    stage.see_recording(15.0)  # who connects behind them all is heard: none of them waits to be accepted
    _ask(system, "--no-token")
    system.token = b""


def _ask(system: Lan | Through, option: str) -> None:
    done = system.ask(option)
    assert done.returncode == 0, done.stderr + done.stdout
    assert option in done.stdout, done.stdout
