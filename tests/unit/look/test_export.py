"""A stretch of a recording in a file: what a slow reference says, whole or not at all, over nobody's."""

from __future__ import annotations

import gzip
import json
import os
import re
import stat
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packed import pack

from reclog.engine.records.events import timestamp
from reclog.engine.stores.index.files import LATEST, whose
from reclog.engine.stores.index.format import Run
from reclog.errors import ReclogError, UsageError
from reclog.look import export as module
from reclog.look.export import Export, Exported
from reclog.look.query import History, Question
from reclog.recordings.recording import Recording

#: A time (ms), and the file of the following tests: who said what, and how many seconds later.
THEN = 1_790_000_000_123
SAID = [
    ("10.0.0.1", 0, b"one\r\n"),
    ("10.0.0.2", 1, b"two \x1b[2J\n"),
    (None, None, b"\n"),
    ("::1", 2, b"end"),
]


def recorded(folder: Path, said: list[tuple[str | None, int | None, bytes]], **facts: Any) -> History:
    folder = folder / "local-1"
    folder.mkdir()
    file = folder.parent / "file.log"
    file.write_bytes(b"".join(text for *_, text in said))
    (folder / "config.json").write_text(json.dumps({"file": str(file), **facts}))
    runs, at = [], 0
    for sender, later, text in said:
        runs.append(Run(at, at + len(text), None if later is None else THEN + 1000 * later, sender))
        at += len(text)
    if runs:
        (folder / LATEST).write_bytes(whose(file.stat().st_ino) + pack(runs))
    return History(Recording(folder))


def gap(folder: Path, later: float) -> None:
    with (folder / "local-1" / "holes.log").open("a") as log:
        event = {
            "time": timestamp(THEN / 1000 + later),
            "event": "gap",
            "start": 0,
            "end": 9,
            "reason": "\x1b",
        }
        log.write(json.dumps(event) + "\n")


def export(history: History, out: Path, stamp: bool = False, **asked: Any) -> Exported:
    return Export(history, Question(**asked), stamp).to_file(out, [history.recording])


def time(later: int) -> bytes:
    return timestamp(THEN / 1000 + later + 0.0005).encode()


@pytest.fixture
def history(tmp_path: Path) -> History:
    return recorded(tmp_path, SAID)


def test_as_sent_it_is_what_the_file_has(history: History, tmp_path: Path) -> None:
    done = export(history, tmp_path / "out.log")
    assert (tmp_path / "out.log").read_bytes() == (tmp_path / "file.log").read_bytes()
    assert (done.lines, done.size, done.files, done.gaps) == (
        4,
        len(b"".join(text for *_, text in SAID)),
        1,
        [],
    )
    assert stat.S_IMODE((tmp_path / "out.log").stat().st_mode) == 0o600


def test_stamped_each_line_has_its_time_and_sender_and_each_gap_a_line(
    history: History, tmp_path: Path
) -> None:
    gap(tmp_path, 0.5)
    gap(tmp_path, 99)
    done = export(history, tmp_path / "out.log.gz", stamp=True)
    missing = "── 9 B missing (\\x1b) ──".encode()
    later = timestamp(THEN / 1000 + 0.5).encode()
    assert gzip.decompress((tmp_path / "out.log.gz").read_bytes()).split(b"\n")[:-2] == [
        time(0) + b" 10.0.0.1 one\r",
        later + b" " + missing,
        time(1) + b" 10.0.0.2 two \x1b[2J",
        b"unknown unknown ",
        time(2) + b" ::1 end",
    ]
    assert len(done.gaps) == 2
    assert done.undated == 1


def test_a_stamp_of_the_recording_is_not_doubled(tmp_path: Path) -> None:
    said = time(0) + b" 10.0.0.1:5000 one\n"
    history = recorded(tmp_path, [("10.0.0.1", 0, said)], stamp=True)
    export(history, tmp_path / "stamped.log", stamp=True)
    export(history, tmp_path / "plain.log")
    assert (tmp_path / "stamped.log").read_bytes() == time(0) + b" 10.0.0.1 one\n"
    assert (tmp_path / "plain.log").read_bytes() == said


