"""The names of the files in a daemon's folder."""

from __future__ import annotations

#: What to do, by whoever started the daemon.
CONFIG = "config.json"
#: Who runs, while it does.
STATE = "state.json"
COUNTERS = "counters.json"
EVENTS = "events.log"
LOCK = "lock"
#: The daemon's own stderr, for when it fails in a way that it can't tell.
OUTPUT = "daemon.log"
#: The UNIX socket that socat's forks connect to.
FORKS = "senders"
#: A collector's: what the file held of the spool, and how ssh reaches the tremplin.
CHECKPOINT = "checkpoint.json"
SSH_CONFIG = "ssh_config"
#: A relay's: its spool's folder, whose it is, and that it was asked to stop.
SPOOL = "spool"
OWNER = "owner.json"
STOPPING = "stopping"
