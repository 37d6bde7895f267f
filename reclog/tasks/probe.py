"""`test-connection`: prove the path end to end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from invoke.context import Context

from reclog.console import print_table
from reclog.errors import BrokenPathError
from reclog.words import inv

from .edge import configured, task
from .names import HELP

if TYPE_CHECKING:
    from reclog.look.probe import Hop


@task(
    name="test-connection",
    iterable=["recording"],
    help={
        "recording": HELP,
        "host": "Only those through this tremplin; or a host of yours.",
        "port": "Only the one on this port; or the port to send to.",
        "file": "Only the one of this file; or the file to look in.",
        "timeout": "Seconds to wait at each hop (default 5).",
    },
)
def prove(
    c: Context,
    recording: Any = None,
    host: Any = None,
    port: Any = None,
    file: Any = None,
    timeout: Any = None,
) -> None:
    """Send a line along every recording and find it in its file.

    Each hop gets a row with the time it took; a broken one is named, with what
    to do about it, and the exit status is then 1. The probe line stays in the
    file: `reclog probe …`. Where datagrams are recorded, one is sent, too; to a
    device that is dialled nothing is.
    """
    from reclog.look.probe import probe_path
    from reclog.recordings.checks import file_path, port_number, seconds
    from reclog.recordings.choice import meant
    from reclog.recordings.registry import Registry
    from reclog.recordings.settings import merged
    from reclog.tremplin.probe import PROBES

    words = merged({"port": port, "file": file, "timeout": timeout}, configured(c))
    within = seconds("--timeout", words["timeout"])
    here = list(Registry().here())
    if host is not None and all(one.host != host for one in here):
        hops = probe_path("probe", str(host), port_number(words["port"]), file_path(words["file"]), within)
    else:
        recordings = meant(here, recording or (), port, host, file)
        if not recordings:
            raise BrokenPathError(f"Nothing is being recorded: `{inv('local')}` starts a recording.")
        hops = [hop for one in recordings for hop in PROBES[one.kind](one, within)]
    print_table(("recording", "hop", "result", "time"), [_row(hop) for hop in hops])
    broken = [hop.trouble for hop in hops if not hop.ok]
    if broken:
        raise BrokenPathError("\n".join(broken))


def _row(hop: Hop) -> tuple[str, str, str, str]:
    took = "-" if hop.took is None else f"{hop.took * 1000:.1f} ms"
    return hop.path, hop.name, hop.remark or ("ok" if hop.ok else "BROKEN"), took
