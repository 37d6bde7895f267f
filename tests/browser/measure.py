"""What the page takes, beside lnav and tail: `.venv/bin/python tests/browser/measure.py [GB] [SECONDS]`.

Writes a file of GB (2) in a home of its own. Each figure is the best of two, of a file in the page cache:
until the last lines are there; until the only match, in the middle, is; memory of all processes then. Then
10,000 lines a second are followed for SECONDS (60): how far behind the page is, and its tab's memory.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "browser"), str(ROOT / "tests" / "integration")]

import psutil  # noqa: E402
from bench import Home  # noqa: E402
from browsing import View, chromium, opened, past, seen, viewing  # noqa: E402
from playwright.sync_api import Browser  # noqa: E402
from test_following import behind, flood  # noqa: E402

#: Seconds after which a program counts as one that does not come to it (inf).
PATIENCE = 90
LAST, NEEDLE = "the last line", "the needle is here"
LINE = b"2026-05-31T12:%02d:%02d I (%d) sensor: value %d ok\n"


def write(file: Path, gigabytes: float) -> None:
    """Write lines, one with NEEDLE in the middle, LAST at the end."""
    block = b"".join(LINE % (one // 60 % 60, one % 60, one * 13, one * 7919) for one in range(20000))
    count = int(gigabytes * 1e9 / len(block))
    with file.open("wb") as out:
        for number in range(count):
            out.write(block)
            if number == count // 2:
                out.write(NEEDLE.encode() + b"\n")
        out.write(LAST.encode() + b"\n")


def memory(*roots: psutil.Process) -> float:
    """Return the MB of all processes below `roots`, shared pages in parts."""
    every = [one for root in roots for one in (root, *root.children(recursive=True))]
    return sum(one.memory_full_info().pss for one in every) / 1e6


def in_page(browser: Browser, view: View) -> tuple[float, float, float]:
    """Return the seconds until the end is seen, until the match is, and the MB of server and tab."""
    page = browser.new_page()
    began = time.monotonic()
    opened(page, view.address)
    seen(page, LAST)
    end = time.monotonic()
    page.fill("#find", NEEDLE)
    page.keyboard.press("Enter")
    seen(page, NEEDLE)
    match = time.monotonic()
    mine = [psutil.Process(view.process.pid), *tabs()]
    found = end - began, match - end, memory(*mine)
    page.close()
    return found


def tabs() -> list[psutil.Process]:
    """Return the processes of pages."""
    return [one for one in psutil.Process().children(recursive=True) if "--type=renderer" in one.cmdline()]


def in_terminal(command: list[str], search: bytes) -> tuple[float, float, float]:
    """Return the same of a program in a terminal; `search` is what is typed to find NEEDLE, if it can."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        os.execvp(command[0], command)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 40, 120, 0, 0))
    text = b""

    def until(words: str) -> float:
        nonlocal text
        give_up = time.monotonic() + PATIENCE
        while words.encode() not in text:
            if time.monotonic() > give_up:
                return float("inf")
            if select.select([terminal], [], [], 1)[0]:
                text = text[-10000:] + os.read(terminal, 65536)
        return time.monotonic()

    began = time.monotonic()
    end = until(LAST)
    match = float("nan")
    if search:
        text = b""
        os.write(terminal, search)
        match = until(NEEDLE[4:]) - end
    used = memory(psutil.Process(pid))
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    os.close(terminal)
    return end - began, match, used


def best(measure: Callable[[], tuple[float, float, float]]) -> str:
    """Return a row's cells of three tries."""
    tries = list(zip(*(measure() for _ in range(2)), strict=True))
    end, match, used = min(tries[0]), min(tries[1]), max(tries[2])
    return f"{end:.2f} s | {'-' if match != match else f'{match:.2f} s'} | {used:.0f} MB |"


def main() -> None:
    """Print a table, and how a flood is followed."""
    gigabytes, seconds = [float(one) for one in (*sys.argv[1:], *("2", "60")[len(sys.argv) - 1 :])]
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        home = Home(Path(folder))
        file = home.path / "large.log"
        write(file, gigabytes)
        past(home, "large", file)
        print(f"| {gigabytes:g} GB | opens at the end | first match | memory |\n|---|---:|---:|---:|")
        with viewing(home) as view:
            print(f"| `inv view` (server and tab) | {best(lambda: in_page(browser, view))}", flush=True)
        print(f"| `tail -f` | {best(lambda: in_terminal(['tail', '-f', str(file)], b''))}", flush=True)
        lnav = ["lnav", str(file)]
        print(f"| `lnav` | {best(lambda: in_terminal(lnav, b'/needle' + bytes([13]) + b'N'))}", flush=True)
        grep = ["grep", "-m1", NEEDLE, str(file)]
        began = time.monotonic()
        subprocess.run(grep, check=True, stdout=subprocess.DEVNULL)
        print(f"| `grep -m1` | - | {time.monotonic() - began:.2f} s | |", flush=True)
        file.unlink()
        running = home.local("--listener", "builtin")
        running.send(b"said at %d\n" % (time.time() * 1000))
        with viewing(home) as view:
            page = opened(browser.new_page(), f"{view.address}&r={running.folder.name}")
            sender = threading.Thread(target=flood, args=(running, seconds))
            sender.start()
            late = []
            while sender.is_alive():
                late.append(behind(page))
                sender.join(0.2)
            used = memory(*tabs())
            found = sorted(late)[int(len(late) * 0.99)]
            print(
                f"10,000 lines/s, {seconds:g} s: behind by {statistics.median(late):.2f} s (median), ", end=""
            )
            print(f"{found:.2f} s (99 of 100), {max(late):.2f} s at most; the tab has {used:.0f} MB")
        home.kill_all()


if __name__ == "__main__":
    main()
