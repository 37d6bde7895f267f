"""Words of a call about senders, each checked by itself: by the engine's parts that will take them."""

from __future__ import annotations

import ipaddress
from typing import Any

from reclog.engine.intake.framing import FRAMINGS
from reclog.engine.intake.token import LEAST, MOST
from reclog.engine.sources.choice import LISTENERS as KINDS
from reclog.engine.sources.dial import named
from reclog.engine.system.address import named_address, parse_network

from ..errors import UsageError
from .checks import said, yes_or_no

#: What may be asked for: a kind of listener, or the best that can do it.
LISTENERS = ("auto", *KINDS)


def listener(word: Any) -> str:
    """Return `word` if it names a kind of listener. Raises UsageError."""
    if word not in LISTENERS:
        raise UsageError(f"--listener {said(word)} is unknown: give one of {', '.join(LISTENERS)}.")
    return str(word)


def framing(word: Any) -> str:
    """Return `word` if it names what ends messages. Raises UsageError."""
    if str(word) not in FRAMINGS:  # a list or a mapping of the config is no key
        raise UsageError(f"--framing {said(word)} is unknown: give one of {', '.join(FRAMINGS)}.")
    return str(word)


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
                f"--allow {said(word)} is no network: give an address, a CIDR as 192.168.1.0/24, or any."
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
            raise UsageError(f"--from {said(word)} can't be dialled: {error}.") from None
        if device in known:
            raise UsageError(f"--from {said(known[device])} and {said(word)} are one device: give it once.")
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
            raise UsageError(f"--name {said(word)} names nobody: {error}; give ADDRESS=NAME.") from None
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
