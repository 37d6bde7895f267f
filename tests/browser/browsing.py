"""What tests of the page need: a page served, and Debian's Chromium to look at it."""

from __future__ import annotations

import contextlib
import json
import re
import select
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench import Home, free_port, wait_until
from playwright.sync_api import Browser, Page, sync_playwright

from reclog.engine.records import names

#: As root it has no sandbox; it is to ask nobody anything.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--js-flags=--expose-gc",
    "--enable-precise-memory-info",
]


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Run a browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        yield browser
        browser.close()


class View:
    """`inv view`, served from a home."""

    def __init__(self, home: Home, process: subprocess.Popen[str]) -> None:
        self.home = home
        self.process = process
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], 30)
        words = process.stdout.readline() if ready else ""
        found = re.fullmatch(r"(http://127\.0\.0\.1:(\d+)/)\?token=([\w-]{20,})\n", words)
        assert found is not None, words or "no word from it"
        self.address = words.strip()
        self.origin, self.port, self.token = found[1], int(found[2]), found[3]

    def at(self, **words: Any) -> str:
        """Return the address of a place, with the token."""
        more = "".join(f"&{name}={value}" for name, value in words.items())
        return f"{self.address}{more}"

    def stop(self) -> int:
        """End it as a person would; return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=20)


@contextlib.contextmanager
def viewing(home: Home) -> Iterator[View]:
    """Serve the page; see that it ends well."""
    home.ports.append(free_port())
    view = View(home, home.start("inv", "view", "--no-open", "--port", str(home.ports[-1])))
    try:
        yield view
    finally:
        assert view.stop() == 0


def past(home: Home, name: str, file: Path, **facts: Any) -> Path:
    """Have a recording of `file` that has ended; return its folder."""
    folder = home.recordings / name
    folder.mkdir(parents=True)
    (folder / names.PAST).write_text(json.dumps({"name": name, "file": str(file), "kind": "local", **facts}))
    return folder


def opened(page: Page, address: str) -> Page:
    """Open the page and wait for the first lines."""
    page.goto(address)
    page.locator(".log .row").first.wait_for()
    return page


def address_of(page: Page) -> str:
    """Return what the address bar has now: Playwright's own idea of it waits for an event."""
    return str(page.evaluate("location.href"))


def last_line(page: Page, pane: int = 0) -> str:
    """Return the text of the last line that is held."""
    rows = page.locator(".log").nth(pane).locator(".row .text")
    return rows.last.text_content() or ""


def seen(page: Page, words: str, within: float = 10.0) -> None:
    """Wait until a line with these words is in sight."""
    script = """(words) => [...document.querySelectorAll('.log')].some((list) => {
        const box = list.getBoundingClientRect();
        return [...list.querySelectorAll('.text')].some((line) => {
            const place = line.getBoundingClientRect();
            return line.textContent.includes(words) && place.bottom > box.top && place.top < box.bottom;
        });
    })"""
    wait_until(lambda: page.evaluate(script, words), within, f"{words!r} in sight")
