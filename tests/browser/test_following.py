"""What comes is followed: a flood without falling behind, a file that begins anew, a recorder that dies."""

from __future__ import annotations

import statistics
import threading
import time

import psutil
from bench import Home, Running, wait_until
from browsing import View, last_line, opened, seen
from playwright.sync_api import Page

#: Lines a second, and for how many seconds.
RATE, SECONDS = 10_000, 5.0


def flood(running: Running, seconds: float) -> None:
    """Send lines that tell when they were sent, in ms of the epoch."""
    with running.connect() as sock:
        began, sent = time.monotonic(), 0
        while (passed := time.monotonic() - began) < seconds:
            due = int(passed * RATE) - sent
            sock.sendall(b"said at %d ms, and some words behind it\n" % (time.time() * 1000) * due)
            sent += due
            threading.Event().wait(0.01)


def behind(page: Page) -> float:
    """Return how many seconds ago the last line was said that is shown."""
    script = """() => {
        const rows = document.querySelectorAll('.log .row .text');
        return (Date.now() - Number(/said at (\\d+)/.exec(rows[rows.length - 1].textContent)[1])) / 1000;
    }"""
    return float(page.evaluate(script))


def test_a_flood_is_followed_within_half_a_second_in_flat_memory(home: Home, view: View, page: Page) -> None:
    running = home.local("--listener", "builtin")
    running.send(b"said at %d\n" % (time.time() * 1000))
    opened(page, view.address)
    sender = threading.Thread(target=flood, args=(running, SECONDS))
    sender.start()
    found = []
    while sender.is_alive():
        found.append(behind(page))
        sender.join(0.1)
    # Other tests share these cores: what counts is that it does not fall behind.
    assert statistics.median(found[5:]) < 0.5, found
    wait_until(lambda: last_line(page).startswith("said at"), 5)
    page.evaluate("gc()")
    assert page.evaluate("performance.memory.usedJSHeapSize") < 60e6
    assert page.locator(".log .row").count() <= 1200


def test_memory_of_the_tab(home: Home, view: View, page: Page) -> None:
    running = home.local("--listener", "builtin")
    running.send(b"said at %d\n" % (time.time() * 1000))
    opened(page, view.address)
    flood(running, 1.0)
    tabs = [one for one in psutil.Process().children(recursive=True) if "--type=renderer" in one.cmdline()]
    assert max(one.memory_info().rss for one in tabs) < 300e6


def test_a_recorder_that_is_killed_and_started_again_while_it_is_looked_at(
    home: Home, view: View, page: Page
) -> None:
    running = home.local("--listener", "builtin")
    running.send(b"before\n")
    opened(page, view.address)
    running.daemon.kill()
    page.locator(".badge.dead").wait_for()
    seen(page, "before")
    assert home.inv(*running.words).returncode == 0
    running.send(b"after\n")
    seen(page, "after")
    page.locator(".badge.recording").wait_for()


def test_a_file_that_begins_anew(home: Home, view: View, page: Page) -> None:
    running = home.local("--listener", "builtin")
    running.send(b"".join(b"old %d\n" % number for number in range(100)))
    opened(page, view.address)
    seen(page, "old 99")
    running.file.write_bytes(b"")
    running.send(b"new\n")
    seen(page, "new")


def test_two_views_at_once_and_a_server_that_ends(home: Home, view: View, page: Page) -> None:
    running = home.local("--listener", "builtin")
    running.send(b"first\n")
    opened(page, view.address)
    other = opened(page.context.new_page(), view.origin)  # the cookie is there
    running.send(b"to both\n")
    for one in (page, other):
        one.bring_to_front()
        seen(one, "to both")
    view.stop()
    other.get_by_role("alert").filter(has_text="inv view").wait_for()
    page.close()
    page.wrong.clear()  # type: ignore[attr-defined] # what it asked for and did not get
