"""What runs on the tremplin, made of the engine: the relay's program in one file, a module as one text."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import reclog.engine

_MAIN = b"import sys\n\nfrom reclog.engine.__main__ import main\n\nsys.exit(main())\n"
#: Zip knows no earlier date; a constant one keeps the bytes the same.
_DATE = (1980, 1, 1, 0, 0, 0)


@functools.cache
def build() -> bytes:
    """Return the engine as a zipapp, under a blank `reclog` package."""
    engine = Path(reclog.engine.__file__).parent
    files = {"__main__.py": _MAIN, "reclog/__init__.py": b""}
    for path in sorted(engine.rglob("*.py")):
        files[f"reclog/engine/{path.relative_to(engine).as_posix()}"] = path.read_bytes()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, _DATE), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def digest(program: bytes) -> str:
    """Return what tells one program from another."""
    return hashlib.sha256(program).hexdigest()


#: Makes modules of their sources, in the order in which they need each other, and runs the last one's `main`.
_LOADER = """
import sys
import types
for name, package, source in SOURCES:
    module = sys.modules[name] = types.ModuleType(name)
    module.__package__ = package
    exec(compile(source, name, "exec"), module.__dict__)
module.main()
"""


def program_text(name: str) -> str:
    """Return a module, with all of reclog's that it imports, as the text of a program: its `main` runs."""
    sources: dict[str, tuple[str, str, str]] = {}
    _collect(name, sources)
    return f"SOURCES = {list(sources.values())!r}\n{_LOADER}"


def _collect(name: str, sources: dict[str, tuple[str, str, str]]) -> None:
    spec = importlib.util.find_spec(name)
    if name in sources or spec is None or spec.origin is None:
        return  # an attribute of a module, or what is there already
    source = Path(spec.origin).read_text("utf-8")
    package = spec.parent or ""
    for other in _imported(source, package):
        _collect(other, sources)
    sources[name] = (name, package, source)


def _imported(source: str, package: str) -> Iterator[str]:
    """Yield the modules of reclog's that a source imports, below the package itself."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            name = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            if name.startswith("reclog."):
                yield name
