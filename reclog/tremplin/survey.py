"""Runs on the tremplin, by `python3 -c`: what is there? Needs nothing but Python 3.

Prints one JSON object: the Python version, the home, room and rights in it, and each relay of this account
with its config, its owner, its program's hash, and whether it runs.
"""

import glob
import hashlib
import json
import os
import re
import shutil
import socket
import sys
from typing import Any


def read(path: str) -> Any:
    """Return the JSON object in a file; empty if there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            value = json.load(file)
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) and shallow(value, 8) else {}


def shallow(value: Any, levels: int) -> bool:
    """Tell whether a value can be printed: what is nested too deep can't."""
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return True
    return levels > 0 and all(shallow(one, levels - 1) for one in value)


def runs(identity: Any) -> bool:
    """Tell whether the process of a state file runs."""
    if not isinstance(identity, dict) or type(identity.get("pid")) is not int:
        return False
    try:
        with open("/proc/" + str(identity["pid"]) + "/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        with open("/proc/sys/kernel/random/boot_id") as file:
            boot = file.read().strip()
        place = (socket.gethostname(), boot, os.readlink("/proc/self/ns/pid"))
    except OSError:
        return False
    meant = (identity.get("host"), identity.get("boot"), identity.get("pid_namespace"))
    same = fields[19].decode() == identity.get("started") and place == meant
    return same and fields[0] not in (b"Z", b"X")


def marked(folder: str) -> int:
    """Return the pid of the relay with that folder by the mark in its environment; 0 if there is none."""
    for path in glob.glob("/proc/[0-9]*"):
        try:
            with open(path + "/environ", "rb") as file:
                marks = file.read().split(b"\0")
            with open(path + "/cmdline", "rb") as file:
                words = file.read().split(b"\0")
        except OSError:
            continue  # another's, or it has ended
        if (
            b"RECLOG_RECORDING=" + os.fsencode(folder) in marks
            and b"relay" in words
            and b"start" not in words
        ):
            return int(os.path.basename(path))
    return 0


def program(path: str) -> str:
    """Return the hash of a program file; empty if there is none."""
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError:
        return ""


def undelivered(folder: str, acks: Any) -> int:
    """Return how many bytes of a spool nobody has acked: each segment is named by its first byte's offset.

    What is no offset of these segments is no ack: all would count as delivered, and be deleted.
    """
    segments = []
    for path in glob.glob(glob.escape(folder) + "/*.seg"):
        name = os.path.basename(path)[:-4]
        if re.fullmatch("[0-9]{20}", name):
            try:
                segments.append((int(name), int(name) + os.path.getsize(path)))
            except OSError:
                pass  # acked and deleted meanwhile
    last = max((end for _, end in segments), default=0)
    acked = max((one for one in acks if type(one) is int and one <= last), default=0)
    return sum(max(0, end - max(start, acked)) for start, end in segments)


home = os.path.expanduser("~")
base = os.path.join(home, ".local/state/reclog/relay")
relays = {}
for folder in sorted(glob.glob(glob.escape(base) + "/*/")):
    if not os.path.exists(folder + "config.json"):
        continue
    state = read(folder + "state.json")
    spool = read(folder + "spool/spool.json")
    counters = read(folder + "counters.json")
    identity = state.get("identity")
    # Its state file may be lost; its mark is not.
    pid = marked(folder[:-1]) if identity is None else identity["pid"] if runs(identity) else 0
    relays[os.path.basename(folder[:-1])] = {
        "config": read(folder + "config.json"),
        "owner": read(folder + "owner.json"),
        "program": program(folder + "reclog.pyz"),
        "alive": bool(pid),
        "pid": pid or None,
        "spool": spool.get("id"),
        "left": undelivered(folder + "spool", [counters.get("acked"), spool.get("acked")]),
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
