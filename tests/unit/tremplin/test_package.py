"""The relay's program in one file."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import reclog.engine
from reclog.tremplin.package import build, digest, program_text


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


def test_a_module_is_sent_with_what_it_imports_and_no_more() -> None:
    program = program_text("reclog.engine.daemons.survey")
    modules = [name for name, *_ in eval(program.partition("\n")[0].partition(" = ")[2])]
    assert modules[-1] == "reclog.engine.daemons.survey"
    assert "reclog.engine.records.jsonfile" in modules
    assert not [name for name in modules if name.startswith("reclog.engine.feed")]
    assert len(program) < 64 * 1024  # it is sent at each look
