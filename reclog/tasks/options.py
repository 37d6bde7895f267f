"""Help for the options that `inv local` and `fab tremplin` share."""

from __future__ import annotations

#: By its option; a task says itself what differs there.
SHARED = {
    "stamp": "Begin each line with its arrival time (UTC) and its sender's address.",
    "no-stamp": "Undo --stamp of the config, or of the recording that runs.",
    "allow": "Only record senders of this network, as 192.168.1.0/24. May be repeated. any: everyone.",
    "partial-after": "Seconds after which text without a newline is passed on (default 2).",
    "max-senders": "Senders served at once; others wait (default: what the system there allows).",
    "max-per-address": "Senders of one address at once; others are closed (builtin; default: no cap).",
}
