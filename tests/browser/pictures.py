"""Make the pictures in docs: `.venv/bin/python tests/browser/pictures.py`.

A recorder of its own with four senders, a pause in between, its page, wide and narrow, light and dark, and
what `inv tail` shows of it on a terminal.
"""

from __future__ import annotations

import contextlib
import io
import math
import random
import re
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "browser"), str(ROOT / "tests" / "integration")]

from bench import BIN, Home  # noqa: E402
from browsing import chromium, opened, viewing  # noqa: E402
from playwright.sync_api import Browser  # noqa: E402
from rich._export_format import CONSOLE_SVG_FORMAT  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.text import Text  # noqa: E402
from terminal import terminal  # noqa: E402

PICTURES = ROOT / "docs" / "pictures"
SENDERS = {"kitchen": "127.0.0.2", "hall": "127.0.0.3", "door": "127.0.0.4", "web": "127.0.0.5"}
TRACEBACK = """ERROR unhandled exception in request 8f3a
Traceback (most recent call last):
  File "/app/server.py", line 88, in handle
    return route(request)
  File "/app/routes.py", line 31, in state
    return devices[name].state()
KeyError: 'garage'
"""


def said(number: int, ticks: int, dice: random.Random) -> tuple[str, str]:
    """Return a sender and what it says next."""
    if number % 90 == 60:
        return "web", TRACEBACK
    if number % 70 == 50:
        return "kitchen", f"\x1b[0;31mE ({ticks}) dht: checksum failed, got 0x3f\x1b[0m\n"
    sender = dice.choices([*SENDERS], [6, 2, 1, 3])[0]
    if sender == "hall":
        return sender, f"motion {dice.choice(['on', 'off'])} lux={dice.randint(0, 400)} battery=3.71V\n"
    if sender == "door":
        return sender, "heartbeat ok\n" * dice.choice([1, 4])
    if sender == "web":
        return sender, f"INFO  GET /api/state 200 {dice.randint(1, 80)} ms user={dice.randint(1, 9)}\n"
    if dice.random() < 0.2:
        return sender, f"\x1b[0;33mW ({ticks}) wifi: beacon missed, rssi -{dice.randint(60, 90)}\x1b[0m\n"
    return (
        sender,
        f"\x1b[0;32mI ({ticks}) dht: {21 + dice.random():.1f} C, humidity {dice.randint(40, 49)} %\x1b[0m\n",
    )


def talk(port: int, seconds: float, dice: random.Random) -> None:
    """Have all senders say something, now more, now less."""
    with contextlib.ExitStack() as open_ones:
        links = {}
        for name, address in SENDERS.items():
            links[name] = open_ones.enter_context(socket.socket())
            links[name].bind((address, 0))
            links[name].connect(("127.0.0.1", port))
        began, number, ticks = time.monotonic(), 0, 1000
        while (passed := time.monotonic() - began) < seconds:
            number, ticks = number + 1, ticks + dice.randint(3, 60)
            sender, text = said(number, ticks, dice)
            links[sender].sendall(text.encode())
            time.sleep(dice.random() * 0.03 * (1.4 + math.sin(passed)))


@contextlib.contextmanager
def home() -> Iterator[Home]:
    """Have a home that nothing is left of."""
    with tempfile.TemporaryDirectory() as folder:
        made = Home(Path(folder))
        try:
            yield made
        finally:
            made.kill_all()


def take(browser: Browser, address: str, place: str) -> None:
    """Take the four pictures."""
    PICTURES.mkdir(exist_ok=True)
    for scheme in ("light", "dark"):
        for width, height in ((1280, 570), (390, 760)):
            context = browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=scheme, timezone_id="Europe/Berlin"
            )
            page = opened(context.new_page(), f"{address}&{place}")
            page.locator("#senders button").first.wait_for(state="attached")
            page.locator("#found").filter(has_text="lines").wait_for()
            page.keyboard.press("G")  # to the gap
            page.locator(".row.gap").wait_for()
            page.wait_for_timeout(1500)  # until the timeline is whole
            page.screenshot(path=PICTURES / f"view-{width}-{scheme}.png")
            context.close()


def tail(own: Home, lines: int) -> None:
    """Draw what a terminal shows of the last lines, from before the gap on."""
    words = "tail", "--no-follow", "--lines", str(lines)
    with terminal(own, str(BIN / "inv"), *words) as window:
        window.ended()
    console = Console(record=True, width=88, file=io.StringIO())
    console.print(Text.from_ansi(window.shown.decode().replace("\r\n", "\n")))
    # Without the font that its style would have a reader fetch from elsewhere.
    form = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    svg = console.export_svg(title=f"inv {' '.join(words)}", code_format=form, unique_id="tail")
    (PICTURES / "tail.svg").write_text(svg)


def main() -> None:
    """Record, stop, record on, and take pictures of it."""
    dice = random.Random(4)
    names = [word for name, address in SENDERS.items() for word in ("--name", f"{address}={name}")]
    with home() as own, chromium() as browser:
        running = own.local("--listener", "builtin", *names)
        talk(running.port, 14, dice)
        running.kill()
        time.sleep(3)
        own.inv(*running.words, "--listener", "builtin", *names)
        talk(running.port, 0.25, dice)
        tail(own, 22)
        talk(running.port, 8.75, dice)
        with viewing(own) as view:
            take(browser, view.address, "q=checksum")


if __name__ == "__main__":
    main()
