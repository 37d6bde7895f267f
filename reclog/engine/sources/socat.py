"""socat, as we start it: it accepts the senders, one fork each, and passes their bytes on.

What is known about it and decides the shape here (each point measured, socat 1.7.4.4):

- Without `-u` a fork ends within 1.5 s when the recorder is gone, so a sender's next send fails; with
  `-u` it lives on and swallows lines.
- Each fork costs half a millisecond of CPU. A tenth of that went into looking symbols up anew, which
  LD_BIND_NOW spares, and into waiting for an answer once its sender had closed, which `-t 0` spares.
- A fork that is woken for each line interrupts its sender for it: with SCHED_BATCH 8 senders of one send a
  line cost a tenth of the CPU.
- A UNIX path over 108 bytes fails silently: it connects to a relative name, with the state folder as cwd.
- At max-children it lets newcomers queue without a word; when fork(2) fails the parent exits.
- Ended by anything but SIGKILL (SIGTERM, a fork(2) or accept(2) that fails) it shuts its listening socket
  down, also for whoever has a copy, and what waits in its queue is reset: seccomp(2) keeps it from that.
"""

from __future__ import annotations

from .source import Abilities, Asked
from .tcp import BACKLOG, KEEPALIVE

NAME = "socat"
#: It passes no sender's address on, and checks one range only (`range=`).
ABILITIES = Abilities(
    knows_address=False,
    networks=1,
    ipv6_networks=False,
    strangers=False,
    changes=False,
    process_each=True,
    tls=False,
)
#: Bytes that a fork moves at once; 8 KiB, its default, costs twice the CPU in bulk.
BLOCK = 65536
#: Seconds that a fork waits for a word in the other direction once one has ended: nobody says one.
LINGER = 0


def socat_command(program: str, asked: Asked, target: str, one_way: bool = False) -> list[str]:
    """Return the argv of a forking socat that passes on to the socat address `target`."""
    six = ":" in asked.bind
    idle, interval, count = KEEPALIVE
    options = [
        f"{'TCP6' if six else 'TCP4'}-LISTEN:{asked.port}",
        f"bind=[{asked.bind}]" if six else f"bind={asked.bind}",
        "reuseaddr",
        "fork",
        f"backlog={BACKLOG}",
        f"max-children={asked.places}",
        f"keepalive,keepidle={idle},keepintvl={interval},keepcnt={count}",
        "oobinline",  # else a byte sent as urgent vanishes
    ]
    if six:
        options.insert(2, f"ipv6only={0 if asked.bind == '::' else 1}")
    options += [f"range={network}" for network in asked.allow]
    flags = ["-u"] if one_way else []
    if asked.allow:
        flags.append("-d")  # whom it refuses is a warning: without -d it says errors only (socat(1))
    return [program, *flags, "-b", str(BLOCK), "-t", str(LINGER), ",".join(options), target]
