"""The relay's program: the engine in one file, the same bytes for the same engine."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import reclog.engine

_MAIN = b"import sys\n\nfrom reclog.engine.__main__ import main\n\nsys.exit(main())\n"
#: Zip knows no earlier date; a constant one keeps the bytes the same.
_DATE = (1980, 1, 1, 0, 0, 0)


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
