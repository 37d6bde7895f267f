"""What is there of relays, told to whoever has logged in: it also runs where nothing of ours is yet.

Prints one JSON object: the Python version, the home, room and rights in it, and each relay of this account
with its config, its owner, its program's hash, and whether it runs.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import shutil
import sys
from typing import Any

from ..records.jsonfile import read_json
from ..records.names import CONFIG, COUNTERS, MARK, OWNER, PROGRAM, SPOOL, STATE, STOPPING
from ..stores.segments import undelivered
from ..system.identity import Identity

#: What the answer's line begins with: a login may say other things, too.
SIGN = "reclog-look "


def main() -> None:
    """Print what is there."""
    print(SIGN + json.dumps(survey()))


def survey() -> dict[str, Any]:
    """Return what is there."""
    home = os.path.expanduser("~")
    base = os.path.join(home, ".local/state/reclog/relay")
    existing = base
    while not os.path.isdir(existing):
        existing = os.path.dirname(existing)
    return {
        "python": list(sys.version_info[:3]),
        "home": home,
        "base": base,
        "writable": os.access(existing, os.W_OK),
        "free": shutil.disk_usage(existing).free,
        "relays": {
            os.path.basename(folder): _relay(folder)
            for folder in sorted(glob.glob(os.path.join(glob.escape(base), "*")))
            if os.path.exists(os.path.join(folder, CONFIG))
        },
    }


def _relay(folder: str) -> dict[str, Any]:
    state = _facts(folder, STATE)
    spool = _facts(folder, SPOOL, "spool.json")
    try:
        identity = Identity.from_json(state["identity"])
        pid = identity.pid if identity.is_alive() else 0
    except ValueError:
        pid = 0
    except KeyError:  # its state file is lost; its mark is not
        pid = _marked(folder)
    return {
        "config": _facts(folder, CONFIG),
        "owner": _facts(folder, OWNER),
        "program": _program(os.path.join(folder, PROGRAM)),
        "alive": bool(pid),
        "pid": pid or None,
        "left": undelivered(
            os.path.join(folder, SPOOL), [_facts(folder, COUNTERS).get("acked"), spool.get("acked")]
        ),
        "stopping": os.path.exists(os.path.join(folder, STOPPING)),
    }


def _facts(*path: str) -> dict[str, Any]:
    try:
        return read_json(os.path.join(*path))
    except (OSError, ValueError):
        return {}


def _marked(folder: str) -> int:
    """Return the pid of the relay with that folder by the mark in its environment; 0 if there is none."""
    mark = os.fsencode(f"{MARK}={folder}")
    for path in glob.glob("/proc/[0-9]*"):
        try:
            with open(path + "/environ", "rb") as file:
                marks = file.read().split(b"\0")
            with open(path + "/cmdline", "rb") as file:
                words = file.read().split(b"\0")
        except OSError:
            continue  # another's, or it has ended
        if mark in marks and b"relay" in words and b"start" not in words:
            return int(os.path.basename(path))
    return 0


def _program(path: str) -> str:
    """Return the hash of a program file; empty if there is none."""
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError:
        return ""
