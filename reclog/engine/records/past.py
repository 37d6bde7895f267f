"""What is kept of a recording that has ended, in its folder: what it was, and how far it had come.

Rules kept here:

- It is there before anything else of the recording goes: a death in between leaves a recording that is dead,
  and is ended anew. One that begins again takes its folder up, and leaves it there.
- No secret is kept, and nothing that only who runs needs.
- A full disk keeps no recording from ending: then it is what the state file was, under another name, with all
  that is in it, for this user alone as before.
"""

from __future__ import annotations

import os
from typing import Any, Mapping

from ..system.disk import DISK, Disk
from .jsonfile import write_json
from .names import BOOT, CONFIG, PAST, STATE

#: What is of no use once it has ended, and what nobody else is to know.
_GONE = {"identity", "secret", "token", "ssh_command", "start_command", "relay_folder", "foreground_of"}
#: What was asked for once, by whoever stood before it.
ONCE = ("foreground_of", "take_over", "relay_listens")


def keep(
    folder: str, facts: Mapping[str, Any], counters: Mapping[str, Any], ended: str, disk: Disk = DISK
) -> None:
    """Keep what the recording in `folder` was; `ended` is when, as an event's time, empty if nobody knows."""
    kept = {name: value for name, value in facts.items() if name not in _GONE}
    try:
        write_json(os.path.join(folder, PAST), {**kept, "counters": counters, "ended": ended}, disk=disk)
    except OSError:
        for name in (STATE, CONFIG):
            try:
                disk.replace(os.path.join(folder, name), os.path.join(folder, PAST))
                return
            except OSError:
                pass  # it was never written, or nothing works there


def keep_for_boot(folder: str, told: Mapping[str, Any], disk: Disk = DISK) -> None:
    """Keep what a recording was told, its secrets too, if it comes back at boot; as far as there is room."""
    path = os.path.join(folder, BOOT)
    if os.path.exists(path):
        try:
            write_json(path, dict(told), disk=disk)
        except OSError:
            pass  # there is no room: it comes back as it was before
