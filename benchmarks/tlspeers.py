"""Others that speak TLS: socat, and stunnel, which passes on what it has decrypted."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

from bench import free_port

from benchmarks import debs
from benchmarks.load import Load
from benchmarks.peers import BACKLOG, Installed, Peer


def certificate(folder: Path) -> Path:
    """Return a file with a certificate (P-256, as reclog's own) and its key, made in `folder`."""
    made = folder / "server.pem"
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=bench -keyout key.pem"
    subprocess.run(
        ["openssl", *words.split(), "-out", "cert.pem"], cwd=folder, check=True, capture_output=True
    )
    made.write_text((folder / "cert.pem").read_text() + (folder / "key.pem").read_text())
    return made


class SocatTls(Installed):
    """A process per connection, which decrypts and appends by itself."""

    name = "socat OPENSSL-LISTEN"
    program = "socat"

    def command(self, folder: Path, port: int) -> list[str]:
        """Return socat's command, with the block that is best for bulk."""
        options = f"bind=127.0.0.1,reuseaddr,fork,backlog={BACKLOG},verify=0,cert={certificate(folder)}"
        listen = f"OPENSSL-LISTEN:{port},{options}"
        return ["socat", "-u", "-b", "65536", listen, f"OPEN:{folder / 'file.log'},creat,append"]


class Stunnel(Peer):
    """stunnel, a thread for each connection; what it passes on is thrown away."""

    name = "stunnel4"

    def __init__(self, cache: Path, load: Load) -> None:
        self._cache, self._load = cache, load
        self._sink_port = free_port()

    def prepare(self) -> None:
        """Fetch stunnel if it isn't in the cache."""
        debs.unpacked("stunnel4", self._cache)

    def environment(self) -> dict[str, str]:
        """Return an environment with stunnel's libraries."""
        return debs.environment(debs.unpacked("stunnel4", self._cache))

    def command(self, folder: Path, port: int) -> list[str]:
        """Return stunnel's command; write its configuration."""
        configuration = folder / "stunnel.conf"
        configuration.write_text(
            f"foreground = yes\npid =\nsyslog = no\ndebug = err\n[bench]\naccept = 127.0.0.1:{port}\n"
            f"connect = 127.0.0.1:{self._sink_port}\ncert = {certificate(folder)}\n"
        )
        tree = debs.unpacked("stunnel4", self._cache)
        return [str(next(tree.glob("usr/bin/stunnel*"))), str(configuration)]

    def sink(self) -> contextlib.AbstractContextManager[None]:
        """Have what it passes on thrown away."""
        return self._load.sink(self._sink_port)