def test_gaps_that_have_no_place_are_stated(tmp_path: Path) -> None:
    history = recorded(tmp_path, [(None, None, b"said\n")])
    (tmp_path / "local-1" / LATEST).unlink()
    history = History(history.recording)
    gap(tmp_path, 0)
    done = export(history, tmp_path / "a", stamp=True)
    assert (len(done.unplaced), done.gaps) == (1, [])
    assert export(history, tmp_path / "b", since=THEN / 1000 + 5).unplaced == []


SENDERS = st.sampled_from(["10.0.0.1", "10.0.0.2", "kitchen", None])
TEXTS = st.sampled_from([b"a\n", b"b\n", b"ab\r\n", b"\n", b"\xff\0\n", b"reclog probe 0123456789abcdef\n"])
HISTORIES = st.lists(st.tuples(SENDERS, st.integers(0, 3), TEXTS), max_size=12)


@given(
    said=HISTORIES,
    senders=st.sets(SENDERS.filter(bool)),
    grep=st.sampled_from(["", "a", "b$", "^$"]),
    since=st.none() | st.integers(0, 3),
    until=st.none() | st.integers(0, 3),
)
def test_what_is_asked_for_is_what_a_slow_reference_says(
    said: list[Any], senders: set[str], grep: str, since: int | None, until: int | None
) -> None:
    said = sorted(
        ((who, later if who else None, text) for who, later, text in said), key=lambda one: one[1] or 0
    )
    meant, each = [], defaultdict(list)
    known = [later for _, later, _ in said if later is not None]
    for number, (who, later, text) in enumerate(said):
        line = text.rstrip(b"\n").removesuffix(b"\r")
        before = [one[1] for one in said[:number] if one[1] is not None]
        behind = [one[1] for one in said[number:] if one[1] is not None]
        if later is not None:
            ok = (since is None or later >= since) and (until is None or later <= until)
        else:  # it stands in the stretch: from the first since, or behind all, to the first later
            ok = since is None or any(t >= since for t in before) or (bool(known) and not behind)
            ok &= until is None or not any(t > until for t in before)
        if ok and (not senders or who in senders) and re.search(grep.encode(), line) and b"probe" not in line:
            meant.append(text)
            each[who].append(text)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        history = recorded(root, said)
        asked = Question(
            None if since is None else THEN / 1000 + since,
            None if until is None else THEN / 1000 + until,
            frozenset(senders),
            grep,
        )
        done = Export(history, asked, stamp=False).to_file(root / "out", [])
        assert (root / "out").read_bytes() == b"".join(meant)
        assert done.lines == len(meant)
        Export(history, asked, stamp=False).to_folder(root / "each", [])
        found = {path.name: path.read_bytes() for path in (root / "each").iterdir()}
        assert found == {f"{who or 'unknown'}.log": b"".join(texts) for who, texts in each.items()}


NAMES = [
    "../../etc/x",
    "a/b",
    "a_b",
    "A_B",
    ".hidden",
    "-rf",
    "gaps",
    "unknown",
    "é" * 300,
    "\x1b[2J",
    "..",
    "\udcff",
]


def test_names_of_senders_are_safe_and_their_own() -> None:
    names = module._Names()
    found = [names.of(sender) for sender in [*NAMES, None]]
    assert found == [names.of(sender) for sender in [*NAMES, None]]
    assert len({name.casefold() for name in found}) == len(found)
    for name in found:
        assert re.fullmatch(r"\w[\w.-]*\.log", name), name
        assert len(name.encode()) <= 255
    assert {"gaps.log", "others.log"}.isdisjoint(found)


def test_a_folder_has_its_gaps_in_a_file_of_their_own(history: History, tmp_path: Path) -> None:
    gap(tmp_path, 0.5)
    done = Export(history, Question(senders=frozenset(["::1"])), stamp=True).to_folder(tmp_path / "each", [])
    found = {path.name: path.read_bytes() for path in (tmp_path / "each").iterdir()}
    assert done.files == 2
    assert sorted(found) == ["_1.log", "gaps.log"]
    assert b"9 B missing" in found["gaps.log"]


