"""Words of a call, each checked by itself: what one means, or a sentence that says what is wrong with it."""

from __future__ import annotations

import ipaddress
import math
import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from reclog.engine.intake.framing import FRAMINGS
from reclog.engine.intake.token import LEAST, MOST
from reclog.engine.sources.choice import LISTENERS as KINDS
from reclog.engine.sources.dial import named
from reclog.engine.stores.retention import Keeping, parse_size
from reclog.engine.stores.rotation import Rotating
from reclog.engine.system.address import named_address, parse_network

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
#: What may be asked for: a kind of listener, or the best that can do it.
LISTENERS = ("auto", *KINDS)


def port_number(word: Any, option: str = "--port") -> int:
    """Return the port that `word` names. Raises UsageError."""
    try:
        port = int(str(word))
    except ValueError:
        port = -1
    if not 1 <= port <= 65535:
        raise UsageError(f"{option} {_said(word)} is no port: give a number from 1 to 65535.")
    return port


def called(word: Any) -> str:
    """Return what a recording is to be called; empty if `word` is. Raises UsageError."""
    text = str(word)
    if text in COMMANDS or text.startswith(_TAKEN):
        raise UsageError(f"--as {_said(text)} is the name of a command, or a publisher's: give another one.")
    # A folder of the registry, which hides none; never an option, nor a word with a meaning to a shell.
    if text and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}", text):
        raise UsageError(
            f"--as {_said(word)} can't be a name: give at most 40 letters, digits, dots, _ and -, no sign "
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
        raise UsageError(f"{option} {_said(word)} can be no file's name: name {what}.") from None
    return os.path.abspath(os.path.expanduser(text))


def address(word: Any) -> str:
    """Return the numeric address that `word` is. Raises UsageError."""
    text = str(word).strip("[]")
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise UsageError(
            f"--bind {_said(word)} is no numeric address: 0.0.0.0 means all of IPv4, :: all of both, "
            "127.0.0.1 this machine alone."
        ) from None
    return text


def listener(word: Any) -> str:
    """Return `word` if it names a kind of listener. Raises UsageError."""
    if word not in LISTENERS:
        raise UsageError(f"--listener {_said(word)} is unknown: give one of {', '.join(LISTENERS)}.")
    return str(word)


def framing(word: Any) -> str:
    """Return `word` if it names what ends messages. Raises UsageError."""
    if str(word) not in FRAMINGS:  # a list or a mapping of the config is no key
        raise UsageError(f"--framing {_said(word)} is unknown: give one of {', '.join(FRAMINGS)}.")
    return str(word)


def yes_or_no(option: str, word: Any) -> bool:
    """Return whether `word` means yes. Raises UsageError."""
    for means, words in ((True, ("1", "true", "yes", "on")), (False, ("", "0", "false", "no", "off"))):
        if str(word).lower() in words:
            return means
    raise UsageError(f"{option} {_said(word)} is neither yes nor no: give true or false.")


def token(word: Any) -> bool | str:
    """Return whether a token is wanted, or one of the caller's own. Raises UsageError."""
    try:
        return yes_or_no("--token", word)
    except UsageError:
        text = word if isinstance(word, str) else ""
    if text.isascii() and text.isprintable() and " " not in text and LEAST <= len(text) <= MOST:
        return text
    # Not what it is: others may look on.
    raise UsageError(
        f"token in the config is none: give {LEAST} to {MOST} letters, digits and signs, no spaces; or true, "
        "and one is made."
    )


def networks(words: Any) -> list[str]:
    """Return the networks that `words` name; none where one is `any`. Raises UsageError."""
    given = list(words) if isinstance(words, (list, tuple)) else [words]
    if "any" in given:
        return []
    for word in given:
        try:
            if not isinstance(word, str):  # 5 would be 0.0.0.5
                raise ValueError(word)
            parse_network(word)
        except ValueError:
            raise UsageError(
                f"--allow {_said(word)} is no network: give an address, a CIDR as 192.168.1.0/24, or any."
            ) from None
    return given


def dialled(words: Any) -> list[str]:
    """Return the addresses to dial that `words` are. Raises UsageError."""
    given = list(words) if isinstance(words, (list, tuple)) else [words]
    known: dict[Any, str] = {}
    for word in given:
        try:
            device = named(str(word))
        except ValueError as error:
            raise UsageError(f"--from {_said(word)} can't be dialled: {error}.") from None
        if device in known:
            raise UsageError(f"--from {_said(known[device])} and {_said(word)} are one device: give it once.")
        known[device] = str(word)
    return sorted(known.values())


def names(words: Any) -> list[str]:
    """Return what `words` (ADDRESS=NAME each) call senders; nothing where one is `any`. Raises UsageError."""
    given = list(words) if isinstance(words, (list, tuple)) else [words]
    known: dict[str, str] = {}
    for word in given if "any" not in given else ():
        try:
            address, name = named_address(str(word))
            address = _named(address)
        except ValueError as error:
            raise UsageError(f"--name {_said(word)} names nobody: {error}; give ADDRESS=NAME.") from None
        if known.setdefault(address, name) != name:
            raise UsageError(f"--name gives {address} two names: give it one.")
    return [f"{address}={name}" for address, name in known.items()]


def _named(address: str) -> str:
    """Return an address as senders' are told, or one that is dialled as it is. Raises ValueError."""
    try:
        return str(ipaddress.ip_address(address.strip("[]").partition("%")[0]))
    except ValueError:
        named(address)
        return address


def seconds(option: str, word: Any) -> float:
    """Return a positive number of seconds. Raises UsageError."""
    try:
        value = float(word)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not 0 < value <= LONGEST:
        raise UsageError(f"{option} {_said(word)} is no time: give seconds above 0, at most {LONGEST}.")
    return value


def count(option: str, word: Any) -> int:
    """Return a number from 0 on. Raises UsageError."""
    try:
        value = int(str(word))
    except ValueError:
        value = -1
    if value < 0:
        raise UsageError(f"{option} {_said(word)} is no number: give one from 0 on.")
    return value


def byte_size(option: str, word: Any) -> int:
    """Return the bytes that `word` (as 64MiB, 1GiB, 1000000) names. Raises UsageError."""
    try:
        return parse_size(str(word))
    except ValueError:
        raise UsageError(
            f"{option} {_said(word)} is no size from 1 MiB on: give it as 64MiB or 1GiB."
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
            raise UsageError(f"{option} {_said(part)} can't be done ({error}): {remedy}.") from None
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


def _said(word: Any) -> str:
    """Return a wrong word for a sentence, which is to stay one."""
    text = str(word)
    return repr(text if len(text) <= 100 else text[:100] + "…")
