"""Runs as they stand in the files of an index."""

from __future__ import annotations

from typing import Iterable, List, Optional

from reclog.engine.stores.index.format import MOST_RUNS, Run, Runs, blocks_in


def pack(runs: Iterable[Run], level: int = 1, witness: int = 0) -> bytes:
    """Return the blocks of ascending runs, one behind the other; in them what lies between is unknown."""
    blocks = []
    packed: Optional[Runs] = None
    for run in runs:
        if packed is not None and len(packed) >= MOST_RUNS - 1:
            blocks.append(packed.pack(level))
            packed = None
        if packed is None:
            packed = Runs(run.begin)
        if run.begin > packed.last:
            packed.add(run.begin - packed.last, None, None)
        packed.add(run.end - run.begin, run.ms, run.sender)
    if packed is not None:
        blocks.append(packed.pack(level, witness))
    return b"".join(blocks)


def unpack(data: bytes) -> List[Run]:
    """Return the runs of blocks that stand one behind the other. Raises ValueError if any is not whole."""
    found: List[Run] = []
    for head, block in blocks_in(data):
        if found and head.first < found[-1].end:
            raise ValueError("a block is about what one before it was about")
        found += Runs.of(block)
    if sum(head.size for head, _ in blocks_in(data)) != len(data):
        raise ValueError("what follows is no block")
    return found
