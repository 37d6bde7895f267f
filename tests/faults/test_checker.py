"""The checker: a good recording is good, and each thing that can be wrong with one is called by its name."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from checker import VERDICTS, Moment, Verdict, check
from hypothesis import given
from hypothesis import strategies as st
from workload import Stream, line_of

LINES = 30
SENDERS = (b"0.0", b"1.0", b"2.4")


def stream(key: bytes, lines: int = LINES, began: float = 0.0, ended: float | None = 100.0) -> Stream:
    """A connection whose line n was accepted at `began` + n + 1 seconds."""
    one = Stream(key)
    one.began, one.ended = began, ended
    for number in range(lines):
        one.sent += len(line_of(key, number))
        one.ends.append(one.sent)
        one._times.append(began + number + 1)
        one._accepted.append(one.sent)
    return one


def streams() -> list[Stream]:
    return [stream(key) for key in SENDERS]


def good() -> list[bytes]:
    """Every line of all, taken in turns."""
    return [line_of(key, number) for number in range(LINES) for key in SENDERS]


def judge(lines: Sequence[bytes], moments: Sequence[Moment] = (), **kwargs: object) -> Verdict:
    return check([b"".join(lines)], streams(), moments, **kwargs)  # type: ignore[arg-type]


def counts(verdict: Verdict) -> dict[str, int]:
    return {what: count for what, count in verdict.counts.items() if count}


def index(key: bytes, number: int) -> int:
    return good().index(line_of(key, number))


def test_a_good_recording_is_good() -> None:
    verdict = judge(good())
    assert verdict.good
    assert (verdict.owed, verdict.recorded) == (90, 90)
    assert str(verdict) == "90 lines recorded, 90 owed; all is well"


def test_a_recording_in_several_files_is_good_in_their_order() -> None:
    lines = good()
    files = [b"".join(lines[:40]), b"", b"".join(lines[40:41]), b"".join(lines[41:])]
    assert check(files, streams()).good
    assert counts(check([files[3], *files[:3]], streams())) == {"reordered": 3}


@pytest.mark.parametrize("number", [0, 13, LINES - 1])
def test_a_line_that_is_missing_is_lost(number: int) -> None:
    lines = good()
    lines.remove(line_of(b"1.0", number))
    verdict = judge(lines)
    assert counts(verdict) == {"lost": 1}
    assert verdict.examples["lost"].startswith(f"1.0 {number} of {LINES}")


def test_a_line_that_is_there_twice_is_doubled() -> None:
    lines = good()
    lines.insert(50, line_of(b"0.0", 3))
    verdict = judge(lines)
    assert counts(verdict) == {"doubled": 1}
    assert verdict.examples["doubled"] == "0.0 3 is there 2 times"


def test_lines_that_changed_places_are_reordered() -> None:
    lines = good()
    one, other = index(b"2.4", 7), index(b"2.4", 8)
    lines[one], lines[other] = lines[other], lines[one]
    verdict = judge(lines)
    assert counts(verdict) == {"reordered": 1}
    assert verdict.examples["reordered"] == "2.4 7 comes after 8"
    # Of two senders, that is no promise.
    lines = good()
    lines[0], lines[1] = lines[1], lines[0]
    assert judge(lines).good


def test_lines_of_two_senders_in_one_are_torn() -> None:
    lines = good()
    one, other = lines[30], lines[31]
    lines[30:32] = [one[:9] + other[:11] + one[9:], other[11:]]
    verdict = judge(lines)
    assert verdict.counts["torn"] == 2
    assert verdict.counts["lost"] == 2
    assert set(counts(verdict)) == {"torn", "lost"}
    assert repr(one[:9])[2:-1] in verdict.examples["torn"]


def test_a_foreign_newline_tears_a_line() -> None:
    lines = good()
    whole = line_of(b"0.0", 9)
    lines[index(b"0.0", 9)] = whole[:8] + b"\n" + whole[8:]
    assert counts(judge(lines)) == {"torn": 2, "lost": 1}


def test_a_byte_that_changed_tears_a_line() -> None:
    lines = good()
    whole = line_of(b"0.0", 9)
    lines[index(b"0.0", 9)] = whole[:8] + bytes([whole[8] ^ 0x40]) + whole[9:]
    assert counts(judge(lines)) == {"torn": 1, "lost": 1}


def test_a_line_of_nobody_is_invented() -> None:
    verdict = judge([*good()[:50], b"Nobody said so.\n", *good()[50:]])
    assert counts(verdict) == {"invented": 1}
    assert "Nobody said so." in verdict.examples["invented"]


def test_a_line_that_was_never_sent_is_no_good() -> None:
    assert set(counts(judge([*good(), line_of(b"0.0", LINES)]))) == {"torn"}
    assert set(counts(judge([*good(), line_of(b"9.0", 0)]))) <= {"torn", "invented"}


def test_an_empty_line_is_no_good() -> None:
    verdict = judge([*good()[:50], b"\n", *good()[50:]])
    assert sum(counts(verdict).values()) == 1
    assert not verdict.good


def test_a_line_without_its_newline_at_the_end_is_no_good() -> None:
    lines = good()
    lines[-1] = lines[-1][:-1]
    assert counts(judge(lines)) == {"torn": 1, "lost": 1}


def test_foreign_notes_are_nobodys_business() -> None:
    lines = [b"a note\n", *good()[:50], b"half a note\n", *good()[50:]]
    assert judge(lines, foreign=lambda line: line.endswith(b"a note")).good
    assert counts(judge(lines)) == {"invented": 2}


def test_destroyed_lines_are_owed_no_more() -> None:
    lines = good()
    assert judge(lines[40:], destroyed=[b"".join(lines[:40])]).good
    assert judge(lines, destroyed=[b"".join(lines[:40])]).good, "they may be there again"
    assert counts(judge(lines[41:], destroyed=[b"".join(lines[:40])])) == {"lost": 1}
    # One that was cut when it was destroyed was there.
    assert judge(lines[40:], destroyed=[b"".join(lines[:39]), lines[39][:10]]).good


def cut(numbers: dict[bytes, int], halves: dict[bytes, int] | None = None) -> list[bytes]:
    """Each sender's first lines, so many; then, where it is asked for, bytes of the next."""
    lines = [line_of(key, n) for n in range(LINES) for key in SENDERS if n < numbers.get(key, LINES)]
    return lines + [line_of(key, numbers[key])[:size] + b"\n" for key, size in (halves or {}).items()]


