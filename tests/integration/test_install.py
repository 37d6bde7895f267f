"""What is installed: a wheel that holds all of the program and nothing else, and its version."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from bench import BIN, ROOT, Home, wait_until

pytestmark = pytest.mark.xdist_group("install")  # what is built is built once
TAG = "1.2.3"


def run(*argv: str | Path, cwd: Path) -> str:
    # As on a machine where nobody has told git of himself.
    who = {f"GIT_{role}_{what}": "x" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    env = {**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CEILING_DIRECTORIES": str(cwd.parent)}
    done = subprocess.run([*map(str, argv)], cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def hatchling(*words: str | Path, cwd: Path) -> str:
    """Run what builds, without fetching it anew."""
    return run(sys.executable, "-m", "hatchling", *words, cwd=cwd).strip()


def files() -> list[str]:
    return run("git", "ls-files", "-co", "--exclude-standard", cwd=ROOT).split("\n")[:-1]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is in the clone, that no git knows."""
    folder = tmp_path_factory.mktemp("source")
    for name in files():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def built(source: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An sdist of a tagged clone, and the wheel that is built of it."""
    assert hatchling("version", cwd=source) == "0.1.0.dev0"
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
        run("git", *words, cwd=source)
    assert hatchling("version", cwd=source).startswith("0.1.0.dev1+g")
    run("git", "tag", f"v{TAG}", cwd=source)
    out = tmp_path_factory.mktemp("dist")
    hatchling("build", "-t", "sdist", "-d", out, cwd=source)
    (sdist,) = out.glob("*.tar.gz")
    run("tar", "xf", sdist, cwd=out)
    hatchling("build", "-t", "wheel", "-d", out, cwd=out / f"reclog-{TAG}")
    (wheel,) = out.glob("*.whl")
    return sdist, wheel


@pytest.fixture(scope="module")
def installed(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, installed where nothing else is."""
    target = tmp_path_factory.mktemp("installed")
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", target)
    run(*pip, built[1], cwd=target)
    return target


def test_they_are_as_the_index_wants_them(built: tuple[Path, Path]) -> None:
    run(BIN / "twine", "check", "--strict", *built, cwd=ROOT)
    run(BIN / "check-wheel-contents", built[1], cwd=ROOT)


def test_the_wheel_holds_the_program_and_nothing_else(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[1]) as wheel:
        held = {name for name in wheel.namelist() if not name.startswith(f"reclog-{TAG}.dist-info/")}
    program = {name for name in files() if name.startswith("reclog/")}
    assert held == {*program, "reclog/engine/_version.py"}
    assert "reclog/look/view/static/page.html" in held


def test_it_records_from_anywhere(installed: Path, home: Home) -> None:
    recording = home.to_be()
    env = {"PYTHONPATH": str(installed)}  # before the clone that the interpreter knows
    for words, said in ((("--version",), TAG), (recording.words, f"local-{recording.port}: ")):
        done = home.run(str(installed / "bin" / "reclog"), *words, cwd=home.path, env=env)
        assert (done.returncode, said in done.stdout) == (0, True), done.stderr
    assert str(installed) in " ".join(recording.daemon.cmdline())
    recording.send(b"installed\n")
    wait_until(lambda: recording.read() == b"installed\n")


def test_what_is_sent_to_a_tremplin_is_made_of_what_is_installed(installed: Path, tmp_path: Path) -> None:
    made = "import sys; from reclog.tremplin.package import build; sys.stdout.buffer.write(build())"
    env = {**os.environ, "PYTHONPATH": str(installed)}
    program = tmp_path / "reclog.pyz"
    argv = [sys.executable, "-c", made]
    program.write_bytes(subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, check=True).stdout)
    with zipfile.ZipFile(program) as archive:
        sent = {name for name in archive.namelist() if name.startswith("reclog/engine/")}
    assert sent == {
        *(name for name in files() if name.startswith("reclog/engine/")),
        "reclog/engine/_version.py",
    }
    assert run(sys.executable, "-I", program, "--version", cwd=tmp_path) == f"{TAG}\n"
