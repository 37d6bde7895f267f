"""Who said what when: answers equal to a slow reference, whatever the file, the index and the question."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recordings import THEN, recorded

from reclog.engine.stores.index.format import Run
from reclog.look import lines, search
from reclog.look.query import Line, Question


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


@given(histories(), questions, st.integers(0, 14))
def test_forward_and_back_are_as_the_reference(
    told: tuple[bytes, list[Run]], question: Question, count: int
) -> None:
    data, runs = told
    with tempfile.TemporaryDirectory() as folder:
        history = recorded(Path(folder), data, runs, names=["10.0.0.2=two"])
        wanted = reference(data, runs, question)
        assert [*history.forward(question, 0)] == wanted
        assert [*history.matches(question, 0, len(data), 10.0)] == wanted
        assert history.back(question, len(data), count) == (wanted[-count:] if count else [])


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
    history = recorded(folder, data, [Run(0, 1500, THEN, "10.0.0.1")], names=["10.0.0.2=two"])
    question = Question(grep=expression, until=THEN / 1000 + 1)
    wanted = reference(data, [Run(0, 1500, THEN, "10.0.0.1")], question)
    assert wanted
    assert [*history.forward(question, 0)] == wanted
    assert history.back(question, len(data), 3) == wanted[-3:]
    assert [*history.matches(question, 60, 1200, 10.0)] == [one for one in wanted if 60 <= one.offset < 1200]
