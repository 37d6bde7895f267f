"""Stop recordings: each by its recorded identity, with all that it started, and no one else's process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil

from reclog.engine.daemons.asking import DRAIN_WITHIN
from reclog.engine.records.events import timestamp

from ..boot.here import hold
from ..errors import StateError
from ..recordings.processes import Family, end, exact, marked
from ..recordings.recording import Recording
from ..recordings.registry import Registry
from ..recordings.stopped import LastWord, Stopped

#: Seconds for a daemon to drain and end: what it allows itself for draining, and some for the rest.
END_WITHIN = DRAIN_WITHIN + 3.0


def stop_local(recordings: Sequence[Recording], registry: Registry, say: Callable[[str], None]) -> list[str]:
    """Stop those of `recordings` that are on this machine; `say` how, return what went wrong."""
    here = [one for one in recordings if one.kind != "tremplin"]
    stopped = stop(here, registry)
    at_boot, problems = hold(here)  # before anything else is done: one that had to be killed is started anew
    for sentence in [*(one.sentence for one in stopped), *at_boot]:
        say(sentence)
    return [*(problem for one in stopped for problem in one.problems), *problems]


def stop(recordings: Sequence[Recording], registry: Registry) -> list[Stopped]:
    """Stop `recordings` together; each drains for a bounded time, then whatever is left is killed."""
    families = marked(registry.folder)
    ends = []
    for recording in recordings:
        daemon = exact(recording.identity) if recording.identity is not None else None
        family = families.pop(recording.folder, [])
        if daemon is None and family and recording.corrupt:
            daemon = family[0]  # its state file is lost, its mark is not
        ends.append((recording, daemon, family))
    began = timestamp()
    words = [LastWord(recording, daemon, began) for recording, daemon, _ in ends]
    # All drain at the same time: the whole takes as long as the slowest.
    forced = {process.pid for process in end([d for _, d, _ in ends if d is not None], END_WITHIN)}
    for _, _, family in ends:
        end(family, term_within=1.0)
    several = any(one.fact("files") for one in recordings)
    left = [one for one in registry.recordings() if one.of] if several else []
    return [
        _report(r, d, d is not None and d.pid in forced, w.facts(), [one for one in left if one.of == r.name])
        for (r, d, _), w in zip(ends, words)
    ]


def strays(registry: Registry) -> dict[Path, Family]:
    """Return marked processes whose folder has no state any more, by folder."""
    known = {recording.folder for recording in registry.recordings()}
    return {folder: family for folder, family in marked(registry.folder).items() if folder not in known}


def stop_strays(registry: Registry) -> int:
    """End the processes that lost their state; return how many there were."""
    count = 0
    for family in strays(registry).values():
        end(family[:1], END_WITHIN)  # the eldest is the daemon: it drains, and takes the others along
        end(family, term_within=1.0)
        count += len(family)
    return count


def _report(
    recording: Recording,
    daemon: psutil.Process | None,
    forced: bool,
    facts: dict[str, Any],
    of: Sequence[Recording],
) -> Stopped:
    stopped = Stopped.told(recording, facts, was_dead=daemon is None, forced=forced)
    try:
        recording.clean()
        for one in of:  # a subscriber that was killed has left them
            one.clean()
    except StateError as error:  # the others are to be stopped, too
        stopped.left_over = str(error)
    return stopped
