"""Who may import whom: the engine nobody, the library no command line, a task no shell."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "reclog"
ENGINE = sorted((PACKAGE / "engine").rglob("*.py"))
TASKS = sorted((PACKAGE / "tasks").rglob("*.py"))
#: What runs on a tremplin, whose Python may be older than ours.
THERE = [
    PACKAGE / "engine",
    *(PACKAGE / f"boot/{name}.py" for name in ("there", "commands", "systemd", "crontab", "units")),
]
LIBRARY = sorted(set(PACKAGE.rglob("*.py")) - set(TASKS) - {PACKAGE / "program.py"})


@functools.cache
def imported(path: Path) -> tuple[str, ...]:
    """Return the absolute names of all modules that the module at `path` imports, wherever in it."""
    return tuple(_imported(path))


def _imported(path: Path) -> Iterator[str]:
    package = [PACKAGE.name, *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            yield name
            if node.module is None:
                yield from (f"{name}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", ENGINE, ids=lambda path: path.name)
def test_the_engine_imports_the_standard_library_and_itself(path: Path) -> None:
    for name in imported(path):
        inside = name == "reclog.engine" or name.startswith("reclog.engine.")
        assert inside or name.partition(".")[0] in sys.stdlib_module_names, name


#: What each folder may import of reclog, beside itself. The engine's parts may have `engine.errors`; what is
#: outside may have the engine, and the modules that stand beside the folders.
MAY_IMPORT = {
    "engine/system": set[str](),
    "engine/records": {"engine/system"},
    "engine/streams": {"engine/system"},
    "engine/intake": {"engine/streams", "engine/records", "engine/system"},
    "engine/sources": {"engine/streams", "engine/intake", "engine/records", "engine/system"},
    "engine/stores": {"engine/intake", "engine/records", "engine/system"},
    "engine/feed": {"engine/stores", "engine/sources", "engine/records", "engine/system"},
    "engine/outlets": {"engine/feed", "engine/stores", "engine/records", "engine/system"},
    "completion": set(),
    "recordings": set(),
    "boot": {"recordings"},
    "look": {"recordings", "boot"},
    "local": {"recordings", "boot"},
    "tremplin": {"recordings", "boot", "look"},
    "stream": {"recordings", "look"},
    "tasks": {"recordings", "boot", "look", "local", "tremplin", "stream", "completion"},
}
#: The modules that stand beside the folders and import none of them.
BESIDE = {"reclog.errors", "reclog.console", "reclog.checkout", "reclog.extras", "reclog.words"}


def folder_of(name: str) -> str:
    """Return the folder of reclog that the module `name` is in, as MAY_IMPORT has it."""
    parts = name.split(".")[1:]
    depth = 2 if parts[:1] == ["engine"] else 1
    while parts and not (PACKAGE / Path(*parts[:depth])).is_dir():
        depth -= 1
    return "/".join(parts[:depth])


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_a_folder_imports_what_it_may(folder: str) -> None:
    common = {"reclog.engine", "reclog.engine.errors"} if folder.startswith("engine") else BESIDE
    for path in sorted((PACKAGE / folder).rglob("*.py")):
        for name in imported(path):
            if name.startswith("reclog.") and name not in common:
                there = folder_of(name)
                the_engine = there.startswith("engine") and not folder.startswith("engine")
                assert the_engine or there in {folder, *MAY_IMPORT[folder]}, f"{path}: {name}"


def test_what_stands_beside_the_folders_imports_none_of_them() -> None:
    for name in BESIDE:
        for other in imported(PACKAGE / f"{name.rpartition('.')[2]}.py"):
            assert other in BESIDE or not other.startswith("reclog."), f"{name}: {other}"


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_library_knows_no_command_line(path: Path) -> None:
    for name in imported(path):
        assert name.partition(".")[0] != "invoke", name
        assert name != "reclog.program"
        assert not name.startswith("reclog.tasks"), name


@pytest.mark.parametrize("path", TASKS, ids=lambda path: path.name)
def test_a_task_runs_no_shell(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "c":
            assert node.attr not in ("run", "sudo", "local", "put"), f"line {node.lineno}"


def test_the_engine_speaks_python_3_8() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "vermin"), "-t=3.8-", "--no-tips", *map(str, THERE)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("program", "not_needed"),
    [
        ("tasks", {"reclog.engine", "reclog.look", "psutil", "rich", "fabric", "importlib.metadata"}),
        ("reclog.look.status, reclog.boot.here, reclog.stream.publishers", {"reclog.engine.sources", "rich"}),
        ("reclog.local.stop, reclog.tremplin.stop", {"reclog.engine.sources", "reclog.engine.outlets"}),
    ],
)
def test_a_command_imports_nothing_that_others_need(program: str, not_needed: set[str]) -> None:
    words = [sys.executable, "-c", f"import sys, {program}; print(*sys.modules)"]
    done = subprocess.run(words, cwd=PACKAGE.parent, capture_output=True, text=True)
    assert done.stderr == ""
    assert not_needed.isdisjoint(done.stdout.split())
