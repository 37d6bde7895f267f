"""`subscribe`: record what others publish to a stream."""

from __future__ import annotations

from typing import Any

from invoke.context import Context
from invoke.tasks import task

from reclog.console import note, say
from reclog.extras import need
from reclog.recordings.again import stop_command
from reclog.recordings.registry import Registry

from .edge import sentences
from .options import ACCOUNT


@task(
    auto_shortflags=False,
    iterable=["from_"],
    help={
        "from": "A server, as nats://host:4222 or tls://host; again.",
        "file": "File; {machine}, {recording}: one for each.",
        "subject": "What of it (default reclog.>, all).",
        "start": "first (the default), now, or a time, as 10m.",
        **ACCOUNT,
    },
)
@sentences
def subscribe(
    c: Context,
    from_: Any = None,
    file: Any = None,
    subject: Any = None,
    start: Any = None,
    creds: Any = None,
    nkey: Any = None,
    login: Any = None,
    ca: Any = None,
    cert: Any = None,
    key: Any = None,
) -> None:
    """Record what others publish to NATS JetStream.

    inv subscribe --from nats://host:4222 --file 'logs/{recording}.log'

    Starts a subscriber in the background and returns once it has the stream. Each
    recording's file is as its publisher's, byte for byte, whatever is killed; who
    said what when comes along. Run again after a stop it goes on where it was.
    A login can be in RECLOG_NATS_LOGIN, too. docs/scale.md says more.
    """
    need("NATS", "nats", "nats")
    from reclog.stream import subscribe as stream  # here: it takes a while to import

    wanted = stream.asked(
        from_ or [],
        {"creds": creds, "nkey": nkey, "login": login, "ca": ca, "cert": cert, "key": key},
        file,
        subject,
        start,
    )
    done = stream.subscribe(wanted, Registry())
    for sentence in done.notes:
        note(sentence)
    recording = done.recording
    runs = " already" if done.ran else ""
    say(f"{recording.name}: {wanted.subject} of the stream {done.stream} -> {wanted.file}{runs}")
    say(f"Stop: {stop_command(recording)}")
