"""Framings in the intake: what is held, when it leaves, and who is turned away."""

from __future__ import annotations

import socket
from typing import Callable

import pytest
from intake_bench import Bench, Pairs

from reclog.engine.intake import unfinished
from reclog.engine.intake.framing import DIALLED, FRAMINGS, Framing
from reclog.engine.intake.unfinished import LINE_MAX

HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


@pytest.fixture
def auto(bench: Bench) -> Bench:
    come_by(bench, FRAMINGS["auto"])
    return bench


def come_by(bench: Bench, framing: Callable[[], Framing]) -> None:
    bench.queue = Pairs(framing)
    bench.closing.append(bench.queue.close)


def says(bench: Bench, sender: socket.socket, *pieces: bytes) -> None:
    for piece in pieces:
        sender.send(piece)
        bench.settle()


def adds(bench: Bench) -> list[bytes]:
    return [text for _, text, _ in bench.store.texts]


def test_lines_are_lines_at_once(auto: Bench) -> None:
    auto.serve()
    for line in (
        b"a line\n",
        b"2026-11-26 a line\n",
        b"5 apples\n",
        b"{ not json\n",
        b'{"a": 1}\n',
        b"<b>\n",
        b"P\n",
    ):
        says(auto, auto.queue.comes(), line)
        assert adds(auto)[-1] == line


def test_counted_messages_leave_their_counts(auto: Bench) -> None:
    auto.serve(partial_after=2)
    sender = auto.queue.comes()
    says(auto, sender, b"5 <1>ab")
    assert auto.store.text == b""  # it may be a line that only begins so
    says(auto, sender, b"8 <1>c\nd\n")
    assert auto.store.text == b"<1>ab\n"
    says(auto, sender, b"\n1", b"0 <1", b">message5 <1>ef")
    assert adds(auto)[1:] == [b"<1>c\nd\n\n", b"<1>message\n<1>ef\n"]


def test_a_frame_that_nothing_follows_is_one_when_it_is_due(auto: Bench) -> None:
    auto.serve(partial_after=2)
    one, closes, cut = auto.queue.comes(), auto.queue.comes(), auto.queue.comes()
    says(auto, one, b"5 <1>ab")
    auto.later(1.9)
    assert auto.store.text == b""
    auto.later(0.2)
    assert auto.store.text == b"<1>ab\n"
    says(auto, closes, b"5 <1>cd")
    closes.close()
    auto.settle()
    assert auto.store.text == b"<1>ab\n<1>cd\n"
    says(auto, cut, b"5 <1>e")
    auto.later(2.1)
    says(auto, cut, b"f\n")
    assert auto.store.text == b"<1>ab\n<1>cd\n5 <1>ef\n"


def test_a_stall_leaves_the_count_as_it_was(auto: Bench) -> None:
    auto.serve(partial_after=2)
    sender = auto.queue.comes()
    says(auto, sender, b"5 <1>ab13 <1>half")
    auto.later(2.1)
    assert auto.store.text == b"<1>ab\n<1>half"
    says(auto, sender, b" whole8")
    auto.later(10)  # a header is no text, however long the rest of it takes
    assert auto.store.text == b"<1>ab\n<1>half whole\n"
    says(auto, sender, b" <1>again")
    assert auto.store.text == b"<1>ab\n<1>half whole\n<1>again\n"


@pytest.mark.parametrize("ends", ["sender", "we"])
def test_what_only_begins_a_header_goes_with_its_sender(auto: Bench, ends: str) -> None:
    intake = auto.serve(partial_after=2)
    sender = auto.queue.comes()
    says(auto, sender, b"5 <1>ab5 <1>cd12 <")
    auto.later(30)
    assert auto.store.text == b"<1>ab\n<1>cd\n"
    if ends == "sender":
        sender.close()
        auto.settle()
    else:
        assert intake.hand_on_all(auto.soon())
    assert auto.store.text == b"<1>ab\n<1>cd\n12 <"


def test_messages_that_end_in_a_nul(auto: Bench) -> None:
    auto.serve(partial_after=2)
    sender = auto.queue.comes()
    says(auto, sender, b"<14>one\n  of two lines\n", b"\0")
    assert auto.store.text == b""
    says(auto, sender, b"<14>tw", b"o\0<14>half")
    assert adds(auto) == [b"<14>one\n  of two lines\n", b"<14>two\n"]
    auto.later(2.1)
    says(auto, sender, b" whole\n")
    auto.later(2.1)
    says(auto, sender, b"\0<14>next\0")
    assert auto.store.text.endswith(b"two\n<14>half whole\n<14>next\n")


def test_a_message_that_a_stall_cuts_may_still_end_in_a_nul(auto: Bench) -> None:
    auto.serve(partial_after=2)
    sender = auto.queue.comes()
    says(auto, sender, b'{"version":"1.')
    auto.later(2.1)
    assert auto.store.text == b'{"version":"1.'
    says(auto, sender, b'1"}\0{"version":"1.1"}\0')
    assert auto.store.text == b'{"version":"1.1"}\n{"version":"1.1"}\n'


