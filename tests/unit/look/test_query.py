"""Who said what when: answers equal to a slow reference, whatever the file, the index and the question."""

from __future__ import annotations

import os
import re
import tempfile
import tracemalloc
from collections.abc import Iterable
from pathlib import Path

import psutil
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from recordings import THEN, events, recorded, set_aside

from reclog.engine.records.events import timestamp
from reclog.engine.stores.index.format import Run
from reclog.errors import TooLongError, UsageError
from reclog.look import lines, matcher, search
from reclog.look.query import Gap, Line, Question


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@st.composite
def histories(draw: st.DrawFn) -> tuple[bytes, list[Run]]:
    """Return a file, and runs that are about it: some of it is unknown, clocks step back."""
    words = st.sampled_from([b"ab", b"abc", b"b", b"", b"\xff\0", b"aab\r", b"reclog probe 0123456789abcdef"])
    data = b"\n".join(draw(st.lists(words, max_size=12)))
    runs, at = [], 0
    while at < len(data) and draw(st.booleans()):
        size = draw(st.integers(1, max(1, len(data) - at)))
        known = draw(st.sampled_from([True, True, False]))
        ms = THEN + 1000 * draw(st.integers(0, 5)) if known else None
        sender = draw(st.sampled_from(["10.0.0.1", "10.0.0.2", None])) if known else None
        runs.append(Run(at, at + size, ms, sender))
        at += size
    return data, runs if any(run.ms for run in runs) else []


questions = st.builds(
    Question,
    since=st.sampled_from([None, THEN / 1000 + 2]),
    until=st.sampled_from([None, THEN / 1000 + 3]),
    senders=st.sampled_from([frozenset(), frozenset({"10.0.0.1"}), frozenset({"two"})]),
    probes=st.booleans(),
)


def reference(data: bytes, runs: list[Run], question: Question) -> list[Line]:
    """Return the answer, found the slow and obvious way."""
    known = [run for run in runs if run.ms is not None]
    since, until = (None if one is None else one * 1000 for one in (question.since, question.until))
    end_known = max((run.end for run in known), default=0)
    first, last = 0, len(data)
    if since is not None:
        later = [run.begin for run in known if run.ms >= since]  # type: ignore[operator]
        first = min(later, default=end_known if known else len(data))
    if until is not None:
        last = min((run.begin for run in known if run.ms > until), default=len(data))  # type: ignore[operator]
    found, at = [], 0
    for text in data.split(b"\n"):
        end = min(at + len(text) + 1, len(data))
        run = next((run for run in known if run.begin <= at < run.end), Run(0, 0, None, None))
        sender = {"10.0.0.2": "two"}.get(str(run.sender), run.sender)
        meant = first <= at < last
        meant &= run.ms is None or since is None or run.ms >= since
        meant &= run.ms is None or until is None or run.ms <= until
        meant &= not question.senders or sender in question.senders
        meant &= question.probes or not text.startswith(b"reclog probe")
        meant &= not question.grep or re.search(question.grep.encode(), text.removesuffix(b"\r")) is not None
        if meant and at < len(data):
            found.append(Line(at, end, text, None if run.ms is None else run.ms / 1000, sender))
        at = end
    return found


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "BLOCK", 5)
    monkeypatch.setattr(lines, "_ONE", 3)


# What nobody knows behind the last that is known may have come since.
@example((b"ab\nab", [Run(0, 2, THEN, None), Run(2, 4, None, None)]), Question(since=THEN / 1000 + 2), 0, [])
@given(histories(), questions, st.integers(0, 14), st.lists(st.integers(1, 40), max_size=5, unique=True))
def test_forward_and_back_are_as_the_reference_however_it_is_cut(
    told: tuple[bytes, list[Run]], question: Question, count: int, cuts: list[int]
) -> None:
    data, runs = told
    with tempfile.TemporaryDirectory() as folder:
        history = recorded(Path(folder), data, runs, names=["10.0.0.2=two"])
        set_aside(history, sorted(cut for cut in cuts if cut <= len(data)), runs)
        wanted = reference(data, runs, question)
        assert [*history.forward(question, 0)] == wanted
        assert [*history.matches(question, 0, len(data), 10.0)] == wanted
        assert history.back(question, len(data), count) == (wanted[-count:] if count else [])
        events(Path(folder), *((THEN / 1000 + when, "gap", {"start": 0, "end": when}) for when in (1, 3, 4)))
        with_gaps = [*history.forward(question, 0)]
        assert [one for one in with_gaps if isinstance(one, Line)] == wanted
        numbers = [sum(isinstance(one, Line) for one in with_gaps[at:]) for at in range(len(with_gaps))]
        ending = [one for one, number in zip(with_gaps, numbers) if number <= count]
        assert history.back(question, len(data), count) == (ending if count else [])


