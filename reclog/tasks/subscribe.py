"""`subscribe`: record what others publish to a stream."""

from __future__ import annotations

import shlex
from typing import Any

from invoke.context import Context

from reclog.console import note
from reclog.extras import need

from .edge import configured, task
from .options import ACCOUNT, PIECES, SHARED


@task(
    iterable=["from_", "keep", "rotate"],
    help={
        "as": SHARED["as"],
        "from": "A server, as nats://host:4222 or tls://host; again.",
        "file": "File; {machine}, {recording}: one for each.",
        "subject": "What of it (default reclog.>, all).",
        "start": "first (the default), now, or a time, as 10m.",
        "foreground": "Stay and show the lines of one file; Ctrl-C stops.",
        **ACCOUNT,
        **PIECES,
    },
)
def subscribe(
    c: Context,
    from_: Any = None,
    file: Any = None,
    as_: Any = None,
    subject: Any = None,
    start: Any = None,
    creds: Any = None,
    nkey: Any = None,
    login: Any = None,
    ca: Any = None,
    cert: Any = None,
    key: Any = None,
    rotate: Any = None,
    no_rotate: bool = False,
    keep: Any = None,
    no_keep: bool = False,
    compress: bool = False,
    no_compress: bool = False,
    foreground: bool = False,
) -> None:
    """Record what others publish to NATS JetStream.

    inv subscribe --from nats://host:4222 --file 'logs/{recording}.log'

    Starts a subscriber in the background and returns once it has the stream. Each
    recording's file is as its publisher's, byte for byte, whatever is killed; who
    said what when comes along. Run again after a stop it goes on where it was;
    while it runs, --rotate, --keep and --compress (of each file) change.
    A login can be in RECLOG_NATS_LOGIN, too. docs/scale.md says more.
    """
    words = locals()
    need("NATS", "nats", "nats")
    from reclog.look import foreground as front
    from reclog.recordings.again import stop_command
    from reclog.recordings.registry import Registry
    from reclog.stream import subscribe as stream

    registry = Registry()
    wanted = stream.asked({**words, "servers": from_}, configured(c), registry)
    say = front.words(wanted.foreground)
    done = stream.subscribe(wanted, registry)
    for sentence in done.notes:
        note(sentence)
    recording = done.recording
    of = f"{recording.fact('subject')} of the stream {done.stream}"
    say(f"{recording.name}: {of} -> {recording.files}")
    if done.changed:
        say(f"Changed: {' '.join(done.changed)}")
    elif done.process is None:
        say("It runs already: nothing is changed.")
    if done.process is not None and wanted.foreground:
        front.stay_with(recording, done.process, done.begin, over=True)
    else:
        follow = f"Follow: tail -f {shlex.quote(recording.file)}   " if recording.file else ""
        say(f"{follow}Stop: {stop_command(recording)}")
