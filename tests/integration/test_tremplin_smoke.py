"""The second half of the main job, once, as a person does it."""

from __future__ import annotations

from bench import wait_until
from tremplin_bench import Tremplin


def test_a_line_sent_to_the_tremplin_is_a_line_recorded_here(trem: Tremplin) -> None:
    recording = trem.open()
    recording.send(b"hello\n")
    wait_until(lambda: recording.read().endswith(b"\nhello\n"))
    proved = trem.home.inv("test-connection")
    assert proved.returncode == 0, proved.stderr
    done = recording.kill()
    assert done.returncode == 0, done.stderr
    assert trem.processes() == []
    assert trem.files() == []
    assert trem.home.processes() == []