@given(histories(), questions, st.integers(0, 60), st.integers(0, 60), st.integers(1, 3))
def test_stretches_are_parts_of_it(
    told: tuple[bytes, list[Run]], question: Question, begin: int, end: int, count: int
) -> None:
    data, runs = told
    with tempfile.TemporaryDirectory() as folder:
        history = recorded(Path(folder), data, runs, names=["10.0.0.2=two"])
        wanted = reference(data, runs, question)
        assert [*history.forward(question, begin, end)] == [
            one for one in wanted if begin <= one.offset < end
        ]
        assert history.back(question, end, count) == [one for one in wanted if one.end <= end][-count:]


EXPRESSIONS = [
    "ab$",
    "^a",
    "b|c",
    "a+b?",
    "[^a]",
    "a.c",
    r"\bab\b",
    "(?=b)",
    "a{2}",
    r"\W",
    "a{",
    "(?i)AB",
    "é",
]


@pytest.mark.parametrize("ripgrep", [True, False])
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_means_the_same_to_whatever_searches(
    folder: Path, monkeypatch: pytest.MonkeyPatch, ripgrep: bool, expression: str
) -> None:
    if not ripgrep:
        monkeypatch.setattr(search, "_ripgrep", lambda: None)
    data = (
        b"ab\nabc\r\naab\r\n\n\xffb\0c\nxaabx\nAB\na{1}\nreclog probe 0123456789abcdef\n\xc3\xa9\n" * 40
        + b"ab"
    )
    runs = [Run(0, 1500, THEN, "10.0.0.1")]
    history = recorded(folder, data, runs, names=["10.0.0.2=two"])
    question = Question(grep=expression, until=THEN / 1000 + 1)
    wanted = reference(data, runs, question)
    assert wanted
    for cuts in ([], [99, 100, 1000, 1301]):
        set_aside(history, cuts, runs)
        assert [*history.forward(question, 0)] == wanted
        assert history.back(question, len(data), 3) == wanted[-3:]
        assert [*history.matches(question, 60, 1200, 10.0)] == [
            one for one in wanted if 60 <= one.offset < 1200
        ]


# -- times and senders that the file itself tells ------------------------------------------------------


def stamped(number: int, who: str = "10.0.0.1:4711") -> bytes:
    return f"{timestamp(THEN / 1000 + number)} {who} line {number}\n".encode()


def told(found: Iterable[Line | Gap]) -> list[tuple[float | None, str | None]]:
    return [(one.time and one.time - THEN / 1000, one.sender) for one in found if isinstance(one, Line)]


def test_what_a_stamped_file_says_is_used(folder: Path) -> None:
    data = (
        stamped(1)
        + b"by hand\n"
        + stamped(2, "kitchen:9")
        + stamped(3, "[::1]:5")
        + stamped(4, "/dev/ttyUSB0")
    )
    history = recorded(folder, data, names=["10.0.0.9=kitchen"], stamp=True)
    assert told(history.forward(Question(), 0)) == [
        (1, "10.0.0.1"),
        (None, None),
        (2, "kitchen"),
        (3, "::1"),
        (4, "/dev/ttyUSB0"),
    ]
    assert told(history.forward(Question(senders=frozenset({"10.0.0.9"})), 0)) == [(2, "kitchen")]
    assert [line.stamp for line in history.forward(Question(), 0) if isinstance(line, Line)] == [
        39,
        0,
        35,
        33,
        38,
    ]


def test_a_senders_own_stamp_is_believed_only_where_there_is_no_index(folder: Path) -> None:
    data = stamped(1, "INFO") + stamped(2)
    assert told(recorded(folder, data).forward(Question(), 0)) == [(1, None), (2, "10.0.0.1")]
    forged = recorded(folder, data, [Run(0, 10, THEN, "10.6.6.6")])
    assert told(forged.forward(Question(), 0)) == [(0, "10.6.6.6"), (None, None)]


