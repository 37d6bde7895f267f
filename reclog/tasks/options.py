"""Help for the options that tasks share."""

from __future__ import annotations

#: Which lines are meant, for whoever looks at them.
ASKED = {
    "since": "Only what came since then, as 10m, 14:30 (local).",
    "until": "Only what came until then.",
    "sender": "Only what this one said (name or address); again.",
    "grep": "Only lines with this regular expression in them.",
}
#: How `inv publish` and `inv subscribe` say who they are, and know the server.
ACCOUNT = {
    "creds": "Who we are: a credentials file of NATS.",
    "nkey": "Who we are: a file with an nkey's seed.",
    "login": "Who we are: a file with USER:PASSWORD.",
    "ca": "Who signed the server's certificate (PEM).",
    "cert": "Our certificate, where it asks for one (PEM).",
    "key": "Its key (PEM).",
}
#: What becomes of a recorded file.
PIECES = {
    "rotate": "Cut the file: 100MiB, 1d (at midnight), or both.",
    "no-rotate": "Undo --rotate.",
    "keep": "Of its pieces: 10, 5GiB or 30d (default: all).",
    "no-keep": "Undo --keep.",
    "compress": "Compress its pieces (gzip).",
    "no-compress": "Undo --compress.",
}
#: What `inv local` and `fab tremplin` have, each in one row of 80 columns (docs/options.md says more); a task
#: says itself what differs there.
SHARED = {
    "as": "Call it so: every command takes its name.",
    "framing": "auto: newline, NUL or count; lines: newlines only.",
    "stamp": "Begin each line with its time (UTC) and sender.",
    "no-stamp": "Undo --stamp.",
    "tls": "Speak TLS alone; a certificate is made and kept.",
    "no-tls": "Undo --tls.",
    "tls-cert": "Your own certificate for --tls (PEM), a file here.",
    "tls-key": "Its key (PEM, no passphrase), a file here.",
    "tls-clients": "Only senders with a certificate of this CA (PEM).",
    "allow": "Only senders of a network, as 192.168.1.0/24.",
    "token": "Only who says a token first: made, kept, printed.",
    "no-token": "Undo --token.",
    "name": "Call a sender so, as 192.168.1.7=kitchen.",
    "no-name": "Undo --name.",
    "partial-after": "Seconds that half a line waits (default 2).",
    **PIECES,
    "max-senders": "Senders at once (default: what the system allows).",
    "max-per-address": "Senders of one address at once (default: no cap).",
}
