"""Who holds a lock on a file, as far as Linux tells (proc(5), /proc/locks)."""

from __future__ import annotations

import os

from .identity import user_name


def lock_holder(file: os.stat_result) -> str:
    """Return who has a flock(2) on the file, for a person to read.

    A holder in another container is not told, nor is one on a file system whose locks have another number
    than its files (btrfs).
    """
    wanted = f"{os.major(file.st_dev):02x}:{os.minor(file.st_dev):02x}:{file.st_ino}"
    try:
        with open("/proc/locks", encoding="ascii", errors="replace") as locks:
            held = [line.split() for line in locks]
    except OSError:
        held = []
    for words in held:
        if len(words) >= 6 and words[1] == "FLOCK" and words[5] == wanted:
            try:
                folder = f"/proc/{int(words[4])}"
                with open(f"{folder}/comm", encoding="utf-8", errors="replace") as comm:
                    name = comm.read().strip()
                return f"process {words[4]} ({name}, of {user_name(os.stat(folder).st_uid)})"
            except (OSError, ValueError):
                continue  # it has ended
    return "another process"
