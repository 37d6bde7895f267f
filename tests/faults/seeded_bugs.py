"""Mistakes that somebody could make in the engine, and the story that must catch each by its name.

A mistake names the function that it changes, wherever under `reclog/engine` that is, and what is replaced in
it. The function's text is what `ast.unparse` makes of it: no comment, quotes as Python has them, a statement
a line. What is replaced must be there exactly once.
"""

from __future__ import annotations

import ast
import functools
import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import dialects
import packings
import stories
from stories import told, told_with_deaths

ROOT = Path(__file__).resolve().parents[2]
Function = ast.FunctionDef


class SeededBug(NamedTuple):
    """One mistake: what is replaced in which function, and who says what about it."""

    name: str
    verdict: str
    #: Raises Broken where the mistake is made.
    caught_by: Callable[[], None]
    #: Its dotted name: `Landing.settle`.
    function: str
    old: str
    new: str


def death(story: stories.Story, where: str) -> Callable[[], None]:
    """Return the sweep that kills, in a story, at every change of a disk."""
    return functools.partial(told_with_deaths, story, where, all_of_both=True)


def story(story: stories.Story) -> Callable[[], None]:
    return functools.partial(told, story)


def read(stream: bytes) -> Callable[[], None]:
    """Return the reading of a stream in any pieces, against the obvious one."""
    return functools.partial(dialects.told, stream, dialects.as_lines(stream))