@pytest.mark.parametrize("first", [0, 1, 499, 500, 999, 1000])
def test_a_stretch_of_a_stamped_file_is_found_by_halves(folder: Path, first: int) -> None:
    data = b"".join(stamped(number) + b"\n" * (number % 3) for number in range(1000))
    history = recorded(folder, data, stamp=True)
    since = THEN / 1000 + first
    found = [
        one for one in history.forward(Question(since=since, until=since + 5), 0) if one.time is not None
    ]
    assert [one for one, _ in told(found)] == [*range(first, min(1000, first + 6))]
    assert history.at(since) == (data.index(stamped(first)) if first < 1000 else len(data))


# -- gaps ---------------------------------------------------------------------------------------------


def test_gaps_are_placed_before_the_next_line_that_is_known(folder: Path) -> None:
    runs = [Run(0, 4, THEN, "a"), Run(4, 8, THEN + 60_000, "a"), Run(8, 12, THEN + 120_000, "b")]
    history = recorded(folder, b"one\ntwo\nsix\nunknown\n", runs)
    events(
        folder,
        (THEN / 1000, "started", {"port": 1}),
        (THEN / 1000 + 1, "paused", {"reason": "No space left on device"}),
        (THEN / 1000 + 5.2, "resumed", {"paused_seconds": 4.2}),
        (THEN / 1000 + 70, "datagrams dropped", {"datagrams": 12, "since": timestamp(THEN / 1000 + 69)}),
        (THEN / 1000 + 80, "gap", {"start": 0, "end": 2048, "reason": "power lost"}),
        (THEN / 1000 + 85, "paused", {"reason": "it does not survive a kill"}),
        (THEN / 1000 + 90, "started", {"port": 1}),
        (THEN / 1000 + 130, "stopped", {}),
        (THEN / 1000 + 3730, "started", {"port": 1}),
        (THEN / 1000 + 3731, "paused", {}),
    )
    sentences = [
        (4, "4.2 s: paused: No space left on device"),
        (8, "12 datagrams dropped"),
        (8, "2.0 KiB missing (power lost)"),
        (8, "the recorder was killed, and started again"),
        (20, "60 min: stopped"),
        (20, "paused: ?"),
    ]
    assert [(gap.offset, gap.sentence) for gap in history.gaps()] == sentences
    shown = [
        one.text.decode() if isinstance(one, Line) else one.offset for one in history.forward(Question(), 0)
    ]
    assert shown == ["one", 4, "two", 8, 8, 8, "six", "unknown"]
    assert len(history.back(Question(), 12, 1)) == 4
    late = Question(since=THEN / 1000 + 71)
    assert [getattr(one, "what", "six") for one in history.forward(late, 0)] == [
        "2.0 KiB missing (power lost)",
        "the recorder was killed, and started again",
        "six",
        "six",
    ]


def test_without_times_no_gap_has_a_place(folder: Path) -> None:
    history = recorded(folder, b"one\n")
    events(
        folder, (THEN / 1000, "gap", {"start": 0, "end": 9, "reason": "x"}), (0.0, "gap", {"start": "\x1b"})
    )
    (folder / "holes.log.1").write_bytes(b'{"time": "2026"\n[]\n\xff\n{"time": 5, "event": []}\n')
    assert [gap.offset for gap in history.gaps()] == [-1, -1]
    assert [*history.forward(Question(), 0)] == [Line(0, 4, b"one", None, None)]


# -- bounds -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ripgrep", [True, False])
def test_an_expression_that_takes_for_ever_is_given_up(
    folder: Path, monkeypatch: pytest.MonkeyPatch, ripgrep: bool
) -> None:
    monkeypatch.setattr(search, "PATIENCE", 0.2)
    expression = r"(?=a)(a+)+$" if ripgrep else "(a+)+$"  # ripgrep does not take the one
    if not ripgrep:
        monkeypatch.setattr(search, "_ripgrep", lambda: None)
    history = recorded(folder, b"aaa\n" + b"a" * 100_000 + b"b\n")
    found: list[Line | Gap] = []
    with pytest.raises(TooLongError, match=r"takes too long.*\.$") as given_up:
        found += history.forward(Question(grep=expression), 0)
    assert given_up.value.reached == 0
    monkeypatch.setattr(search, "PATIENCE", 60.0)
    with pytest.raises(TooLongError):
        list(history.matches(Question(grep=expression), 4, history.end, 0.05))


