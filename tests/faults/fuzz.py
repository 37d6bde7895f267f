"""What the fuzzing tests share: odd values, damage, a wire, a disk, the kept corpus."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import socket
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from reclog.engine.system.disk import Data, Disk
from reclog.engine.system.identity import Identity

CORPUS = Path(__file__).with_name("corpus")

# -- JSON that nobody meant ---------------------------------------------------------------------

_VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1, 7, 255, 65536, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64),
    *(2**70, -(2**63) - 1, 10**310, 0.5, -0.0, 3.0, 1e300, float("inf"), float("-inf"), float("nan")),
    *("", "0", "5", "-1", "1e999", "x", "x" * 3000, "\0", "a\0b", "\ud800", "\x1b[2J", "null", "/", "."),
    *([], [1, 2], ["x"], {}, {"pid": 1}, {"a": {"b": []}}, [[[]]]),
]
_TEXTS = [
    *("1e999", "-1e999", "9" * 4200, "9" * 5000, "-" + "9" * 400, "1" + "0" * 400 + ".5", "[" * 100_000),
    *('{"a":' * 50_000, '"\\ud800\\udc00"', '"\\u0000"', "1E400", "00", "0x10", "nul", '"', "{", "\\"),
]


def _deep(depth: int) -> str:
    return "[" * depth + "]" * depth


#: The text of one JSON value, or of what is none. Text, since a deep value breaks whatever prints it.
ODD = st.one_of(
    st.sampled_from(_VALUES).map(json.dumps),
    st.sampled_from(_TEXTS),
    st.integers(1, 1100).map(_deep),  # near the interpreter's limit what can be read may not be written
    st.integers(-(2**65), 2**65).map(json.dumps),
    st.floats().map(json.dumps),
    st.text(max_size=8).map(json.dumps),
)


def object_text(fields: Mapping[str, str]) -> bytes:
    """Return a JSON object whose values are given as texts."""
    return ("{" + ", ".join(f"{json.dumps(key)}: {text}" for key, text in fields.items()) + "}").encode()


def changed(base: Mapping[str, Any], *more: str) -> st.SearchStrategy[bytes]:
    """Return objects like `base` with a few fields odd or missing; `more` fields may come to it."""

    def build(changes: Mapping[str, str | None]) -> bytes:
        fields: dict[str, str | None] = {key: json.dumps(value) for key, value in base.items()}
        fields.update(changes)
        return object_text({key: text for key, text in fields.items() if text is not None})

    return st.dictionaries(st.sampled_from([*base, *more]), st.none() | ODD, max_size=4).map(build)


# -- bytes that were valid ----------------------------------------------------------------------

#: What a file can hold that is nothing at all of what was meant.
NONSENSE = [
    b"",
    b"\0",
    b"\0" * 64,
    b"null",
    b"[]",
    b'"x"',
    b"5",
    b"{",
    b"\xff\xfe{}",
    b"\xef\xbb\xbf{}",
    b"{}",
]
NONSENSE += [b"[" * 100_000, b'{"a":' * 50_000, b"\xff" * 20, b"1e999", b"9" * 5000, b"{}{}", b"{}\0", b"NaN"]


@st.composite
def damaged(draw: st.DrawFn, valid: bytes) -> bytes:
    """Damage `valid` once or twice: cut it short, flip a bit, take out, put in, say twice."""
    raw = bytearray(valid)
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, len(raw)))
        how = draw(st.sampled_from(["cut", "flip", "flip", "take", "put", "twice", "zero"]))
        length = draw(st.integers(1, 12))
        if how == "cut":
            del raw[at:]
        elif how == "flip" and at < len(raw):
            raw[at] ^= 1 << draw(st.integers(0, 7))
        elif how == "take":
            del raw[at : at + length]
        elif how == "put":
            raw[at:at] = draw(st.binary(min_size=1, max_size=8))
        elif how == "twice":
            raw[at:at] = raw[at : at + length]
        elif how == "zero":
            raw[at : at + length] = bytes(len(raw[at : at + length]))
    return bytes(raw)


def contents(base: Mapping[str, Any], *more: str) -> st.SearchStrategy[bytes]:
    """Return what a JSON file that should hold something like `base` may hold instead."""
    valid = json.dumps(dict(base)).encode()
    return st.one_of(changed(base, *more), damaged(valid), st.sampled_from(NONSENSE), st.binary(max_size=40))


def cut_at(raw: bytes, cuts: Sequence[int]) -> list[bytes]:
    """Return `raw` in pieces."""
    edges = sorted({0, len(raw), *(cut % (len(raw) + 1) for cut in cuts)})
    return [raw[start:end] for start, end in itertools.pairwise(edges)]


# -- where bytes come from and go to ------------------------------------------------------------


class Wire:
    """A socket whose other side says what it is told to say, piece by piece, then closes or is silent."""

    def __init__(self, pieces: Sequence[bytes], closes: bool = True) -> None:
        self.said = b""
        self._pieces = [piece for piece in pieces if piece]
        self._closes = closes
        self._blocking = True
        # Always readable, so that an event loop asks as long as it watches.
        self._bell, self._rope = socket.socketpair()
        self._rope.send(b".")

    @property
    def heard_all(self) -> bool:
        return not self._pieces

    def recv(self, count: int) -> bytes:
        if not self._pieces:
            if self._closes:
                return b""
            raise BlockingIOError if not self._blocking else TimeoutError("timed out")
        piece = self._pieces[0]
        self._pieces[:1] = [piece[count:]] if len(piece) > count else []
        return piece[:count]

    def recv_into(self, room: memoryview) -> int:
        data = self.recv(len(room))
        room[: len(data)] = data
        return len(data)

    def connect_ex(self, address: object) -> int:
        return 0

    def sendall(self, data: bytes) -> None:
        self.said += data

    def setblocking(self, blocking: bool) -> None:
        self._blocking = blocking

    def settimeout(self, seconds: float) -> None:
        self._blocking = True

    def setsockopt(self, *_: Any) -> None: ...

    def getsockname(self) -> tuple[str, int]:
        return "127.0.0.1", 1

    def getpeername(self) -> tuple[str, int]:
        return "127.0.0.1", 2

    def fileno(self) -> int:
        return self._bell.fileno()

    def close(self) -> None:
        self._bell.close()
        self._rope.close()


class ShakyDisk(Disk):
    """The real disk, but quick to sync, and its writes are cut short or fail, as it is told."""

    def __init__(self, writes: Sequence[int] = ()) -> None:
        self.shake(writes)

    def shake(self, writes: Sequence[int]) -> None:
        """Each of `writes` is the bytes that one takes; 0 is a full disk. Those that follow are whole."""
        self._writes = list(reversed(writes))

    def write(self, fd: int, data: Data) -> int:
        if self._writes:
            count = self._writes.pop()
            if not count:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            data = memoryview(data)[:count]
        return super().write(fd, data)

    def fsync(self, fd: int) -> None: ...

    def fdatasync(self, fd: int) -> None: ...


# -- the corpus ---------------------------------------------------------------------------------


def cases(kind: str) -> list[Any]:
    """Return the kept cases of one folder of the corpus, each with its file's name for its id."""
    paths = sorted((CORPUS / kind).glob("*.json"))
    assert paths, kind
    return [pytest.param(json.loads(path.read_text("utf-8")), id=path.stem) for path in paths]