KILL = Moment(at=20.2, until=20.3, settles=2.0)


def test_a_kill_may_cost_what_was_accepted_a_moment_before() -> None:
    # By 18.2 lines 0 to 17 were accepted.
    assert judge(cut({b"1.0": 18}), [KILL]).good
    verdict = judge(cut({b"1.0": 17}), [KILL])
    assert counts(verdict) == {"lost": 1}
    assert verdict.examples["lost"].startswith("1.0 17 of 30, 18 owed")


def test_a_kill_costs_one_hole_at_the_end() -> None:
    lines = cut({b"1.0": 25})
    lines.remove(line_of(b"1.0", 20))
    assert counts(judge(lines, [KILL])) == {"lost": 1}


def test_a_stop_may_cost_nothing_that_was_accepted_before() -> None:
    stop = Moment(at=20.2, until=20.3, settles=0)
    assert judge(cut({b"1.0": 20}), [stop]).good
    assert counts(judge(cut({b"1.0": 19}), [stop])) == {"lost": 1}


def test_a_connection_begun_afterwards_is_owed_all() -> None:
    late = [stream(b"0.0", 30, began=20.4), stream(b"1.0", 30, ended=None)]
    lines = [line_of(one.key, number) for number in range(30) for one in late]
    assert check([b"".join(lines)], late, [KILL]).good
    lines.remove(line_of(b"0.0", 29))
    assert counts(check([b"".join(lines)], late, [KILL])) == {"lost": 1}


def test_a_connection_that_had_ended_is_owed_all() -> None:
    early = [stream(b"0.0", 10, ended=12.0)]
    lines = [line_of(b"0.0", number) for number in range(9)]
    assert counts(check([b"".join(lines)], early, [KILL])) == {"lost": 1}


def test_a_hit_of_one_process_of_many_costs_only_who_broke() -> None:
    hit = Moment(at=20.2, until=20.5, settles=2.0, broken_only=True)
    both = [stream(b"0.0", 22, ended=20.4), stream(b"1.0", 22, ended=20.4)]
    both[0].broken = True

    def lines(first: int, second: int) -> bytes:
        return b"".join(line_of(key, n) for key, m in ((b"0.0", first), (b"1.0", second)) for n in range(m))

    assert check([lines(18, 22)], both, [hit]).good
    assert counts(check([lines(22, 21)], both, [hit])) == {"lost": 1}
    assert counts(check([lines(17, 22)], both, [hit])) == {"lost": 1}
    both[0].ended = 20.6  # it broke later, by something else
    assert counts(check([lines(21, 22)], both, [hit])) == {"lost": 1}


