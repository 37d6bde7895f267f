"""Record lines from TCP into a file, as Python's documentation of `socketserver` suggests.

    python recipe.py PORT FILE

It listens on 127.0.0.1, with a thread per connection and socketserver's own backlog of 5.
"""

from __future__ import annotations

import socketserver
import sys
import threading
from io import FileIO


class Server(socketserver.ThreadingTCPServer):
    """A thread per connection; all write into one file, under one lock."""

    allow_reuse_address = True  # the next run of a benchmark may take the same port

    def __init__(self, port: int, file: FileIO) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.file = file
        self.lock = threading.Lock()


class Handler(socketserver.StreamRequestHandler):
    """Append a sender's lines, each when it arrives."""

    server: Server

    def handle(self) -> None:
        """Return when the sender has closed."""
        for line in self.rfile:
            with self.server.lock:
                self.server.file.write(line)


def main() -> None:
    """Serve until killed."""
    port, path = int(sys.argv[1]), sys.argv[2]
    # Unbuffered: a line that was written is in the file.
    with FileIO(path, "a") as file, Server(port, file) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
