"""`tremplin` and `kill` on a host."""

from __future__ import annotations

import shlex
from typing import Any

from invoke.context import Context

from reclog.console import note, say
from reclog.words import inv

from .edge import configured, task
from .fabric_words import target_of
from .options import SHARED


@task(
    iterable=["allow", "keep", "name", "rotate"],
    help={
        **SHARED,
        "port-remote-in": "Port there that senders use (default 55514).",
        "port-remote-out": "Port there where the tunnel ends (default: none).",
        "port-local": "Port here where the tunnel begins (default 55514).",
        "file": "File to append to (default file.log).",
        "bind": "Numeric address there to listen on (default ::).",
        "listener": "builtin (default: needs python3 alone) or socat.",
        "udp": "Record datagrams to the same port, too.",
        "no-udp": "Undo --udp.",
        "spool-max": "Disk there for lines that wait (default 1GiB).",
        "take-over": "Take the relay from another machine that has it.",
        "boot": "Have the relay start when its host boots, too.",
        "no-boot": "Undo --boot.",
        "foreground": "Stay and show the lines; Ctrl-C stops it here.",
    },
)
def tremplin(
    c: Context,
    port_remote_in: Any = None,
    port_remote_out: Any = None,
    port_local: Any = None,
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
    spool_max: Any = None,
    max_senders: Any = None,
    max_per_address: Any = None,
    name: Any = None,
    no_name: bool = False,
    take_over: bool = False,
    boot: bool = False,
    no_boot: bool = False,
    foreground: bool = False,
) -> None:
    """Record what senders write to a host on the Internet.

    fab -H user@remote tremplin --file file.log

    Starts a relay there, with a spool that keeps lines while this machine is
    away, and a tunnel by ssh; no port is opened here. Run again it takes up the
    relay that is there, with what is said anew of it. `kill` stops it.

    {host} in --file is the host's name. --allow, --name, --rotate and --keep may
    be said several times. Without --port-remote-out the tunnel ends at a UNIX
    socket, or at 55614 if OpenSSH can't forward to one. docs/options.md says
    more of each.
    """
    words = locals()
    from reclog.look import foreground as front
    from reclog.look.status import certificate_lines
    from reclog.recordings.again import goes_on, stop_command, write_to
    from reclog.recordings.registry import Registry
    from reclog.recordings.settings import resolve_tremplin
    from reclog.recordings.token import told
    from reclog.tremplin.start import open_tremplin

    target, hosts = target_of(c)
    settings = resolve_tremplin(words, configured(c), target.host, hosts)
    say = front.words(settings.foreground)
    registry = Registry()
    opened = open_tremplin(target, settings, registry, say)
    recording = opened.recording
    host = recording.fact("hostname") or recording.host
    say(write_to([host], recording))
    for line in [*certificate_lines(recording), *told(recording, registry, host)]:
        say(line)
    if settings.foreground and opened.process is not None:
        front.stay_with(recording, opened.process, opened.begin, over=False)
        note(goes_on(recording))
    else:
        if settings.foreground:
            note(f"It runs in the background already: `{inv('tail')}` shows its lines.")
        say(f"Follow: tail -f {shlex.quote(recording.file)}   Stop: {stop_command(recording)}")


@task(
    name="kill",
    help={
        "take-over": "Stop a relay that another machine has, too.",
        "discard": "Drop what could not be brought into the file.",
    },
)
def kill_there(c: Context, take_over: bool = False, discard: bool = False) -> None:
    """Stop what runs on that host, and bring in its lines.

    Works with or without a record of it here.
    """
    from reclog.recordings.registry import Registry
    from reclog.tremplin.stop import stop_host

    target, _ = target_of(c)
    stop_host(target, Registry(), take_over, discard, say)
