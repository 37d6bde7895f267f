"""The page in a real browser: opens at the end, follows, goes back, finds, restores; by hand and by keys."""

from __future__ import annotations

import re
import time
from pathlib import Path

from bench import Home, wait_until
from browsing import View, address_of, last_line, opened, past, seen
from playwright.sync_api import Page


def written(path: Path, megabytes: int) -> Path:
    """Write a file of numbered lines, 64 bytes each."""
    with path.open("wb") as file:
        for start in range(0, megabytes * 16384, 16384):
            file.write(b"".join(b"line %010d %s\n" % (start + one, b"." * 47) for one in range(16384)))
    return path


def test_a_recording_is_followed_while_it_runs(home: Home, view: View, page: Page) -> None:
    running = home.local("--listener", "builtin")
    running.send(b"first\n")
    opened(page, view.address)
    seen(page, "first")
    assert "token" not in page.url
    with running.connect() as sock:
        for number in range(20):
            sock.sendall(b"said %d\n" % number)
            sent = time.monotonic()
            seen(page, f"said {number}")
            assert time.monotonic() - sent < 2


def test_a_large_file_opens_at_its_end_at_once_and_goes_back_to_its_first_line(
    home: Home, view: View, page: Page
) -> None:
    past(home, "big", written(home.path / "big.log", 200))
    took: list[float] = []
    while not took or (min(took) > 1.0 and len(took) < 5):  # other tests share these cores
        began = time.monotonic()
        opened(page, view.address)
        seen(page, f"line {200 * 16384 - 1:010}")
        took.append(time.monotonic() - began)
    page.keyboard.press("Home")
    seen(page, f"line {0:010}")
    page.keyboard.press("End")
    seen(page, f"line {200 * 16384 - 1:010}")
    assert page.locator(".log .row").count() < 2000
    assert min(took) < 3.0, took  # what it takes alone is measured (measure.py)


def test_an_address_is_a_place(home: Home, view: View, page: Page) -> None:
    past(home, "big", written(home.path / "big.log", 2))
    opened(page, view.address)
    page.fill("#find", "0000012345")
    page.keyboard.press("Enter")
    seen(page, "line 0000012345")
    address = wait_until(lambda: re.search(r".*@\d+.*q=0000012345.*", address_of(page)), what="the address")[
        0
    ]
    other = opened(page.context.new_page(), address)
    seen(other, "line 0000012345")
    assert last_line(other) != f"line {2 * 16384 - 1:010}"
    assert other.input_value("#find") == "0000012345"
