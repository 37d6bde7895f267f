"""What `status` tells of each recording."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Sequence
from typing import Any

from reclog.engine.daemons.asking import Reached
from reclog.engine.records import names

from ..boot.here import comes_back
from ..recordings.again import goes_on
from ..recordings.processes import marked
from ..recordings.registry import Recording, Registry
from ..words import inv
from .gaps import Gap, gaps_of, moment

#: The words of a device that is dialled.
_CONTACT = ("address", "name", "since", "why")


def describe(recordings: Sequence[Recording], registry: Registry) -> list[dict[str, Any]]:
    """Return one object a recording, with the keys that the command line promises."""
    families = marked(registry.folder)
    described = []
    for recording in recordings:
        alive = recording.is_alive()
        gaps = gaps_since_start(recording)
        described.append(
            {
                "name": recording.name,
                "kind": recording.kind,
                "state": recording.state,
                "file": recording.file,
                "host": recording.host or None,
                "port": recording.port,
                "listener": recording.word("listener") or recording.fact("listener") or None,
                "tls": recording.fact("fingerprint") or None,
                "pids": [process.pid for process in families.get(recording.folder, [])],
                # Nobody counts where it is null: the recording is a raw one.
                "lines": None if recording.counters.get("lines", 0) is None else recording.count("lines"),
                "lines_per_second": lines_per_second(recording),
                "bytes": recording.count("bytes"),
                "senders": recording.count("senders") if alive else 0,
                "lag_bytes": recording.count("lag_bytes"),
                "reconnects": recording.count("reconnects"),
                "started": recording.fact("started") or None,
                "last_line": _known(recording, "last_line", str),
                "last_line_at": _known(recording, "last_line_at", float, int),
                # The same, or when the file was last written to, if that was before or nobody tells.
                "heard_at": _known(recording, "last_line_at", float, int) or _written_at(recording.file),
                # Since it was started: what is missing, or had to wait.
                "gaps": len(gaps),
                "last_gap_at": gaps[-1].time if gaps else None,
                # How far a tremplin's clock is ahead of ours, give or take how much.
                "clock_ahead_ms": _known(recording, "clock_ahead_ms", int),
                "clock_within_ms": _known(recording, "clock_within_ms", int),
                "paused_for": _trouble(recording) or None,
                "listener_full": recording.counters.get("listener_full") is True and alive,
                "full_since": (recording.word("full_since") if alive else "") or None,
                "made_room": recording.count("made_room"),
                "connects": recording.count("connects"),
                "refused": recording.count("refused"),
                "no_text": recording.word("no_text") or None,
                "dialled": contacts(recording) if alive else [],
                "token": bool(recording.fact("token")),
                "udp": recording.counters.get("udp") is True and alive,
                "datagrams": recording.count("datagrams"),
                "datagrams_dropped": recording.count("datagrams_dropped"),
                "messages_not_taken": recording.count("messages_not_taken"),
                # What was set aside of the file, and when that is done next, by the clock and by its bytes.
                "pieces": recording.count("pieces"),
                "pieces_bytes": recording.count("pieces_bytes"),
                "pieces_removed": recording.count("pieces_removed"),
                "pieces_compressed": recording.count("pieces_compressed"),
                "rotates_at": _known(recording, "rotates_at", float, int) if alive else None,
                "rotates_at_bytes": _known(recording, "rotates_at_bytes", int) if alive else None,
                "not_rotated": (recording.word("not_rotated") if alive else "") or None,
                "bind": recording.bind or None,
                "boot": comes_back(recording),
                "events": str(recording.folder / names.EVENTS),
                "holes": str(recording.folder / names.HOLES),
            }
        )
    return described


def contacts(recording: Recording) -> list[dict[str, Any]]:
    """Return how it stands with each device that is dialled, as far as that makes sense."""
    told = recording.counters.get("dialled")
    return [
        {**{key: str(one.get(key, ""))[:500] for key in _CONTACT}, "connected": one.get("connected") is True}
        for one in (told if isinstance(told, list) else ())
        if isinstance(one, dict)
    ]


def hints(recordings: Sequence[Recording]) -> Iterator[str]:
    """Yield what the table can't say: who is elsewhere or refused, and what is to be done about the dead."""
    for recording in recordings:
        name = recording.name
        if recording.is_elsewhere():
            assert recording.identity is not None
            yield f"{name} runs on {recording.identity.host}, not seen from here."
        elif recording.fact("relay_folder") and not recording.is_alive() and not recording.is_locked():
            yield f"{name}: {goes_on(recording)}"
        elif recording.corrupt:
            yield f"{name} is not readable, {recording.corrupt}: `{inv('kill')}` cleans it up."
        elif recording.is_alive() and recording.word("no_text"):
            yield f"{name} refused what it does not take: {recording.word('no_text')}."
        elif recording.is_alive() and recording.word("not_rotated"):
            yield (
                f"{name} can't be cut ({recording.word('not_rotated')}): see that the folder of its file is "
                "yours to write, and that there and in the state folder is room."
            )


def certificate_lines(recording: Recording) -> list[str]:
    """Return what a device has to know of a recording's TLS: lines to copy from; none without it."""
    if recording.facts.get("tls") is not True:
        return []
    return [
        f"TLS certificate: {recording.fact('tls_cert')}",
        f"TLS SHA-256: {recording.fact('fingerprint')}",
    ]


def lines_per_second(recording: Recording) -> float | None:
    """Return how many lines a second come of late; None where nobody answers who counts them."""
    told = _known(recording, "lines_per_second", float, int)
    return told if recording.reached is Reached.ALIVE else None


def gaps_since_start(recording: Recording) -> list[Gap]:
    """Return what was missing, or had to wait, since its start; after a kill that states one."""
    began = moment(recording.fact("started")) or 0.0
    return [gap for gap in gaps_of(recording.folder) if (gap.time or 0.0) >= began]


def _written_at(file: str) -> float | None:
    """Return when something was last written to a file; None if nothing is in it."""
    with contextlib.suppress(OSError, ValueError):
        now = os.stat(file)
        return now.st_mtime if now.st_size and stat.S_ISREG(now.st_mode) else None
    return None


def _trouble(recording: Recording) -> str:
    """Return why it does not record, or ended; empty if it records, or can't tell."""
    if not recording.is_alive():
        return recording.word("ended_for")  # one that was killed can't say why
    silent = recording.reached is Reached.SILENT
    return str(Reached.SILENT.value) if silent else recording.word("paused_for")


def _known(recording: Recording, name: str, *types: type) -> Any:
    value = recording.counters.get(name)
    return value if isinstance(value, types) and not isinstance(value, bool) else None