def test_where_ripgrep_fails_python_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = folder / "rg"
    failing.write_text("#!/bin/sh\necho 0:\necho 6:\nexit 2\n")
    failing.chmod(0o700)
    monkeypatch.setattr(search, "_ripgrep", lambda: str(failing))
    history = recorded(folder, b"ab\nac\nab\nab\n")
    assert [one.offset for one in history.forward(Question(grep="b"), 0) if isinstance(one, Line)] == [
        0,
        6,
        9,
    ]


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ('{"level": *"(?:warn|err)', '\\{"level": *"(?:warn|err)'),
        (r"(?i)^E \(\d{2,}\)[^:]+?$", r"(?i)^E \(\d{2,}\)[^:]+?$"),
        ("ol\u00e9", "ol\u00e9"),
        *(
            (one, "")
            for one in (
                "(?=a)",
                r"(a)\1",
                "a++",
                r"a\Z",
                "[[:alpha:]]",
                "[a&&b]",
                "\u00e9+",
                "(?i)\u00e9",
                "",
            )
        ),
    ],
)
def test_ripgrep_is_told_what_means_the_same_to_it(expression: str, told: str) -> None:
    assert search.for_ripgrep(expression) == told


def test_a_line_without_an_end_takes_no_memory() -> None:
    left = [b"x" * 256 * 1024] * 100 + [b"\nxyz\n"]
    tracemalloc.start()
    assert [*matcher.offsets(lambda _: left.pop(0) if left else b"", b"y.")] == [25 * 1024 * 1024 + 1]
    assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
    tracemalloc.stop()


def test_time_is_a_bound_without_an_expression_too(folder: Path) -> None:
    history = recorded(folder, b"a\n" * 1000)
    with pytest.raises(TooLongError) as late:
        list(history.matches(Question(), 0, history.end, -1.0))
    assert late.value.reached == 0


@pytest.mark.parametrize("expression", ["(", "a{2,1}", "*", "a" * 5000, "\0", "(?P<x>", "[z-a]", "(" * 4000])
def test_what_is_no_expression_is_refused_in_a_sentence(folder: Path, expression: str) -> None:
    with pytest.raises(UsageError, match=r"^--grep .*\.$") as refused:
        list(recorded(folder, b"a\n").forward(Question(grep=expression), 0))
    assert refused.value.code == 2


def test_what_searches_is_gone_when_nobody_asks_any_more(folder: Path) -> None:
    history = recorded(folder, b"ab\n" * 100_000)
    others = set(psutil.Process().children())
    found = history.forward(Question(grep="(?=a)"), 0)
    assert next(found).offset == 0
    (child,) = set(psutil.Process().children()) - others
    found.close()  # type: ignore[attr-defined]
    assert not child.is_running()


def test_a_file_that_is_cut_while_it_is_read_has_no_more(folder: Path) -> None:
    history = recorded(folder, b"ab\n" * 100)
    for question in (Question(), Question(grep="(?=b)")):
        Path(history.file).write_bytes(b"ab\n" * 100)
        found = history.forward(question, 0)
        assert next(found).offset == 0
        os.truncate(history.file, 0)
        assert len([*found]) <= 200
    assert history.back(Question(), 1000, 5) == []


def test_a_file_that_is_replaced_while_it_is_read_is_read_on(folder: Path) -> None:
    history = recorded(folder, b"old\n" * 100)
    found = history.forward(Question(), 0)
    next(found)
    os.replace(Path(history.file), folder / "x")
    Path(history.file).write_bytes(b"new\n")
    assert {one.text for one in found if isinstance(one, Line)} == {b"old"}
    assert [one.text for one in history.forward(Question(), 0) if isinstance(one, Line)] == [b"new"]


def test_a_file_that_is_not_there_is_an_error(folder: Path) -> None:
    history = recorded(folder, b"")
    os.unlink(history.file)
    assert (history.end, history.is_dated()) == (0, False)
    with pytest.raises(FileNotFoundError):
        history.back(Question(), 0, 1)


def test_a_timeline_tells_bytes_by_sender(folder: Path) -> None:
    runs = [Run(0, 4, THEN, "10.0.0.1"), Run(4, 6, THEN + 500, None), Run(6, 16, THEN + 1500, "10.0.0.2")]
    history = recorded(folder, b"x" * 20, runs, names=["10.0.0.2=two"])
    assert history.timeline(THEN, THEN + 2000, 2) == [{"10.0.0.1": 4, "": 2}, {"two": 10}]
    assert history.timeline(THEN + 500, THEN + 1000, 1) == [{"": 2}]
    assert history.senders() == {"10.0.0.1": 4, "two": 10}
