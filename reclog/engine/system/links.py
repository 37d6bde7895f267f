"""Open a file by its name, through no link that a stranger made, and none into /proc.

Who may write in a folder may put a link in a file's place, or in that of a folder above, at any time, for
root to write through. Linux itself refuses that in sticky folders alone (fs.protected_symlinks, proc(5)). So
each part of the path is opened by itself, from the folder before it: what was looked at is what is gone
through.

Links of ours and of root are followed, as ever. Links in /proc are no names: /dev/stdout means something else
in each process.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import List

from .identity import user_name

#: Links followed before a path is taken for an endless one: as many as Linux does (path_resolution(7)).
MOST_LINKS = 40


def open_trusted(path: str, flags: int, mode: int) -> int:
    """Open the file at `path`. Raises OSError, for a link that is not followed with a reason of its own."""
    if not hasattr(os, "O_PATH"):  # Linux alone has it
        return os.open(path, flags, mode)
    left = _parts(path)
    folder = os.open("/" if path.startswith("/") else ".", os.O_PATH | os.O_CLOEXEC)
    links = 0
    try:
        while True:
            _refuse_proc(folder)
            name = left.pop() if left else "."
            if not left:
                try:
                    return os.open(name, flags | os.O_NOFOLLOW, mode, dir_fd=folder)
                except OSError as error:
                    if error.errno != errno.ELOOP:
                        raise
            found = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            facts = os.fstat(found)
            if not stat.S_ISLNK(facts.st_mode):
                os.close(folder)
                folder = found
                continue
            try:
                links += 1
                if links > MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                if facts.st_uid not in (0, os.geteuid()):
                    raise OSError(errno.ELOOP, f"{name} is a link of {user_name(facts.st_uid)}")
                target = os.readlink("", dir_fd=found)
            finally:
                os.close(found)
            left += _parts(target)
            if target.startswith("/"):
                os.close(folder)
                folder = os.open("/", os.O_PATH | os.O_CLOEXEC)
    finally:
        os.close(folder)


def _parts(path: str) -> List[str]:
    """Return the names in a path, the first one last."""
    return [name for name in reversed(path.split("/")) if name]


def _refuse_proc(folder: int) -> None:
    try:
        proc = os.stat("/proc").st_dev
    except OSError:
        return  # there is none
    if os.fstat(folder).st_dev == proc and proc != os.stat("/").st_dev:
        raise OSError(errno.EINVAL, "it leads into /proc, where no files are")
