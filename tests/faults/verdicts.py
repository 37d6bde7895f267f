"""What the model of two machines says of what it finds: is all there, and what became of what is not."""

from __future__ import annotations

from ledger import Broken, Ledger, Stream

from reclog.engine.daemons.collector import Collector
from reclog.engine.stores.spool import Spool


def see_whole(ledger: Ledger, stream: Stream, recorded: bytes, gone: int, plain: bool) -> None:
    """Check that each byte of `stream` is accounted for. Raises Broken.

    Where all is `plain`, and nothing else was said, what is recorded is the stream behind the `gone` bytes
    that were removed, byte for byte.
    """
    there = ledger.accounted()
    for offset in sorted(stream.data):
        if stream.label(offset) not in there:
            raise Broken(f"lost: {ledger.text(stream.label(offset))}")
    plain = plain and len(ledger.streams) == 1 and not ledger.gaps
    if plain and recorded != bytes(stream.data.values())[gone:]:
        raise Broken(f"invented: the files hold {recorded!r}, not {stream.data!r}")


def see_gap(ledger: Ledger, stream: Stream, start: int, end: int) -> None:
    """Note a gap that was said, if it covers nothing that the spool had and no file has. Raises Broken."""
    there = ledger.accounted()
    for offset in range(start, end):
        if offset in stream.data and offset not in stream.lost and stream.label(offset) not in there:
            raise Broken(f"lost: the gap {start}-{end} covers {offset}, which the spool had")
    ledger.gaps.append((stream.label(start), stream.label(end)))


def unlike(found: bytes, wanted: bytes, before: bytes) -> str:
    """Return what is wrong with what was spooled, where something else was due."""
    verdict = "invented"
    if wanted.startswith(b"\n" + found[:1]):
        verdict = "torn"
    elif found[:4] in wanted:
        verdict = "lost"
    elif found[:4] in before:
        verdict = "doubled"
    return f"{verdict}: {found!r} is spooled, {wanted!r} was due"


def where(collector: Collector | None, spool: Spool | None) -> str:
    """Return how far both ends are, for whoever reads why nothing goes on."""
    here = there = "none"
    if collector is not None:
        here = f"position {collector.outlet.offset}, paused {collector.outlet.paused!r}"
    if spool is not None:
        there = f"end {spool.end}, acked {spool.acked}, paused {spool.paused!r}"
    return f"relay: {there}; collector: {here}"
