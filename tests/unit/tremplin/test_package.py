"""The relay's program in one file."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import reclog.engine
from reclog.tremplin.package import build, digest


def test_the_same_engine_gives_the_same_bytes() -> None:
    program = build()
    assert build() == program
    assert digest(program) == digest(bytes(program))
    assert digest(program) != digest(program + b"\n")


def test_only_the_engine_is_in_it() -> None:
    with zipfile.ZipFile(io.BytesIO(build())) as archive:
        names = archive.namelist()
        assert archive.read("reclog/__init__.py") == b""
    engine = Path(reclog.engine.__file__).parent
    modules = [
        f"reclog/engine/{path.relative_to(engine).as_posix()}" for path in sorted(engine.rglob("*.py"))
    ]
    assert names == ["__main__.py", "reclog/__init__.py", *modules]


def test_it_runs_by_itself(tmp_path: Path) -> None:
    program = tmp_path / "reclog.pyz"
    program.write_bytes(build())
    done = subprocess.run(
        [sys.executable, "-I", str(program), "--version"],
        cwd="/",
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, reclog.engine.__version__, "")