def test_what_may_be_a_message_of_several_lines_is_held_for_a_moment_only(auto: Bench) -> None:
    auto.serve(partial_after=2)
    sender, other = auto.queue.comes(), auto.queue.comes()
    says(auto, sender, b"<14>one\nmore\n")
    auto.later(1.5)
    says(auto, sender, b"and more\n")  # from the first on: more text puts it off no longer
    auto.later(0.6)
    assert auto.store.text == b"<14>one\nmore\nand more\n"
    says(auto, sender, b"lines they are\n")
    assert auto.store.text.endswith(b"lines they are\n")
    says(auto, other, b"<14>a\n<14>b\n")
    assert auto.store.text.endswith(b"<14>a\n<14>b\n")


def test_nothing_comes_between_the_lines_of_a_message_and_each_has_its_stamp(auto: Bench) -> None:
    auto.serve(stamp=True)
    one, other = auto.queue.comes("192.0.2.1"), auto.queue.comes("192.0.2.2")
    says(auto, one, b"<14>a\0<14>b\n  at c\n")
    says(auto, other, b"other\n")
    says(auto, one, b"  at d\0")
    assert adds(auto) == [b"<14>a\n", b"other\n", b"<14>b\n  at c\n  at d\n"]
    assert [stamp[24:] for _, _, stamp in auto.store.texts] == [
        b" 192.0.2.1:1 ", b" 192.0.2.2:2 ", b" 192.0.2.1:1 "
    ]  # fmt: skip


def test_a_stop_and_a_lack_of_memory_hand_on_what_is_held(
    auto: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unfinished, "PENDING_MAX", 40)
    intake = auto.serve(partial_after=60)
    held = [b"5 <1>ab", b"<1>a\nb\n", b"<1>cdef\0", b"7 <1>abc"]
    for text in held:
        says(auto, auto.queue.comes(), text)
    says(auto, auto.queue.comes(), b"x" * 30)
    assert auto.events("unfinished lines handed on")
    assert 0 < intake._unfinished.size <= 20
    assert intake.drain_senders(auto.soon())
    assert intake.hand_on_all(auto.soon())
    assert set(auto.store.by_sender().values()) == {
        b"<1>ab\n", b"<1>a\nb\n", b"<1>cdef\n", b"7 <1>abc", b"x" * 30
    }  # fmt: skip


def test_newlines_that_will_be_stamped_weigh_what_they_become(auto: Bench) -> None:
    auto.serve(partial_after=60, stamp=True)
    sender = auto.queue.comes("192.0.2.1")
    auto.pour(sender, b"<14>a\0<14>" + b"\n" * (LINE_MAX // 64))
    auto.until(lambda: auto.intake.splits > 0)
    assert len(auto.store.text) >= LINE_MAX // 128


@pytest.mark.parametrize("cut", range(1, len(HELLO)))
def test_who_sends_no_text_is_told_so_and_nothing_of_it_stays(auto: Bench, cut: int) -> None:
    intake = auto.serve()
    sender = auto.queue.comes("192.0.2.1")
    says(auto, sender, HELLO[:cut])
    if cut < 6:
        assert (intake.senders, auto.store.text) == (1, b"")
        says(auto, sender, HELLO[cut:])
    assert sender.recv(100) == b"\x15\x03\x01\0\2\2\x28"
    assert sender.recv(100) == b""
    assert (auto.store.text, intake.senders, intake.roster.refused) == (b"", 0, 1)
    assert intake._unfinished.size == 0
    assert intake.roster.no_text.endswith("Z, 192.0.2.1:1 speaks TLS: start with --tls")
    (refused,) = auto.events("refused")
    assert refused["why"] == "speaks TLS: start with --tls"


def test_what_could_have_become_no_text_is_handed_on_as_text(auto: Bench) -> None:
    auto.serve(partial_after=2)
    sender, request = auto.queue.comes(), auto.queue.comes()
    says(auto, sender, HELLO[:5])
    says(auto, request, b"GET / HTTP/1.1\r\nAccept: */*\r\n")
    auto.later(1.9)
    assert auto.store.text == b""
    auto.later(0.2)
    assert auto.store.by_sender() == {1: HELLO[:5], 2: b"GET / HTTP/1.1\r\nAccept: */*\r\n"}
    says(auto, sender, HELLO[5:] + b"\n")
    assert auto.store.by_sender()[1] == HELLO + b"\n"


@pytest.mark.parametrize("framing", [FRAMINGS["lines"], DIALLED["auto"], DIALLED["lines"]])
def test_lines_and_what_is_dialled_refuse_nothing(bench: Bench, framing: Callable[[], Framing]) -> None:
    come_by(bench, framing)
    bench.serve()
    says(bench, bench.queue.comes(), HELLO + b"\n")
    assert bench.store.text == HELLO + b"\n"


def test_lines_keep_what_looks_like_a_framing(bench: Bench) -> None:
    bench.serve()
    says(bench, bench.queue.comes(), b"5 <1>ab5 <1>cd\n<14>a\0<14>b\0\n")
    assert bench.store.text == b"5 <1>ab5 <1>cd\n<14>a\0<14>b\0\n"
