"""The names of the files in a daemon's folder, and the mark of all that belongs to one."""

from __future__ import annotations

#: What to do, by whoever started the daemon.
CONFIG = "config.json"
#: What it is started with at boot, where it comes back then.
BOOT = "boot.json"
#: Who runs, while it does.
STATE = "state.json"
#: The UNIX socket where the daemon is asked itself.
CONTROL = "control"
COUNTERS = "counters.json"
EVENTS = "events.log"
#: The events that no stranger can cause at will, which connections can't rotate away.
HOLES = "holes.log"
#: What it was, once it has ended.
PAST = "past.json"
LOCK = "lock"
#: The daemon's own stderr, for when it fails in a way that it can't tell.
OUTPUT = "daemon.log"
#: The UNIX socket to which those connect that pass on what a sender says.
FORKS = "senders"
#: A collector's: what the file held of the spool, and how ssh reaches the tremplin.
CHECKPOINT = "checkpoint.json"
SSH_CONFIG = "ssh_config"
#: A relay's: the UNIX socket where the tunnel ends, its program, its spool's folder, whose it is, and that it
#: was asked to stop.
FEED = "feed"
PROGRAM = "reclog.pyz"
SPOOL = "spool"
OWNER = "owner.json"
STOPPING = "stopping"
#: Its certificate, the key of that, and the CA of its clients (PEM).
CERTIFICATE, KEY, CLIENTS = "tls.pem", "tls.key", "clients.pem"
#: Who we are to a stream, where the environment said that: it is a secret.
LOGIN = "login"
#: Whoever starts a daemon sets this in its environment to its folder; all that the daemon starts inherits
#: it. It is how `kill` knows what is ours: /proc shows the environment that a process was started with.
MARK = "RECLOG_RECORDING"
#: What a recording has while it runs, and leaves nothing of; the rest is history.
ONLY_WHILE_IT_RUNS = (STATE, COUNTERS, CONFIG, LOCK, CONTROL, FORKS, OUTPUT, CHECKPOINT, SSH_CONFIG, LOGIN)
