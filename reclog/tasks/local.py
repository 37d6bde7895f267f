"""`local`: record on this machine."""

from __future__ import annotations

import shlex
from typing import Any

from invoke.context import Context

from reclog.console import note

from .edge import configured, task
from .options import SHARED


@task(
    iterable=["allow", "from_", "keep", "name", "rotate"],
    help={
        **SHARED,
        "port": "Port to listen on (default 55514).",
        "file": "File to append to (default file.log).",
        "bind": "Numeric address to listen on (default 0.0.0.0).",
        "listener": "socat, builtin or auto (default: socat if it can).",
        "udp": "Datagrams to the same port, too (the default).",
        "no-udp": "Record no datagrams.",
        "raw": "Bare socat: bytes as they come, lines may mix.",
        "from": "Dial tcp://HOST:PORT, /dev/TTY@BAUD, exec:COMMAND.",
        "foreground": "Stay and show the lines; Ctrl-C stops recording.",
    },
)
def local(
    c: Context,
    port: Any = None,
    file: Any = None,
    as_: Any = None,
    bind: Any = None,
    listener: Any = None,
    framing: Any = None,
    stamp: bool = False,
    no_stamp: bool = False,
    tls: bool = False,
    no_tls: bool = False,
    tls_cert: Any = None,
    tls_key: Any = None,
    tls_clients: Any = None,
    allow: Any = None,  # with another default Invoke gives it that one's type, not a list
    token: bool = False,
    no_token: bool = False,
    partial_after: Any = None,
    rotate: Any = None,
    no_rotate: bool = False,
    keep: Any = None,
    no_keep: bool = False,
    compress: bool = False,
    no_compress: bool = False,
    udp: bool = False,
    no_udp: bool = False,
    raw: bool = False,
    foreground: bool = False,
    max_senders: Any = None,
    max_per_address: Any = None,
    from_: Any = None,
    name: Any = None,
    no_name: bool = False,
) -> None:
    """Record what senders write to a port of this machine.

    inv local --port 55514 --file file.log

    Starts a recorder in the background, for TCP and UDP, and returns when it
    listens. Whole lines only: no line mixes two senders. `status` shows it,
    `tail` follows it, `kill` stops it without losing a line. Run again it
    changes what is said anew of the recording on that port.

    --allow, --name, --from, --rotate and --keep may be said several times. With
    --from a port is listened on only if --port is there, too. docs/options.md
    says more of each.
    """
    words = locals()
    from reclog.engine.system.address import with_port
    from reclog.local.addresses import own_addresses
    from reclog.local.start import start_local
    from reclog.look import foreground as front
    from reclog.look.status import certificate_lines
    from reclog.recordings.again import stop_command, write_to
    from reclog.recordings.registry import Registry
    from reclog.recordings.settings import BIND_HERE, resolve_local
    from reclog.recordings.token import told

    settings = resolve_local(words, configured(c))
    say = front.words(settings.foreground)
    registry = Registry()
    started = start_local(settings, registry)
    for dead in started.cleaned:
        note(f"Cleaned up {dead}, whose recorder had died.")
    for sentence in started.notes:
        note(sentence)
    recording = started.recording
    listens = f"{with_port(recording.bind, recording.port)} ({recording.fact('listener')})"
    sources = [*([listens] if recording.port else []), *recording.listed("dial")]
    say(f"{recording.name}: {', '.join(sources)} -> {recording.file}")
    if recording.port:
        say(write_to(own_addresses(recording.bind), recording))
    for line in certificate_lines(recording):
        say(line)
    if started.changed:
        say(f"Changed: {' '.join(started.changed)}")
    elif started.process is None:
        say("It runs already: nothing is changed.")
    for line in told(recording, registry, own_addresses(recording.bind or BIND_HERE)[0]):
        say(line)
    if started.process is not None and settings.foreground:
        front.stay_with(recording, started.process, started.begin, over=True)
    else:
        say(f"Follow: tail -f {shlex.quote(recording.file)}   Stop: {stop_command(recording)}")
