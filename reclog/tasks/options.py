"""Help for the options that tasks share."""

from __future__ import annotations

#: Which lines are meant, for whoever looks at them.
ASKED = {
    "since": "Only what came since then: 10m ago, 14:30, 2026-05-31T14:30:00Z.",
    "until": "Only what came until then.",
    "sender": "Only what this sender said: its name or address. May be repeated.",
    "grep": "Only lines with this regular expression in them.",
}
#: What `inv local` and `fab tremplin` have; a task says itself what differs there.
SHARED = {
    "framing": "auto (default): a newline, a NUL or a count ends a message of syslog; lines: newlines only.",
    "stamp": "Begin each line with its arrival time (UTC) and its sender's address.",
    "no-stamp": "Undo --stamp of the config, or of the recording that runs.",
    "tls": "Speak TLS alone, by a certificate that is made once; its fingerprint is printed (builtin).",
    "no-tls": "Undo --tls of the config.",
    "tls-cert": "Your own certificate for --tls (PEM, its chain behind it), a file of this machine.",
    "tls-key": "The key of --tls-cert (PEM, no passphrase), a file of this machine.",
    "tls-clients": "Only record senders that show a certificate of this CA (PEM).",
    "allow": "Only record senders of this network, as 192.168.1.0/24. May be repeated. any: everyone.",
    "token": "Only record who says a token as its first line: it is made, kept and printed. On plain TCP it "
    "keeps scanners out, and with --tls who listens on the way, too. For what can't say one (syslog, GELF): "
    "--allow, --tls-clients.",
    "no-token": "Undo --token of the config, or of the recording that runs.",
    "name": "Call a sender so, as 192.168.1.7=kitchen. May be repeated. any: nobody has a name.",
    "no-name": "Undo --name of the config, or of the recording that runs.",
    "partial-after": "Seconds after which text without a newline is passed on (default 2).",
    "max-senders": "Senders served at once; others wait (default: what the system there allows).",
    "max-per-address": "Senders of one address at once; others are closed (builtin; default: no cap).",
}
