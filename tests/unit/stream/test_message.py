from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reclog.engine.stores.index.format import Run
from reclog.stream import message
from reclog.stream.message import Identity, TooManyRuns, decode, encode

IDENTITY = Identity("0123456789abcdef", 3)
MS = 1_700_000_000_000
TEXT = b"one\ntwo\nthree\n"
RUNS = [Run(100, 104, MS, "10.0.0.1"), Run(104, 108, None, None), Run(108, 114, MS + 7, None)]


def test_what_is_said_is_understood() -> None:
    assert decode(encode(IDENTITY, 100, TEXT, RUNS, MS), TEXT) == (IDENTITY, 100, 114, RUNS, TEXT, MS)


@pytest.mark.parametrize("told", ["", "x", "-1", "9" * 18, "9" * 5000])
def test_a_clock_that_makes_no_sense_says_nothing(told: str) -> None:
    assert decode({**encode(IDENTITY, 100, TEXT, RUNS), message.SENT: told}, TEXT).sent == 0


@given(
    st.lists(
        st.tuples(st.integers(1, 50), st.none() | st.integers(0, MS), st.sampled_from(["", "::1", "a" * 128]))
    )
)
def test_any_runs_are_told(told: list[tuple[int, int | None, str]]) -> None:
    runs, at = [], 7
    for size, ms, who in [*told, (1, MS, "x")]:
        runs.append(Run(at, at + size, ms, who or None if ms is not None else None))
        at += size
    heard = decode(encode(IDENTITY, 7, b"x" * (at - 7), runs), b"x" * (at - 7)).runs
    # What lies 49 days behind the earliest is told as unknown.
    near = min(run.ms for run in runs if run.ms is not None) + (1 << 32)
    expected = [
        run if run.ms is not None and run.ms < near else run._replace(ms=None, sender=None) for run in runs
    ]
    assert heard == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (message.RECORDING, None),
        (message.RECORDING, "../../etc-1"),
        (message.RECORDING, "0123456789abcdef-0"),
        (message.BEGIN, None),
        (message.BEGIN, "-100"),
        (message.BEGIN, "99"),
        (message.BEGIN, "٠"),
        (message.END, "115"),
        (message.END, "9" * 30),
    ],
)
def test_somebody_elses_is_refused(name: str, value: str | None) -> None:
    headers = encode(IDENTITY, 100, TEXT, RUNS)
    headers.pop(name)
    if value is not None:
        headers[name] = value
    with pytest.raises(ValueError, match=r"it|offset"):
        decode(headers, TEXT)


def test_a_message_of_nobody_and_one_without_bytes_are_refused() -> None:
    for headers, payload in ((None, TEXT), ({}, TEXT), (encode(IDENTITY, 5, b"", []), b"")):
        with pytest.raises(ValueError, match="it"):
            decode(headers, payload)


@pytest.mark.parametrize("told", ["", "?", "AAAA", "eJwDAAAAAAE=", "A" * 100_000])
def test_of_runs_that_make_no_sense_nothing_is_known(told: str) -> None:
    headers = {**encode(IDENTITY, 100, TEXT, RUNS), message.RUNS: told}
    assert decode(headers, TEXT).runs == [Run(100, 114, None, None)]


def test_runs_of_another_stretch_are_not_believed() -> None:
    longer = encode(IDENTITY, 100, TEXT, [*RUNS[:2], Run(108, 115, MS, "10.0.0.1")])
    assert decode(longer, TEXT).runs == [Run(100, 114, None, None)]


def test_runs_that_would_fill_a_header_are_said_to_be_too_many() -> None:
    runs = [Run(at, at + 1, MS + at * at * 7 % 100_003, f"10.{at % 251}.0.{at % 13}") for at in range(16_000)]
    with pytest.raises(TooManyRuns):
        encode(IDENTITY, 0, b"x" * 16_000, runs)
    with pytest.raises(TooManyRuns):
        encode(IDENTITY, 0, b"x" * 100, runs[:100], most=100)


@pytest.mark.parametrize(
    ("machine", "recording", "expected"),
    [
        ("laptop", "local-55514", "reclog.laptop.local-55514"),
        ("laptop.lan", "a b*>ü", "reclog.laptop_lan.a_b___"),
        ("", "..", "reclog._.__"),
    ],
)
def test_a_subject_has_three_safe_parts(machine: str, recording: str, expected: str) -> None:
    assert message.subject(machine, recording) == expected
    assert message.parts(expected) == tuple(expected.split(".")[1:])


@pytest.mark.parametrize(
    "subject", ["reclog.a", "reclog.a.b.c", "other.a.b", "reclog.a.../b", "reclog..b", "reclog.a.é"]
)
def test_a_subject_of_others_names_no_recording(subject: str) -> None:
    with pytest.raises(ValueError, match="names no recording"):
        message.parts(subject)


@pytest.mark.parametrize(("max_payload", "most"), [(1 << 20, 256 * 1024), (64 * 1024, 32 * 1024), (1, 1)])
def test_a_message_is_half_of_what_the_server_takes_at_most(max_payload: int, most: int) -> None:
    assert message.largest(max_payload) == most


def test_the_next_identity_is_of_the_same_recording() -> None:
    new = Identity.new()
    assert Identity.parse(str(new.next())) == (new.origin, 2)
    assert Identity.new().origin != new.origin
