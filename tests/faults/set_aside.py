"""What rotation sets aside under faults: kept by a link as it comes, and looked through at the end.

So every line can be asked for, also of pieces that --keep removes. What is still to be held has to be there,
by the recording's own journal: each piece once, plain or compressed, and equal to what it was.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import random
import re
import threading
from collections.abc import Sequence
from pathlib import Path

from reclog.engine.stores import pieces
from reclog.look.text import Text
from reclog.recordings.logs import all_events

#: Seconds between two looks for new pieces, which live longer.
LOOK_EVERY = 0.003
_PIECE = re.compile(r"\.\d{8}T\d{6}\.\d{3}Z\.log$")
_OURS = re.compile(r"\.\d{8}T\d{6}\.\d{3}Z\.log(\.gz|\.new|\.gz\.tmp)?$")


def some_rotation(seed: int, always: bool) -> list[str]:
    """Return the words with which a recording is rotated; none for half the seeds, unless it is `always`."""
    dice = random.Random(f"rotation {seed}")
    if dice.random() < 0.5 and not always:
        return []
    keep = dice.choice([[], ["--keep", "3"], ["--keep", "1"], ["--keep", "6MiB"]])
    return ["--rotate", "1MiB", *keep, *dice.choice([[], ["--compress"]])]


class SetAside:
    """The pieces of one recorded file."""

    def __init__(self) -> None:
        #: What the recording is told of rotation.
        self.words: Sequence[str] = ()
        #: Pieces that --keep removed before there was a link: the machine was too busy.
        self.missed: list[str] = []
        # By inode: the link, and what it was called last.
        self._links: dict[int, Path] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=lambda: None, daemon=True)

    def begin(self, file: Path) -> None:
        """Watch what comes beside `file`, from now on; also where a stop has ended that."""
        if not self.words or self._thread.is_alive():
            return
        self._over.clear()
        kept = file.parent / "aside"
        kept.mkdir(exist_ok=True)
        self._thread = threading.Thread(target=self._watch, args=(file.parent, kept), daemon=True)
        self._thread.start()

    def newest(self) -> list[Path]:
        """Return the piece that came last."""
        return self.all()[-1:]

    def before(self, file: Path) -> list[Path]:
        """Return what keeps each piece that came so far, and `file`, which may be about to become one."""
        inode = file.stat().st_ino
        return [*(link for number, link in list(self._links.items()) if number != inode), file]

    def all(self) -> list[Path]:
        """Return what keeps each piece that came so far."""
        return list(self._links.values())

    def end(self, files: list[Path], folder: Path) -> None:
        """See that what is to be held is there; add all to `files`, in the order of their last bytes."""
        self._over.set()
        if not self.words:
            return
        self._thread.join()
        self._link(files[-1].parent, files[-1].parent / "aside")
        self._see(files[-1], folder)
        removed = {event["piece"] for event in all_events(folder) if event["event"] == "piece removed"}
        self.missed = sorted(removed - {link.name.partition(" ")[2] for link in self._links.values()})
        named = {path.stat().st_ino for path in files if path.exists()}
        links = [(path.stat().st_mtime_ns, path) for inode, path in self._links.items() if inode not in named]
        links.sort()
        at = 0
        while at < len(files) - 1:
            while links and files[at].exists() and links[0][0] <= files[at].stat().st_mtime_ns:
                files.insert(at, links.pop(0)[1])
                at += 1
            at += 1
        files[-1:-1] = [path for _, path in links]

    # -- inside ---------------------------------------------------------------------------------

    def _watch(self, folder: Path, kept: Path) -> None:
        while not self._over.wait(LOOK_EVERY):
            self._link(folder, kept)

    def _link(self, folder: Path, kept: Path) -> None:
        with contextlib.suppress(OSError):
            for entry in list(os.scandir(folder)):
                if _PIECE.search(entry.name) and entry.inode() not in self._links:
                    with contextlib.suppress(OSError):
                        link = kept / f"{entry.inode()} {entry.name}"
                        os.link(entry.path, link)
                        self._links[entry.inode()] = link

    def _see(self, file: Path, folder: Path) -> None:
        held = pieces.pieces(str(folder))
        wanted = b""
        for piece in held:
            path = Path(pieces.path_of(str(file), piece))
            assert path.name, f"{piece} is gone"
            text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            assert len(text) == piece.size, f"{path}: {len(text)} bytes of {piece}"
            assert text == self._links[piece.inode].read_bytes(), f"{path} is not what it was"
            wanted += text
        wanted += file.read_bytes()
        with contextlib.closing(Text(str(folder), str(file))) as whole:
            assert whole.pread(len(wanted) + 1, whole.begin) == wanted
            assert not [hole for hole in whole.holes() if "keep" not in hole.why]
        names = {f"{piece.name}{end}" for piece in held for end in ("", ".gz")}
        there = [path.name for path in file.parent.iterdir() if _OURS.search(path.name)]
        assert {*there} <= names, f"left beside it: {sorted({*there} - names)}"
        assert len(there) == len(held), f"there twice: {sorted(there)}"
        if "--keep" in self.words:
            word = self.words[list(self.words).index("--keep") + 1]
            if word.isdigit():
                assert len(held) <= int(word), f"{len(held)} pieces are kept"
            else:
                size = sum(path.stat().st_size for path in file.parent.iterdir() if path.is_file())
                assert size <= int(word.removesuffix("MiB")) << 20, f"{size} bytes are kept"
