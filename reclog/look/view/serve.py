"""Serve the page on this machine alone, until somebody stops it."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Sequence
from urllib.parse import urlencode

import uvicorn

from reclog.errors import PortBusyError

from ...recordings.registry import Registry
from .app import application
from .guard import Guard, Keys
from .shelf import Shelf

#: Where the page is if nothing else is said: the same place each time, so that a link stays one.
PORT = 8055
#: How many ports from there are tried.
_TRIED = 20


def listen(port: int | None) -> socket.socket:
    """Return a socket that listens on 127.0.0.1; without `port`, at the first free one of PORT and above.

    Raises PortBusyError.
    """
    for number in range(PORT, PORT + _TRIED) if port is None else (port,):
        sock = socket.socket()
        # A server that has just ended leaves connections in TIME_WAIT, which would keep its port from us.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", number))
            sock.listen(128)
            return sock
        except OSError as error:
            sock.close()
            reason = error.strerror
    wanted = f"Port {port}" if port is not None else f"Each port from {PORT} to {PORT + _TRIED - 1}"
    raise PortBusyError(f"{wanted} can't be used ({reason}): give another one with --port.")


def serve(
    sock: socket.socket,
    registry: Registry,
    shown: Sequence[str],
    ready: Callable[[str], None],
    browse: bool,
) -> None:
    """Serve until SIGINT or SIGTERM; `ready` is given the page's address, with its token, once it answers.

    The page begins with the recordings `shown`, by name.
    """
    page = urlencode([("r", name) for name in shown])
    port = sock.getsockname()[1]
    keys = Keys.made(port)
    app: Guard = application(Shelf(registry), keys, lambda: server.should_exit)
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_level="critical",  # an access log would have what is looked at, and the token
        server_header=False,
        limit_concurrency=100,
        h11_max_incomplete_event_size=16 * 1024,
        timeout_graceful_shutdown=2,
    )

    def started() -> None:
        where = f"http://127.0.0.1:{port}/?{page}{'&' if page else ''}token="
        ready(where + keys.token)
        if browse and _has_screen():
            threading.Thread(target=webbrowser.open, args=(where + app.once(),), daemon=True).start()

    server = _Server(config, started)
    with sock, contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is the way to end it
        server.run([sock])


class _Server(uvicorn.Server):
    """A server that says when it answers."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        if self.started:
            self._ready()


def _has_screen() -> bool:
    """Tell whether a browser has a screen: one for a terminal would take it from us."""
    return sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
