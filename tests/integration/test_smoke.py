"""The main job, once, as a person does it."""

from __future__ import annotations

from bench import Home, wait_until


def test_a_line_sent_is_a_line_recorded(home: Home, listener: str) -> None:
    recording = home.local("--listener", listener)
    recording.send(b"hello\n")
    wait_until(lambda: recording.read() == b"hello\n")
    done = recording.kill()
    assert done.returncode == 0
    assert "1 line recorded" in done.stdout
    assert home.processes() == []
