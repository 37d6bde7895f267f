"""Where ripgrep can't: say where lines begin that an expression is in. A program, and a small one.

It does what `rg --byte-offset` does: reads standard input from where it stands, and prints the offset of each
line that matches, counted from there. It is a process of its own because nothing else ends an expression that
takes for ever: whoever started it does. It imports nothing of reclog, so that it starts in an instant.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator

#: Bytes of a line that are searched, and bytes that are read at a time.
LONGEST, _BLOCK = 1024 * 1024, 256 * 1024


def offsets(read: Callable[[int], bytes], expression: bytes) -> Iterator[int]:
    """Yield where each line begins that `expression` is in; `read` gives bytes until there are none."""
    found = re.compile(expression).search
    # What is to be found as it is: a block without it need not be split.
    literal = expression if re.fullmatch(rb"[\w \"',:;<>=!@#%&/-]*", expression) else b""
    # Of the line that is being read: where it begins, its bytes by now, and as many of them as are searched.
    at, size, text = 0, 0, b""
    while block := read(_BLOCK):
        if literal and b"\n" in block and literal not in text + block:
            at += size + block.rindex(b"\n") + 1
            text = block[block.rindex(b"\n") + 1 :]
            size = len(text)
            continue
        *whole, rest = block.split(b"\n")
        for line in whole:
            size += len(line) + 1
            if text:
                line, text = text + line, b""
            if found(line[:LONGEST].removesuffix(b"\r")):
                yield at
            at, size = at + size, 0
        size += len(rest)
        text += rest[: LONGEST - len(text)]
    if text and found(text.removesuffix(b"\r")):
        yield at


def main() -> None:
    """Read the expression from the descriptor whose number is our word, and do it."""
    with open(int(sys.argv[1]), "rb") as given:
        expression = given.read()
    for offset in offsets(lambda size: os.read(0, size), expression):
        sys.stdout.write(f"{offset}:\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
