"""`publish`: hand recordings on to a stream."""

from __future__ import annotations

from typing import Any

from invoke.context import Context

from reclog.console import note, say
from reclog.extras import need
from reclog.words import inv

from .edge import task
from .names import HELP
from .options import ACCOUNT


@task(
    iterable=["to", "recording"],
    help={
        "to": "A server, as nats://host:4222 or tls://host; again.",
        "recording": HELP,
        "stream": "The stream's name (default reclog); it is made.",
        "machine": "First part of the subjects (default: this host).",
        "max-bytes": "Bytes of a stream that is made (default: no limit).",
        "any-stream": "Take a stream whose settings lose messages, too.",
        **ACCOUNT,
    },
)
def publish(
    c: Context,
    to: Any = None,
    recording: Any = None,
    stream: Any = None,
    machine: Any = None,
    max_bytes: Any = None,
    any_stream: bool = False,
    creds: Any = None,
    nkey: Any = None,
    login: Any = None,
    ca: Any = None,
    cert: Any = None,
    key: Any = None,
) -> None:
    """Hand recordings on to NATS JetStream.

    inv publish --to nats://host:4222

    Starts a publisher in the background, behind the recordings and never in their
    way, and returns once it has the stream: of all that run, or of those that are
    named. A line is in there once, whatever is killed; `status` says how far it
    is, `kill` brings what is left and stops it.
    A login can be in RECLOG_NATS_LOGIN, too. docs/publish.md says more.
    """
    need("NATS", "nats", "nats")
    from reclog.recordings.registry import Registry
    from reclog.stream.asked import asked
    from reclog.stream.publishers import Publishers, describe, start

    registry = Registry()
    words = {
        "recordings": recording,
        "stream": stream,
        "machine": machine,
        "max_bytes": max_bytes,
        "any_stream": any_stream,
    }
    files = {"creds": creds, "nkey": nkey, "login": login, "ca": ca, "cert": cert, "key": key}
    started = start(asked(to or (), files, words, registry), Publishers())
    for sentence in started.notes:
        note(sentence)
    one = describe([started.publisher])[0]
    how = "publishes already" if started.ran else "publishes"
    say(f"{one['name']} {how}: {', '.join(lane['subject'] for lane in one['recordings']) or 'what will run'}")
    say(f"Follow: {inv('status')}   Stop: {inv('kill', one['name'])}")
