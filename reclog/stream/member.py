"""One file of a subscriber that has several: a recording to all who look, without a process of its own.

Rules kept here:

- Its folder is as any recording's: config, state, counters, event logs, index. Its daemon is the
  subscriber's, whose name is in it (`of`): it is that which is started and stopped.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from reclog.engine.daemons.daemon import STATE_AGAIN, Daemon
from reclog.engine.records import names, past
from reclog.engine.records.counters import CountersFile, Facts
from reclog.engine.records.events import EventLog, timestamp
from reclog.engine.records.jsonfile import read_json, write_json
from reclog.engine.system.identity import Identity

from ..recordings.registry import Registry

#: What a member's config has its subscriber's name in.
OF = "of"


class Member:
    """What others see of one file."""

    def __init__(self, daemon: Daemon, folder: str) -> None:
        self.folder = folder
        self.log = EventLog(self._path(names.EVENTS), self._path(names.HOLES), self._owe)
        self._daemon = daemon
        self._pay = daemon.loop.timer(self.log.pay)
        self._state: Facts = {}

    def begin(
        self, told: Mapping[str, Any], changes: Callable[[], object], facts: Callable[[], Facts]
    ) -> None:
        """Let others see it: what was `told` of it, and its `facts`, whenever `changes` returns another."""
        identity = Identity.of(os.getpid())._asdict()
        self._state = {**told, "identity": identity, "started": timestamp()}
        with contextlib.suppress(OSError):  # a full disk: it is dead to who looks, and goes on
            write_json(self._path(names.STATE), self._state, disk=self._daemon.disk)
        path = self._path(names.COUNTERS)
        self._counters = CountersFile(self._daemon.loop, path, changes, facts, self._daemon.disk)

    def end(self, facts: Facts) -> None:
        """Leave what it was."""
        self.log.say("stopped", **facts)
        past.keep(self.folder, self._state, facts, timestamp(), self._daemon.disk)
        for name in (names.STATE, names.COUNTERS, names.CONFIG):
            with contextlib.suppress(OSError):
                os.unlink(self._path(name))

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def _owe(self) -> None:
        self._pay.at(self._daemon.loop.now() + STATE_AGAIN)


def members(registry: Registry, of: str) -> dict[Path, dict[str, Any]]:
    """Return the folders of those that a subscriber has, or had when it was killed, and their configs."""
    found = {}
    for config in sorted(registry.folder.glob(f"*/{names.CONFIG}")):
        with contextlib.suppress(OSError, ValueError):
            told = read_json(str(config))
            if told.get(OF) == of:
                found[config.parent] = told
    return found
