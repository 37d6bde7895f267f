"""Words of a call, each checked by itself: what one means, or a sentence that says what is wrong with it."""

from __future__ import annotations

import ipaddress
import math
import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from reclog.engine.stores.retention import Keeping, parse_size
from reclog.engine.stores.rotation import Rotating

from ..errors import UsageError

#: Seconds of the longest wait that can be asked for: 11 days. A socket's timeout takes 24.
LONGEST = 1_000_000
#: What a word after a command is, and no recording's name.
COMMANDS = (
    *("local", "tremplin", "kill", "test-connection", "status", "tail", "view", "export", "history", "agent"),
    *("boot", "publish", "subscribe", "completion"),
)
#: How developers' commands begin, and publishers' names, which are words of the same commands.
_TAKEN = ("dev.", "publisher-")


def port_number(word: Any, option: str = "--port") -> int:
    """Return the port that `word` names. Raises UsageError."""
    try:
        port = int(str(word))
    except ValueError:
        port = -1
    if not 1 <= port <= 65535:
        raise UsageError(f"{option} {said(word)} is no port: give a number from 1 to 65535.")
    return port


def called(word: Any) -> str:
    """Return what a recording is to be called; empty if `word` is. Raises UsageError."""
    text = str(word)
    if text in COMMANDS or text.startswith(_TAKEN):
        raise UsageError(f"--as {said(text)} is the name of a command, or a publisher's: give another one.")
    # A folder of the registry, which hides none; never an option, nor a word with a meaning to a shell.
    if text and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}", text):
        raise UsageError(
            f"--as {said(word)} can't be a name: give at most 40 letters, digits, dots, _ and -, no sign "
            "first."
        )
    return text


def file_path(word: Any, option: str = "--file", what: str = "the file to record to") -> str:
    """Return the absolute path that `word` names. Raises UsageError."""
    text = str(word)
    if not text or "\0" in text:
        raise UsageError(f"{option} is empty: name {what}.")
    try:
        os.fsencode(text)
    except ValueError:
        raise UsageError(f"{option} {said(word)} can be no file's name: name {what}.") from None
    return os.path.abspath(os.path.expanduser(text))


def address(word: Any) -> str:
    """Return the numeric address that `word` is. Raises UsageError."""
    text = str(word).strip("[]")
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise UsageError(
            f"--bind {said(word)} is no numeric address: 0.0.0.0 means all of IPv4, :: all of both, "
            "127.0.0.1 this machine alone."
        ) from None
    return text


def yes_or_no(option: str, word: Any) -> bool:
    """Return whether `word` means yes. Raises UsageError."""
    for means, words in ((True, ("1", "true", "yes", "on")), (False, ("", "0", "false", "no", "off"))):
        if str(word).lower() in words:
            return means
    raise UsageError(f"{option} {said(word)} is neither yes nor no: give true or false.")


def seconds(option: str, word: Any) -> float:
    """Return a positive number of seconds. Raises UsageError."""
    try:
        value = float(word)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not 0 < value <= LONGEST:
        raise UsageError(f"{option} {said(word)} is no time: give seconds above 0, at most {LONGEST}.")
    return value


def count(option: str, word: Any) -> int:
    """Return a number from 0 on. Raises UsageError."""
    try:
        value = int(str(word))
    except ValueError:
        value = -1
    if value < 0:
        raise UsageError(f"{option} {said(word)} is no number: give one from 0 on.")
    return value


def byte_size(option: str, word: Any) -> int:
    """Return the bytes that `word` (as 64MiB, 1GiB, 1000000) names. Raises UsageError."""
    try:
        return parse_size(str(word))
    except ValueError:
        raise UsageError(
            f"{option} {said(word)} is no size from 1 MiB on: give it as 64MiB or 1GiB."
        ) from None


def rotate(words: Any) -> list[str]:
    """Return when the file is to be cut. Raises UsageError."""
    return _parts("--rotate", words, Rotating.parse, "give it as 100MiB (1 MiB at least), 1d, or both")


def keep(words: Any) -> list[str]:
    """Return what is to be kept of what was cut. Raises UsageError."""
    return _parts("--keep", words, Keeping.parse, "give a number of pieces, a size as 5GiB, or days as 30d")


def _parts(option: str, words: Any, parse: Callable[[list[str]], Any], remedy: str) -> list[str]:
    """Return the words that commas, or several options, part; in one order, each once."""
    given = list(words) if isinstance(words, (list, tuple)) else [words] if words else []
    parts = sorted({part.strip() for word in given for part in str(word).split(",")})
    for part in parts:
        try:
            parse([part])
        except ValueError as error:
            raise UsageError(f"{option} {said(part)} can't be done ({error}): {remedy}.") from None
    return parts


def tls(words: Mapping[str, Any]) -> dict[str, Any]:
    """Return whether TLS is spoken, and its files. Raises UsageError."""
    asked = yes_or_no("--tls", words["tls"])
    files = {
        name: file_path(words[name], "--" + name.replace("_", "-"), "a file (PEM)") if words[name] else ""
        for name in ("tls_cert", "tls_key", "tls_clients")
    }
    if any(files.values()) and not asked:
        raise UsageError("--tls-cert, --tls-key and --tls-clients go with --tls: add that.")
    if bool(files["tls_cert"]) != bool(files["tls_key"]):
        raise UsageError("--tls-cert and --tls-key go together: give both, or neither for one that is made.")
    return {"tls": asked, **files}


def said(word: Any) -> str:
    """Return a wrong word for a sentence, which is to stay one."""
    text = str(word)
    return repr(text if len(text) <= 100 else text[:100] + "…")
