"""What a daemon prints, in the background."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from reclog.engine.system import detach


@pytest.mark.parametrize("room", [10, 1000])
def test_what_daemons_print_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    monkeypatch.setattr(detach, "OUTPUT_MOST", room)
    output = tmp_path / "daemon.log"
    output.write_text("what another one has printed\n")
    says = [sys.executable, "-Sc", "import sys; sys.exit('no reason')"]
    process, answer = detach.detached(says, str(tmp_path), {}, str(output))
    assert answer == {"ready": False, "message": "It did not start: no reason."}
    assert process.wait() != 0
    assert output.read_text().startswith("what another one") is (room == 1000)
