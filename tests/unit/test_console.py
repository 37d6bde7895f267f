"""Strangers' text as a person sees it, and nothing that a terminal would obey."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from invoke.exceptions import Exit

from reclog.console import folded, for_whoever_reads, note, print_table, say, size, visible
from reclog.errors import ReclogError
from reclog.tasks.edge import sentences


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain, ünïcode, 漢字, 🙂", "plain, ünïcode, 漢字, 🙂"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b31m", r"\x9b31m"),  # CSI in one character (ECMA-48, C1)
        ("a\x00b\x7fc", r"a\x00b\x7fc"),
        ("a\rb\nc", r"a\x0db\x0ac"),
        ("a\tb", "a\tb"),
        ("user\u202egnp.exe", r"user\u202egnp.exe"),
        ("\u2066x\u2069", r"\u2066x\u2069"),
        ("a\u200bb\u2028c\ufeffd", r"a\u200bb\u2028c\ufeffd"),
        ("\U000e0041", r"\U000e0041"),  # a tag character
        ("\ue000", r"\ue000"),
        ("[bold]no[/] [/nonsense] [link=x]", "[bold]no[/] [/nonsense] [link=x]"),
    ],
)
def test_text(text: str, seen: str) -> None:
    assert visible(text) == seen


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (b"plain", "plain"),
        ("ü".encode(), "ü"),
        (b"\xff\xfe", r"\xff\xfe"),
        (b"ok \xc3", r"ok \xc3"),
        (b"\xed\xa0\x80", r"\xed\xa0\x80"),  # a surrogate is no UTF-8
        (b"\xc0\xaf", r"\xc0\xaf"),  # nor is an overlong slash
        (b"\x1b[2J\x80", r"\x1b[2J\x80"),
        ("\x85".encode(), r"\x85"),
    ],
)
def test_bytes(text: bytes, seen: str) -> None:
    assert visible(text) == seen


@given(st.binary())
def test_no_byte_string_moves_a_cursor(text: bytes) -> None:
    seen = visible(text)
    assert seen.replace("\t", "").isprintable() or not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in seen)
    seen.encode("utf-8")  # nothing that could not be printed


@given(st.text())
def test_no_text_moves_a_cursor(text: str) -> None:
    assert not any((ord(c) < 32 and c != "\t") or 0x7F <= ord(c) < 0xA0 for c in visible(text))


@pytest.mark.parametrize(
    ("count", "seen"),
    [
        (None, "-"),
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (1024**2, "1.0 MiB"),
        (3 * 1024**3, "3.0 GiB"),
        (5 * 1024**4, "5120.0 GiB"),
    ],
)
def test_size(count: int | None, seen: str) -> None:
    assert size(count) == seen


def test_a_table_shows_markup_and_escapes_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name", "last line"), [("one", "[bold]x[/] \x1b[31m \u202e"), ("two", 7)])
    out = capsys.readouterr().out
    assert r"[bold]x[/] \x1b[31m \u202e" in out
    assert "\x1b" not in out
    assert len(out.splitlines()) == 3


def test_a_table_is_folded_where_a_terminal_has_no_room(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reclog.console.terminal_width", lambda: 20)
    print_table(("name", "hop", "time"), [("one", "/a/long/\u754c\u754c/path", "0 ms"), ("two", "", "-")])
    assert capsys.readouterr().out.splitlines() == [
        "name  hop       time",
        "one   /a/long/  0 ms",
        "      \u754c\u754c/pat",
        "      h",
        "two             -",
    ]


@pytest.mark.parametrize("words", ["['--help']", "['status', '--json']", "['kill']"])
def test_a_reader_that_has_seen_enough_is_no_trouble(tmp_path: Path, words: str) -> None:
    program = f"import sys; sys.argv[1:] = {words}; from reclog.program import main; main()"
    reading, writing = os.pipe()
    os.close(reading)  # as head does
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path)},
        stdout=writing,
        stderr=subprocess.PIPE,
        timeout=30,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
@pytest.mark.parametrize("words", ["--help", "status"])
@pytest.mark.parametrize("buffered", ["", "1"])
def test_where_there_is_no_room_for_what_is_printed_that_is_said(
    tmp_path: Path, words: str, buffered: str
) -> None:
    program = f"import sys; sys.argv[1:] = ['{words}']; from reclog.program import main; main()"
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "XDG_STATE_HOME": str(tmp_path), "PYTHONUNBUFFERED": buffered},
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=30,
            check=False,
        )
    said = b"What is printed can't be written (No space left on device): make room, or print it elsewhere.\n"
    assert (done.returncode, done.stderr) == (1, said)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
@pytest.mark.parametrize("of", ["stdout", "stderr"])
def test_what_is_being_done_goes_on_where_a_full_disk_takes_no_words(of: str) -> None:
    program = "from reclog.console import say, note; say('1'); note('2'); say('3'); note('4')"
    with open("/dev/full", "wb") as full:
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, of: full}
        done = subprocess.run([sys.executable, "-c", program], **streams, check=True)  # type: ignore[call-overload]
    assert (done.stdout, done.stderr) == ((None, b"2\n4\n") if of == "stdout" else (b"1\n3\n", None))


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("\x1b[0;32mI (12) ok\x1b[0m", "\x1b[0;32mI (12) ok\x1b[0m\x1b[0m"),
        ("\x1b[38:2::1:2:3mred", "\x1b[38:2::1:2:3mred\x1b[0m"),
        ("\x1b[2J\x1b[1;1H", r"\x1b[2J\x1b[1;1H"),
        ("\x1b[31mred\x1b]8;;http://x\x07", "\x1b[31mred\\x1b]8;;http://x\\x07\x1b[0m"),
        ("\x1b[" + "1;" * 99 + "m", r"\x1b[" + "1;" * 99 + "m"),
        ("\x1b[\x1b[1mm", "\\x1b[\x1b[1mm\x1b[0m"),
        ("a\u200bb\u2066c\u034f\u3164\U000e0101", r"a\u200bb\u2066c\u034f\u3164\U000e0101"),
        ("na\u0308m \u26a0\ufe0f", "na\u0308m \u26a0\ufe0f"),
        (b"\x1b[1m\xff\x9b", "\x1b[1m\\xff\\x9b\x1b[0m"),
    ],
)
def test_of_what_is_said_only_colours_act(said: str | bytes, shown: str) -> None:
    assert visible(said, colours=True) == shown


def test_another_broken_pipe_is_no_reader_that_has_gone() -> None:
    with pytest.raises(BrokenPipeError), for_whoever_reads():
        raise BrokenPipeError


def test_what_a_terminal_has_no_character_for_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr("sys.stdout", out)
    with for_whoever_reads():
        print("caf\xe9 \u2192")
    assert isinstance(out.buffer, io.BytesIO)
    assert out.buffer.getvalue() == b"caf\xe9 \\u2192\n"


def test_what_is_said_is_shown_and_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    @sentences
    def fails() -> None:
        raise ReclogError("one \x1b[31m\ntwo \x9b")

    say("\x1b]0;x\x07")
    note("\x1b[2J")
    assert capsys.readouterr() == ("\\x1b]0;x\\x07\n", "\\x1b[2J\n")
    with pytest.raises(Exit) as ended:
        fails()
    assert ended.value.message == "one \\x1b[31m\ntwo \\x9b"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("Short.", "Short."),
        ("Say what is to be done next.", "Say what is to be\ndone next."),
        ("It runs: `inv kill --port 1` stops it.", "It runs:\n`inv kill --port 1`\nstops it."),
        (
            "To be copied:\n@reboot /a/long/one --with words",
            "To be copied:\n@reboot /a/long/one --with words",
        ),
        ("A stray ` and  two spaces.", "A stray ` and  two\nspaces."),
        (f"{'x' * 30} is too long.", f"{'x' * 30}\nis too long."),
    ],
)
def test_a_sentence_breaks_between_words_and_never_inside_a_command(
    monkeypatch: pytest.MonkeyPatch, text: str, seen: str
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    assert folded(text) == text  # in a pipe
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert folded(text) == seen
