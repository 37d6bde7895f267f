"""The kinds of sources that listen, by name, and which of them is taken."""

from __future__ import annotations

from ..errors import ListenerUnusable
from .forks import SocatSource
from .source import Asked, Source, lacks
from .tcp import Builtin

#: The best first: `auto` goes by this order.
LISTENERS: dict[str, type[Source]] = {kind.NAME: kind for kind in (SocatSource, Builtin)}


def choose(wanted: str, asked: Asked) -> list[type[Source]]:
    """Return the kinds that can do what is asked, the best first. Raises ListenerUnusable if none can.

    `wanted` is one of `LISTENERS`, which is then the only one, or `auto`.
    """
    if wanted == "auto":
        return [kind for kind in LISTENERS.values() if not kind.absent() and not lacks(kind, asked)]
    kind = LISTENERS[wanted]
    demand(kind, asked)
    return [kind]


def demand(kind: type[Source], asked: Asked) -> None:
    """See that `kind` is here and can do what is asked. Raises ListenerUnusable."""
    if kind.absent():
        raise ListenerUnusable(kind.absent())
    reason = lacks(kind, asked)
    if reason:
        raise ListenerUnusable(f"{reason}: use --listener builtin.")