def test_senders_that_are_too_many_share_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_FILES", 3)
    monkeypatch.setattr(module, "_OPEN", 2)
    said: list[Any] = [(f"10.0.0.{number % 5}", number, b"%d\n" % number) for number in range(20)]
    Export(recorded(tmp_path, said), Question(), False).to_folder(tmp_path / "each", [])
    found = {path.name: path.read_bytes().split() for path in (tmp_path / "each").iterdir()}
    assert found["10.0.0.1.log"] == [b"1", b"6", b"11", b"16"]
    assert found["others.log"] == [b"3", b"4", b"8", b"9", b"13", b"14", b"18", b"19"]
    assert len(found) == 4


def test_a_line_longer_than_what_is_given_of_it_is_whole(tmp_path: Path) -> None:
    long = bytes(range(1, 10)) * 300_000 + b"\n"
    history = recorded(tmp_path, [("10.0.0.1", 0, long), ("10.0.0.1", 1, long[:-1])])
    export(history, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == long + long[:-1]
    export(history, tmp_path / "b", stamp=True)
    assert (tmp_path / "b").read_bytes() == time(0) + b" 10.0.0.1 " + long + time(1) + b" 10.0.0.1 " + long


def test_nothing_of_anybodys_is_written_over(history: History, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_text("mine")
    (tmp_path / "link").symlink_to(there)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    (tmp_path / "other.log").symlink_to(tmp_path / "file.log")
    for name in ("there", "link", "full", "file.log", "other.log"):
        for how in ("to_file", "to_folder"):
            with pytest.raises(ReclogError, match=r"is there already|is the file of local-1"):
                getattr(Export(history, Question(), False), how)(tmp_path / name, [history.recording])
    assert there.read_text() == "mine"
    assert (tmp_path / "file.log").read_bytes() == b"".join(text for *_, text in SAID)
    there.write_text("")
    (tmp_path / "full" / "x").unlink()
    export(history, there)
    Export(history, Question(), False).to_folder(tmp_path / "full", [])
    assert there.stat().st_size
    assert sorted(path.name for path in (tmp_path / "full").iterdir()) == [
        "10.0.0.1.log",
        "10.0.0.2.log",
        "_1.log",
        "unknown.log",
    ]


@pytest.mark.parametrize("out", ["/", "missing/out", "file.log/out"])
def test_a_place_that_is_none(history: History, tmp_path: Path, out: str) -> None:
    with pytest.raises(ReclogError, match=r"is no file's name|can't be written \((No such|Not a dir)"):
        export(history, tmp_path / out)


def test_what_fails_leaves_nothing(history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UsageError, match="no regular expression"):
        export(history, tmp_path / "out", grep="(")
    with pytest.raises(UsageError, match=r"does not end in \.gz"):
        Export(history, Question(), False).to_folder(tmp_path / "out.gz", [])

    def cut(*words: Any) -> bytes:
        os.truncate(tmp_path / "file.log", 3)
        return b""

    with monkeypatch.context() as patch:
        patch.setattr(Export, "_line", cut)
        with pytest.raises(ReclogError, match="was cut off while it was read"):
            export(history, tmp_path / "out")
    (tmp_path / "file.log").unlink()
    with pytest.raises(ReclogError, match=r"can't be read \(No such file"):
        export(history, tmp_path / "out")
    assert sorted(tmp_path.iterdir()) == [path for path in before if path.name != "file.log"]


def test_what_a_death_has_left_is_no_trouble_and_what_runs_is(history: History, tmp_path: Path) -> None:
    left = tmp_path / ".out.part"
    left.mkdir()
    (left / "out").write_text("half")
    export(history, tmp_path / "out")
    assert not left.exists()
    with module._beside(tmp_path / "again", []), pytest.raises(ReclogError, match="by another export"):
        export(history, tmp_path / "again")


def test_a_file_system_on_which_no_file_has_two_names(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*words: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    export(history, tmp_path / "out")
    assert (tmp_path / "out").stat().st_size
