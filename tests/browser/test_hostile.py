"""Text never acts: whatever a sender says, nothing of it runs, is markup, or goes anywhere."""

from __future__ import annotations

import http.server
import threading
from pathlib import Path

import pytest
from bench import Home, wait_until
from browsing import View, opened, past, seen
from playwright.sync_api import Browser, Page

#: Each says that it acted, by the title or by asking for an address, if it can.
PAYLOADS = [
    b"<script>document.title = 'acted'</script>",
    b"<img src=x onerror=\"document.title = 'acted'\">",
    b"<svg/onload=document.title='acted'>",
    b"<a href=\"javascript:document.title='acted'\">click</a>",
    b"</span></li></ol><script src=http://127.0.0.1:{port}/acted></script>",
    b"<iframe srcdoc='<script>parent.document.title=1</script>'></iframe>",
    b"<style>@import 'http://127.0.0.1:{port}/acted'</style>",
    b"<link rel=stylesheet href=//127.0.0.1:{port}/acted>",
    b"<meta http-equiv=refresh content='0;url=http://127.0.0.1:{port}/acted'>",
    b"<form action=http://127.0.0.1:{port}/acted><input autofocus onfocus=document.title='acted'>",
    b"{{constructor.constructor('document.title=1')()}} ${document.title='acted'} `+alert(1)+`",
    b"\x1b]8;;javascript:document.title='acted'\x1b\\link\x1b]8;;\x1b\\",
    b"\x1b]0;acted\x07 \x1b[2J\x1b[H\x1b[?1049h",
    b"\x1b[31;</span><script>document.title='acted'</script>m",
    b'"}]});document.title="acted";//\xe2\x80\xa8document.title="acted"',
    b"data: {}\n\nevent: acted\ndata: <script>document.title=1</script>\n\n",
    "\u202egnp.exe\u202c \u2066x\u2069 a\u200bb\u2060c\ufeff\u00ad \U000e0041".encode(),
    b"\x00\x01\x02\x07\x08\x7f\x80\xff\xfe\xed\xa0\x80 \xf4\x90\x80\x80",
    b"\xf0\x9f\x91\xa8\xe2\x80\x8d" * 500 + "e\u0301".encode() + "\u0301".encode() * 3000,
    b"\x1b[31m" * 20000 + b"red",
    b"x" * 3_000_000,
]
SENDER = "<img src=x onerror=document.title='acted'>"


@pytest.fixture
def trap() -> http.server.ThreadingHTTPServer:
    """Be the server that a payload would ask."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    asked: list[str] = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked = asked  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def test_nothing_that_is_said_acts(
    home: Home, view: View, page: Page, trap: http.server.ThreadingHTTPServer
) -> None:
    port = str(trap.server_address[1]).encode()
    file = home.path / "hostile.log"
    file.write_bytes(b"".join(one.replace(b"{port}", port) + b"\n" for one in PAYLOADS) + b"the end\n")
    past(home, "hostile", file)
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    opened(page, view.address)
    seen(page, "the end")
    page.keyboard.press("Home")
    seen(page, "<script>document.title = 'acted'</script>")
    page.fill("#find", "acted")
    page.keyboard.press("Enter")
    page.locator("#found").filter(has_text="lines").wait_for()
    page.get_by_role("button", name="Download").click()
    inside = page.evaluate("""() => [
        document.querySelectorAll('.log :is(script, img, a, iframe, style, link, meta, form, svg)').length,
        [...document.querySelectorAll('.log *')].flatMap((one) => one.getAttributeNames())
            .filter((name) => name.startsWith('on') || name === 'style' || name === 'href').length,
        document.scripts.length, document.title]""")
    assert inside == [0, 0, 1, "hostile · reclog"]
    shown = page.evaluate("document.querySelector('.log').textContent")
    assert r"\u202egnp.exe" in shown
    assert r"a\u200bb" in shown
    assert not set(shown) & {"\u202e", "\u200b", "\x1b", "\x00", "\ufeff"}
    assert (dialogs, trap.asked) == ([], [])  # type: ignore[attr-defined]
    trap.shutdown()


def test_the_name_of_a_sender_is_text(home: Home, view: View, page: Page) -> None:
    file = home.path / "named.log"
    file.write_bytes(b"2026-05-31T12:00:00.000Z " + SENDER.replace(" ", "_").encode() + b" words\n")
    past(home, "named", file, stamp=True)
    opened(page, view.address)
    page.locator(".who", has_text="onerror").wait_for(state="attached")
    assert page.title() == "named · reclog"


def test_an_expression_that_takes_for_ever_stops_nothing(home: Home, view: View, page: Page) -> None:
    file = home.path / "long.log"
    file.write_bytes(b"a" * 4000 + b"!\nlast\n")
    past(home, "long", file)
    opened(page, f"{view.address}&q=(%3F%3Da)(a%2B)%2B%24")
    seen(page, "last")
    page.locator("#found").filter(has_text="too long").wait_for(timeout=15000)
    page.fill("#find", "last")
    page.keyboard.press("Enter")
    page.locator("#found").filter(has_text="1 line").wait_for()
    page.wrong.clear()  # type: ignore[attr-defined] # the refused search


def test_without_the_token_and_from_elsewhere_there_is_nothing(
    home: Home, view: View, browser: Browser, tmp_path: Path
) -> None:
    file = home.path / "secret.log"
    file.write_bytes(b"secret\n")
    past(home, "secret", file)
    stranger = browser.new_context().new_page()
    assert stranger.goto(view.origin).status == 403  # type: ignore[union-attr]
    assert stranger.goto(f"{view.origin}?token=guess").status == 403  # type: ignore[union-attr]
    owner = browser.new_context()
    mine = opened(owner.new_page(), view.address)
    assert owner.cookies()[0]["httpOnly"]
    assert owner.cookies()[0]["sameSite"] == "Strict"
    assert mine.evaluate("document.cookie") == ""
    # A page of another origin in the same browser: another port, and a file.
    elsewhere = owner.new_page()
    (tmp_path / "evil.html").write_text("<title>evil</title>")
    elsewhere.goto(f"file://{tmp_path}/evil.html")
    got = elsewhere.evaluate(
        """async (origin) => {
            const asked = await Promise.allSettled([
                fetch(origin + 'api/recordings', {credentials: 'include'}),
                fetch(origin + 'api/recordings', {credentials: 'include', mode: 'no-cors'})
                    .then((answer) => answer.type),
                new Promise((yes, no) => {
                    const image = new Image();
                    [image.onload, image.onerror] = [yes, no];
                    image.src = origin + 'static/icon.svg';
                }),
                new Promise((yes, no) => {
                    const script = document.createElement('script');
                    [script.onload, script.onerror] = [yes, no];
                    script.src = origin + 'static/clock.js';
                    document.head.append(script);
                }),
            ]);
            return asked.map((one) => one.status + (one.value ?? ''));
        }""",
        view.origin,
    )
    assert got[0] == got[2] == got[3] == "rejected", got
    assert got[1] in ("rejected", "fulfilledopaque")
    wait_until(lambda: mine.locator(".row").count() == 1)
    owner.close()