BUGS = [
    SeededBug(
        *("a compressed piece named before it is synced", "torn", packings.told),
        *("_write", "disk.fsync(packed)", "None"),
    ),
    SeededBug(
        *("a plain piece removed before there is a compressed one", "lost", packings.told),
        *("compress", "_name(plain, disk)", "_unlink(plain, disk); _name(plain, disk)"),
    ),
    SeededBug(
        *("no checkpoint of the file that a rotation begins", "doubled", death(stories.rotated, "laptop")),
        *("RotatedFile._cut", "self.touch(goes_on)", "pass"),
    ),
    SeededBug(
        *("a piece noted before a checkpoint knows of it", "invented", death(stories.rotated, "laptop")),
        *("RotatedFile._cut", "self.touch(goes_on)", "self.journal.made(); self.touch(goes_on)"),
    ),
    SeededBug(
        *("ack before the sync", "not on disk", death(stories.ended, "laptop")),
        *("Landing._settling", "lambda: file.sync(fd, named)", "lambda: None"),
    ),
    SeededBug(
        *("no sync aside", "not on disk", death(stories.plain, "laptop")),
        *("Acks.settle_aside", "self.aside.start(settling.sync,", "self.aside.start(lambda: None,"),
    ),
    SeededBug(
        *(
            "settled aside: all that came meanwhile, too",
            "not on disk",
            story(stories.what_comes_during_a_sync_is_not_settled_by_it),
        ),
        *("Landing._settling", "self.settled = offset", "self.settled = self.offset"),
    ),
    SeededBug(
        *(
            "settled aside: a file that was left meanwhile",
            "lost",
            story(stories.a_sync_of_a_file_that_was_left_settles_nothing),
        ),
        *("Landing._settling", "generation != self._generation", "False"),
    ),
    SeededBug(
        *("checkpoint before the sync", "not on disk", death(stories.lossy, "laptop")),
        *("Acks._begin", "return self._outlet.settle()"),
        *("settling = self._outlet.settle(); settling and settling.end(); return self._outlet.settle()",),
    ),
    SeededBug(
        *("checkpoint not synced", "doubled", death(stories.ended, "laptop")),
        *("Landing._settling", "sync=True", "sync=False"),
    ),
    SeededBug(
        *("offset off by one", "not on disk", death(stories.lossy, "tremplin")),
        *("Landing._settling", "self.offset - file.batch.unwritten"),
        *("self.offset - file.batch.unwritten + (self.offset > 0)",),
    ),
    SeededBug(
        *("segment deleted one ack early", "not on disk", story(stories.a_segment_acked_in_part_stays)),
        *("Spool._trim", "sum(self._segments[0]) <= self.acked", "self._segments[0][0] <= self.acked"),
    ),
    SeededBug(
        *("mark not on disk before it is used", "offset used twice", death(stories.lossy, "tremplin")),
        *("Mark.reserve", "self._saving(False, mark)()", "pass"),
    ),
    SeededBug(
        *(
            "mark saved beside the loop used before it is on disk",
            "offset used twice",
            story(stories.a_mark_is_not_used_before_it_is_on_disk),
        ),
        *("Mark.reserve", "self._aside.start(", "self.offset = mark; self._aside.start("),
    ),
    SeededBug(
        *(
            "mark used whose save beside the loop failed",
            "offset used twice",
            story(stories.a_mark_that_could_not_be_saved_is_not_used),
        ),
        *("Mark._saved", "error is None", "True"),
    ),
    SeededBug(
        *(
            "segment that was left forgotten by the sync",
            "not on disk",
            story(stories.what_was_synced_survives_the_power),
        ),
        *("Spool._unsynced", "self._segments[-3:]", "self._segments[-1:]"),
    ),
    SeededBug(
        *("segment's name not synced", "not on disk", story(stories.what_was_synced_survives_the_power)),
        *("Spool._unsynced", "[] if named else [self.folder]", "[]"),
    ),
    SeededBug(
        *("start after a power cut at the files' end", "offset used twice", death(stories.ended, "tremplin")),
        *("find", "max(last, mark)", "max(last, acked)"),
    ),
    SeededBug(
        *("spool fuller than its limit", "over the limit", death(stories.cramped, "tremplin")),
        *("Spool._write", "self.size + len(piece) > self.limit", "self.size > self.limit"),
    ),
    SeededBug(
        *("half line of a killed relay goes on", "torn", death(stories.ended, "tremplin")),
        *("Spool._take_up", "if found.inside_line:", "if found.inside_line and (not self.end):"),
    ),
    SeededBug(
        *("short write repeated", "doubled", death(stories.cramped, "laptop")),
        *("PausingStore.pause", "self.paused = reason", "self.paused = reason; self.batch._done = 0"),
    ),
    SeededBug(
        *("half line at the end of the file not closed", "torn", death(stories.ended, "tremplin")),
        *("Batch.restart", "STRANGER if inside_line else None", "None"),
    ),
    SeededBug(
        *("another's text behind ours unnoticed", "torn", death(stories.cramped, "tremplin")),
        *("RecordedFile._look", "now.st_size != self.size", "now.st_size < self.size"),
    ),
    SeededBug(
        *("line after a gap joined to the one before", "torn", story(stories.a_gap_within_a_line_ends_it)),
        *("Landing.jump", "self._who += 1", "pass"),
    ),
    SeededBug(
        *("no checkpoint of the file behind a cut", "doubled", death(stories.rotated, "laptop")),
        *("RotatedFile._cut", "self.touch(goes_on)", "pass"),
    ),
    SeededBug(
        *("line that was cut begun again", "torn", death(stories.rotated, "laptop")),
        *("RotatedFile._cut", "self.touch(goes_on)", "self.touch()"),
    ),
    SeededBug(
        *("cut that a kill interrupted not mended", "invented", death(stories.rotated, "laptop")),
        *("RotatedFile.goes_on_from", "return pending is not None and", "return False and"),
    ),
    SeededBug(
        *("renamed file left unsynced", "not on disk", death(stories.edited, "tremplin")),
        *("RecordedFile._reopen", "self._disk.fdatasync(self.fd)", "pass"),
    ),
    SeededBug(
        *("no checkpoint when the file was touched", "doubled", death(stories.edited, "tremplin")),
        *("Landing._touched", "settling.end()", "pass"),
    ),
    SeededBug(
        *(
            "comparing skips the line's beginning",
            "torn",
            story(stories.a_half_line_that_a_stranger_went_on_with_is_written_again),
        ),
        *(
            "Comparer.feed",
            "if equal < len(there):\n            return (bytes(self._line) + data[taken:], False)",
        ),
        *("if equal < len(there):\n            return (data[taken:], False)",),
    ),
    SeededBug(
        *("comparing repeats the half line", "doubled", death(stories.ended, "laptop")),
        *("Comparer.feed", "return (data[taken:], self.inside or bool(self._line))"),
        *("return (bytes(self._line) + data[taken:], self.inside or bool(self._line))",),
    ),
    SeededBug(
        *("renamed file not looked for", "doubled", death(stories.edited, "tremplin")),
        *("Checkpoint.find", "other != path and self._may_be(other, disk)", "not other"),
    ),
    SeededBug(
        *("checkpoint without a look back", "unsaid", story(stories.a_file_truncated_and_grown_is_noticed)),
        *("Checkpoint.fits", "tail_hash(fd, self.size, disk) == self.tail", "True"),
    ),
    SeededBug(
        *("two senders in one line", "torn", death(stories.ended, "tremplin")),
        *("Batch.add", "self.open_by == who", "self.open_by is not None"),
    ),
    SeededBug(
        *("frame taken for one where a receive ends", "misread", read(b"5 <1>ab apples")),
        *("Auto._counted", "last and at == end", "at == end"),
    ),
    SeededBug(
        *("text that is counted by chance taken for a frame", "misread", read(b"9 <13>12345 apples")),
        *("Auto._counted", "LINES if last or", "Counted() if last or"),
    ),
    SeededBug(
        *("frame without room for its priority", "misread", read(b"5 <1>ab5 <1>cd1 <13>e")),
        *("size_of", "size >= len(header[2])", "size"),
    ),
    SeededBug(
        *("header cut by a receive lost", "misread", read(b"5 <1>ab5 <1>cd5 <1>ef")),
        *("Counted.cut", "if HEADER_BEGUN.fullmatch(self._head):", "if not self._head:"),
    ),
    SeededBug(
        *("message that a receive cut begins at the wrong place", "misread", read(b"5 <1>ab5 <1>cd5 <1>ef")),
        *("Counted.cut", "self._begin -= whole", "pass"),
    ),
    SeededBug(
        *("newline doubled before a NUL", "misread", read(b"<1>a\n\0<1>b\0")),
        *("Nul.strip", ".replace(b'\\n\\x00', b'\\n')", ""),
    ),
    SeededBug(
        *("any NUL taken for an end", "misread", read(b"<1>a\0b\n")),
        *("EndsInNul.settle", "BEGINS.match(buffer, next_one, end) or", "next_one < end or"),
    ),
    SeededBug(
        *(
            "priority on the next line not looked for where a receive cut it",
            "misread",
            read(b"<1>a\n<1>b\0<1>c\0"),
        ),
        *("EndsInNul.settle", "max(0, end - begin - _TELLS_MOST)", "end - begin"),
    ),
    SeededBug(
        *(
            "end taken for acked before it is",
            "not on disk",
            story(stories.an_ack_on_its_way_when_the_end_is_said_is_not_the_last),
        ),
        *("Feed.heard", "frame.offset >= self._spool.end", "True"),
    ),
    SeededBug(
        *("who said it a byte beside", "wrong sender", story(stories.who_said_it_is_known_after_kills)),
        *(
            "Spooled.told",
            "self._begin, self._told = (begin, notes)",
            "self._begin, self._told = (begin + 1, notes)",
        ),
    ),
    SeededBug(
        *(
            "index not told what was found",
            "unknown",
            story(stories.who_said_it_is_known_after_kills),
        ),
        *("Landing._is_there", "self._index.tell(begin + there, position, notes_of(decided, begin))", "pass"),
    ),
    SeededBug(
        *("index behind the checkpoint", "unknown", story(stories.who_said_it_is_known_after_kills)),
        *("Landing._settling", "self._index.flush()", "pass"),
    ),
    SeededBug(
        *(
            "relay tells of what it sent before",
            "unknown",
            story(stories.who_said_it_is_known_after_kills),
        ),
        *("Teller.up_to", "self._told = max(end, found[-1].end) if found else end", "self._told = end + 9"),
    ),
    SeededBug(
        *(
            "another spool's senders",
            "wrong sender",
            story(stories.what_another_spool_said_is_forgotten),
        ),
        *("Landing.begin", "self._arrivals.forget()", "pass"),
    ),
]