def test_half_a_line_stands_where_a_connection_was_cut_off() -> None:
    assert judge(cut({b"1.0": 18}, {b"1.0": 7}), [KILL]).good
    assert judge(cut({b"1.0": 18, b"2.4": 20}, {b"1.0": 7, b"2.4": 1}), [KILL]).good
    twice = [*cut({b"1.0": 18}, {b"1.0": 7}), line_of(b"1.0", 18)[:5] + b"\n"]
    assert counts(judge(twice, [KILL])) == {"torn": 1}
    elsewhere = [*cut({b"1.0": 18}), line_of(b"1.0", 19)[:7] + b"\n"]
    assert counts(judge(elsewhere, [KILL])) == {"torn": 1}


def test_half_a_line_of_a_connection_that_was_not_cut_off_is_torn() -> None:
    assert set(counts(judge(cut({b"1.0": 18}, {b"1.0": 7})))) == {"torn", "lost"}


def test_half_a_line_after_lines_that_were_destroyed() -> None:
    gone = b"".join(line_of(b"1.0", n) for n in range(18))
    rest = [line for line in cut({b"1.0": 18}, {b"1.0": 7}) if line not in gone]
    assert judge(rest, [KILL], destroyed=[gone]).good


@given(st.data())
def test_what_is_spoiled_is_never_judged_good(data: st.DataObject) -> None:
    lines = good()
    at = data.draw(st.integers(0, len(lines) - 1))
    line = lines[at]
    how = data.draw(st.sampled_from(["remove", "double", "swap", "flip", "insert", "cut", "join"]))
    if how == "remove":
        del lines[at]
    elif how == "double":
        lines.insert(data.draw(st.integers(0, len(lines))), line)
    elif how == "swap":  # with another of the same sender
        mine = [n for n, one in enumerate(lines) if one.split(b".")[0] == line.split(b".")[0] and n != at]
        other = data.draw(st.sampled_from(mine))
        lines[at], lines[other] = lines[other], lines[at]
    elif how == "flip":
        byte = data.draw(st.integers(0, len(line) - 1))
        lines[at] = line[:byte] + bytes([line[byte] ^ data.draw(st.integers(1, 255))]) + line[byte + 1 :]
    elif how == "insert":
        byte = data.draw(st.integers(0, len(line) - 1))
        lines[at] = line[:byte] + data.draw(st.binary(min_size=1, max_size=5)) + line[byte:]
    elif how == "cut":
        start = data.draw(st.integers(0, len(line) - 1))
        lines[at] = line[:start] + line[data.draw(st.integers(start + 1, len(line))) :]
    else:
        lines[at] = line[:-1]
        if at + 1 == len(lines):
            lines.append(b"x")
    verdict = judge(lines)
    assert b"".join(lines) == b"".join(good()) or not verdict.good
    assert all(verdict.examples[what] for what in counts(verdict))
    assert set(counts(verdict)) <= set(VERDICTS)


# -- datagrams ----------------------------------------------------------------------------------

KILLED = Moment(10.0, 10.2)


def post(*missing: int) -> tuple[list[bytes], Stream]:
    one = stream(b"7.0")
    one.datagrams = True
    return [line_of(one.key, number) for number in range(LINES) if number not in missing], one


@pytest.mark.parametrize(
    ("missing", "moments", "dropped", "wrong"),
    [
        ((), [], 0, {}),
        ((3, 20), [], 2, {}),
        ((3, 20), [], 1, {"lost": 1}),
        ((3, 29), [], 0, {"lost": 2}),
        ((3,), [], 3, {"invented": 2}),
        # Number 9 was accepted at 10 s.
        ((9,), [KILLED], 0, {}),
        ((9,), [KILLED], 1, {}),
        ((8, 9), [KILLED], 0, {"lost": 1}),
        ((8, 9), [KILLED], 3, {"invented": 1}),
        ((9,), [Moment(10.0, 10.2, broken_only=True)], 0, {"lost": 1}),
    ],
)
def test_datagrams_are_there_or_counted(
    missing: tuple[int, ...], moments: list[Moment], dropped: int, wrong: dict[str, int]
) -> None:
    lines, one = post(*missing)
    assert counts(check([b"".join(lines)], [one], moments, dropped=dropped)) == wrong


def test_a_datagram_is_whole_and_there_once() -> None:
    lines, one = post()
    assert counts(check([b"".join([*lines, lines[4]])], [one])) == {"doubled": 1}
    lines[-1] = lines[-1][:20] + b"\n"
    assert counts(check([b"".join(lines)], [one], [Moment(29.9, 30.2)])) == {"torn": 1}
