"""Who may have the page, and what a browser may do with it.

Rules kept here:

- Asked by a name that is not this machine's own, the server answers nothing: a site whose name is made to
  mean 127.0.0.1 (DNS rebinding) is told apart by its Host.
- A request that another site, or another port, has a browser make is refused: by its Origin, and by what the
  browser says itself (Sec-Fetch-Site).
- The token of the first address is good for a cookie that no script can read, and no link elsewhere carries.
- Whatever is answered can load, run and reach nothing but this server's own files.
"""

from __future__ import annotations

import dataclasses
import hmac
import html
import secrets
from collections.abc import Mapping
from urllib.parse import parse_qs, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Names of this machine itself; the port may be another one: `ssh -L` has its own.
OWN_NAMES = ("127.0.0.1", "localhost", "[::1]")
#: Bytes of an address that are looked at.
LONGEST = 8192
#: Goes with everything. Styles are of files too: nothing of a text can become one.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; worker-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types reclog",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-store",
}
_SHUT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>reclog</title><h1>This page is not for everybody</h1>
<p>{why}</p>{go_on}</html>
"""
_GO_ON = (
    '<p>Did another page send you here, and have you been here before? <a href="{place}">Then go on.</a></p>'
)


@dataclasses.dataclass(frozen=True)
class Keys:
    """What opens a server: made anew for each, and nowhere on disk."""

    #: Stands in the address that is printed.
    token: str
    #: What a browser has in its place from then on.
    pass_: str
    #: The cookie's name: browsers tell cookies of 127.0.0.1 apart by name, not by port.
    cookie: str

    @classmethod
    def made(cls, port: int) -> Keys:
        """Return new ones for the server at `port`."""
        return cls(secrets.token_urlsafe(24), secrets.token_urlsafe(24), f"reclog-{port}")


def is_own_name(host: str) -> bool:
    """Tell whether the value of a Host header is a name of this machine, with any port or none."""
    name, colon, port = host.rpartition(":")
    if not colon or host.endswith("]"):
        name, port = host, "80"
    return name.lower() in OWN_NAMES and port.isascii() and port.isdigit()


def why_foreign(headers: Mapping[str, str], path: str) -> str:
    """Return why a request is not of our own page on this machine; empty if it may be."""
    host = headers.get("host", "")
    if not is_own_name(host):
        return "It is asked for by a name that is not this machine's own."
    origin = headers.get("origin")
    if origin is not None and origin.lower() != f"http://{host.lower()}":
        return "Another site asks for it."
    # To open the page is all that a link elsewhere can do. What has no such header is no browser.
    allowed = ("same-origin", "none") if path != "/" else ("same-origin", "none", "cross-site", "same-site")
    if headers.get("sec-fetch-site", "none") not in allowed:
        return "Another site asks for it."
    if path == "/" and headers.get("sec-fetch-dest", "document") not in ("document", "empty"):
        return "It is no part of another page."
    return ""


class Guard:
    """Let through to `app` who has a key; set what a browser may do on every answer."""

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self._app = app
        self._keys = keys
        self._once = ""

    def once(self) -> str:
        """Return a token that is good once: a browser that is started has it in its argv, for all to read."""
        self._once = secrets.token_urlsafe(24)
        return self._once

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # no WebSocket is ours
        headers = Headers(scope=scope)
        gives: list[str] = []

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    answer[name] = value
                for cookie in gives:
                    answer.append("Set-Cookie", cookie)
            await send(message)

        refusal = self._refuse(scope, headers, gives)
        await (refusal or self._app)(scope, receive, send_guarded)

    def _refuse(self, scope: Scope, headers: Headers, gives: list[str]) -> Response | None:
        """Return the answer to who may not have the page; `gives` gets a cookie for who brings the token."""
        if scope["method"] not in ("GET", "HEAD"):
            return _shut("Nothing can be changed here.", 405)
        if len(scope["raw_path"]) + len(scope["query_string"]) > LONGEST:
            return _shut("The address is too long.", 414)
        foreign = why_foreign(headers, scope["path"])
        if foreign:
            return _shut(foreign, 403)
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = query.pop("token", [""])[0] if scope["path"] == "/" else ""
        if self._brings_token(given):
            gives.append(f"{self._keys.cookie}={self._keys.pass_}; HttpOnly; SameSite=Strict; Path=/")
            return None
        if _same(_cookies(headers).get(self._keys.cookie, ""), self._keys.pass_):
            return None
        place = html.escape(f"/?{urlencode(query, doseq=True)}", quote=True)
        sentence = "It wants the address that `inv view` printed, with its token. Open that one."
        return _shut(sentence, 403, _GO_ON.format(place=place) if scope["path"] == "/" else "")

    def _brings_token(self, given: str) -> bool:
        if self._once and _same(given, self._once):
            self._once = ""
            return True
        return _same(given, self._keys.token)


def _shut(why: str, status: int, go_on: str = "") -> Response:
    return HTMLResponse(_SHUT.format(why=html.escape(why), go_on=go_on), status)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode())


def _cookies(headers: Headers) -> dict[str, str]:
    found = {}
    for part in headers.get("cookie", "").split(";"):
        name, _, value = part.strip().partition("=")
        found[name] = value
    return found
