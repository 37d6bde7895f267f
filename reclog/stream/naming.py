"""Which file takes a publisher's recording: the name of its subject, put where --file says.

Rules kept here:

- Names come from whoever may publish. `message.parts` lets letters, digits, `-` and `_` through: no path
  leaves the folder that --file names, none is hidden, or an option. Long ones are cut, and told by a hash.
- A file without {machine} and {recording} in its name takes one recording; two in it would mix.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from typing import NamedTuple

#: What is put in the place of these words in --file.
MACHINE, RECORDING = "{machine}", "{recording}"
#: Characters of a name at most: two of them, and more, are one file's name (NAME_MAX is 255).
LONGEST, _HASH = 60, 8


class Place(NamedTuple):
    """Where a recording goes."""

    #: Absolute.
    file: str
    #: What it is called behind the subscriber's own name.
    name: str


def is_plain(file: str) -> bool:
    """Tell whether a file's name has room for one recording alone."""
    return RECORDING not in file and MACHINE not in file


def file_for(file: str, machine: str, recording: str) -> Place:
    """Return where the recording of a machine goes, in an absolute --file; both are parts of a subject."""
    words = {MACHINE: _short(machine), RECORDING: _short(recording)}
    path = re.sub(r"\{machine\}|\{recording\}", lambda match: words[match[0]], file)
    return Place(path, f"{words[MACHINE]}-{words[RECORDING]}")


def make_folders(file: str, path: str) -> None:
    """Make the folders of `path` that the names in `file` ask for, for this user alone. Raises OSError."""
    folder = base(file)
    for name in os.path.relpath(os.path.dirname(path), folder).split(os.sep):
        folder = os.path.join(folder, name)
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, 0o700)


def base(file: str) -> str:
    """Return the folder that all of the files are in, or in folders of."""
    first = min((at for word in (MACHINE, RECORDING) if (at := file.find(word)) >= 0), default=len(file))
    return os.path.dirname(file[:first])


def _short(name: str) -> str:
    name = name.lstrip("-") or "_"
    if len(name) > LONGEST:
        name = f"{name[: LONGEST - _HASH - 1]}-{hashlib.sha256(name.encode()).hexdigest()[:_HASH]}"
    return name