def functions(body: list[ast.stmt], within: str = "") -> Iterator[tuple[str, Function]]:
    """Yield the functions of a module, and of its classes, with their dotted names."""
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from functions(node.body, f"{within}{node.name}.")
        elif isinstance(node, Function):
            yield within + node.name, node


@functools.cache
def engine() -> dict[str, list[tuple[Path, Function]]]:
    """Return every function of the engine, and of `stream`, by its dotted name, with its module."""
    found: dict[str, list[tuple[Path, Function]]] = {}
    for folder in ("engine", "stream"):
        here: dict[str, list[tuple[Path, Function]]] = {}
        for path in sorted((ROOT / "reclog" / folder).rglob("*.py")):
            for name, node in functions(ast.parse(path.read_text(encoding="utf-8")).body):
                here.setdefault(name, []).append((path.relative_to(ROOT), node))
        found = {**here, **found}
    return found


def changed(function: str, old: str, new: str) -> tuple[Path, Function, str]:
    """Return where a function is, and its text with `old` replaced."""
    places = engine().get(function, [])
    assert len(places) == 1, f"the engine has {len(places)} functions called {function}"
    path, node = places[0]
    text = ast.unparse(node)
    assert text.count(old) == 1, f"{function} has {text.count(old)} times {old!r}:\n{text}"
    return path, node, text.replace(old, new)


@contextmanager
def seeded(bug: SeededBug) -> Iterator[None]:
    """Have the engine of this process make the mistake meanwhile."""
    path, _, text = changed(bug.function, bug.old, bug.new)
    module = importlib.import_module(".".join(path.with_suffix("").parts))
    made: dict[str, object] = {}
    exec(compile(f"from __future__ import annotations\n{text}", str(path), "exec"), vars(module), made)
    *owners, name = bug.function.split(".")
    with mock.patch.object(functools.reduce(getattr, owners, module), name, made[name]):
        yield


def write_seeded(folder: Path, function: str, old: str, new: str) -> None:
    """Make the mistake in a copy of the tree."""
    path, node, text = changed(function, old, new)
    lines = (folder / path).read_text(encoding="utf-8").splitlines()
    begin = min([node.lineno, *(one.lineno for one in node.decorator_list)]) - 1
    lines[begin : node.end_lineno] = [" " * node.col_offset + line for line in text.splitlines()]
    (folder / path).write_text("\n".join(lines) + "\n", encoding="utf-8")