def raw(words: Any) -> bytes:
    r"""Return the bytes that a case means: text is one byte a character; a list is put together.

    `{"of": words, "times": n}` is said n times, `{"json": value}` is that value's JSON.
    """
    if isinstance(words, str):
        return words.encode("latin-1")
    if isinstance(words, list):
        return b"".join(map(raw, words))
    if "times" in words:
        return raw(words["of"]) * int(words["times"])
    return json.dumps(words["json"]).encode()


def laid(folder: Path, files: Mapping[str, Any]) -> Iterator[Path]:
    """Put the files of a case into `folder`; yield each. `{"folder": true}` and `{"link": to}` are those."""
    for name, words in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(words, dict) and "folder" in words:
            path.mkdir(exist_ok=True)
        elif isinstance(words, dict) and "link" in words:
            path.symlink_to(words["link"])
        elif isinstance(words, dict) and "size" in words:
            with path.open("wb") as file:
                file.truncate(words["size"])
        else:
            path.write_bytes(raw(words))
        yield path


def bounded(step: Callable[[], bool], at_most: int = 2000) -> None:
    """Do `step` until it returns true; fail if it never does."""
    for _ in range(at_most):
        if step():
            return
    pytest.fail(f"not done after {at_most} steps")


@contextlib.contextmanager
def bounded_memory(most: int) -> Iterator[None]:
    """See that no more than `most` bytes are allocated at any moment meanwhile."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] <= most
    finally:
        tracemalloc.stop()


# -- a recording's files ------------------------------------------------------------------------

ME = Identity.of(os.getpid())
CONFIG: dict[str, Any] = {
    "kind": "local",
    "host": None,
    "name": "broken",
    "port": 2,
    "file": "/nowhere/broken.log",
    "bind": "127.0.0.1",
    "listener": "builtin",
    "stamp": False,
    "allow": [],
    "partial_after": 2.0,
    "raw": False,
    "max_senders": 0,
    "max_per_address": 0,
}
TREMPLIN: dict[str, Any] = {
    "kind": "tremplin",
    "host": "there",
    "login": "me@there:22",
    "port": 2,
    "file": "/nowhere/broken.log",
    "port_local": 2,
    "port_remote_out": 3,
    "relay_folder": "/home/me/.local/state/reclog/relay/2",
    "target": {"host": "there", "user": "me", "port": None, "config": None, "identities": []},
    "ssh_command": ["true"],
    "start_command": ["true"],
    "secret": "5e" * 32,
    "collector": "me",
    "hostname": "there",
    "starting": False,
}


def names_me(files: dict[str, bytes]) -> bool:
    """Tell whether a folder's state names this process, by all that makes it this one."""
    with contextlib.suppress(Exception):
        state = json.loads(files["state.json"])
        return [str(state["identity"][name]) for name in ME._fields] == [str(value) for value in ME]
    return False


def filled(case: dict[str, Any]) -> dict[str, Any]:
    """Return a case's files; `ME` in them stands for the identity of this process."""
    files: dict[str, Any] = {}
    for name, words in case["files"].items():
        if isinstance(words, dict) and {"folder", "link", "size"} & set(words):
            files[name] = words
        else:
            files[name] = raw(words).replace(b'"ME"', json.dumps(ME._asdict()).encode())
    return files
