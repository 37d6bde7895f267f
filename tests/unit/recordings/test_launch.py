"""How a daemon is called."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import reclog.engine
from reclog.engine.system.detach import _answer
from reclog.recordings.launch import daemon_command


def test_the_engine_runs_by_its_folder_and_apart_from_the_callers_python() -> None:
    engine = os.path.dirname(os.path.abspath(reclog.engine.__file__))
    assert daemon_command("recorder", Path("/state/local 1")) == [
        sys.executable,
        "-I",
        engine,
        "recorder",
        "--folder",
        "/state/local 1",
    ]


def answer_of(said: bytes) -> object:
    reading, writing = os.pipe()
    try:
        os.write(writing, said)
        os.close(writing)
        return _answer(reading, time.monotonic() + 5)
    finally:
        os.close(reading)


def test_the_daemons_answer_is_one_line() -> None:
    assert answer_of(b'{"ready": true}\n') == {"ready": True}


def test_a_daemon_that_ends_without_a_word_gives_no_answer() -> None:
    assert answer_of(b"") is None
    assert answer_of(b'{"ready": tr') is None
