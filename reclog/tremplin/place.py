"""Have a relay on the tremplin: the one that is there, if it is as it should be, else a new one."""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from reclog.engine.daemons.config import RelayConfig

from ..console import size
from ..errors import HostError, LinesStayError, ReclogError, RelayError, RelayRunsError
from ..recordings.certificate import Certificate
from ..recordings.settings import TremplinSettings
from ..words import inv
from .login import Way
from .package import build, digest
from .remote import RemoteRelay
from .secured import FILES
from .survey import Relay, survey

Say = Callable[[str], None]


def relay_config(
    settings: TremplinSettings, known: Relay | None, shown: Certificate | None = None
) -> dict[str, Any]:
    """Return what the relay is told, which shows that certificate; one that is `known` keeps its secret."""
    told = {**dataclasses.asdict(settings), "port": settings.port_remote_in}
    told.update({field: name for field, name in FILES.items() if told[field]})
    told["fingerprint"] = shown.fingerprint if shown else ""
    secret = (known.secret if known else "") or secrets.token_hex(32)
    config = RelayConfig.from_json({**told, "secret": secret})
    return {**config.to_json(), "name": str(settings.port_remote_in), "kind": "relay"}


def refuse_foreign(known: Relay | None, collector: str, host: str) -> None:
    """Refuse a relay that is another collector's. Raises RelayError."""
    if known is not None and known.owner and known.owner != collector:
        raise RelayError(
            f"The relay on {host} belongs to {known.owner} since {known.since}: "
            "add --take-over to have it from now on."
        )


def have_relay(
    relay: RemoteRelay,
    way: Way,
    config: dict[str, Any],
    known: Relay | None,
    beside: Mapping[str, bytes],
    say: Say,
) -> None:
    """See that a relay of this `config` runs, the `known` one or another, with the files `beside` it.

    Raises ReclogError.
    """
    alias, port = way.target.host, config["port"]
    if known is not None and known.pid:
        if not known.stopping and known.config == config and known.program == digest(build()):
            say(f"{alias}: relay was there already, on port {port}")
            return
        relay.end(known.pid)  # its spool stays
    relay.place(config, known.program if known else "", known is None, beside)
    try:
        started = relay.start()
    except RelayRunsError:
        # The collector of its owner so far was quicker, with the old program and config.
        now = survey(way).relays.get(config["name"])
        if now is not None and now.pid:
            relay.end(now.pid)
        started = relay.start()
    say(f"{alias}: relay listens on port {port} ({started.listener})")
    for note in started.notes:
        say(f"note: {note}")


class Undo:
    """Leave nothing there of a relay that this call began; but what was sent to it stays.

    It is an exit of an ExitStack. Raises LinesStayError.
    """

    def __init__(self, relay: RemoteRelay, way: Way, config: dict[str, Any]) -> None:
        self._relay = relay
        self._way = way
        self._name = config["name"]
        self._secret = config["secret"]

    def __call__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Undo it, if the call failed."""
        if error is None:
            return
        left = 0
        with contextlib.suppress(HostError):  # why it failed is worth more than that this did too
            left = self._end()
        if left:
            why = str(error) if isinstance(error, ReclogError) else "It was interrupted."
            alias = self._way.target.host
            raise LinesStayError(
                f"{why} What was sent there meanwhile ({size(left)}) stays on {alias} until this is run "
                f"again; `{inv('kill', '--host', alias, '--discard')}` drops it."
            ) from error

    def _end(self) -> int:
        """End the relay, and remove it if it has no lines; return the bytes that it has."""
        there = survey(self._way).relays.get(self._name)
        if there is not None and there.secret not in ("", self._secret):
            return 0  # another machine's, which was quicker
        if there is not None and there.pid:
            self._relay.end(there.pid)
            # It takes in what was sent before it ends.
            there = survey(self._way).relays.get(self._name)
        left = there.left if there is not None else 0
        if not left:
            self._relay.remove()
        return left
