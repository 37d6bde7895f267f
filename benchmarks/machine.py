"""What it is measured on: without this, figures say nothing."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import subprocess
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path

import psutil

from benchmarks import debs
from reclog.engine import __version__


def facts(folder: Path) -> dict[str, str]:
    """Return the machine's facts; `folder` is where recordings go."""
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "cpu": _cpu(),
        "cores": str(os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "file system": _file_system(folder),
    }


def versions(cache: Path) -> dict[str, str]:
    """Return the versions of reclog and of those that it is compared with, as far as they are here."""
    found = {"reclog": __version__, "OpenSSH": _said(["ssh", "-V"], r"OpenSSH_(\S+?),? ")}
    found["socat"] = _said(["socat", "-V"], r"socat version (\S+)")
    found["ncat"] = _said(["ncat", "--version"], r"Version (\S+)")
    for package, program, words in (
        ("rsyslog", "rsyslogd", ("-v", r"rsyslogd +(\S+)")),
        ("syslog-ng-core", "syslog-ng", ("--version", r"\((\S+)\)")),
    ):
        tree = cache / package
        if tree.is_dir():  # nothing is fetched to be named
            command = [str(tree / "usr" / "sbin" / program), words[0]]
            found[program] = _said(command, words[1], debs.environment(tree))
    return {name: version for name, version in found.items() if version}


def _said(command: list[str], pattern: str, env: Mapping[str, str] | None = None) -> str:
    """Return what `pattern` finds in what a command says; nothing if it isn't here."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=10, check=False)
        match = re.search(pattern, done.stdout + done.stderr)
        if match:
            return match[1]
    return ""


def _cpu() -> str:
    with contextlib.suppress(OSError):
        match = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text("utf-8"), re.MULTILINE)
        if match:
            return match[1]
    return platform.machine()


def _file_system(folder: Path) -> str:
    path = str(folder.resolve())
    mounts = [one for one in psutil.disk_partitions(all=True) if _is_below(path, one.mountpoint)]
    return max(mounts, key=lambda one: len(one.mountpoint)).fstype if mounts else "unknown"


def _is_below(path: str, top: str) -> bool:
    return path == top or path.startswith(top.rstrip("/") + "/")
