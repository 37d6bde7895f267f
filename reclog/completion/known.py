"""What runs and ran, and which hosts ssh knows: names that a shell may be given.

Rules kept here:

- A name is offered if it is made of letters, digits, dots, _ and -, and begins with no sign: then it is one
  word to each shell, and no part of a command. Others were not given by `--as`, nor made by reclog.
- Files are read as far as they are small, links and Includes a few deep.
"""

from __future__ import annotations

import glob
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
#: Bytes of a file that are read, files of an ssh config, and how deep they are.
_MOST_BYTES, _MOST_FILES, _DEEPEST = 1 << 20, 100, 8


def is_safe(name: str) -> bool:
    """Tell whether a name can be one word of a command."""
    return _SAFE.fullmatch(name) is not None


def state_folder() -> Path:
    """Return where recordings' folders are, as platformdirs has it."""
    given = os.environ.get("XDG_STATE_HOME", "").strip()
    mac = "~/Library/Application Support" if sys.platform == "darwin" else "~/.local/state"
    return Path(os.path.expanduser(given or mac)) / "reclog" / "recordings"


def recordings(past: bool) -> Iterator[str]:
    """Yield the names of those that run, or died; with `past` of those that have ended, too."""
    for folder in _folders():
        if any((folder / name).exists() for name in ("state.json", "config.json", *["past.json"] * past)):
            yield folder.name


def facts() -> Iterator[dict[str, object]]:
    """Yield what is known of those that run, or died."""
    for folder in _folders():
        for name in ("state.json", "config.json"):
            try:
                told = json.loads(_text(folder / name))
            except (OSError, ValueError, RecursionError):
                continue
            if isinstance(told, dict):
                yield told


def _folders() -> list[Path]:
    try:
        return [one for one in sorted(state_folder().iterdir()) if is_safe(one.name)]
    except OSError:
        return []


def hosts(config: str = "") -> Iterator[str]:
    """Yield the hosts of an ssh config (the user's own, if none is given), and those known by their keys."""
    home = Path(os.path.expanduser("~/.ssh"))
    yield from _configured(Path(os.path.expanduser(config)) if config else home / "config", home, [], 0)
    for line in _lines(home / "known_hosts"):
        words = line.split()
        if words and not words[0].startswith(("|", "@", "#")):
            yield from (re.sub(r"^\[(.*)\](?::\d+)?$", r"\1", one) for one in words[0].split(","))


def _configured(path: Path, home: Path, seen: list[Path], deep: int) -> Iterator[str]:
    if deep > _DEEPEST or len(seen) >= _MOST_FILES:
        return
    seen.append(path)
    for line in _lines(path):
        keyword, *values = re.split(r"[\s=]+", line.replace('"', " ").strip())
        if keyword.lower() == "host":
            yield from values
        elif keyword.lower() == "include":
            for value in values:
                for name in sorted(glob.glob(str(home / os.path.expanduser(value)))):
                    yield from _configured(Path(name), home, seen, deep + 1)


def _lines(path: Path) -> list[str]:
    try:
        return _text(path).splitlines()
    except OSError:
        return []


def _text(path: Path) -> str:
    if not path.is_file():  # a pipe would keep the shell waiting
        raise FileNotFoundError(path)
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read(_MOST_BYTES)
