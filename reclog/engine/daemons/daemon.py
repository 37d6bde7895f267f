"""What every daemon of reclog has: its folder, its lock, its readiness, its stop."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import time
from typing import Any, Callable

from ..errors import EngineError
from ..records.events import EventLog, timestamp
from ..records.jsonfile import clear_unfinished, read_json, write_json
from ..records.names import CONFIG, COUNTERS, EVENTS, LOCK, STATE
from ..system.faultpoints import disk
from ..system.identity import Identity
from ..system.kernel import die_with_parent
from ..system.loop import Loop

#: Seconds between two attempts to write the state.
STATE_AGAIN = 1.0


class FolderTaken(EngineError):
    """Another daemon runs with the same folder."""

    cause = "folder-taken"


class ConfigUnusable(EngineError):
    """What the daemon was told makes no sense."""

    cause = "config"


class Daemon:
    """One process in the background with a folder of its own.

    The folder holds `config.json` (what to do, by whoever started it), `state.json` (who runs, while it
    does), `counters.json`, `events.log` and `lock`.
    """

    def __init__(self, folder: str, ready_fd: int = -1, again: bool = False) -> None:
        self.folder = folder
        #: Started again by a program, so that nobody reads an error: it is patient where it can be.
        self.again = again
        self.disk = disk()
        self.config: dict[str, Any] = {}
        #: Why the config can't be used; empty if it can.
        self.trouble = ""
        try:
            self.config = read_json(self.path(CONFIG))
        except (OSError, ValueError) as error:
            self.trouble = _useless(self.path(CONFIG), error)
        self.loop = Loop()
        self.log = EventLog(self.path(EVENTS))
        self.stopping = False
        #: Set when the same daemon is to be started again with what it was told.
        self.keep_config = False
        #: Set when why it ended is to be seen in `status`.
        self.keep_state = False
        self._state: dict[str, Any] = {}
        self._state_unsaved = False
        self._state_timer = self.loop.timer(self._save_state)
        self._ready_fd = ready_fd
        self._lock_fd = -1

    def made(self, role: Callable[[Daemon], Any]) -> Any:
        """Return what `role` makes of this daemon. Raises ConfigUnusable where the config makes no sense."""
        if self.trouble:
            raise ConfigUnusable(self.trouble)
        try:
            return role(self)
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise ConfigUnusable(_useless(self.path(CONFIG), error)) from error

    def path(self, name: str) -> str:
        """Return the path of a file of this daemon's folder."""
        return os.path.join(self.folder, name)

    def lock(self) -> None:
        """Become the only daemon with this folder. Raises FolderTaken."""
        self._lock_fd = os.open(self.path(LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                return  # a file system without locks
            raise FolderTaken("This recording is being started or runs already: see `inv status`.") from error

    def listen_for_stop(self) -> None:
        """Set `stopping` at SIGTERM, SIGINT or SIGHUP; end with our parent if it stays in front of us."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self.loop.on_signal(number, self._stop)
        parent = self.config.get("foreground_of")
        if parent:
            die_with_parent(int(parent), signal.SIGTERM)

    def announce(self, **facts: Any) -> None:
        """Write who runs and what: from now on others can find this daemon."""
        identity = Identity.of(os.getpid())
        self._state = {**self.config, **facts, "identity": identity._asdict(), "started": timestamp()}
        self._save_state()

    def _save_state(self) -> None:
        try:
            write_json(self.path(STATE), self._state, disk=self.disk)
        except OSError as error:
            # On a full disk it works all the same: a relay must, for what it gives away makes room.
            if not self._state_unsaved:
                self.log.say("state not saved", reason=error.strerror or str(error))
            self._state_unsaved = True
            self._state_timer.at(time.monotonic() + STATE_AGAIN)
        else:
            self._state_unsaved = False

    def ready(self, **facts: Any) -> None:
        """Tell whoever started us that we do our work."""
        self._answer({"ready": True, **facts})

    def failed(self, cause: str, message: str) -> None:
        """Tell whoever started us why we can't."""
        self._answer({"ready": False, "cause": cause, "message": message})

    def leave(self) -> None:
        """Remove what only a running daemon has; the event log stays."""
        if self.keep_state:
            return
        for name in (STATE, COUNTERS, *(() if self.keep_config else (CONFIG,)), LOCK):
            try:
                os.unlink(self.path(name))
            except FileNotFoundError:
                pass
        clear_unfinished(self.folder)

    def _stop(self) -> None:
        self.stopping = True

    def _answer(self, answer: dict[str, Any]) -> None:
        if self._ready_fd >= 0:
            try:
                os.write(self._ready_fd, json.dumps(answer).encode("utf-8") + b"\n")
                os.close(self._ready_fd)
            except BrokenPipeError:
                pass  # nobody waits any more
            self._ready_fd = -1


def _useless(path: str, error: Exception) -> str:
    said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return f"{path} can't be used ({said}): start the recording anew."
