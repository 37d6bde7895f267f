"""What fits where the cursor is: asked by the scripts of the shells, a process each time.

Rules kept here:

- Nothing is said but candidates, a line each, or that files are meant, or that the program is nobody of ours.
  What goes wrong is nothing to offer.
- `inv` and `fab` are everybody's: theirs are the tasks of the clone that one is in, and of no other project.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from . import known
from .tables import CORE, Flags, tasks_in

#: Instead of candidates: have the shell offer files, or ask Invoke.
FILES, INVOKE = ":files", ":invoke"
_PACKAGE = Path(__file__).resolve().parents[1]
#: The sources that name a program's tasks, beside reclog/ and in it; and what may stand before them.
_PROGRAMS = {
    "inv": ("tasks.py", "inv"),
    "invoke": ("tasks.py", "inv"),
    "fab": ("fabfile.py", "fab"),
    "reclog": ("", "fab"),
}
_NAMES, _HOSTS = ("--recording", "--as"), ("-H", "--hosts", "--host")
_WITH_FILES = {
    *("--file", "--out", "--folder", "--tls-cert", "--tls-key", "--tls-clients"),
    *("-S", "--ssh-config", "-i", "--identity"),
}
_CHOICES = {
    "--listener": ("auto", "socat", "builtin"),
    "--framing": ("auto", "lines"),
    "--shell": ("bash", "zsh", "fish"),
}
#: Tasks that look at what has ended, too.
_LOOK_BACK = {"tail", "export", "history", "view"}


def answer(program: str, words: Sequence[str], folder: Path) -> list[str]:
    """Return the candidates for the last of `words`, which follow the program's name in `folder`."""
    source, core_of = _PROGRAMS[program]
    root = _clone_at(folder, source) if source else _PACKAGE.parent
    if root is None:
        return [INVOKE]
    tasks = tasks_in(root / source if source else _PACKAGE / "program.py", root / "reclog" / "tasks")
    core = CORE[core_of]
    *before, current = words or [""]
    task, flag, config = "", "", ""
    for word in before:
        if flag:
            config = word if flag in ("-S", "--ssh-config") else config
            flag = ""
        elif word.startswith("-"):
            flag = word if {**core, **tasks.get(task, {})}.get(word) else ""
        elif word in tasks:
            task = word
    flags = {**tasks.get(task, {}), **({} if task else core)}
    if not flag and current.startswith("--") and "=" in current:
        flag, _, current = current.partition("=")
        return [f"{flag}={one}" for one in _values(flag, task, current, config)]
    found = _values(flag, task, current, config) if flag else _words(task, tasks, flags, current)
    return list(dict.fromkeys(found))


def _words(task: str, tasks: dict[str, Flags], flags: Flags, current: str) -> Iterator[str]:
    offered: Sequence[str]
    if current.startswith("-"):
        offered = sorted(flags)
    elif "--recording" in flags:
        offered = [*known.recordings(task in _LOOK_BACK)]
    else:
        offered = _CHOICES["--shell"] if "--shell" in flags else sorted(tasks)
    yield from (one for one in offered if one.startswith(current))


def _values(flag: str, task: str, current: str, config: str) -> Iterator[str]:
    """Yield what may be the value of a flag that begins with `current`."""
    if flag in _WITH_FILES:
        yield FILES
        return
    before = ""
    if flag in _HOSTS:
        # user@ stays, and the hosts before it.
        before = current[: len(current) - len(re.split("[,@]", current)[-1])]
    for value in map(str, _offered(flag, task, config)):
        if known.is_safe(value) and value.startswith(current[len(before) :]):
            yield before + value


def _offered(flag: str, task: str, config: str) -> Iterator[object]:
    if flag in _NAMES:
        yield from known.recordings(flag == "--as" or task in _LOOK_BACK)
    elif flag in ("--events", "--forget"):
        yield from known.recordings(True)
    elif flag in _HOSTS:
        yield from (told.get("host") for told in known.facts() if isinstance(told.get("host"), str))
        yield from known.hosts(config)
    elif flag == "--port" and task != "view":
        yield from sorted({port for told in known.facts() if type(port := told.get("port")) is int})
    else:
        yield from _CHOICES.get(flag, ())


def _clone_at(folder: Path, source: str) -> Path | None:
    """Return the clone of reclog whose tasks `inv` or `fab` has in a folder, if that is one."""
    for root in (folder, *folder.parents):
        if (root / source).exists():
            return root if (root / "reclog" / "program.py").exists() else None
    return None


def _of_line(line: str, breaks: str) -> tuple[list[str], int]:
    """Return the words of a line up to the cursor, and how much of the last one bash leaves as it is.

    Raises ValueError in an open quote.
    """
    lexer = shlex.shlex(line, posix=True, punctuation_chars="")
    lexer.whitespace_split, lexer.commenters = True, ""
    words = list(lexer)
    last = words[-1] if words and not line[-1:].isspace() else ""
    at = max((last.rfind(one) for one in breaks if not one.isspace()), default=-1) + 1
    return [*words[1 : len(words) - bool(last)], last], at


def main(argv: Sequence[str], say: Callable[[str], object] = print) -> None:
    """Say what fits: `bash PROGRAM LINE BREAKS`, or a shell, the program, and its words up to the cursor."""
    with contextlib.suppress(Exception):
        shell, program, *words = argv
        at = 0
        if shell == "bash":
            words, at = _of_line(*words)
        for one in answer(Path(program).name, words, Path.cwd()):
            say(one if one in (FILES, INVOKE) else one[at:])


if __name__ == "__main__":
    main(sys.argv[1:])
