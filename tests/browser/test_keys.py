"""The page by keys alone, on a wide and on a narrow screen, and what a screen reader is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench import Home, wait_until
from browsing import View, address_of, last_line, opened, past, seen
from playwright.sync_api import Page

LINES = 3000


def stamped(path: Path) -> Path:
    """Write as a recorder with --stamp: a line a second, of two senders; then repeats and a traceback."""
    with path.open("w") as file:
        for number in range(LINES):
            when = f"2026-05-31T{12 + number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}.000Z"
            sender = ("10.0.0.1", "10.0.0.2")[number % 2]
            file.write(f"{when} {sender} number {number:05}\n")
        for words in ("again",) * 4 + ("Traceback:", '  File "a"', "    b", '  File "c"', "Error: d"):
            file.write(f"2026-05-31T13:00:00.000Z 10.0.0.1 {words}\n")
    return path


@pytest.fixture
def shown(home: Home, view: View, page: Page) -> Page:
    """Give a test the page with a recording of which the times are known."""
    file = stamped(home.path / "keys.log")
    past(home, "keys", file, stamp=True)
    return opened(page, view.address)


def test_every_place_is_reached(shown: Page) -> None:
    press = shown.keyboard.press
    seen(shown, "Error: d")
    press("Home")
    seen(shown, "number 00000")
    press("/")
    shown.keyboard.insert_text("number 01[23]00")  # half of it would be no expression
    press("Enter")
    seen(shown, "number 01200")
    press("Escape")  # out of the field, which keeps its words
    assert shown.input_value("#find") == "number 01[23]00"
    press("n")
    seen(shown, "number 01300")
    press("N")
    seen(shown, "number 01200")
    press("m")
    wait_until(lambda: shown.locator(".row").count() == 2, what="only matches")
    press("m")
    press("End")
    seen(shown, "Error: d")
    press("w")
    press("f")
    wait_until(lambda: "wrap=1&fold=0" in address_of(shown), what="the address tells it")
    press("?")
    shown.get_by_role("dialog", name="Keys").wait_for()
    press("Escape")
    press("s")
    press("]")
    assert shown.evaluate("document.activeElement.className").startswith("log")


def test_repeats_and_tracebacks_are_folded_in_the_view_alone(shown: Page) -> None:
    seen(shown, "Error: d")
    repeats = shown.get_by_role("button", name="× 4")
    assert repeats.get_attribute("aria-expanded") == "false"
    assert shown.locator(".row .text", has_text="again").count() == 1
    repeats.focus()
    shown.keyboard.press("Enter")
    wait_until(lambda: shown.locator(".row .text", has_text="again").count() == 4)
    shown.get_by_role("button", name="3 more lines").click()
    seen(shown, 'File "c"')
    with shown.expect_download() as download:
        shown.keyboard.press("d")
    assert download.value.path().read_bytes().count(b"again") == 4


def test_all_that_acts_has_a_name(shown: Page) -> None:
    unnamed = shown.evaluate("""() => [...document.querySelectorAll('button, input, [tabindex]')]
        .filter((one) => !(one.textContent.trim() || one.ariaLabel || one.title || one.labels?.length))
        .map((one) => one.outerHTML)""")
    assert unnamed == []
    rail = shown.get_by_role("scrollbar", name="Place in keys")
    assert "following" in (rail.get_attribute("aria-valuetext") or "")


def test_on_a_phone_nothing_is_wider_than_the_screen(shown: Page) -> None:
    shown.set_viewport_size({"width": 390, "height": 844})
    seen(shown, "Error: d")
    assert shown.evaluate("document.documentElement.scrollWidth") <= 390
    assert shown.evaluate("document.querySelector('.log').scrollWidth") <= 390
    shown.get_by_role("button", name="Recordings and senders").click()
    assert shown.get_by_role("button", name="keys", exact=False).first.is_visible()
    assert last_line(shown) == "Error: d"
