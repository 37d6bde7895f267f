"""Runs on the tremplin, by `python3 -c`: what is there? Needs nothing but Python 3.

Prints one JSON object: the Python version, the home, room and rights in it, and each relay of this account
with its config, its owner, its program's hash, and whether it runs.
"""

import glob
import hashlib
import json
import os
import shutil
import sys
from typing import Any


def read(path: str) -> Any:
    """Return the JSON object in a file; empty if there is none."""
    try:
        with open(path) as file:
            return json.load(file)
    except (OSError, ValueError):
        return {}


def runs(identity: Any) -> bool:
    """Tell whether the process of a state file runs."""
    try:
        with open("/proc/" + str(identity["pid"]) + "/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        with open("/proc/sys/kernel/random/boot_id") as file:
            boot = file.read().strip()
    except (OSError, KeyError, TypeError):
        return False
    same = fields[19].decode() == identity.get("started") and boot == identity.get("boot")
    return bool(same) and fields[0] not in (b"Z", b"X")


def program(path: str) -> str:
    """Return the hash of a program file; empty if there is none."""
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError:
        return ""


def undelivered(folder: str, acked: int) -> int:
    """Return how many bytes of a spool nobody has acked: each segment is named by its first byte's offset."""
    left = 0
    for path in glob.glob(glob.escape(folder) + "/*.seg"):
        start = int(os.path.basename(path)[:-4])
        end = start + os.path.getsize(path)
        left += max(0, end - max(start, acked))
    return left


home = os.path.expanduser("~")
base = os.path.join(home, ".local/state/reclog/relay")
relays = {}
for folder in sorted(glob.glob(glob.escape(base) + "/*/")):
    if not os.path.exists(folder + "config.json"):
        continue
    state = read(folder + "state.json")
    spool = read(folder + "spool/spool.json")
    counters = read(folder + "counters.json")
    acked = max(counters.get("acked", 0), spool.get("acked", 0))
    relays[os.path.basename(folder[:-1])] = {
        "config": read(folder + "config.json"),
        "owner": read(folder + "owner.json"),
        "program": program(folder + "reclog.pyz"),
        "alive": runs(state.get("identity")),
        "pid": (state.get("identity") or {}).get("pid"),
        "spool": spool.get("id"),
        "left": undelivered(folder + "spool", acked),
        "stopping": os.path.exists(folder + "stopping"),
    }
existing = base
while not os.path.isdir(existing):
    existing = os.path.dirname(existing)
answer = {
    "python": list(sys.version_info[:3]),
    "home": home,
    "base": base,
    "writable": os.access(existing, os.W_OK),
    "free": shutil.disk_usage(existing).free,
    "socat": bool(shutil.which("socat")),
    "relays": relays,
}
print("reclog-look " + json.dumps(answer))
